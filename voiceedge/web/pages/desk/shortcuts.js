// Keys for what an agent does all day: Alt with a letter, so that no typing is disturbed.

import { dialog } from "./dialogs.js";
import { el } from "./dom.js";
import { t } from "./words.js";

const KEYS = () => [
  ["Alt+1 … 9", t("shortcut_select")],
  ["Alt+Enter", t("take")],
  ["Alt+T", t("transfer")],
  ["Alt+K", t("channel")],
  ["Alt+N", t("note")],
  ["Alt+W", t("wrap")],
  ["Alt+M", t("message")],
  ["Alt+A", t("go_available")],
  ["Alt+B", t("go_break")],
  ["Alt+/", t("shortcut_help")],
];

export function showHelp() {
  const rows = KEYS().map(([keys, what]) => el("tr", {}, el("th", { scope: "row" }, el("kbd", {}, keys)), el("td", {}, what)));
  const frame = dialog(t("shortcuts"), [el("table", { class: "plain" }, el("tbody", {}, rows))], t("close"), async () => true);
  frame.querySelector(".end").firstChild.remove();
}

/** Until the controller that is returned aborts. */
export function shortcuts(desk) {
  const controller = new AbortController();
  const does = {
    Enter: () => desk.list.take(),
    KeyT: () => desk.story.act("transfer"),
    KeyK: () => desk.story.act("channel"),
    KeyN: () => desk.story.act("note"),
    KeyW: () => desk.story.act("wrap"),
    KeyM: () => desk.story.write(),
    KeyA: () => desk.available(),
    KeyB: () => desk.toggleState(),
    Slash: showHelp,
  };
  addEventListener("keydown", (event) => {
    if (!event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const digit = /^Digit([1-9])$/.exec(event.code);
    const work = digit ? () => desk.list.choose(Number(digit[1]) - 1) : does[event.code];
    if (!work) return;
    event.preventDefault();
    work();
  }, { signal: controller.signal });
  return controller;
}

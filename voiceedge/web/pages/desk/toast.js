// Short words that need no answer.

import { el } from "./dom.js";
import { t } from "./words.js";

const LASTS_MS = 6000;
const place = document.getElementById("toasts");

/** `lastsMs` 0: until somebody closes it. */
export function toast(words, kind = "good", lastsMs = LASTS_MS) {
  const close = () => element.remove();
  const element = el("div", { class: `toast ${kind}` }, el("span", {}, words),
    el("button", { class: "link", "aria-label": t("close"), onclick: close }, "×"));
  place.append(element);
  if (lastsMs) setTimeout(close, lastsMs);
}

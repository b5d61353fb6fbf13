// Dialogs: each asks for one thing, does it, and closes; Escape leaves everything as it was.

import { conversation, post } from "./api.js";
import { attempt } from "./attempt.js";
import { el } from "./dom.js";
import { toast } from "./toast.js";
import { moment, t } from "./words.js";

let count = 0;

function field(label, control, hint = "") {
  control.id = `field-${++count}`;
  return el("div", { class: "field" }, el("label", { for: control.id }, label), control, hint ? el("small", { class: "quiet" }, hint) : null);
}

/** `done()` does what was asked for, and returns whether the dialog may close; `leave` is what closes it undone. */
export function dialog(title, fields, confirm, done, leave = t("cancel")) {
  const close = () => frame.close();
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    const may = await done();
    button.disabled = false;
    if (may) close();
  };
  const button = el("button", { class: "primary" }, confirm);
  const form = el("form", { onsubmit: submit }, el("h2", { id: `title-${++count}` }, title), fields,
    el("div", { class: "row end" }, el("button", { type: "button", onclick: close }, leave), button));
  const frame = el("dialog", { "aria-labelledby": `title-${count}`, onclose: () => frame.remove() }, form);
  document.body.append(frame);
  frame.showModal();
  return frame;
}

function options(items) {
  return items.map(([value, label]) => el("option", { value }, label));
}

export function showTransfer(desk, contact) {
  const { agents, queues } = desk.choices;
  const kinds = [["queue", t("to_queue")], ["agent", t("to_agent")], ...(contact.chat ? [] : [["number", t("to_number")]])];
  const kind = el("select", { onchange: () => pick() }, options(kinds));
  const somebody = el("select");
  const number = el("input", { inputmode: "tel", maxlength: 20, placeholder: t("to_number_hint") });
  const note = el("textarea", { rows: 3, maxlength: 2000 });
  const who = field(t("transfer_to"), somebody);
  const what = field(t("to_number"), number);
  const pick = () => {
    const known = kind.value === "agent" ? agents : queues;
    somebody.replaceChildren(...options(known.map((one) => [one.name, one.title])));
    who.hidden = kind.value === "number";
    what.hidden = kind.value !== "number";
  };
  pick();
  dialog(t("transfer"), [field(t("transfer_kind"), kind), who, what, field(t("to_note"), note)], t("transfer"), async () => {
    const to = kind.value === "number" ? number.value.replace(/[^\d+*#]/g, "") : somebody.value;
    if (!to) return false;
    const wish = { kind: kind.value, to, note: note.value.trim() };
    const sent = await attempt(() => post(conversation(contact.conversation, "/send_on"), wish));
    if (sent) toast(t(contact.chat ? "chat_sent_on" : "sent_on"));
    return sent;
  });
}

export function showNote(desk, contact) {
  const words = el("textarea", { rows: 4, maxlength: 2000, required: true });
  dialog(t("note"), [field(t("note"), words, t("note_hint"))], t("save"), async () => {
    const saved = await attempt(() => post(conversation(contact.conversation, "/notes"), { text: words.value.trim() }));
    if (saved) toast(t("saved"));
    return saved;
  });
}

export function showWrapUp(desk, contact) {
  const { outcomes } = desk.choices;
  const outcome = el("select", {}, options(outcomes.map((one) => [one, t(one)])));
  const content = el("select", {}, options([["", t("satisfaction_none")], ...[5, 4, 3, 2, 1].map((one) => [String(one), "★".repeat(one) + "☆".repeat(5 - one)])]));
  const note = el("textarea", { rows: 3, maxlength: 2000 });
  const ends = contact.chat && contact.state === "talking";
  dialog(t("wrap"), [
    outcomes.length ? field(t("outcome"), outcome) : null,
    field(t("satisfaction"), content), field(t("wrap_note"), note),
  ].filter(Boolean), t(ends ? "close_chat" : "finish"), async () => {
    const wish = { outcome: outcome.value || null, satisfaction: Number(content.value) || null, note: note.value.trim() };
    const closed = await attempt(() => post(conversation(contact.conversation, "/close"), wish));
    if (closed) toast(t("finished"));
    return closed;
  });
}

export function showChannel(desk, contact) {
  const { channels } = desk.choices;
  const where = el("select", { onchange: () => pick() }, options(channels.map((one) => [one.name, one.title || t(one.name)])));
  const address = el("input", { maxlength: 320 });
  const asked = field(t("address"), address, t("address_hint"));
  const made = el("output", { class: "made" });
  const frame = dialog(t("channel"), [field(t("channel_to"), where), asked, made], t("make_link"), async () => {
    await attempt(async () => {
      const told = await post(conversation(contact.conversation, "/continue"), { channel: where.value, address: address.value.trim() });
      made.replaceChildren(...ticket(told));
    });
    return false;
  }, t("close"));
  const button = frame.querySelector(".primary");
  button.disabled = !channels.length;
  const pick = () => {
    const { addressed, to_their_number: isText } = channels.find((one) => one.name === where.value) ?? {};
    asked.hidden = !addressed;
    asked.querySelector("small").hidden = !isText;
    button.textContent = t(addressed ? "send" : "make_link");
  };
  pick();
}

function ticket(told) {
  const until = el("p", { class: "quiet" }, t("expires", { time: moment(told.expires_at) }));
  if (told.pin || told.number) return [el("p", { class: "big" }, t("pin_ready", { number: told.number ?? "–", pin: told.pin ?? "–" })), until];
  if (told.sent) return [el("p", {}, t("link_sent")), until];
  const copy = async () => {
    await navigator.clipboard.writeText(told.link);
    toast(t("copied"));
  };
  return [el("p", {}, t("link_ready")), el("p", { class: "link-text" }, told.link ?? "–"), el("button", { type: "button", onclick: copy }, t("copy")), until];
}

export function showBreak(desk) {
  const { reasons } = desk.choices;
  const reason = el("select", {}, options([["", "–"], ...reasons.map((one) => [one, t(one)])]));
  dialog(t("go_break"), [field(t("reason"), reason)], t("go_break"), () => attempt(() => post("/state", { state: "break", reason: reason.value })));
}

// The chosen conversation: what was said over all channels, and what the agent does with it.

import { chat, conversation, get, post } from "./api.js";
import { attempt } from "./attempt.js";
import { el, lasted, timer } from "./dom.js";
import { showChannel, showNote, showTransfer, showWrapUp } from "./dialogs.js";
import { moment, t } from "./words.js";

const NEAR_PX = 60; // from the end, and it is looked at
const ACTIONS = [["transfer", "T"], ["channel", "K"], ["note", "N"], ["wrap", "W"]];

export class Story {
  constructor(desk) {
    this.desk = desk;
    this.shownContact = null;
    this.drafts = new Map(); // chat to what is being written
    this.whispers = new Map(); // conversation to what was whispered
    this.head = el("div", { class: "story-head" });
    this.banner = el("div", { class: "banner", hidden: true });
    this.log = new Log();
    this.composer = this.makeComposer();
    this.buttons = Object.fromEntries(ACTIONS.map(([name, key]) => [name,
      el("button", { onclick: () => this.act(name), title: `Alt+${key}` }, t(name), " ", el("kbd", { "aria-hidden": "true" }, key))]));
    this.actions = el("div", { class: "row story-actions", role: "toolbar", "aria-label": t("story") }, Object.values(this.buttons));
    this.none = el("div", { class: "empty tall" }, el("p", {}, t("choose")));
    this.full = el("div", { class: "story", hidden: true }, this.head, this.banner, this.log.element, this.composer, this.actions);
    this.element = el("section", { class: "pane talk", "aria-label": t("story"), tabindex: "-1" }, this.none, this.full);
  }

  makeComposer() {
    this.box = el("textarea", {
      rows: 2, maxlength: 2000, "aria-label": t("message"), placeholder: t("message_hint"),
      onkeydown: (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          this.say();
        }
      },
      oninput: () => this.drafts.set(this.shownContact?.chat, this.box.value),
    });
    const { answers } = this.desk.choices;
    const canned = answers.length
      ? el("select", { "aria-label": t("answers"), onchange: (event) => this.fillIn(event.target) },
          el("option", { value: "" }, t("answers")), answers.map((one) => el("option", { value: one }, one)))
      : null;
    return el("form", { class: "composer", hidden: true, onsubmit: (event) => (event.preventDefault(), this.say()) },
      this.box, el("div", { class: "row" }, canned, el("span", { class: "spacer" }), el("button", { class: "primary" }, t("send"))));
  }

  fillIn(select) {
    this.box.value = this.box.value ? `${this.box.value} ${select.value}` : select.value;
    select.value = "";
    this.write();
  }

  /** Show this contact's conversation; null: nothing. */
  contact(contact) {
    const taken = contact?.state !== this.shownContact?.state;
    const changed = contact?.conversation !== this.shownContact?.conversation || contact?.chat !== this.shownContact?.chat;
    const advanced = taken || contact?.last_number !== this.shownContact?.last_number;
    this.shownContact = contact;
    this.none.hidden = contact !== null;
    this.full.hidden = contact === null;
    if (!contact) return;
    this.drawHead(contact);
    if (changed) {
      this.log.clear();
      this.messages = [];
      this.record = null;
      this.earlier = null;
      this.box.value = this.drafts.get(contact.chat) ?? "";
    }
    if (changed || taken) this.log.toEnd();
    if (changed || advanced) this.refresh();
  }

  drawHead(contact) {
    const { phone } = this.desk.shown.me;
    const isChat = Boolean(contact.chat);
    const talks = contact.state === "talking";
    this.head.replaceChildren(
      el("span", { class: `badge ${contact.channel}` }, t(contact.channel)),
      el("h2", { class: "cut" }, contact.who || t("unknown_customer")),
      el("span", { class: `sign ${contact.state}` }, t(talks && isChat ? "chat_talking" : contact.state)), timer(contact.since),
      contact.queue ? el("span", { class: "quiet cut" }, contact.queue.title) : "",
      contact.waited_ms !== undefined ? el("span", { class: "quiet" }, t("waited", { time: lasted(contact.waited_ms) })) : "",
      el("span", { class: "spacer" }),
      contact.state === "offered" ? el("button", { class: "primary", onclick: () => this.desk.list.take(contact) }, t("take"), " ", el("kbd", { "aria-hidden": "true" }, "⏎")) : "",
      contact.state === "offered" ? el("button", { onclick: () => this.desk.list.decline(contact) }, t("decline")) : "");
    const why = contact.note || contact.why;
    const whispers = this.whispers.get(contact.conversation) ?? [];
    this.banner.replaceChildren(
      contact.state === "ringing" ? el("p", { class: "rings" }, t("answer_phone", { phone })) : "",
      why ? el("p", {}, el("strong", {}, contact.from ? t("note_from", { name: contact.from }) : t("why")), " ", why) : "",
      contact.closed_by ? el("p", {}, t("chat_ended")) : "",
      ...whispers.map((one) => el("p", { class: "whisper" }, el("strong", {}, t("whisper_from", { name: one.by })), " ", one.text)));
    this.banner.hidden = !this.banner.textContent;
    this.composer.hidden = !(isChat && talks);
    this.actions.hidden = !(talks || contact.state === "wrap_up");
    this.buttons.transfer.disabled = this.buttons.channel.disabled = !talks;
    this.buttons.wrap.disabled = talks && !isChat;
    this.buttons.wrap.title = talks && !isChat ? t("call_is_up") : "Alt+W";
  }

  act(name) {
    const contact = this.shownContact;
    if (!contact || this.actions.hidden || this.buttons[name].disabled) return;
    ({ transfer: showTransfer, channel: showChannel, note: showNote, wrap: showWrapUp })[name](this.desk, contact);
  }

  write() {
    if (!this.composer.hidden) this.box.focus();
  }

  async say() {
    const contact = this.shownContact;
    const words = this.box.value.trim();
    if (!words || !contact?.chat) return;
    const sent = await attempt(async () => {
      await post(chat(contact.chat, "/say"), { text: words });
    });
    if (sent) {
      this.drafts.delete(contact.chat);
      if (this.shownContact?.chat === contact.chat) this.box.value = "";
      this.log.toEnd();
      this.refresh();
    }
  }

  changed(id) {
    if (id === this.shownContact?.conversation) this.refresh();
  }

  whispered({ conversation: id, text: words, by }) {
    this.whispers.set(id, [...(this.whispers.get(id) ?? []), { text: words, by }]);
    if (id === this.shownContact?.conversation) this.drawHead(this.shownContact);
  }

  /** An earlier conversation of the same customer, beside the contact. */
  async showEarlier(id) {
    await attempt(async () => {
      this.earlier = await get(conversation(id));
      this.log.toEnd();
      this.draw();
    });
  }

  async refresh() {
    if (this.asking) {
      this.askAgain = true;
      return;
    }
    this.asking = true;
    const contact = this.shownContact;
    await attempt(async () => {
      const record = await get(conversation(contact.conversation));
      const after = this.messages.at(-1)?.number ?? 0;
      const messages = contact.chat ? await get(chat(contact.chat, `/messages?after=${after}`)) : [];
      if (contact.conversation !== this.shownContact?.conversation) return;
      this.record = record;
      this.messages.push(...messages.filter((one) => one.number > after));
      this.desk.side.record(record);
      this.draw();
    });
    this.asking = false;
    if (this.askAgain) {
      this.askAgain = false;
      if (this.shownContact) this.refresh();
    }
  }

  draw() {
    if (this.earlier) {
      const back = el("button", { class: "small", onclick: () => ((this.earlier = null), this.log.clear(), this.draw()) }, t("back_to_current"));
      this.log.note(el("p", {}, t("viewing_earlier"), " ", back));
      this.log.show(entries(this.earlier, this.desk));
      return;
    }
    this.log.note(null);
    if (!this.record) return;
    this.log.show([...entries(this.record, this.desk, this.shownContact, this.messages[0]?.at_ms), ...this.messages.map((one) => fromMessage(one, this.desk))]);
  }
}

/** A list that only grows, so that a screen reader tells what is new. */
export class Log {
  constructor() {
    this.list = el("div", { class: "log", role: "log", "aria-live": "polite", "aria-label": t("live_region"), tabindex: "0" });
    this.top = el("div", { class: "log-note" });
    this.element = el("div", { class: "log-frame" }, this.top, this.list);
    this.keys = [];
    this.follows = true; // shows the newest, until somebody scrolls up
    this.lastTop = 0;
    this.list.addEventListener("scroll", () => this.scrolled());
    new ResizeObserver(() => this.follows && this.toEnd()).observe(this.list);
  }

  /** Only who scrolls up wants to stay there: a list that became smaller has not been scrolled. */
  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.list;
    if (scrollHeight - scrollTop - clientHeight < NEAR_PX) this.follows = true;
    else if (scrollTop < this.lastTop) this.follows = false;
    this.lastTop = scrollTop;
  }

  toEnd() {
    this.follows = true;
    this.list.scrollTop = this.list.scrollHeight;
    this.lastTop = this.list.scrollTop;
  }

  clear() {
    this.keys = [];
    this.list.replaceChildren();
  }

  note(element) {
    this.top.replaceChildren(...(element ? [element] : []));
  }

  show(items) {
    items.sort((one, other) => one.at - other.at);
    const keys = items.map((one) => one.key);
    const grows = this.keys.every((key, place) => keys[place] === key);
    const top = this.list.scrollTop;
    if (!grows) this.clear();
    this.list.append(...items.slice(this.keys.length).map((one) => one.make()));
    this.keys = keys;
    if (this.follows) this.toEnd();
    else this.list.scrollTop = top;
  }
}

/** A record as entries of a log; what was written in the contact's chat since `besideMs` is shown in full beside. */
export function entries(record, desk, contact = null, besideMs = Infinity) {
  const isBeside = (turn) => contact?.chat && turn.visit === contact.chat && Date.parse(turn.time) >= besideMs;
  const given = contact?.note ? record.notes.findLast((one) => one.to) : null; // who has the contact reads it in full
  const found = record.turns.filter((turn) => turn.text && !isBeside(turn)).map((turn) => said(turn, desk));
  const add = (list, words) => found.push(...list.map((one) => line(one.time, words(one))));
  add(record.visits.map((visit) => ({ ...visit, time: visit.started_at })), (one) => t("started", { channel: t(one.channel) }));
  add(record.visits.filter((visit) => visit.ended_at).map((visit) => ({ ...visit, time: visit.ended_at })), (one) => t("ended", { channel: t(one.channel) }));
  add(record.continuations, (one) => t("continued", { channel: t(one.channel), by: t(`by_${one.by}`) }));
  add(record.hand_overs, (one) => `${t("handed_over", { channel: t(one.channel) })} ${one.reason}`);
  add(record.links, (one) => t(one.result !== "sent" ? "link_failed" : one.channel === "phone" ? "code_note" : "link_note", { via: t(one.via) }));
  found.push(...record.notes.map((one) => note(one === given ? { ...one, text: contact.note } : one, desk)));
  return found;
}

function titled(agent, desk) {
  if (agent === desk.shown.me.name) return t("me");
  return desk.choices.agents.find((one) => one.name === agent)?.title ?? agent ?? t("agent_speaker");
}

function bubble(speaker, who, at, words, extra = null) {
  return el("div", { class: `turn ${speaker}` },
    el("span", { class: "turn-who" }, who, " ", el("time", { datetime: at }, moment(at)), extra),
    el("span", { class: "turn-text" }, words));
}

function said(turn, desk) {
  const who = turn.speaker === "agent" ? titled(turn.agent, desk) : t(turn.speaker);
  const extra = turn.by === "keys" ? el("span", { class: "sign" }, t("typed")) : null;
  return {
    at: Date.parse(turn.time), key: `${turn.time} ${turn.speaker} ${turn.text}`,
    make: () => bubble(turn.speaker, who, turn.time, turn.text, extra),
  };
}

function fromMessage(message, desk) {
  const at = new Date(message.at_ms).toISOString();
  const key = `message ${message.number}`;
  if (message.kind === "note") return { at: message.at_ms, key, make: () => aside(message.text) };
  const speaker = message.by === "customer" ? "caller" : message.by;
  const who = speaker === "agent" ? titled(message.agent, desk) : t(speaker);
  return { at: message.at_ms, key, make: () => bubble(speaker, who, at, message.text) };
}

function line(time, words) {
  return { at: Date.parse(time), key: `${time} ${words}`, make: () => aside(`${moment(time)} ${words}`) };
}

function aside(words) {
  return el("div", { class: "aside" }, words);
}

function note(one, desk) {
  const who = t("note_by", { name: titled(one.by, desk) });
  return {
    at: Date.parse(one.time), key: `${one.time} note ${one.text}`,
    make: () => el("div", { class: "turn note" }, el("span", { class: "turn-who" }, who, " ", el("time", { datetime: one.time }, moment(one.time))), el("span", { class: "turn-text" }, one.text)),
  };
}

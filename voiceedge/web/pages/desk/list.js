// The agent's contacts: what rings or is offered, what goes on, what is to be wrapped up; and who waits in the queues.

import { chat, post } from "./api.js";
import { attempt } from "./attempt.js";
import { el, keyed, timer } from "./dom.js";
import { t } from "./words.js";

export class ContactList {
  constructor(desk) {
    this.desk = desk;
    this.seen = new Map(); // chat to the number of the last message that was looked at
    this.contacts = [];
    this.chosenId = null;
    this.empty = el("div", { class: "empty" });
    this.items = el("ul", { class: "contacts", "aria-label": t("contacts") });
    this.waiting = el("tbody");
    this.element = el("section", { class: "pane list", "aria-label": t("contacts") },
      el("h2", {}, t("contacts")),
      this.items, this.empty,
      el("div", { class: "queues" },
        el("h2", {}, t("wait_now")),
        el("table", { class: "plain" },
          el("thead", {}, el("tr", {}, ["queues", "calls", "chats", "longest"].map((key) => el("th", { scope: "col" }, t(key))))),
          this.waiting)));
  }

  show(shown) {
    const before = new Set(this.contacts.map((one) => one.conversation));
    this.contacts = shown.contacts;
    const chosen = this.chosen();
    if (!chosen) this.chosenId = this.contacts[0]?.id ?? null;
    else if (chosen.state !== "talking") {
      const fresh = this.contacts.find((one) => one.state === "ringing" && !before.has(one.conversation));
      if (fresh && chosen.state === "wrap_up") this.chosenId = fresh.id;
    }
    this.draw();
    const { state } = shown.state;
    const hint = state === "break" ? t("break_hint") : t("ready_hint");
    this.empty.hidden = this.contacts.length > 0;
    this.empty.replaceChildren(el("p", {}, t("nobody")), el("p", { class: "quiet" }, hint));
    keyed(this.waiting, shown.waiting, (queue) => queue.name, () => el("tr"), (row, queue) => row.replaceChildren(
      el("th", { scope: "row" }, queue.title), el("td", { class: "number" }, String(queue.calls)),
      el("td", { class: "number" }, String(queue.chats)), el("td", { class: "number" }, queue.since ? timer(queue.since) : "–")));
  }

  draw() {
    const chosen = this.chosen();
    if (chosen?.chat) this.look(chosen);
    keyed(this.items, this.contacts, (one) => one.id, () => el("li"), (item, one) => this.fill(item, one));
  }

  /** The contact whose story is shown: the same conversation when a call that rang is answered. */
  chosen() {
    const found = this.contacts.find((one) => one.id === this.chosenId);
    if (found) {
      this.chosenConversation = found.conversation;
      return found;
    }
    const same = this.contacts.find((one) => one.conversation === this.chosenConversation);
    if (same) this.chosenId = same.id;
    return same ?? null;
  }

  choose(place) {
    const contact = this.contacts[place];
    if (contact) this.open(contact);
  }

  open(contact) {
    this.chosenId = contact.id;
    this.draw();
    this.desk.story.contact(contact);
    this.desk.side.contact(contact);
    this.desk.pane("story");
  }

  /** Take the chat that is offered: the chosen one, or the first. */
  take(contact = null) {
    const offered = contact ?? [this.chosen(), ...this.contacts].find((one) => one?.state === "offered");
    if (!offered) return;
    this.chosenConversation = offered.conversation;
    this.chosenId = offered.id;
    attempt(() => post(chat(offered.chat, "/take")));
  }

  decline(contact) {
    attempt(() => post(chat(contact.chat, "/decline")));
  }

  look(contact) {
    if (contact.chat) this.seen.set(contact.chat, contact.last_number ?? 0);
  }

  unread(contact) {
    if (!contact.chat || contact.state !== "talking" || contact.id === this.chosenId) return 0;
    return Math.max(0, (contact.last_number ?? 0) - (this.seen.get(contact.chat) ?? 0));
  }

  fill(item, one) {
    const place = this.contacts.indexOf(one);
    const state = one.state === "talking" && one.chat ? "chat_talking" : one.state;
    const unread = this.unread(one);
    item.className = `contact ${one.state}`;
    if (!item.firstChild) {
      item.append(el("button", { class: "open" }), el("div", { class: "row actions" }));
    }
    const [button, actions] = item.children;
    button.setAttribute("aria-current", String(one.id === this.chosenId));
    button.onclick = () => this.open(one);
    const key = JSON.stringify([one.who, one.channel, state, one.queue?.title, one.since, one.last, one.intent, unread, place, t("phone")]);
    if (button.dataset.drawn !== key) {
      button.dataset.drawn = key;
      button.replaceChildren(
        el("span", { class: "row" },
          el("span", { class: `badge ${one.channel}` }, t(one.channel)),
          el("strong", { class: "who" }, one.who || t("unknown_customer")),
          unread ? el("span", { class: "unread", "aria-label": t("unread", { count: unread }) }, String(unread)) : null,
          place < 9 ? el("kbd", { "aria-hidden": "true" }, String(place + 1)) : null),
        el("span", { class: "row quiet" },
          el("span", { class: `sign ${one.state}` }, t(state)),
          one.queue ? el("span", { class: "cut" }, one.queue.title) : null,
          el("span", { class: "spacer" }), timer(one.since)),
        one.last ? el("span", { class: "last cut quiet" }, one.last) : null);
      actions.replaceChildren(...(one.state === "offered"
        ? [el("button", { class: "primary small", onclick: () => this.take(one) }, t("take")),
           el("button", { class: "small", onclick: () => this.decline(one) }, t("decline"))]
        : []));
    }
  }
}

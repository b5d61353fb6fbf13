// What is known of the chosen customer: our own record, other systems, earlier contacts, and the way taken so far.

import { conversation, get, post } from "./api.js";
import { attempt } from "./attempt.js";
import { el } from "./dom.js";
import { toast } from "./toast.js";
import { day, moment, t } from "./words.js";

export class Side {
  constructor(desk) {
    this.desk = desk;
    this.id = null;
    this.shown = new Map(); // what was revealed, until another conversation is chosen
    this.parts = Object.fromEntries(["customer", "outside", "slots", "earlier", "journey"].map((name) => [name, el("div", { class: "part-body" })]));
    const { connector } = desk.choices;
    const titles = { customer: t("customer"), outside: t("outside", { name: connector ?? "" }), slots: t("slots"), earlier: t("earlier"), journey: t("journey") };
    const sections = Object.entries(this.parts).filter(([name]) => name !== "outside" || connector).map(([name, body]) =>
      el("details", { class: `part ${name}`, open: name !== "journey" }, el("summary", {}, el("h3", {}, titles[name])), body));
    this.element = el("section", { class: "pane side", "aria-label": t("customer"), tabindex: "0" }, sections);
    this.element.hidden = true;
  }

  contact(contact) {
    const id = contact?.conversation ?? null;
    if (id === this.id) return;
    this.id = id;
    this.shown.clear();
    this.outsideOf = this.earlierOf = null;
    this.element.hidden = id === null;
    for (const body of Object.values(this.parts)) body.replaceChildren();
  }

  /** The record of the chosen conversation, whenever it has changed. */
  record(record) {
    if (record.id !== this.id) this.id = record.id; // it was joined into another one
    this.latest = record;
    this.drawCustomer(record);
    this.drawSlots(record);
    this.drawJourney(record);
    const known = JSON.stringify([record.id, record.customer?.identities.length ?? 0, record.slots.map((one) => one.name)]);
    if (this.outsideOf !== known) {
      this.outsideOf = known;
      this.askOutside(record.id);
    }
    const person = JSON.stringify([record.id, record.customer?.since ?? ""]);
    if (this.earlierOf !== person) {
      this.earlierOf = person;
      this.askEarlier(record.id);
    }
  }

  drawCustomer(record) {
    const { customer } = record;
    const rows = [];
    if (record.intent) rows.push(row(t("intent"), record.intent));
    const party = record.visits.findLast((visit) => visit.channel === "phone" && visit.party)?.party;
    const isKnown = (customer?.identities ?? []).some((one) => one.kind === "phone" && one.value === party);
    if (party && !isKnown) rows.push(this.value(t("number"), party, "number:", true));
    for (const one of customer?.identities ?? []) {
      const label = el("span", {}, t(`identity_${one.kind}`), one.verified ? el("span", { class: "sign ok" }, t("verified")) : "");
      rows.push(this.value(label, one.value, `identity:${one.number}`, one.hidden));
    }
    for (const one of customer?.attributes ?? []) rows.push(this.value(t(one.name), one.value, `attribute:${one.name}`, one.hidden));
    this.parts.customer.replaceChildren(rows.length ? el("dl", {}, rows) : el("p", { class: "quiet" }, t("no_customer")));
  }

  drawSlots(record) {
    const rows = record.slots.map((one) => this.value(one.title, plain(one.value), `slot:${one.name}`, one.hidden));
    this.parts.slots.replaceChildren(rows.length ? el("dl", {}, rows) : el("p", { class: "quiet" }, t("no_slots")));
  }

  drawJourney(record) {
    const steps = record.journey.slice(-30).map((step) =>
      el("li", {}, el("time", { datetime: step.time }, moment(step.time)), " ", el("span", {}, `${step.flow} › ${step.step}`)));
    this.parts.journey.replaceChildren(el("ol", { class: "journey" }, steps));
  }

  /** A value with a way to see it in full, which is noted. */
  value(label, value, what, hidden) {
    const known = this.shown.get(what);
    const cell = el("dd", {}, el("span", {}, known ?? value ?? "–"));
    if (hidden && known === undefined) {
      const name = typeof label === "string" ? label : label.textContent;
      cell.append(" ", el("button", { class: "link small", "aria-label": `${name} ${t("reveal")}`, onclick: (event) => this.reveal(what, cell, event.target) }, t("reveal")));
    }
    return [el("dt", {}, label), cell];
  }

  async reveal(what, cell, button) {
    await attempt(async () => {
      const { value } = await post(conversation(this.id, "/reveal"), { what });
      this.shown.set(what, value ?? "–");
      cell.firstChild.textContent = value ?? "–";
      button.remove();
      toast(t("revealed"));
    });
  }

  async askOutside(id) {
    if (!this.desk.choices.connector) return;
    const body = this.parts.outside;
    if (!body.firstChild) body.replaceChildren(el("p", { class: "quiet" }, t("outside_asking")));
    let told;
    try {
      told = await get(conversation(id, "/data"));
    } catch {
      told = { state: "error" };
    }
    if (id !== this.id) return;
    if (told.state === "found") {
      body.replaceChildren(el("dl", {}, told.values.map((one) => this.value(one.name, one.value, `data:${one.name}`, one.hidden && one.value !== null))));
      return;
    }
    const again = el("button", { class: "link small", onclick: () => this.askOutside(id) }, t("retry"));
    const words = told.state === "missing" ? t("outside_missing", { needs: told.needs.join(", ") }) : t(`outside_${told.state}`);
    body.replaceChildren(el("p", { class: "quiet" }, words, " ", told.state === "none" ? "" : again));
  }

  async askEarlier(id) {
    await attempt(async () => {
      const found = await get(conversation(id, "/earlier"));
      if (id !== this.id) return;
      const items = found.map((one) => el("li", {}, el("button", { class: "earlier", onclick: () => this.openEarlier(one.id) },
        el("span", { class: "row" }, el("strong", {}, day(one.started_at)), one.channels.map((channel) => el("span", { class: `badge ${channel}` }, t(channel)))),
        el("span", { class: "quiet cut" }, [one.intent, one.outcome && t(one.outcome), one.last].filter(Boolean).join(" · ") || "–"))));
      this.parts.earlier.replaceChildren(items.length ? el("ul", { class: "earlier-list" }, items) : el("p", { class: "quiet" }, t("no_earlier")));
    });
  }

  openEarlier(id) {
    this.desk.story.showEarlier(id);
    this.desk.pane("story");
  }
}

/** What another system told is a record of values: as lines. */
function plain(value) {
  try {
    const told = value.startsWith("{") ? Object.entries(JSON.parse(value)) : [];
    return told.map(([name, one]) => `${name}: ${typeof one === "object" ? JSON.stringify(one) : one}`).join("\n") || value;
  } catch {
    return value;
  }
}

function row(label, value) {
  return [el("dt", {}, label), el("dd", {}, value)];
}

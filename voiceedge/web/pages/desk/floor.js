// The supervisor's view: queues, agents and live contacts; follow one, whisper, the access log, connectors.

import { conversation, get, post } from "./api.js";
import { attempt } from "./attempt.js";
import { el, keyed, now, setClock, timer } from "./dom.js";
import { Log, entries } from "./talk.js";
import { toast } from "./toast.js";
import { knows, moment, t } from "./words.js";

const EVERY_MS = 5000;
const SOON_MS = 700;
const QUEUE_HEADS = ["queues", "state", "q_waiting", "q_chats", "q_longest", "q_talking", "q_chatting", "q_agents", "q_level", "q_handled", "q_chats_handled", "q_abandoned"];
const AGENT_HEADS = ["agents", "state", "present", "since_when", "chats", "handled", "q_chats_handled", "occupancy"];
const percent = (part) => (part === null ? "–" : `${Math.round(part * 100)} %`);
const clock = (seconds) => (seconds ? timer(now() - seconds * 1000) : "–");

/** The first so many columns hold `words`, the others numbers. */
function table(heads, body, words = heads.length) {
  const head = heads.map((one, place) => el("th", { scope: "col", class: place < words ? "" : "number" }, t(one)));
  return el("table", { class: "plain wide" }, el("thead", {}, el("tr", {}, head)), body);
}

function part(title, ...children) {
  return el("section", { class: "card" }, el("h2", {}, title), el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title }, children));
}

export class Floor {
  constructor(desk) {
    this.desk = desk;
    this.queues = el("tbody");
    this.agents = el("tbody");
    this.live = el("ul", { class: "contacts" });
    this.log = new Log();
    this.followed = el("div", { class: "followed" }, el("p", { class: "empty" }, t("pick_live")));
    this.access = el("tbody");
    this.connectors = el("div");
    this.element = el("main", { class: "floor" },
      el("div", { class: "floor-left" },
        part(t("queues"), table(QUEUE_HEADS, this.queues, 2)),
        part(t("agents"), table(AGENT_HEADS, this.agents, 3)),
        el("div", { class: "two" },
          part(t("access"), el("div", { class: "row" }, el("button", { class: "small", onclick: () => this.askAccess() }, t("show_access"))), table(["at", "actor", "action", "subject"], this.access)),
          part(t("connectors"), this.connectors))),
      el("div", { class: "floor-right" }, part(t("live"), this.live), el("section", { class: "card grow", "aria-label": t("listen") }, this.followed)));
  }

  start() {
    this.stop();
    this.every = setInterval(() => this.refresh(), EVERY_MS);
    this.refresh();
    this.askConnectors();
  }

  stop() {
    clearInterval(this.every);
    this.every = null;
  }

  /** Soon: several changes that come together are asked for once. */
  soon() {
    if (this.every) this.due ??= setTimeout(() => ((this.due = null), this.refresh()), SOON_MS);
  }

  async refresh() {
    if (!this.every || this.asking) return;
    this.asking = true;
    await attempt(async () => this.show(await get("/supervisor")));
    this.asking = false;
  }

  show(shown) {
    setClock(shown.now);
    this.shown = shown;
    const taken = shown.live.find((one) => one.agent && one.conversation === this.at?.conversation);
    if (taken && taken.agent !== this.at.agent) this.follow(taken);
    keyed(this.queues, shown.queues, (one) => one.name, () => el("tr"), (row, one) => fill(row, QUEUE_HEADS,
      el("th", { scope: "row" }, one.title || one.name), cell(t(one.open ? "open" : "closed")),
      number(one.waiting, one.waiting > 0), number(one.chats, one.chats > 0), number(clock(one.longest_wait_s)), number(one.talking), number(one.chatting),
      number(Object.entries(one.agents).filter(([state]) => state !== "logged_out").reduce((sum, [, count]) => sum + count, 0)),
      number(percent(one.today.service_level)), number(one.today.handled), number(one.chats_handled), number(one.today.abandoned)));
    keyed(this.agents, shown.agents, (one) => one.name, () => el("tr"), (row, one) => fill(row, AGENT_HEADS,
      el("th", { scope: "row" }, one.title || one.name),
      el("td", {}, el("span", { class: `sign ${one.state}` }, t(one.state)), one.reason ? ` ${t(one.reason)}` : ""),
      cell(t(one.present ? "yes" : "no")), number(clock(one.since_s)), number(one.chats), number(one.handled), number(one.chats_handled), number(percent(one.occupancy))));
    this.drawLive();
  }

  drawLive() {
    keyed(this.live, this.shown.live, (one) => `${one.conversation} ${one.channel} ${one.agent}`, () => el("li", { class: "contact" }, el("button", { class: "open" })), (item, one) => this.fill(item, one));
  }

  fill(item, one) {
    const button = item.firstChild;
    const title = one.agent ? this.title(one.agent) : t("waiting_state");
    button.onclick = () => this.follow(one);
    button.setAttribute("aria-current", String(one.conversation === this.at?.conversation));
    const key = JSON.stringify([one, t("phone")]);
    if (button.dataset.drawn === key) return;
    button.dataset.drawn = key;
    button.replaceChildren(
      el("span", { class: "row" }, el("span", { class: `badge ${one.channel}` }, t(one.channel)), el("strong", { class: "who" }, one.who || t("unknown_customer")), el("span", { class: "spacer" }), timer(one.since)),
      el("span", { class: "row quiet" }, el("span", {}, title), one.queue ? el("span", { class: "cut" }, this.queueTitle(one.queue)) : ""));
  }

  queueTitle(queue) {
    return this.shown.queues.find((one) => one.name === queue)?.title || queue;
  }

  title(agent) {
    return this.shown.agents.find((one) => one.name === agent)?.title || agent;
  }

  follow(one) {
    this.at = one;
    this.log = new Log();
    const words = el("input", { maxlength: 500, "aria-label": t("whisper"), placeholder: one.agent ? t("whisper_hint", { name: this.title(one.agent) }) : "" });
    const whisper = async (event) => {
      event.preventDefault();
      const wish = { agent: one.agent, conversation: one.conversation, text: words.value.trim() };
      if (!wish.text) return;
      if (await attempt(() => post("/supervisor/whisper", wish))) {
        words.value = "";
        toast(t("whispered"));
      }
    };
    this.followed.replaceChildren(
      el("h2", {}, one.who || t("unknown_customer"), one.agent ? ` · ${this.title(one.agent)}` : ""), this.log.element,
      one.agent ? el("form", { class: "row whisper-form", onsubmit: whisper }, words, el("button", { class: "primary" }, t("whisper"))) : "");
    this.drawLive();
    this.changed(one.conversation);
  }

  async changed(id) {
    if (!this.every || id !== this.at?.conversation) return;
    await attempt(async () => {
      const record = await get(conversation(id));
      if (id === this.at.conversation) this.log.show(entries(record, this.desk));
    });
  }

  async askAccess() {
    await attempt(async () => {
      const found = await get("/supervisor/access");
      this.access.replaceChildren(...found.map((one) => el("tr", {}, cell(moment(one.time, true)), cell(this.actor(one.actor)), cell(did(one.action)), el("td", { class: "cut id", title: one.subject }, about(one.subject)))));
    });
  }

  /** Agents by their titles; others, keys among them, as they are. */
  actor(actor) {
    const [kind, name] = actor.split(/:(.*)/);
    return kind === "agent" ? t("actor_agent", { name: this.shown ? this.title(name) : name }) : actor;
  }

  async askConnectors() {
    await attempt(async () => {
      const found = await get("/supervisor/connectors");
      this.connectors.replaceChildren(...(found.length ? found.map((one) => this.connector(one)) : [el("p", { class: "quiet" }, t("none"))]));
    });
  }

  connector(one) {
    const inputs = one.parameters.map((name) => [name, el("input", { "aria-label": `${one.name} ${name}`, placeholder: name, maxlength: 200 })]);
    const told = el("output", {});
    const run = async (event) => {
      event.preventDefault();
      await attempt(async () => {
        const values = Object.fromEntries(inputs.map(([name, input]) => [name, input.value]));
        const answer = await post(`/supervisor/connectors/${encodeURIComponent(one.name)}/try`, { values });
        told.replaceChildren(el("p", {}, `${t(answer.result)} · ${Math.round(answer.took_ms)} ms ${answer.why}`),
          el("dl", {}, answer.values.flatMap((value) => [el("dt", {}, value.name), el("dd", {}, value.value ?? "–")])));
      });
    };
    return el("form", { class: "connector", onsubmit: run },
      el("p", {}, el("strong", {}, one.name), ` ${one.kind} `, el("span", { class: `sign ${one.breaker}` }, t(`breaker_${one.breaker}`)),
        ` ${t("asked")} ${one.asked} · ${t("failed_count")} ${one.failed}${one.p95_ms === null ? "" : ` · p95 ${Math.round(one.p95_ms)} ms`}`),
      one.problem ? el("p", { class: "quiet" }, one.problem) : "",
      el("div", { class: "row" }, inputs.map(([, input]) => input), el("button", { class: "small", title: t("try_hint") }, t("try_it"))), told);
  }
}

/** What was done, in words: what it was done to follows the first of them that is known. */
function did(action) {
  const [verb, ...rest] = action.split(" ");
  const [two, ...more] = rest;
  const pair = `${verb}_${two}`;
  const [key, name] = knows(`did_${pair}`) ? [pair, more.join(" ")] : [verb, rest.join(" ")];
  return knows(`did_${key}`) ? t(`did_${key}`, { name: name.replace(/^\w+:/, "") }).trim() : action;
}

function about(subject) {
  const [kind, name] = subject.split(/:(.*)/);
  return knows(`about_${kind}`) ? `${t(`about_${kind}`)} ${(name ?? "").slice(-6)}` : subject;
}

/** The cells of a row know their heads, for where there is no room for a table. */
function fill(row, heads, ...cells) {
  cells.forEach((one, place) => (one.dataset.head = t(heads[place])));
  row.replaceChildren(...cells);
}

function cell(words) {
  return el("td", {}, words);
}

function number(value, loud = false) {
  return el("td", { class: loud ? "number loud" : "number" }, typeof value === "object" ? value : String(value));
}

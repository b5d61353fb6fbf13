// The desk: login, then the frame with its panes, kept up to date by the stream.

import { Refused, follow, get, post } from "./api.js";
import { attempt } from "./attempt.js";
import { el, setClock, text, timer } from "./dom.js";
import { showBreak } from "./dialogs.js";
import { Floor } from "./floor.js";
import { ContactList } from "./list.js";
import { shortcuts, showHelp } from "./shortcuts.js";
import { Side } from "./side.js";
import { Story } from "./talk.js";
import { toast } from "./toast.js";
import { current, t, use } from "./words.js";

const app = document.getElementById("app");

use(current());
const theme = localStorage.getItem("desk.theme");
if (theme) document.documentElement.dataset.theme = theme;

let desk = null;

async function begin() {
  document.title = t("title");
  try {
    const shown = await get("/desk");
    desk?.close();
    desk = new Desk(shown);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status !== 401) toast(t(error.code), "bad");
    await showLogin();
  }
}

async function showLogin(message = "") {
  desk?.close();
  desk = null;
  document.title = t("title");
  const told = el("p", { class: "problem", role: "alert" }, message);
  const agent = el("input", { name: "agent", autocomplete: "username", required: true, maxlength: 40, autocapitalize: "none", spellcheck: "false", id: "login-agent" });
  const code = el("input", { name: "code", type: "password", inputmode: "numeric", autocomplete: "current-password", required: true, maxlength: 64, id: "login-code" });
  const submit = async (event) => {
    event.preventDefault();
    try {
      await post("/login", { agent: agent.value.trim(), code: code.value });
      await begin();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { shortest_code: digits } = await get("/about").catch(() => ({}));
      const minutes = Math.max(1, Math.ceil((error.retryAfter || 60) / 60));
      text(told, t(error.code, { minutes, digits }));
      code.value = "";
      code.focus();
    }
  };
  app.replaceChildren(
    el("main", { class: "login" },
      el("form", { class: "card", onsubmit: submit },
        el("h1", {}, t("title")),
        el("p", { class: "quiet" }, t("login_hint")),
        el("label", { for: "login-agent" }, t("agent")), agent,
        el("label", { for: "login-code" }, t("code")), code,
        told,
        el("button", { class: "primary" }, t("login")),
        el("button", { type: "button", class: "link", onclick: () => (use(current() === "ko" ? "en" : "ko"), showLogin()) }, t("language")),
      )),
  );
  agent.focus();
}

class Desk {
  constructor(shown) {
    this.shown = shown;
    this.list = new ContactList(this);
    this.story = new Story(this);
    this.side = new Side(this);
    this.floor = shown.me.supervisor ? new Floor(this) : null;
    this.body = el("div", { class: "panes", dataset: { pane: "list" } }, this.list.element, this.story.element, this.side.element);
    this.bar = this.makeBar();
    this.tabs = this.makeTabs();
    app.replaceChildren(el("div", { class: "desk" }, this.bar, this.body, this.floor?.element ?? null, this.tabs));
    if (this.floor) this.floor.element.hidden = true;
    this.pane("list");
    this.keys = shortcuts(this);
    this.show(shown);
    this.stream = follow((message) => this.hear(message), (lost) => this.lost(lost));
  }

  get choices() {
    return this.shown.choices;
  }

  close() {
    this.stream?.close();
    this.keys?.abort();
    this.floor?.stop();
  }

  makeBar() {
    this.stateButton = el("button", { class: "state", onclick: () => this.toggleState(), "aria-describedby": "state-hint" });
    this.stateTimer = el("span", { class: "state-timer" });
    this.reasonText = el("span", { class: "quiet state-reason", id: "state-hint" });
    const views = this.floor
      ? el("nav", { class: "views", "aria-label": t("floor") },
          (this.deskTab = el("button", { "aria-pressed": "true", onclick: () => this.view("desk") }, t("my_desk"))),
          (this.floorTab = el("button", { "aria-pressed": "false", onclick: () => this.view("floor") }, t("floor"))))
      : null;
    const reload = (change) => () => (change(), this.close(), begin());
    return el("header", { class: "bar" },
      el("strong", { class: "brand" }, "VoiceEdge"),
      views,
      el("div", { class: "state-group" }, this.stateButton, this.stateTimer, this.reasonText),
      el("span", { class: "spacer" }),
      (this.lostSign = el("span", { class: "lost", role: "status", hidden: true }, t("reconnecting"))),
      el("button", { class: "link small keys", onclick: showHelp, title: `${t("shortcuts")} (Alt+/)`, "aria-label": t("shortcuts") }, t("shortcuts")),
      el("button", { class: "link small", onclick: reload(() => use(current() === "ko" ? "en" : "ko")) }, t("language")),
      el("button", { class: "link small", onclick: () => this.toggleTheme() }, t("theme")),
      el("span", { class: "name" }, this.shown.me.title),
      el("button", { class: "small", onclick: () => this.logOut() }, t("logout")),
    );
  }

  makeTabs() {
    const names = [["list", "tab_list"], ["story", "tab_story"], ["side", "tab_side"]];
    return el("nav", { class: "tabs", "aria-label": t("my_desk") }, names.map(([pane, label]) =>
      el("button", { dataset: { pane }, onclick: () => this.pane(pane) }, t(label))));
  }

  pane(name) {
    this.body.dataset.pane = name;
    for (const tab of this.tabs.children) tab.setAttribute("aria-current", String(tab.dataset.pane === name));
  }

  view(name) {
    if (!this.floor) return;
    const isFloor = name === "floor";
    this.body.hidden = isFloor;
    this.tabs.hidden = isFloor;
    this.floor.element.hidden = !isFloor;
    this.deskTab.setAttribute("aria-pressed", String(!isFloor));
    this.floorTab.setAttribute("aria-pressed", String(isFloor));
    if (isFloor) this.floor.start();
    else this.floor.stop();
  }

  show(shown) {
    if (shown.now) setClock(shown.now);
    this.shown = { ...this.shown, ...shown };
    this.showState();
    this.list.show(this.shown);
    const chosen = this.list.chosen();
    this.story.contact(chosen);
    this.side.contact(chosen);
    const calls = shown.contacts.filter((one) => one.state === "ringing" || one.state === "offered").length;
    document.title = calls ? `● ${t("ringing")} (${calls}) · ${t("title")}` : t("title");
  }

  showState() {
    const { state } = this.shown;
    const isBreak = state.state === "break";
    const shown = state.on_a_call && state.state === "available" ? "talking" : state.state; // sent to them by a colleague
    this.bar.dataset.state = shown;
    text(this.stateButton, t(shown));
    this.stateButton.title = isBreak || state.state === "after_call" ? `${t("go_available")} (Alt+A)` : `${t("go_break")} (Alt+B)`;
    this.stateTimer.replaceChildren(timer(state.since));
    const reason = state.reason ? t(state.reason) : "";
    text(this.reasonText, state.then ? t("then", { state: t(state.then) }) : reason);
  }

  toggleState() {
    const { state, then } = this.shown.state;
    if (state === "break" || state === "after_call" || state === "logged_out" || then) this.available();
    else showBreak(this);
  }

  available() {
    return attempt(() => post("/state", { state: "available" }));
  }

  toggleTheme() {
    const isDark = document.documentElement.dataset.theme
      ? document.documentElement.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = isDark ? "light" : "dark";
    localStorage.setItem("desk.theme", document.documentElement.dataset.theme);
  }

  async logOut() {
    if (await attempt(() => post("/logout"))) showLogin();
  }

  lost(isLost) {
    this.lostSign.hidden = !isLost;
    if (!isLost) this.refresh();
  }

  /** Ask for the desk anew; what comes meanwhile makes it once more. */
  async refresh() {
    if (this.asking) {
      this.askAgain = true;
      return;
    }
    this.asking = true;
    await attempt(async () => this.show(await get("/desk")));
    this.asking = false;
    if (this.askAgain) {
      this.askAgain = false;
      this.refresh();
    }
  }

  hear(message) {
    switch (message.type) {
      case "desk":
        this.refresh();
        break;
      case "conversation":
        this.story.changed(message.conversation);
        this.floor?.changed(message.conversation);
        break;
      case "floor":
        this.floor?.soon();
        break;
      case "whisper":
        toast(`${t("whisper_from", { name: message.by })}: ${message.text}`, "whisper", 0);
        this.story.whispered(message);
        break;
      case "over":
        showLogin(t("over"));
        break;
    }
  }
}

addEventListener("login-over", () => showLogin());
begin();

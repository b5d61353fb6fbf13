// The web chat: begins or goes on, shows what comes, and sends what is typed or chosen.

import { ask, follow, openingOf, Refused, rememberSession } from "./api.js";
import { closePhone, openPhone } from "./phone.js";
import * as view from "./view.js";
import { speak, spoken, word } from "./words.js";

const find = (id) => document.getElementById(id);
const text = find("text"), composer = find("composer"), trouble = find("trouble");
const asked = new URLSearchParams(location.search);
const embedded = window.parent !== window;
const channel = asked.get("channel") ?? "web-chat";
const token = location.pathname === "/c" && location.hash.length > 1 ? decodeURIComponent(location.hash.slice(1)) : null;

// `last` is what the stream has brought: messages that we sent come back sooner, and those before them may be under way.
let chat = null, last = 0, shown = new Set(), stop = () => {}, open = null, sending = null, lostTimer = null, writingTimer = null;

// Beginning.

function showStart(title, words, button, back = false) {
  find("start-title").textContent = word(title);
  find("start-text").textContent = word(words);
  find("begin").textContent = word(button);
  find("back-to").textContent = word("back_to");
  find("back-to").hidden = !back;
  find("start").hidden = false;
  for (const id of ["log", "composer", "over", "leave", "phone-open"]) find(id).hidden = true;
  find("status").textContent = "";
}

async function begin(withToken) {
  const wish = { channel, language: spoken(), embedded };
  find("begin").disabled = true;
  const told = await ask("/chat/sessions", withToken ? { ...wish, token, opening: openingOf(token) } : wish).catch(refused);
  find("begin").disabled = false;
  if (!told) return;
  if (told.session) rememberSession(told.session);
  if (location.pathname === "/c") history.replaceState(null, "", `/chat?channel=${encodeURIComponent(channel)}`);
  complain(null);
  show(told);
  if (matchMedia("(hover: hover)").matches) text.focus({ preventScroll: true }); // no keyboard in the way on a phone
}

async function refused(error) {
  const code = error instanceof Refused ? error.code : "away";
  if (!code.startsWith("link_")) {
    complain(code === "too_many" ? code : "away");
    return null;
  }
  const kind = ["link_used", "link_expired"].includes(code) ? code : "link_unknown";
  const mine = await ask("/chat/state").then((told) => told.chat !== null, () => false);
  showStart(kind, `${kind}_text`, "begin_new", mine);
  find("begin").onclick = () => begin(false);
  return null;
}

function show(told) {
  chat = told.chat;
  speak(chat.language);
  view.clear();
  last = 0;
  shown = new Set();
  find("start").hidden = true;
  find("log").hidden = false;
  view.showStory(told.story);
  for (const message of told.messages) heard("message", message);
  update(told.chat);
  view.toEnd();
  stop();
  stop = () => {};
  if (told.chat.state !== "ended") stop = follow(() => last, heard, linked);
}

// What comes.

function heard(event, data) {
  if (event === "message") { last = Math.max(last, data.number); take(data); }
  else if (event === "state") update(data);
  else if (event === "gone") { stop(); showStart("start_title", "start_text", "begin"); }
}

function take(message) {
  if (shown.has(message.number)) return;
  const isLate = shown.size > 0 && Math.max(...shown) > message.number;
  shown.add(message.number);
  const item = view.showMessage(message, () => openPhone(chat));
  if (isLate) return; // what it asked has been answered since
  // Who writes while waiting for an agent may still wait no longer.
  const answered = message.by === "customer" ? chat.state !== "waiting" : message.kind !== "note";
  if (answered) { view.hideButtons(); open = null; }
  if (message.buttons.length || message.digits) open = message;
  if (message.buttons.length) view.showButtons(item, message, choose);
  if (message.by === "customer") expectAnswer();
  else view.showWriting(false);
  if (answered) hint();
}

function update(now) {
  chat = now;
  const over = now.state === "ended";
  find("title").textContent = now.title || word("title");
  document.title = now.title || word("title");
  find("status").textContent = word(now.state, { agent: now.agent ?? "" });
  document.body.dataset.state = now.state;
  composer.hidden = over;
  find("leave").hidden = over;
  find("phone-open").hidden = over || now.state === "call";
  if (now.state !== "bot") view.showWriting(false);
  if (now.state === "agent" || over) view.hideButtons();
  if (over) end();
  else { find("over").hidden = true; hint(); }
}

function expectAnswer() {
  clearTimeout(writingTimer);
  if (chat.state !== "bot") return;
  view.showWriting(true);
  writingTimer = setTimeout(() => view.showWriting(false), 8_000);
}

function hint() {
  const digits = open?.digits;
  const wantsNumber = Boolean(digits) && chat.state === "bot";
  text.inputMode = wantsNumber && !open.buttons.some((one) => !one.quiet) ? "numeric" : "text";
  text.placeholder = word(chat.state === "call" ? "placeholder_call" : wantsNumber ? "placeholder_number" : "placeholder");
  find("hint").hidden = !wantsNumber;
  if (wantsNumber) {
    const [from, to] = digits;
    find("hint").textContent = from === to ? word("digits_one", { from }) : word("digits", { from, to });
  }
}

function linked(up) {
  if (up) {
    clearTimeout(lostTimer);
    lostTimer = null;
    if (trouble.dataset.problem === "lost") complain(null);
  } else {
    lostTimer ??= setTimeout(() => complain("lost"), 1_500); // a moment's silence is no matter
  }
}

function complain(name) {
  trouble.hidden = name === null;
  trouble.dataset.problem = name ?? "";
  trouble.textContent = name === null ? "" : word(name);
}

// What goes out.

async function send() {
  const written = text.value.trim();
  if (!written || sending?.busy) return;
  // Under one name it is written once, however often it has to be sent.
  if (sending?.text !== written) sending = { text: written, name: crypto.randomUUID?.() ?? String(Math.random()) };
  sending.busy = true;
  find("send").disabled = true;
  try {
    await post("/chat/messages", { text: written, sending: sending.name });
    if (text.value.trim() === written) text.value = "";
    sending = null;
    grow();
  } finally {
    if (sending) sending.busy = false;
    find("send").disabled = false;
  }
}

async function choose(number, name, group) {
  view.hold(group, true);
  await post("/chat/choices", { message: number, name }).catch(() => view.hold(group, false));
}

async function post(path, body) {
  try {
    take(await ask(path, body));
    if (trouble.dataset.problem !== "lost") complain(null);
  } catch (error) {
    const code = error instanceof Refused ? error.code : "not_sent";
    if (code === "past" && path === "/chat/choices") return; // the question has been answered meanwhile
    complain(["too_fast", "too_long"].includes(code) ? code : "not_sent");
    throw error;
  }
}

// The end.

function end() {
  stop();
  stop = () => {};
  closePhone();
  complain(null);
  find("over-title").textContent = word("over");
  find("again").textContent = word("again");
  const stars = find("stars");
  stars.replaceChildren();
  stars.setAttribute("aria-label", word("over"));
  stars.hidden = chat.rated;
  find("over-title").hidden = chat.rated;
  for (let count = 1; count <= 5; count += 1) {
    const star = view.element("button", "star");
    star.type = "button";
    star.setAttribute("aria-label", word("star", { count }));
    star.append(view.element("span", "", "★"));
    star.addEventListener("click", () => rate(count, stars));
    stars.append(star);
  }
  find("over").hidden = false;
  view.toEnd();
}

async function rate(count, stars) {
  stars.querySelectorAll(".star").forEach((star, index) => {
    star.classList.toggle("lit", index < count);
    star.disabled = true;
  });
  await ask("/chat/satisfaction", { value: count }).catch(() => {});
  find("thanks").textContent = word("thanks");
}

// The page.

function grow() {
  text.style.setProperty("height", "auto");
  text.style.setProperty("height", `${Math.min(text.scrollHeight, 132)}px`);
}

composer.addEventListener("submit", (event) => { event.preventDefault(); send().catch(() => {}); });
text.addEventListener("input", grow);
text.addEventListener("keydown", (event) => {
  // Enter ends a syllable that is being composed (Hangul, 229 in older browsers): it must not send.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  send().catch(() => {});
});
find("phone-open").addEventListener("click", () => openPhone(chat));
find("leave").addEventListener("click", () => find("sure").showModal());
find("sure-no").addEventListener("click", () => find("sure").close());
find("sure-yes").addEventListener("click", async () => {
  find("sure").close();
  await ask("/chat/end", {}).catch(() => complain("not_sent"));
});
find("again").addEventListener("click", () => { find("thanks").textContent = ""; begin(false); });
find("back-to").addEventListener("click", async () => show(await ask("/chat/state")));
window.visualViewport?.addEventListener("resize", () => { if (view.isAtEnd(400)) view.toEnd(); });

speak(asked.get("language") ?? navigator.language);
find("title").textContent = word("title");
find("text-label").textContent = word("your_message");
if (embedded) rememberSession(null);
if (token) {
  showStart("link_title", "link_text", "begin_link");
  find("begin").onclick = () => begin(true);
} else {
  find("begin").onclick = () => begin(false);
  const told = await ask(`/chat/state?channel=${encodeURIComponent(channel)}`).catch(() => ({ chat: null }));
  if (told.chat) show(told);
  else {
    find("title").textContent = document.title = told.title || word("title");
    showStart("start_title", "start_text", "begin");
  }
}

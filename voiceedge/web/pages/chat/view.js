// The talk as it is seen. Whatever was written by anybody becomes text, and nothing else.

import { time, word } from "./words.js";

const log = document.getElementById("log");
const talk = document.getElementById("talk");
const list = document.getElementById("messages");
const writing = document.getElementById("writing");

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function clear() {
  list.replaceChildren();
  showWriting(false);
}

// What was said before the chat, to be unfolded.
export function showStory(story) {
  if (!story.length) return;
  const item = element("li", "story");
  const details = element("details");
  details.open = true;
  details.append(element("summary", "", word("story")));
  const turns = element("ol");
  for (const turn of story) {
    const line = element("li", turn.by === "caller" ? "mine" : "theirs");
    const from = turn.channel === "phone" ? word("by_phone") : word("by_chat");
    const who = word(turn.by === "caller" ? "said_customer" : turn.by === "agent" ? "said_agent" : "said_voiceedge");
    line.append(element("span", "meta", `${who} · ${from}`), element("p", "", turn.text));
    turns.append(line);
  }
  details.append(turns);
  item.append(details, element("p", "divider", word("now")));
  list.append(item);
}

function speaker(message) {
  if (message.by === "customer") return word("said_customer");
  if (message.kind === "note") return word("said_note");
  if (message.kind === "call") return word(message.by === "agent" ? "said_agent" : "said_call");
  return message.by === "agent" ? word("agent", { agent: message.agent }) : word("said_voiceedge");
}

export function showMessage(message, offer) {
  const after = [...list.children].find((one) => Number(one.dataset.number) > message.number) ?? null;
  const before = after ? after.previousElementSibling : list.lastElementChild;
  const item = element("li", `message ${message.by} ${message.kind}`);
  item.dataset.number = message.number;
  const who = speaker(message);
  const follows = before?.dataset.who === who && message.kind !== "note";
  item.dataset.who = message.kind === "note" ? "" : who;
  if (message.kind === "note") {
    item.append(element("p", "note-text", message.text));
  } else {
    const name = element("span", follows || message.by === "customer" ? "name hidden" : "name", who);
    const bubble = element("div", "bubble");
    bubble.append(element("p", "", message.text));
    const when = element("time", "time", time(message.at_ms));
    when.dateTime = new Date(message.at_ms).toISOString();
    const line = element("div", "line");
    line.append(bubble, when);
    item.append(name, line);
    if (follows) {
      item.classList.add("follows");
      const above = before.querySelector("time");
      if (above?.textContent === when.textContent) above.hidden = true; // one time for all of one minute
    }
  }
  if (message.offers_phone) {
    const button = element("button", "offer", word("phone"));
    button.type = "button";
    button.addEventListener("click", offer);
    item.append(button);
  }
  const below = isAtEnd();
  list.insertBefore(item, after);
  if (below || message.by === "customer") toEnd();
  return item;
}

export function showButtons(item, message, choose) {
  const group = element("div", "buttons");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", word("choices"));
  for (const one of message.buttons) {
    const button = element("button", one.quiet ? "choice quiet" : "choice", one.label);
    button.type = "button";
    button.addEventListener("click", () => choose(message.number, one.name, group));
    group.append(button);
  }
  item.append(group);
  if (isAtEnd(160)) toEnd();
}

// Choices that are on their way. Who had one of them in focus goes on from the talk itself.
export function hold(group, on) {
  if (on && group.contains(document.activeElement)) log.focus({ preventScroll: true });
  for (const button of group.querySelectorAll("button")) button.disabled = on;
}

// The choices of questions that are answered go.
export function hideButtons() {
  for (const group of list.querySelectorAll(".buttons")) {
    hold(group, true);
    group.remove();
  }
}

export function showWriting(on) {
  writing.hidden = !on;
  writing.setAttribute("aria-label", word("writing"));
  if (on && isAtEnd(160)) toEnd();
}

export function isAtEnd(within = 120) {
  return talk.scrollHeight - talk.scrollTop - talk.clientHeight < within;
}

export function toEnd() {
  talk.scrollTop = talk.scrollHeight;
}

// "Continue by phone": we call, or the customer calls with a code.

import { ask, Refused } from "./api.js";
import { element } from "./view.js";
import { time, word } from "./words.js";

const find = (id) => document.getElementById(id);
const sheet = find("phone"), said = find("phone-said"), code = find("code");

export function openPhone(chat) {
  find("call-me").hidden = !chat.call_me;
  find("code-ask").hidden = false;
  code.hidden = true;
  code.replaceChildren();
  tell("");
  sheet.showModal();
}

export function closePhone() {
  sheet.close();
}

function tell(text, isWrong = false) {
  said.textContent = text;
  said.classList.toggle("wrong", isWrong);
}

function explain(error) {
  if (!(error instanceof Refused)) return word("away");
  return { bad_number: word("bad_number"), too_many: word("enough_calls"), too_fast: word("too_fast") }[error.code] ?? word("away");
}

find("phone-close").addEventListener("click", closePhone);
sheet.addEventListener("click", (event) => { if (event.target === sheet) closePhone(); });

find("call-me").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.submitter ?? event.target.querySelector("button");
  button.disabled = true;
  try {
    await ask("/chat/phone", { way: "call", number: find("number").value.trim() });
    tell(word("calling"));
  } catch (error) {
    tell(explain(error), true);
  } finally {
    button.disabled = false;
  }
});

find("code-ask").addEventListener("click", async () => {
  const button = find("code-ask");
  button.disabled = true;
  try {
    show(await ask("/chat/phone", { way: "code" }));
  } catch (error) {
    tell(explain(error), true);
  } finally {
    button.disabled = false;
  }
});

function show(given) {
  code.replaceChildren();
  const lines = [];
  if (given.number) {
    const link = element("a", "", given.number);
    link.href = `tel:${given.number.replace(/[^+0-9]/g, "")}`;
    lines.push([word("call_number"), link]);
  }
  if (given.pin) lines.push([word("pin"), element("strong", "pin", given.pin.replace(/(...)(...)/, "$1 $2"))]);
  lines.push([word("until"), element("span", "", word("until_time", { time: time(given.expires_at) }))]);
  for (const [name, value] of lines) {
    const line = element("div");
    const shown = element("dd");
    shown.append(value);
    line.append(element("dt", "", name), shown);
    code.append(line);
  }
  code.hidden = false;
  find("code-ask").hidden = true;
  tell(word(given.pin ? "pin_text" : "number_text"));
  code.querySelector("a, strong")?.focus?.();
}

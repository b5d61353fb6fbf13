// Elements made by hand: whatever comes from outside is text, and never markup.

/** An element. `attributes`: `on*` are listeners, `class` and `dataset` as usual, true and false as present or not. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "value") element.value = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Make `parent` show `items` in order, keeping the elements of those it shows already. */
export function keyed(parent, items, keyOf, make, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const focused = document.activeElement;
  const wanted = items.map((item) => {
    const key = String(keyOf(item));
    let element = known.get(key);
    if (!element) {
      element = make(item);
      element.dataset.key = key;
    }
    known.delete(key);
    update?.(element, item);
    return element;
  });
  for (const gone of known.values()) gone.remove();
  wanted.forEach((element, place) => {
    if (parent.children[place] !== element) parent.insertBefore(element, parent.children[place] ?? null);
  });
  if (focused && focused !== document.activeElement && parent.contains(focused)) focused.focus();
}

/** Change an element's text only where it differs, so that nobody is read the same again. */
export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

// Timers: every element with data-since shows how long ago that was, by the server's clock.
let offset = 0;

export function setClock(serverNow) {
  offset = serverNow - Date.now();
}

export function now() {
  return Date.now() + offset;
}

export function lasted(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export function timer(since, attributes = {}) {
  return el("time", { ...attributes, dataset: { since }, class: `timer ${attributes.class ?? ""}` }, lasted(now() - since));
}

setInterval(() => {
  for (const element of document.querySelectorAll("[data-since]")) {
    text(element, lasted(now() - Number(element.dataset.since)));
  }
  for (const element of document.querySelectorAll("[data-until]")) {
    text(element, lasted(Number(element.dataset.until) - now()));
  }
}, 500);

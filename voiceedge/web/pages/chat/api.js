// The service as the page sees it: requests, and a stream of events that comes back by itself.

const SILENCE_MS = 40_000; // the service says something every 15 s
const LONGEST_WAIT_MS = 8_000;

export class Refused extends Error {
  constructor(status, code, retryAfter) {
    super(code);
    Object.assign(this, { status, code, retryAfter });
  }
}

// In a frame of somebody else's page there are no cookies: the session is kept by the tab, and sent as a header.
let session = null;

export function rememberSession(given) {
  session = given ?? session;
  try {
    if (given) sessionStorage.setItem("session", given);
    else session = sessionStorage.getItem("session");
  } catch { /* the tab may not store anything: the chat then lasts as long as the page */ }
}

// Our own name of the opening of a link: an answer that was lost can be asked for again under it, even after a reload.
let opened = null;

export function openingOf(token) {
  try {
    opened ??= JSON.parse(sessionStorage.getItem("opening"));
  } catch { /* as above */ }
  if (opened?.token !== token) {
    const random = crypto.getRandomValues(new Uint8Array(16));
    opened = { token, name: Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("") };
    try { sessionStorage.setItem("opening", JSON.stringify(opened)); } catch { /* as above */ }
  }
  return opened.name;
}

function headers(more) {
  return session ? { ...more, "X-Chat-Session": session } : more;
}

export async function ask(path, body) {
  const options = body === undefined
    ? { headers: headers({}) }
    : { method: "POST", headers: headers({ "Content-Type": "application/json" }), body: JSON.stringify(body) };
  const answer = await fetch(path, { ...options, credentials: "same-origin", cache: "no-store" });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, told.code ?? "failed", Number(answer.headers.get("Retry-After")));
  return told;
}

// Calls `take(event, data)` for everything from message number `last()` on, `linked(up)` when the line goes or comes.
export function follow(last, take, linked) {
  let stopped = false, controller = null, wake = () => {};
  const again = () => wake();
  window.addEventListener("online", again);
  document.addEventListener("visibilitychange", again);

  async function read() {
    controller = new AbortController();
    let silent = setTimeout(() => controller.abort(), SILENCE_MS);
    const heard = () => { clearTimeout(silent); silent = setTimeout(() => controller.abort(), SILENCE_MS); };
    try {
      const answer = await fetch("/chat/stream", {
        headers: headers({ "Last-Event-ID": String(last()) }), signal: controller.signal, cache: "no-store",
      });
      if (answer.status === 404) { stopped = true; take("gone", {}); return; }
      if (!answer.ok) throw new Refused(answer.status, "stream");
      linked(true);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        heard();
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
          const fields = Object.fromEntries(block.split("\n").map((line) => {
            const colon = line.indexOf(":");
            return [line.slice(0, colon), line.slice(colon + 1).trimStart()];
          }));
          if (fields.data && !stopped) take(fields.event, JSON.parse(fields.data));
        }
      }
    } finally {
      clearTimeout(silent);
      controller.abort();
    }
  }

  async function live() {
    let wait = 500;
    while (!stopped) {
      const began = Date.now();
      await read().catch(() => {});
      if (stopped) break;
      if (Date.now() - began > 5_000) wait = 500;
      linked(false);
      await new Promise((resume) => { wake = resume; setTimeout(resume, wait * (0.5 + Math.random() / 2)); });
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
    window.removeEventListener("online", again);
    document.removeEventListener("visibilitychange", again);
  }

  live();
  return () => { stopped = true; controller?.abort(); wake(); };
}

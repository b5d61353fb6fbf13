// The desk's own endpoints. Every change carries a header that no other site's page can send.

export class Refused extends Error {
  constructor(status, code, detail, retryAfter) {
    super(detail);
    Object.assign(this, { status, code, retryAfter });
  }
}

async function ask(method, path, body) {
  const headers = { "X-VoiceEdge-Desk": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(`/desk/api${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
    });
  } catch {
    throw new Refused(0, "unreachable", "");
  }
  if (answer.status === 204) return null;
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  throw new Refused(answer.status, told.code ?? "failed", told.detail ?? "", Number(answer.headers.get("Retry-After")));
}

export const get = (path) => ask("GET", path);
export const post = (path, body = {}) => ask("POST", path, body);
export const conversation = (id, rest = "") => `/conversations/${encodeURIComponent(id)}${rest}`;
export const chat = (id, rest = "") => `/chats/${encodeURIComponent(id)}${rest}`;

/** News until `close()`: `heard(message)`, and `lost(boolean)` on each change of the connection. */
export function follow(heard, lost) {
  let source;
  let again;
  const open = () => {
    source = new EventSource("/desk/stream");
    source.onopen = () => lost(false);
    source.onmessage = (event) => heard(JSON.parse(event.data));
    source.onerror = () => {
      lost(true);
      if (source.readyState === EventSource.CLOSED) again = setTimeout(open, 3000);
    };
  };
  open();
  return { close: () => (clearTimeout(again), source.close()) };
}

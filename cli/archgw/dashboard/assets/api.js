// What the server is asked. The key comes behind the '#' of the address, and goes with each question in a header.

const KEPT = "archgw-key", SILENT = 40_000;

export class Trouble extends Error {
  constructor(message, mend = "", status = 0) {
    super(message);
    this.mend = mend;
    this.status = status;
  }
}

/** Out of the address, where it is in it; whether it was. */
export function takeKey() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!given) return false;
  localStorage.setItem(KEPT, given);
  history.replaceState(null, "", location.pathname);
  return true;
}

const headers = () => ({ authorization: `Bearer ${localStorage.getItem(KEPT) ?? ""}` });

async function answered(path, options = {}) {
  let reply;
  try {
    reply = await fetch(path, { ...options, headers: { ...headers(), ...options.headers }, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("the dashboard does not answer", "is the gateway up? archgw status");
  }
  if (reply.ok) return reply;
  const told = await reply.json().catch(() => ({}));
  throw new Trouble(told.error ?? `it answered ${reply.status}`, told.mend ?? "", reply.status);
}

/** A parameter that is null is left out. */
export async function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== null));
  return (await answered(`/api/${path}${query.size ? `?${query}` : ""}`, { signal })).json();
}

/** `what` is thumb or should_be; null takes it back. */
export async function give(id, what, value) {
  return (await answered(`/api/requests/${encodeURIComponent(id)}/${what.replace("_", "-")}`, {
    method: "POST", body: JSON.stringify({ [what]: value }), headers: { "content-type": "application/json" },
  })).json();
}

/** What comes next; the server says every few seconds that it is still there. */
async function within(milliseconds, reader) {
  const silence = setTimeout(() => reader.cancel("silent"), milliseconds);
  try {
    return await reader.read();
  } finally {
    clearTimeout(silence);
  }
}

/** Calls tell(event, data) for each event until the connection ends. EventSource could not send the key. */
export async function listen(tell, signal) {
  const reply = await answered("/api/events", { signal });
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let kept = ""; ;) {
    const { value, done } = await within(SILENT, reader);
    if (done) return;
    const parts = (kept + value).split("\n\n");
    kept = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(part.split("\n").map((line) => line.split(/: (.*)/s, 2)));
      if (fields.event) tell(fields.event, JSON.parse(fields.data));
    }
  }
}

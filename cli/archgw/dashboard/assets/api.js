// What the server is asked. The key comes behind the '#' of the address, and goes with each question in a header.

const KEPT = "archgw-key";

export class Trouble extends Error {
  constructor(message, mend = "", status = 0) {
    super(message);
    this.mend = mend;
    this.status = status;
  }
}

export function takeKey() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    localStorage.setItem(KEPT, given);
    history.replaceState(null, "", location.pathname);
  }
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

export async function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ""));
  return (await answered(`/api/${path}${query.size ? `?${query}` : ""}`, { signal })).json();
}

export async function give(id, thumb) {
  return (await answered(`/api/requests/${encodeURIComponent(id)}/thumb`, {
    method: "POST", body: JSON.stringify({ thumb }), headers: { "content-type": "application/json" },
  })).json();
}

/** Calls tell(event, data) for each event until the connection ends. EventSource could not send the key. */
export async function listen(tell, signal) {
  const reply = await answered("/api/events", { signal });
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let kept = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (kept + value).split("\n\n");
    kept = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(part.split("\n").map((line) => line.split(/: (.*)/s, 2)));
      if (fields.event) tell(fields.event, JSON.parse(fields.data));
    }
  }
}

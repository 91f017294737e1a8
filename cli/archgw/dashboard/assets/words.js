// Numbers and times as the command line says them: what is not known is "?", never 0.

const NUMBER = new Intl.NumberFormat("en-US");

export const number = (value) => NUMBER.format(value);

export function dollars(value) {
  if (value === null || value === undefined) return "?";
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  if (size === 0) return "$0";
  if (size < 0.00005) return `${sign}<$0.0001`;
  const digits = size < 0.1 ? 4 : size < 100 ? 2 : 0;
  return `${sign}$${size.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

/** What is known of a sum, and whether it is all. */
export function known(cost, unpriced) {
  if (!unpriced) return dollars(cost);
  return cost ? `${dollars(cost)}+?` : "?";
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 100) return `${value.toFixed(1)} s`;
  return `${Math.round(value / 60)} min`;
}

export function tokens(value) {
  if (value === null || value === undefined) return "?";
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)}B`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)}M`;
  return value >= 1e4 ? `${Math.round(value / 1e3)}k` : number(value);
}

export function share(part, whole) {
  if (!whole) return "–";
  const percent = (100 * part) / whole;
  return percent && percent < 10 ? `${percent.toFixed(1)}%` : `${Math.round(percent)}%`;
}

export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

export function clock(at) {
  return new Date(at * 1000).toLocaleTimeString("en-GB");
}

export function day(at) {
  return new Date(at * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}

/** Within a day the time, else the day, too. */
export function when(at, now = Date.now() / 1000) {
  return new Date(at * 1000).toDateString() === new Date(now * 1000).toDateString()
    ? clock(at) : `${day(at)} ${clock(at).slice(0, 5)}`;
}

export function ago(at, now = Date.now() / 1000) {
  const past = Math.max(0, now - at);
  if (past < 60) return "just now";
  if (past < 3600) return `${Math.floor(past / 60)} min ago`;
  if (past < 86400) return `${Math.floor(past / 3600)} h ago`;
  return count(Math.floor(past / 86400), "day") + " ago";
}

export function until(at, now = Date.now() / 1000) {
  const left = Math.max(0, at - now);
  if (left < 3600) return `in ${Math.ceil(left / 60)} min`;
  if (left < 2 * 86400) return `in ${Math.round(left / 3600)} h`;
  return `in ${Math.round(left / 86400)} days`;
}

/** A model without its vendor, where there is little room. */
export const short = (model) => model.slice(model.indexOf("/") + 1);

export const preference = (name) => name || "refused";

export const answeredBy = (model) => model || "nobody";

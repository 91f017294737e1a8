// Requests one by one, the newest on top, each with why it went where it went; thumbs go back into the ledger.

import { get, give } from "./api.js";
import { byId, el, fill, roving, say, svg } from "./dom.js";
import { answeredBy, count, dollars, preference, seconds, share, short, tokens, when } from "./words.js";
import { colour } from "./colours.js";
import { problem } from "./problem.js";

const MOST = 400;  // rows in the page; older ones are loaded again when they are wanted
const EVERY = { preference: null, model: null, trouble: null };  // an empty name is one, too: no preference, nobody
const wanted = { ...EVERY };
const others = new BroadcastChannel("archgw-thumbs");  // the same page in other tabs
const PAGE = 50;  // of them come at once
let rows = [], waiting = [], open = new Map(), paused = false, complete = false;
let oldest = null;  // down to this one all are there that match; those that began earlier and end late may be below
let asked = 0, late = null, trouble = null;  // the number of the last load; what ends during it; why `more` failed
let held = false;  // somebody chooses from a list, which a new row would close
let missed = false;  // whether some that match are neither in rows nor waiting

export function start() {
  const list = byId("list");
  list.addEventListener("keydown", keys);
  roving(list, "button.open", { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 });
  byId("by-preference").addEventListener("change", (event) => filter({ preference: chosenIn(event.target) }));
  byId("by-model").addEventListener("change", (event) => filter({ model: chosenIn(event.target) }));
  byId("only-trouble").addEventListener("click", () => filter({ trouble: wanted.trouble ? null : "1" }));
  byId("pause").addEventListener("click", () => pause(!paused));
  others.addEventListener("message", ({ data }) => given(data.id, data.what, data.value));
  list.addEventListener("pointerdown", (event) => choosing(event.target.closest("select") !== null));
  list.addEventListener("focusin", (event) => choosing(event.target.closest("select") !== null));
  list.addEventListener("focusout", () => choosing(false));
}

/** What can be asked for: what the flow shows, and what is chosen already. */
export function offer(streams) {
  options(byId("by-preference"), "Every preference", wanted.preference, streams.map((one) => one.preference), preference);
  options(byId("by-model"), "Every model", wanted.model, streams.map((one) => one.model), answeredBy);
}

function options(select, every, chosen, values, words) {
  const all = [...new Set([...values, chosen])].filter((one) => one !== null).sort();
  if (names(select).join("\n") === all.join("\n") && select.options.length > 1) return;
  select.replaceChildren(el("option", { value: "" }, every), ...all.map((one) => el("option", { value: optionOf(one) }, words(one))));
  select.value = optionOf(chosen);
}

const optionOf = (name) => (name === null ? "" : `=${name}`);
const chosenIn = (select) => (select.value ? select.value.slice(1) : null);
const names = (select) => [...select.options].slice(1).map((one) => one.value.slice(1));

export async function filter(change) {
  Object.assign(wanted, change);
  offer([wanted].map((one) => ({ preference: one.preference, model: one.model })).concat(offered()));
  byId("by-preference").value = optionOf(wanted.preference);
  byId("by-model").value = optionOf(wanted.model);
  byId("only-trouble").setAttribute("aria-pressed", Boolean(wanted.trouble));
  await load();
  say(`${count(rows.length, "request")} shown`);
}

const offered = () => names(byId("by-preference")).map((preference) => ({ preference, model: null }))
  .concat(names(byId("by-model")).map((model) => ({ preference: null, model })));

/** Of several that are under way the last one counts, whichever is answered first. */
export async function load() {
  const mine = ++asked;
  late = [];
  let told, wrong = null;
  try {
    told = await get("requests", wanted);
  } catch (error) {
    wrong = error;
  }
  if (mine !== asked) return;
  const meanwhile = late;
  late = null;
  missed = Boolean(wrong);
  if (wrong) return fill(byId("list"), problem(wrong, load));
  rows = told;
  waiting = [];
  ended(told);
  draw();
  arrived(meanwhile);
}

async function more() {
  const mine = asked, from = oldest;
  trouble = null;
  try {
    const older = await get("requests", { ...wanted, before: `${from.at},${from.id}` });
    if (mine !== asked || from !== oldest) return;
    rows = joined(older);
    ended(older);
  } catch (error) {
    if (mine !== asked) return;
    trouble = error;
  }
  draw();
}

/** With them, all down to the last of them are there. */
function ended(some) {
  oldest = some[some.length - 1] ?? oldest;
  complete = some.length < PAGE;
  trouble = null;
}

/** Something may have ended unheard: what is new is taken as if it had been heard, if it is little. */
export async function renew() {
  const mine = asked;
  const told = await get("requests", wanted).catch(() => null);
  if (mine !== asked || !told) return false;
  const there = known();
  const fresh = told.filter((one) => !there.has(one.id));
  if (fresh.length === PAGE && paused) missed = true;
  else if (missed || fresh.length === PAGE) await load();
  else arrived(fresh.reverse());
  return fresh.length > 0;
}

/** They have just ended. Whoever reads further down, or has paused, is not disturbed. */
export function arrived(fresh) {
  late?.push(...fresh);
  if (missed && !paused && !held && !late) return load();
  const there = known();
  const mine = fresh.filter((one) => matches(one) && !there.has(one.id)).reverse();
  if (!mine.length) return;
  if (!paused && !held) return take(mine);
  missed ||= waiting.length + mine.length > MOST;
  waiting = mine.concat(waiting).slice(0, MOST);
  head();
}

function take(mine) {
  const all = joined(mine);
  rows = all.slice(0, MOST);
  if (rows.length < all.length) {
    complete = false;
    oldest = [rows[rows.length - 1], oldest].filter(Boolean).sort(newestFirst)[0];
  }
  staying(() => draw(new Set(mine.map((one) => one.id))));
  say(count(mine.length, "new request"));
}

/** What is put in above moves nothing that somebody reads further down. */
function staying(change) {
  const list = byId("list");
  const top = () => [...list.querySelectorAll("tr[data-id]")].map((one) => [one.dataset.id, one.getBoundingClientRect().top]);
  const read = list.scrollTop ? top().find(([, at]) => at > list.getBoundingClientRect().top) : null;
  change();
  const now = read && top().find(([id]) => id === read[0]);
  if (now) list.scrollTop += now[1] - read[1];
}

const known = () => new Set(rows.concat(waiting).map((one) => one.id));
const newestFirst = (a, b) => b.at - a.at || (a.id < b.id ? 1 : -1);

function joined(some) {
  const there = new Set(rows.map((one) => one.id));
  return rows.concat(some.filter((one) => !there.has(one.id))).sort(newestFirst);
}

const matches = (one) => (wanted.preference === null || one.route === wanted.preference)
  && (wanted.model === null || one.served === wanted.model) && (!wanted.trouble || one.troubled);

function pause(to) {
  paused = to;
  byId("pause").setAttribute("aria-pressed", paused);
  goOn();
}

function choosing(is) {
  held = is;
  if (!held && (missed || waiting.length)) goOn();
}

function goOn() {
  if (!paused && !held && missed) load();
  else if (!paused && !held && waiting.length) take(waiting.splice(0));
  head();
}

function head() {
  byId("pause").textContent = !paused ? "Pause" : waiting.length ? `Show ${waiting.length} new` : "Paused";
  byId("requests-sub").textContent = paused ? "" : "as they end";
}

function draw(fresh = new Set()) {
  const list = byId("list");
  head();
  if (!rows.length) {
    const any = Object.values(wanted).some((one) => one !== null);
    return fill(list, el("p.nothing", {}, any ? "Nothing matches. " : "Nothing yet. ",
      any && el("button.link", { type: "button", onclick: () => filter(EVERY) }, "Show all")));
  }
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const first = rows.findIndex((one) => one.id === focused);
  fill(list, el("table.requests", {},
    el("thead", {}, el("tr", {}, HEADINGS.map(([words, kind]) => el("th", { scope: "col", class: kind }, words)))),
    el("tbody", {}, rows.flatMap((one, nth) => [row(one, nth === Math.max(0, first), fresh.has(one.id)), open.has(one.id) && opened(one)]))),
  trouble ? problem(trouble, more) : !complete && el("button.older", { type: "button", "data-key": "more", onclick: more }, "Older requests"));
}

const TURNS = ["user turn", "tool continuation"];
const HEADINGS = [["time", "time"], ["preference", ""], ["model", ""], ["why", "why"], ["tries", "num"], ["first", "num"], ["total", "num"], ["cost", "num"]];

function row(one, isStop, isFresh) {
  const trouble = !one.troubled ? "" : one.served ? "stepped" : "failed";
  return el("tr", { class: [trouble, isFresh && "fresh", open.has(one.id) && "is-open"].filter(Boolean).join(" "), "data-id": one.id, onclick: (event) => event.target.closest("button, a, select") || toggle(one.id) },
    el("td.time", {}, el("button.open", {
      type: "button", tabindex: isStop ? 0 : -1, "data-key": one.id, "aria-expanded": open.has(one.id),
      "aria-label": `${when(one.at)}: ${preference(one.route)}, answered by ${answeredBy(one.served)}`,
      onclick: () => toggle(one.id),
    }, when(one.at)), one.thumb && el("span.given", { role: "img", title: `you said: ${one.thumb}`, "aria-label": `you said: ${one.thumb}` }, one.thumb === "good" ? "+" : "−")),
    el("td.preference", { title: one.kind }, one.kind === "tool continuation" && el("span.kind", { role: "img", "aria-label": "tool continuation:" }, "↳ "),
      preference(one.route), ![...TURNS, preference(one.route)].includes(one.kind) && el("span.kind.after", {}, one.kind)),
    el("td.model", { title: one.served }, one.served
      ? [el(`i.swatch.c${colour(one.served)}`), short(one.served)]
      : el(one.troubled ? "span.bad" : "span.soft", {}, `nobody: ${one.status}`)),
    el("td.why", { title: one.reason }, why(one)),
    el("td.num.tries", {}, one.failed ? el("span.warn", { title: `${one.failed} failed` }, `${one.tries}`) : String(one.tries)),
    el("td.num.first", {}, seconds(one.first_content)),
    el("td.num.total", {}, seconds(one.duration)),
    el("td.num.cost", {}, one.served ? dollars(one.cost) : "–"));
}

/** Without what the columns beside it say already. */
function why(one) {
  const reason = one.reason.replace(/ -> \S+$/, "");
  const inside = reason.startsWith(`${one.route} (`) && reason.endsWith(")");
  return inside ? reason.slice(one.route.length + 2, -1) : reason;
}

async function toggle(id) {
  if (open.delete(id)) return draw();
  open.set(id, null);
  draw();
  await read(id);
}

async function read(id) {
  try {
    const told = await get(`requests/${encodeURIComponent(id)}`);
    if (open.has(id)) open.set(id, told);
  } catch (error) {
    if (open.has(id)) open.set(id, error);
  }
  draw();
  byId("list").querySelector(`tr[data-of="${CSS.escape(id)}"]`)?.scrollIntoView({ block: "nearest" });
}

function opened(one) {
  const told = open.get(one.id);
  const inside = told instanceof Error ? problem(told, () => read(one.id)) : told ? about(told) : el("p.nothing", {}, "reading …");
  return el("tr.opened", { "data-of": one.id }, el("td", { colspan: HEADINGS.length }, inside));
}

function about(told) {
  const one = told.request;
  return el("div.about", {},
    el("p.reason", {}, el("b", {}, "Why: "), one.reason || "nothing was written down"),
    el("div.columns", {},
      el("div", {}, el("h3", {}, "How well each preference fitted"), fits(told, one)),
      el("div", {}, el("h3", {}, "Tries"), tries(told)),
      el("dl", {}, facts(told, one).filter(([, value]) => value).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]))),
    el("div.thumbs", { role: "group", "aria-label": "How was the answer?" }, el("span", {}, "How was the answer?"), thumb(one, "good", "Good"), thumb(one, "bad", "Bad"), shouldBe(told),
      el("code.id", { title: "x-arch-request-id" }, one.id)));
}

function fits(told, one) {
  if (!told.fits.length) return el("p.soft", {}, `Nothing was compared: ${one.kind || "refused"}.`);
  const most = Math.max(...told.fits.map(([, fit]) => fit));
  return el("ul.fits", {}, told.fits.map(([name, fit]) => el("li", { class: name === one.route ? "chosen" : null },
    el("span.name", {}, name), el("span.bar", { "aria-hidden": "true" }, el("i", { style: { width: `${(100 * fit) / most}%` } })), el("span.num", {}, fit.toFixed(2)))));
}

function tries(told) {
  if (!told.tries.length) return el("p.soft", {}, "No model was asked.");
  return el("ol.tries", {}, told.tries.map((one) => el("li", { class: one.trouble ? "failed" : null },
    el(`i.swatch.c${colour(one.model)}`), el("span.name", {}, one.model),
    el("span", { class: one.trouble ? "warn" : "soft" }, `${one.trouble || "answered"}, ${seconds(one.seconds)}`))));
}

function facts(told, one) {
  const read = [one.input, one.cached, one.cache_write].every((value) => value === null) ? null
    : (one.input ?? 0) + (one.cached ?? 0) + (one.cache_write ?? 0);
  return [
    ["asked for", one.asked],
    ["kind", [one.kind, told.difficulty].filter(Boolean).join(", ")],
    ["client", [one.client, one.caller && `key ${one.caller}`].filter(Boolean).join(", ")],
    ["session", one.session],
    ["tokens", one.served && `${tokens(read)} read${one.cached ? ` (${share(one.cached, read)} from the vendor's cache)` : ""}, ${tokens(one.output)} written${one.reasoning ? ` (${tokens(one.reasoning)} of it thought)` : ""}`],
    ["cost", one.served && `${dollars(one.cost)}${one.baseline === null ? "" : `; ${dollars(one.baseline)} on the baseline model`}`],
    ["choosing took", told.routing === null ? "" : seconds(told.routing)],
    ["adapted", one.warnings ? count(one.warnings, "change, said in x-arch-warnings", "changes, said in x-arch-warnings") : ""],
    ["trouble", one.trouble],
    ["also told", told.signals.filter((signal) => !["good", "bad", "should be"].includes(signal)).join(", ")],
    ["asked", told.ask],
  ];
}

function thumb(one, kind, words) {
  const given = one.thumb === kind;
  const path = "M7 9.5 10 3a1.8 1.8 0 0 1 1.8 1.8V8h4a1.6 1.6 0 0 1 1.6 1.9l-1 5.5a1.6 1.6 0 0 1-1.6 1.3H7m0-7.2v7.2m0-7.2H3.5v7.2H7";
  const icon = svg("svg", { viewBox: "0 0 20 20", width: 16, height: 16, "aria-hidden": "true", class: kind }, svg("path", { d: path }));
  return el("button.thumb", { type: "button", "aria-pressed": given, "data-key": `${one.id} ${kind}`, class: `thumb ${kind}`, onclick: () => tell(one.id, kind) }, icon, words);
}

/** The same thumb again takes it back. */
function tell(id, kind) {
  const one = rows.find((row) => row.id === id), to = one?.thumb === kind ? null : kind;
  return keep(id, "thumb", to, to);
}

/** Who should have answered: a preference or a model of the config, or what is there of an older one. */
function shouldBe(told) {
  const { id } = told.request, there = told.should_be ?? "", { preferences, models } = told.known;
  const options = (kind, names) => names.map((name) => el("option", { value: `${kind}:${name}`, selected: there === `${kind}:${name}` },
    kind === "preference" ? preference(name) : name));
  const listed = [...preferences.map((name) => `preference:${name}`), "preference:default", ...models.map((name) => `model:${name}`)];
  return el("label.should-be", {}, "Should have been", el("select", { "data-key": `${id} should-be`, onchange: ({ target }) => {
    choosing(false);
    keep(id, "should_be", target.value || null, target.selectedOptions[0].textContent);
  } },
  el("option", { value: "", selected: !there }, "no matter"),
  el("optgroup", { label: "Preferences" }, options("preference", [...preferences, "default"])),
  models.length > 0 && el("optgroup", { label: "Models" }, options("model", models)),
  there && !listed.includes(there) && el("option", { value: there, selected: true, disabled: true }, `${there.replace(/^[a-z]+:/, "")}, not in the config`)));
}

/** What was not kept is shown as it was. */
async function keep(id, what, value, words) {
  try {
    await give(id, what, value);
  } catch (error) {
    draw();
    return say(`Not kept: ${error.message}`), flash(id, `Not kept: ${error.message}`);
  }
  given(id, what, value);
  others.postMessage({ id, what, value });
  say(value ? `Kept: ${words}` : "Taken back");
  dispatchEvent(new CustomEvent("thumb"));
}

function given(id, what, value) {
  const told = open.get(id);
  if (what === "should_be" && told?.request) told.should_be = value;
  if (what === "thumb") for (const one of [...rows, told?.request].filter((one) => one?.id === id)) one.thumb = value;
  draw();
}

function flash(id, words) {
  const place = byId("list").querySelector(`tr[data-of="${CSS.escape(id)}"] .thumbs`);
  place?.querySelector(".bad")?.classList.contains("told") || place?.append(el("span.bad.told", {}, words));
}

function keys(event) {
  const id = event.target.closest("tr")?.dataset.id ?? event.target.closest("tr")?.dataset.of;
  const kind = event.target.closest("select") ? null : { "+": "good", "=": "good", "-": "bad" }[event.key];
  if (id && kind && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    tell(id, kind);
  }
  if (event.key === "Escape" && id && open.delete(id)) {
    draw();
    byId("list").querySelector(`[data-key="${CSS.escape(id)}"]`)?.focus();
  }
}

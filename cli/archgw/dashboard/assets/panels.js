// The panels that are figures and tables: headline, health, budgets, sessions, quality of preferences.

import { byId, el, fill, svg } from "./dom.js";
import { ago, count, dollars, known, number, seconds, share, short, tokens, until, when } from "./words.js";
import { colour } from "./colours.js";

const none = () => el("p.nothing", {}, "No requests in this time.");
const sub = (panel, words) => { panel.querySelector(".sub").textContent = words; };
const body = (panel) => panel.querySelector(".body");

// -- headline ------------------------------------------------------------------------------------------------------

/** `money` has the curves; it comes by itself, and may not be there yet. */
export function headline(told, money, range) {
  const { now, before } = told;
  const all = now.saved === null ? 0 : now.cost + now.saved;
  fill(byId("headline"),
    tile("Requests", number(now.requests), change(now.requests, before.requests, range), money?.requests),
    tile("Spent", known(now.cost, now.unpriced), change(now.cost, before.cost, range), money?.cost),
    tile(now.saved < 0 ? "More than the baseline" : "Saved", now.saved === null ? "–" : dollars(Math.abs(now.saved)),
      all > 0 ? `${share(now.saved, all)} of ${dollars(all)} on the baseline model${now.hits ? `; ${number(now.hits)} from the cache` : ""}` : "against the baseline model", money?.saved, now.saved < 0 ? "bad" : "good"),
    tile("Read from cache", share(now.cached, now.read), `of ${tokens(now.read)} tokens, in the vendors' caches`, money?.at.map((_, nth) => money.cached[nth] / (money.read[nth] || 1))),
    tile("Failovers", number(now.failovers), now.errors ? `${count(now.errors, "request")} nobody answered` : now.requests ? "every request was answered" : "", money?.failovers),
    tile("First content", seconds(told.first_content.p50), told.first_content.p95 === null ? "" : `slowest of twenty ${seconds(told.first_content.p95)}`));
}

function tile(name, figure, more, curve, kind = "") {
  return el("div.tile", {}, el("h2", {}, name), el("p", { class: `figure ${kind}` }, figure), el("p.more", {}, more), curve ? spark(curve, kind) : null);
}

function change(now, before, range) {
  const percent = before ? Math.round((100 * (now - before)) / before) : Infinity;
  if (percent > 999) return `in the last ${range}`;
  return percent ? `${percent > 0 ? "+" : "−"}${number(Math.abs(percent))}% on the ${range} before` : `as in the ${range} before`;
}

function spark(values, kind) {
  const most = Math.max(...values, 0), least = Math.min(...values, 0), last = values.length - 1;
  if (most === least) return null;
  const points = values.map((one, nth) => `${((100 * nth) / last).toFixed(2)},${(26 - (24 * (one - least)) / (most - least)).toFixed(2)}`);
  return svg("svg", { viewBox: "0 0 100 28", preserveAspectRatio: "none", class: `spark ${kind}`, "aria-hidden": "true" },
    svg("path.area", { d: `M0,28L${points.join("L")}L100,28z` }), svg("path", { d: `M${points.join("L")}` }));
}

// -- health --------------------------------------------------------------------------------------------------------

export function health(panel, told, gateway) {
  const models = together(told.is, gateway);
  const failed = models.reduce((sum, one) => sum + one.failed, 0), tries = models.reduce((sum, one) => sum + one.tries, 0);
  sub(panel, tries ? `${count(failed, "try", "tries")} of ${number(tries)} failed` : "");
  if (!models.length) return fill(body(panel), none());
  fill(body(panel), el("table.health", {},
    el("thead", {}, el("tr", {}, ["model", "now", "tries over time", "failed", "last trouble"].map((words) =>
      el("th", { scope: "col", class: words === "failed" ? "num" : null }, words)))),
    el("tbody", {}, models.map((one) => el("tr", {},
      el("th", { scope: "row" }, el("span.named", {}, el(`i.swatch.c${colour(one.model)}`), el("span", {}, one.model))),
      el("td.now", {}, chip(one, gateway)),
      el("td.over", {}, strip(one)),
      el("td.num", { class: one.failed ? "num warn" : "num" }, one.tries ? `${number(one.failed)} of ${number(one.tries)}` : "–"),
      el("td.trouble", {}, one.last_trouble ? [one.last_trouble, el("span.soft", {}, ` ${ago(one.last_failed)}`)] : el("span.soft", {}, "none")))))));
}

/** Models that the gateway has and nobody has asked are shown, too; so are those that have left the config. */
function together(rows, gateway) {
  const idle = { tries: 0, failed: 0, last_trouble: "", last_failed: null, strip: [] };
  const known = new Map(rows.map((one) => [one.model, one]));
  for (const one of gateway.models) if (!known.has(one.label)) known.set(one.label, { model: one.label, ...idle });
  const now = new Map(gateway.models.map((one) => [one.label, one]));
  return [...known.values()].map((one) => ({ ...one, now: now.get(one.model) })).sort((a, b) => b.tries - a.tries);
}

function chip(one, gateway) {
  if (gateway.state !== "running") return el("span.soft", {}, "–");
  if (!one.now) return el("span.chip.quiet", {}, "not in the config");
  if (one.now.aside) return el("span.chip.bad", { title: "Envoy asks it nothing for a while, after repeated failures" }, "put aside");
  if (one.now.cooling) return el("span.chip.warn", { title: one.now.why }, `cooling, ${Math.round(one.now.cooling)} s left`);
  return el("span.chip.good", {}, "in use");
}

function strip(one) {
  const words = one.tries ? `${share(one.failed, one.tries)} failed` : "not asked";
  const most = Math.max(...one.strip.map(([tries]) => tries), 1);
  const width = 100 / Math.max(1, one.strip.length);
  return svg("svg", { class: "strip", viewBox: "0 0 100 22", preserveAspectRatio: "none", role: "img", "aria-label": words },
    one.strip.flatMap(([tries, failed], nth) => {
      if (!tries) return [svg("rect.idle", { x: nth * width, y: 20.5, width: width * 0.75, height: 1.5 })];
      const high = 4 + (18 * tries) / most, bad = failed ? Math.max(1.2, (high * failed) / tries) : 0;
      return [svg("rect.well", { x: nth * width, y: 22 - high, width: width * 0.75, height: high - bad }),
        bad ? svg("rect.failed", { x: nth * width, y: 22 - bad, width: width * 0.75, height: bad }) : null];
    }));
}

// -- budgets -------------------------------------------------------------------------------------------------------

export function budgets(gateway) {
  const panel = byId("budgets");
  panel.hidden = !gateway.budgets.length;
  if (panel.hidden) return;
  fill(body(panel), el("ul.budgets", {}, gateway.budgets.map((one) => {
    const part = one.limit ? one.spent / one.limit : 0, kind = part >= 1 ? "bad" : part >= 0.8 ? "warn" : "good";
    const told = one.unit === "dollars" ? dollars : (value) => `${tokens(value)} tokens`;
    return el("li", {},
      el("span.name", {}, one.name, one.of && el("span.soft", {}, ` ${one.of}`)),
      el("span.bar", { class: `bar ${kind}`, role: "img", "aria-label": `${share(one.spent, one.limit)} of it is spent` }, el("i", { style: { width: `${Math.min(100, 100 * part)}%` } })),
      el("span.num", {}, `${told(one.spent)} of ${told(one.limit)}`),
      el("span.soft", {}, [one.until && `begins anew ${until(one.until)}`, { warn: "you are warned when it is spent", downgrade: "cheaper models answer when it is spent", block: "requests are refused when it is spent" }[one.then]].filter(Boolean).join("; ")));
  })));
}

// -- sessions ------------------------------------------------------------------------------------------------------

export function sessions(panel, told) {
  sub(panel, told.is.length ? "the newest first" : "");
  if (!told.is.length) return fill(body(panel), none());
  fill(body(panel), el("table.sessions", {},
    el("thead", {}, el("tr", {}, ["session", "turns", "models", "spent", "saved"].map((words, nth) =>
      el("th", { scope: "col", class: nth === 1 || nth > 2 ? "num" : null }, words)))),
    el("tbody", {}, told.is.map((one) => el("tr", {},
      el("th", { scope: "row", title: one.id }, el("code", {}, one.id.replace("fingerprint/", "").slice(0, 8)), el("span.soft", {}, `${when(one.last)}`)),
      el("td.num", { title: count(one.requests, "request") }, number(one.turns), one.failed ? el("span.warn", { title: `in ${count(one.failed, "request")} a try failed` }, " !") : null),
      el("td.mix", {}, mix(one)),
      el("td.num", {}, known(one.spent, one.unpriced)),
      el("td.num", { class: `num ${one.saved < 0 ? "bad" : one.saved ? "good" : "soft"}` }, one.saved === null ? "–" : dollars(one.saved)))))));
}

function mix(one) {
  const all = one.models.reduce((sum, [, times]) => sum + times, 0);
  const words = one.models.map(([model, times]) => `${model} ${number(times)}`).join(", ") || "nobody";
  return [el("span.mixed", { role: "img", "aria-label": words, title: words }, one.models.map(([model, times]) =>
    el(`i.c${colour(model)}`, { style: { width: `${(100 * times) / all}%` } }))),
  el("span.most", {}, one.models[0] ? short(one.models[0][0]) : "nobody", one.models.length > 1 ? el("span.soft", {}, ` +${one.models.length - 1}`) : null)];
}

// -- preferences ---------------------------------------------------------------------------------------------------

export function quality(panel, told) {
  const { preferences, confusions, turns, unmatched } = told.is;
  sub(panel, turns ? `${count(turns, "turn")} compared with them, ${share(unmatched, turns)} fitted none` : "");
  if (!preferences.length) {
    return fill(body(panel), el("p.nothing", {}, "There are no preferences: the default model answers everything. ", el("code", {}, "routing_preferences"), " in the config says what you like for what."));
  }
  fill(body(panel), table(preferences, turns), pairs(preferences, confusions, told.is.near));
}

function table(preferences, turns) {
  const most = Math.max(...preferences.map((one) => one.chosen), 1);
  return el("table.quality", {},
    el("thead", {}, el("tr", {}, ["preference", "chosen", "", "fitted", "near ties", "thumbs down"].map((words, nth) =>
      el(words ? "th" : "td", { scope: words ? "col" : null, class: nth && nth !== 2 ? "num" : null }, words)))),
    el("tbody", {}, preferences.map((one) => el("tr", { class: one.chosen || one.best ? null : "dead" },
      el("th", { scope: "row" }, one.name, one.configured ? null : el("span.chip.quiet", {}, "not in the config")),
      el("td.num", { "data-label": "chosen" }, one.chosen || one.best ? number(one.chosen) : turns ? el("span.chip.warn", { title: "nothing that was asked in this time fitted it best; a plainer description may help, or it can go" }, "never") : "–"),
      el("td.wide", { "aria-hidden": "true" }, el("span.bar", {}, el("i", { style: { width: `${(100 * one.chosen) / most}%` } }))),
      el("td.num", { "data-label": "fitted" }, one.score === null ? "–" : one.score.toFixed(2)),
      el("td.num", { "data-label": "near ties", class: one.best && one.near / one.best > 0.1 ? "num warn" : "num" }, one.best ? share(one.near, one.best) : "–"),
      el("td.num", { "data-label": "thumbs down", class: one.bad > one.good ? "num bad" : "num" }, one.good + one.bad ? `${number(one.bad)} of ${number(one.good + one.bad)}` : "–")))));
}

function pairs(preferences, confusions, near) {
  const title = el("h3", {}, "Which are hard to tell apart");
  const words = el("p.soft", {}, `Turns in which the second best came within ${near} of the best.`);
  if (!confusions.length) return el("div.pairs", {}, title, el("p.soft", {}, `In no turn did the second best come within ${near} of the best.`));
  const times = new Map(confusions.map((one) => [`${one.one}\n${one.other}`, one.times]));
  const of = (a, b) => times.get([a, b].sort().join("\n")) ?? 0;
  const names = preferences.map((one) => one.name).filter((name) => confusions.some((one) => one.one === name || one.other === name));
  const most = confusions[0].times;
  return el("div.pairs", {}, title, words,
    el("table.matrix", {},
      el("thead", {}, el("tr", {}, el("td"), names.slice(0, -1).map((name) => el("th", { scope: "col" }, el("span", {}, name))))),
      el("tbody", {}, names.slice(1).map((name, nth) => el("tr", {}, el("th", { scope: "row" }, name),
        names.slice(0, -1).map((other, column) => column > nth ? el("td.empty")
          : cell(name, other, of(name, other), most)))))),
    el("ol.closest", {}, confusions.slice(0, 6).map((one) => el("li", {}, el("span", {}, `${one.one} – ${one.other}`), el("span.num", {}, number(one.times))))));
}

function cell(name, other, times, most) {
  return el("td", { title: `${name} – ${other}: ${times}`, class: times ? `heat h${Math.ceil((4 * times) / most)}` : "heat" }, times ? number(times) : el("span.soft", {}, "·"));
}

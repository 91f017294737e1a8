// Curves over time, drawn by uPlot: what was spent and saved, and how fast the models were.

import { byId, choice, el, fill, hideTip, say, showTip } from "./dom.js";
import { clock, day, dollars, seconds } from "./words.js";
import { colour, ink } from "./colours.js";

const drawn = new Map();  // place -> its chart, what it shows, and how it is made
const FONT = '11px system-ui, -apple-system, "Segoe UI", sans-serif';
const size = (place) => ({ width: place.clientWidth, height: place.clientHeight });
const sizes = new ResizeObserver((all) => {
  for (const { target } of all) drawn.get(target)?.chart.setSize(size(target));
});
let moneyBy = "total", speedBy = "first", money = null, latency = null;

export function start() {
  tools("money", "Cost", { total: "Running total", parts: "As it came" }, moneyBy, (value) => { moneyBy = value; drawMoney(); });
  tools("latency", "Speed", { first: "First content", tokens: "Tokens/s" }, speedBy, (value) => { speedBy = value; drawLatency(); });
}

function tools(id, label, options, chosen, choose) {
  const place = byId(id).querySelector(".tools");
  place.classList.add("choice");
  choice(place, label, options, chosen, choose);
}

/** The colours have changed, and a canvas does not know. */
export function repaint() {
  for (const place of drawn.keys()) forget(place);
  if (money) drawMoney();
  if (latency) drawLatency();
}

export function showMoney(told) {
  money = told;
  drawMoney();
}

export function showLatency(told) {
  latency = told;
  drawLatency();
}

const running = (values) => { let all = 0; return values.map((one) => (all += one)); };
const all = (values) => values.reduce((sum, one) => sum + one, 0);

function drawMoney() {
  const panel = byId("money"), body = panel.querySelector(".body");
  if (!all(money.requests)) return nothing(panel);
  const [spent, saved] = [all(money.cost), all(money.saved)];
  const way = saved >= 0 ? `${dollars(saved)} saved against` : `${dollars(-saved)} more than`;
  panel.querySelector(".sub").textContent = `${dollars(spent)} spent, ${way} the baseline model`;
  const without = money.cost.map((cost, nth) => cost + money.saved[nth]);
  const values = [money.cost, without].map((one) => (moneyBy === "total" ? running(one) : one));
  const place = chartPlace(body, `Cost over time: ${dollars(spent)} spent, ${way} the baseline model`);
  draw(place, moneyBy, [money.at, ...values], () => ({
    series: [{}, line("Spent", "accent", { width: 2, fill: `${ink("accent")}1f` }), line("On the baseline model", "soft", { dash: [5, 4] })],
    bands: [{ series: [2, 1], fill: `${ink("good")}26` }],
    value: dollars,
    tick: (value) => (value >= 10 ? `$${value.toLocaleString("en-US")}` : dollars(value)),
    extra: (nth) => [`Saved ${dollars(values[1][nth] - values[0][nth])}`],
  }));
  legend(body, [["accent", "spent"], ["soft dashed", "on the baseline model"], ["good-fill", "saved"]]);
}

function drawLatency() {
  const panel = byId("latency"), body = panel.querySelector(".body");
  if (!latency.models.length) return nothing(panel);
  const models = latency.models, first = speedBy === "first";
  panel.querySelector(".sub").textContent = first ? "until first content, the middle of each part" : "tokens of output a second after it";
  const values = models.map((one) => (first ? one.over_time : one.tokens_over_time));
  const told = first ? seconds : (value) => (value === null || value === undefined ? "–" : `${Math.round(value)}/s`);
  const place = chartPlace(body, "How fast each model was; the table below has the figures");
  draw(place, `${speedBy} ${models.map((one) => one.model)}`, [latency.at, ...values], () => ({
    series: [{}, ...models.map((one) => line(one.model, `c${colour(one.model)}`, { width: 1.75, spanGaps: true }))],
    value: told,
  }));
  let table = body.querySelector("table");
  if (!table) body.append((table = el("table.figures", {})));
  fill(table, el("thead", {}, el("tr", {}, ["model", "answers", "first content", "slowest of twenty", "tokens/s"].map((words, nth) =>
    el("th", { scope: "col", class: nth ? "num" : null }, words)))),
  el("tbody", {}, models.map((one) => el("tr", {},
    el("th", { scope: "row" }, el("span.named", {}, el(`i.swatch.c${colour(one.model)}`), el("span", {}, one.model))),
    el("td.num", { "data-label": "answers" }, one.requests.toLocaleString("en-US")),
    el("td.num", { "data-label": "first content" }, seconds(one.first_content.p50)),
    el("td.num", { "data-label": "slowest of twenty" }, seconds(one.first_content.p95)),
    el("td.num", { "data-label": "tokens/s" }, one.tokens.p50 === null ? "–" : Math.round(one.tokens.p50))))));
}

function nothing(panel) {
  const body = panel.querySelector(".body");
  for (const place of [...drawn.keys()]) if (body.contains(place)) forget(place);
  panel.querySelector(".sub").textContent = "";
  fill(body, el("p.nothing", {}, "No requests in this time."));
}

function forget(place) {
  drawn.get(place).chart.destroy();
  drawn.delete(place);
}

function chartPlace(body, label) {
  let place = body.querySelector(".chart");
  if (!place) {
    place = el("div.chart", { tabindex: 0, role: "group", "aria-roledescription": "chart" });
    place.addEventListener("keydown", (event) => walk(place, event));
    place.addEventListener("blur", hideTip);
    place.addEventListener("mouseleave", hideTip);
    fill(body, place);
    sizes.observe(place);
  }
  place.setAttribute("aria-label", `${label}. Left and right go through it.`);
  return place;
}

function legend(body, entries) {
  if (body.querySelector(".legend")) return;
  body.append(el("ul.legend", {}, entries.map(([kind, words]) => el("li", {}, el("i", { class: kind }), words))));
}

const line = (label, name, more) => ({ label, stroke: ink(name), width: 1.5, points: { show: true, size: 5, fill: ink(name), filter: alone }, ...more });

/** Which values have no neighbour, and so no line. */
function alone(chart, series) {
  const values = chart.data[series], is = (nth) => values[nth] !== null && values[nth] !== undefined;
  return values.flatMap((_, nth) => (is(nth) && !is(nth - 1) && !is(nth + 1) ? [nth] : []));
}

/** The same chart with new values where it has the same curves; else another. */
function draw(place, kind, data, make) {
  const before = drawn.get(place);
  if (before?.kind === kind) {
    before.data = data;
    Object.assign(before, make());
    before.chart.setData(data);
    return;
  }
  if (before) forget(place);
  const entry = { kind, data, ...make() };
  drawn.set(place, entry);
  const grid = { stroke: ink("line"), width: 1 };
  entry.chart = new uPlot({
    ...size(place), legend: { show: false }, padding: [12, 10, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: { y: { range: (_, __, most) => [0, (most || 1) * 1.08] } },
    axes: [
      { stroke: ink("soft"), font: FONT, grid: { show: false }, ticks: { ...grid, size: 4 }, space: 80, size: 32, values: (_, at) => at.map((one) => timeOf(one, entry.data[0])) },
      { stroke: ink("soft"), font: FONT, grid, ticks: { show: false }, size: 58, values: (_, all) => all.map((one) => (entry.tick ?? entry.value)(one)) },
    ],
    series: entry.series, bands: entry.bands ?? [],
    hooks: { setCursor: [(chart) => point(chart, entry)] },
  }, data, place);
}

function timeOf(at, times) {
  const span = times[times.length - 1] - times[0];
  return span > 2 * 86400 ? day(at) : clock(at).slice(0, 5);
}

function point(chart, entry) {
  const nth = chart.cursor.idx;
  if (nth === null || nth === undefined || chart.cursor.left < 0) return hideTip();
  const box = chart.over.getBoundingClientRect();
  showTip(lines(entry, nth), box.left + chart.cursor.left, box.top + 20);
}

function lines(entry, nth) {
  const at = entry.data[0][nth];
  const values = entry.series.slice(1).map((one, series) => [one.label, entry.data[series + 1][nth]]);
  return [`${day(at)} ${clock(at).slice(0, 5)}`,
    ...values.filter(([, value]) => value !== null).map(([label, value]) => `${label} ${entry.value(value)}`),
    ...(entry.extra?.(nth) ?? [])];
}

function walk(place, event) {
  const entry = drawn.get(place), step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!entry || !step) return;
  event.preventDefault();
  const last = entry.data[0].length - 1;
  const nth = Math.min(last, Math.max(0, (entry.chart.cursor.idx ?? last + 1) + step));
  entry.chart.setCursor({ left: entry.chart.valToPos(entry.data[0][nth], "x"), top: 10 });
  say(lines(entry, nth).join(", "));
}

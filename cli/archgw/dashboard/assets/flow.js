// Where requests go: a band for each preference and model, as wide as the requests it stands for, or their cost.

import { byId, choice, el, fill, hideTip, roving, showTip, svg } from "./dom.js";
import { answeredBy, count, dollars, known, preference, share, short } from "./words.js";
import { colour } from "./colours.js";

const NODE = 8, GAP = 9, LEAST = 13, TALL = 26;
let by = "requests", shown = [], pick = () => {};

export function start(choose) {
  pick = choose;
  const panel = byId("flow");
  choice(panel.querySelector(".tools"), "Widths", { requests: "Requests", cost: "Cost" }, by, (value) => {
    by = value;
    draw();
  });
  panel.querySelector(".tools").classList.add("choice");
  roving(panel.querySelector(".body"), ".band");
  new ResizeObserver(() => draw()).observe(panel.querySelector(".body"));
}

export function show(streams) {
  shown = streams;
  draw();
}

function draw() {
  const panel = byId("flow"), body = panel.querySelector(".body");
  const total = sum(shown);
  panel.querySelector(".sub").textContent = total
    ? by === "cost" ? `${dollars(total)} in all` : count(total, "request") : "";
  if (!total) return fill(body, shown.length ? el("p.nothing", {}, "Nothing here has a known price.") : nothing());
  const width = Math.max(240, body.clientWidth - 28);
  const left = nodes((one) => one.preference), right = nodes((one) => one.model);
  const rows = Math.max(left.length, right.length);
  const height = Math.max(rows * (TALL + GAP), body.clientHeight - 18);
  place(left, height, total);
  place(right, height, total);
  fill(body, picture(left, right, width, height, total));
}

const weight = (one) => (by === "cost" ? one.cost : one.requests);
const sum = (streams) => streams.reduce((all, one) => all + weight(one), 0);
const nothing = () => el("p.nothing", {}, "No requests in this time.");

function nodes(name) {
  const found = new Map();
  for (const one of shown) {
    if (!weight(one)) continue;
    const node = found.get(name(one)) ?? { name: name(one), weight: 0 };
    node.weight += weight(one);
    found.set(node.name, node);
  }
  return [...found.values()].sort((a, b) => b.weight - a.weight);
}

/** So that a narrow one can still be read, each gets a least height, and the rest by its weight. */
function place(found, height, total) {
  const free = height - GAP * (found.length - 1) - LEAST * found.length;
  let y = 0;
  for (const node of found) {
    Object.assign(node, { y, height: LEAST + (free * node.weight) / total, used: 0 });
    y += node.height + GAP;
  }
}

function picture(left, right, width, height, total) {
  const from = new Map(left.map((node) => [node.name, node])), to = new Map(right.map((node) => [node.name, node]));
  const order = (list, name) => list.findIndex((node) => node.name === name);
  const streams = shown.filter(weight).sort((a, b) =>
    order(left, a.preference) - order(left, b.preference) || order(right, a.model) - order(right, b.model));
  const bands = streams.map((one, nth) => band(one, from.get(one.preference), to.get(one.model), width, total, nth));
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "list", "aria-label": "Preferences and the models that answered them" },
    bands,
    left.map((node) => label(node, 0, width, preference(node.name), "start")),
    right.map((node) => label(node, width - NODE, width, node.name ? short(node.name) : "nobody", "end")));
}

function band(one, from, to, width, total, nth) {
  const [a, b] = [from, to].map((node) => {
    const high = (node.height * weight(one)) / node.weight;
    node.used += high;
    return { y: node.y + node.used - high, high };
  });
  const x0 = NODE, x1 = width - NODE, middle = (x0 + x1) / 2;
  const path = `M${x0} ${a.y}C${middle} ${a.y} ${middle} ${b.y} ${x1} ${b.y}v${b.high}`
    + `C${middle} ${b.y + b.high} ${middle} ${a.y + a.high} ${x0} ${a.y + a.high}z`;
  const lines = [
    `${preference(one.preference)} → ${answeredBy(one.model)}`,
    `${count(one.requests, "request")}${by === "requests" ? `, ${share(one.requests, total)} of all` : ""}`,
    `${known(one.cost, one.unpriced)} spent`,
  ];
  const choose = () => pick(one.preference, one.model);
  return svg("path.band", {
    d: path, class: `band c${colour(one.model)}`, tabindex: nth ? -1 : 0, role: "listitem", "aria-label": lines.join(", "),
    "data-key": `${one.preference}\n${one.model}`,
    onmousemove: (event) => showTip([...lines, "Click to see them"], event.clientX, event.clientY),
    onmouseleave: hideTip, onblur: hideTip, onclick: choose,
    onfocus: (event) => {
      const box = event.target.getBoundingClientRect();
      if (event.target.matches(":focus-visible")) showTip([...lines, "Enter shows them"], box.left + box.width / 2, box.top + box.height / 2);
    },
    onkeydown: (event) => event.key === "Enter" && choose(),
  });
}

function label(node, x, width, words, anchor) {
  const most = Math.floor((width * 0.46) / 6.6);
  const cut = words.length > most ? `${words.slice(0, most - 1)}…` : words;
  return svg("g", { class: `node ${anchor === "end" ? `c${colour(node.name)}` : ""}`, "aria-hidden": "true" },
    svg("rect", { x, y: node.y, width: NODE, height: node.height, rx: 2 }),
    svg("text", { x: anchor === "start" ? NODE + 7 : width - NODE - 7, y: node.y + node.height / 2, "text-anchor": anchor, dy: "0.34em" }, cut));
}

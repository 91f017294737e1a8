// The page: what is loaded when, what is heard from the gateway, and what the two buttons at the top do.

import { get, listen, takeKey, Trouble } from "./api.js";
import * as charts from "./charts.js";
import { colour } from "./colours.js";
import { byId, choice, el, fill, say } from "./dom.js";
import * as flow from "./flow.js";
import * as panels from "./panels.js";
import { problem } from "./problem.js";
import * as requests from "./requests.js";

const RANGES = { "1h": "1 h", "24h": "24 h", "7d": "7 days", "30d": "30 days" };
const AT_MOST_EVERY = 5_000, ANYHOW_EVERY = 60_000;  // milliseconds between two looks at the panels
const STOPPED = { state: "stopped", models: [], budgets: [], troubles: [] };
const kept = { headline: null, money: null, health: null, gateway: STOPPED, ledger: "" };
let range = localStorage.getItem("archgw-range") in RANGES ? localStorage.getItem("archgw-range") : "24h";
let looked = 0, planned = 0, hearing = false, loading = null;

const SHOWN = {
  headline: (told) => { kept.headline = told.is; welcome(!told.is.ever); head(); },
  money: (told) => { kept.money = told.is; charts.showMoney(told.is); head(); },
  flow: (told) => { flow.show(told.is); requests.offer(told.is); },
  latency: (told) => charts.showLatency(told.is),
  health: (told) => { kept.health = told; panels.health(byId("health"), told, kept.gateway); },
  sessions: (told) => panels.sessions(byId("sessions"), told),
  quality: (told) => panels.quality(byId("quality"), told),
};

const head = () => kept.headline && panels.headline(kept.headline, kept.money, RANGES[range]);

takeKey();
addEventListener("hashchange", () => takeKey() && location.reload());  // the whole address, pasted into an open page
choice(byId("range"), "How far back", RANGES, range, (value) => {
  range = value;
  localStorage.setItem("archgw-range", value);
  kept.money = null;
  look();
});
theme();
charts.start();
flow.start((preference, model) => {
  requests.filter({ preference, model });
  byId("requests").scrollIntoView({ block: "nearest" });
});
requests.start();
begin();

async function begin() {
  try {
    kept.gateway = await get("gateway");
  } catch (error) {
    if (error.status === 401) return locked();
  }
  kept.gateway.models.forEach((one) => colour(one.label));  // in the order of the config, whatever comes first
  state();
  requests.load();
  look();
  setInterval(() => document.hidden || Date.now() - looked < ANYHOW_EVERY || look(), 5_000);
  document.addEventListener("visibilitychange", () => document.hidden || soon());
  addEventListener("thumb", soon);
  hear();
}

// -- panels --------------------------------------------------------------------------------------------------------

async function look() {
  clearTimeout(planned);
  planned = 0;
  looked = Date.now();
  loading?.abort();
  loading = new AbortController();
  await Promise.all(Object.keys(SHOWN).map((name) => panel(name, loading.signal)));
}

async function panel(name, signal) {
  const place = byId(name);
  place.setAttribute("aria-busy", "true");
  try {
    SHOWN[name](await get(`panels/${name}`, { range }, signal));
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Trouble)) console.error(error);
    fill(place.querySelector(".body") ?? place, problem(error, () => panel(name)));
  }
  place.setAttribute("aria-busy", "false");
}

/** Something has changed: look again, but not for each request. */
function soon() {
  if (planned || document.hidden) return;
  planned = setTimeout(look, Math.max(300, looked + AT_MOST_EVERY - Date.now()));
}

// -- what is heard -------------------------------------------------------------------------------------------------

async function hear() {
  for (let pause = 500, again = false; ; pause = Math.min(pause * 2, 10_000), again = true) {
    let begun = false;
    try {
      hearing = true;
      await listen((event, data) => {
        pause = 500;
        HEARD[event]?.(data);
        if (!begun) requests.renew().then((any) => (any || again) && soon());  // what ended before anybody listened
        begun = true;
      });
    } catch (error) {
      if (error.status === 401) return locked();
    }
    hearing = false;
    state();
    await new Promise((done) => setTimeout(done, pause));
    await get("gateway").then((told) => HEARD.gateway(told), () => null);
  }
}

const HEARD = {
  requests: (rows) => {
    requests.arrived(rows);
    if (kept.headline?.ever) soon();
    else look();
  },
  gateway: (told) => {
    kept.gateway = told;
    hearing = true;
    state();
    panels.budgets(told);
    if (kept.headline && !kept.headline.ever) welcome(true);
    if (kept.health) panels.health(byId("health"), kept.health, told);
  },
  ledger: ({ trouble, mend }) => {
    const well = kept.ledger && !trouble;
    kept.ledger = trouble && `${trouble}: ${mend}`;
    state();
    if (well) HEARD.anew();
  },
  anew: () => { requests.renew(); soon(); },
};

function state() {
  const { gateway } = kept, place = byId("state");
  const [kind, words] = !hearing ? ["bad", "the dashboard does not answer"] : {
    running: ["good", gateway.under_way ? `live, ${gateway.under_way} under way` : "live"],
    silent: ["warn", "the gateway does not answer"],
    stopped: ["warn", "the gateway is stopped; this is its ledger"],
  }[gateway.state];
  fill(place, el(`i.dot.${kind}`), el("span", {}, words));
  const troubles = [kept.ledger, ...gateway.troubles.map((one) => `Done without: ${one}`)].filter(Boolean);
  byId("banner").hidden = !troubles.length;
  fill(byId("banner"), troubles.map((one) => el("p", {}, one)));
}

// -- before there is anything --------------------------------------------------------------------------------------

function welcome(empty) {
  byId("grid").hidden = byId("headline").hidden = empty;
  byId("welcome").hidden = !empty;
  if (!empty) return;
  const runs = kept.gateway.state === "running";
  fill(byId("welcome"),
    el("h2", { id: "welcome-title" }, "Nothing has been asked yet"),
    el("p", {}, runs ? `The gateway listens at ${kept.gateway.url}. Ask something through it, and this page fills as you go:`
      : "Start the gateway, and ask something through it:"),
    el("ol", {}, [!runs && ["archgw up", "starts it"], ["archgw cli-agent claude", "Claude Code; or codex, opencode, aider"],
      ['archgw route "Fix this syntax error"', "asks no model: which one a prompt would get, and why"]].filter(Boolean).map(([command, words]) =>
      el("li", {}, el("code", {}, command), copy(command), el("span.soft", {}, words)))));
}

function copy(command) {
  return el("button", { type: "button", "data-key": command, "aria-label": `Copy ${command}`, onclick: async (event) => {
    await navigator.clipboard.writeText(command);
    event.target.textContent = "Copied";
    say("Copied");
  } }, "Copy");
}

function locked() {
  byId("grid").hidden = byId("headline").hidden = true;
  byId("welcome").hidden = false;
  hearing = true;
  fill(byId("state"), el("i.dot.warn"), el("span", {}, "locked"));
  fill(byId("welcome"), el("h2", { id: "welcome-title" }, "This page needs its key"),
    el("p", {}, "What the ledger holds is for whoever started the gateway. The whole address, with the key in it, is told by:"),
    el("ol", {}, el("li", {}, el("code", {}, "archgw dashboard"), copy("archgw dashboard"))));
}

// -- light and dark ------------------------------------------------------------------------------------------------

function theme() {
  const button = byId("theme"), system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const told = () => button.setAttribute("aria-pressed", dark());
  button.addEventListener("click", () => {
    const to = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = to;
    localStorage.setItem("archgw-theme", to);
    told();
    charts.repaint();
  });
  system.addEventListener("change", () => { told(); charts.repaint(); });
  told();
}

// What a panel shows instead of figures when it has none: why, what to do, and a way to try again.

import { el } from "./dom.js";

export function problem(error, retry) {
  return el("div.problem", { role: "alert" },
    el("p", {}, el("b", {}, "This could not be read: "), error.message, error.mend && ` (${error.mend})`),
    el("button", { type: "button", "data-key": "retry", onclick: retry }, "Try again"));
}

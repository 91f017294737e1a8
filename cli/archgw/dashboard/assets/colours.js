// One colour for each model, the same in every panel and for as long as the page is open.

const MANY = 8;
const given = new Map();

/** The number of its colour; the class `c0` and the like give it. */
export function colour(model) {
  if (!model) return "none";
  if (!given.has(model)) given.set(model, given.size % MANY);
  return given.get(model);
}

/** What the stylesheet says it is now, for what is drawn on a canvas. */
export function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

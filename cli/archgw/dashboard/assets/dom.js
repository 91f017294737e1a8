// Elements out of plain values: whatever comes from the ledger becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** el("b.big", {title: "x", onclick: f}, "text", other, [more]): null and false are left out. */
export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name.split(".")[0]), name, attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name.split(".")[0]), name, attributes, children);
}

function filled(made, name, attributes, children) {
  const [, ...classes] = name.split(".");
  if (classes.length) made.classList.add(...classes);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || (value === false && !key.startsWith("aria-"))) continue;
    if (key.startsWith("aria-")) made.setAttribute(key, String(value));
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [property, to] of Object.entries(value)) made.style.setProperty(property, to);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const byId = (id) => document.getElementById(id);

/** Replace what is inside, and leave the focus where it was: at what has the same data-key. */
export function fill(place, ...children) {
  const held = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const scrolled = place.scrollTop;
  place.replaceChildren(...children.flat(2).filter(Boolean));
  place.scrollTop = scrolled;
  if (held) place.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}

/** A few buttons of which one is chosen. */
export function choice(place, label, options, chosen, choose) {
  if (place.tagName !== "FIELDSET") for (const [name, to] of [["role", "radiogroup"], ["aria-label", label]]) place.setAttribute(name, to);
  place.replaceChildren(
    ...(place.tagName === "FIELDSET" ? [el("legend.unseen", {}, label)] : []),
    ...Object.entries(options).map(([value, words]) =>
      el("label", {}, el("input", {
        type: "radio", name: label, value, checked: value === chosen, onchange: () => choose(value),
      }), el("span", {}, words))),
  );
}

/** One stop for the tabulator among many; arrows (and keys of one's own) move within. */
export function roving(place, selector, steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }) {
  place.addEventListener("keydown", (event) => {
    const all = [...place.querySelectorAll(selector)];
    const at = all.indexOf(event.target.closest(selector));
    if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : at + (steps[event.key] ?? 0);
    if (to === at || !all[to]) return;
    event.preventDefault();
    all[to].focus();
  });
  place.addEventListener("focusin", (event) => {
    const one = event.target.closest(selector);
    if (!one) return;
    for (const other of place.querySelectorAll(`${selector}[tabindex="0"]`)) other.setAttribute("tabindex", "-1");
    one.setAttribute("tabindex", "0");
  });
}

export function say(words) {
  byId("said").textContent = words;
}

const tip = () => byId("tip");

/** Lines of a tooltip at a point of the window; the first is its title. */
export function showTip(lines, x, y) {
  const box = tip();
  box.replaceChildren(...lines.map((line, nth) => el(nth ? "div" : "b", {}, line)));
  box.hidden = false;
  const { width, height } = box.getBoundingClientRect();
  box.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - width - 8))}px`;
  box.style.top = `${y + 18 + height > innerHeight ? Math.max(8, y - height - 12) : y + 18}px`;
}

export function hideTip() {
  tip().hidden = true;
}

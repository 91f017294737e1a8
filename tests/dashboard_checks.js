{
  // What a person would have to look for, computed from the page as it is drawn.

  /** [ratio, where] for every piece of text that can be seen, the least first. */
  contrast() {
    const found = [];
    for (const one of document.querySelectorAll("body *")) {
      const words = [...one.childNodes].find((node) => node.nodeType === 3 && node.textContent.trim());
      if (!words || !one.checkVisibility() || one.closest(".unseen, .skip, option, noscript")) continue;
      const picture = one instanceof SVGElement, style = getComputedStyle(one);
      const under = this.ground(picture ? one.closest(".panel") : one);
      const ink = this.over(this.channels(picture ? style.fill : style.color), under);
      found.push([this.ratio(ink, under), `${one.tagName}.${one.getAttribute("class")} ${words.textContent.trim().slice(0, 40)}`]);
    }
    return found.sort((a, b) => a[0] - b[0]);
  },

  /** [name, ratio] of the colours that things are drawn with, on the card that they are drawn on. */
  colours() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => [1, 3, 5].map((at) => parseInt(style.getPropertyValue(name).trim().slice(at, at + 2), 16));
    const names = ["--c0", "--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7", "--failed", "--accent"];
    return names.map((name) => [name, this.ratio(of(name), of("--card"))]);
  },

  /** What is wider than the window, or scrolls to the side. */
  sticksOut() {
    const wide = [...document.querySelectorAll("main *")].filter((one) =>
      !one.closest(".scroll, svg, .chart") && one.getBoundingClientRect().right > innerWidth + 1);
    const scrolling = [document.documentElement, ...document.querySelectorAll(".scroll")].filter((one) => one.scrollWidth > one.clientWidth + 1);
    return [...wide, ...scrolling].map((one) => one.outerHTML.slice(0, 90));
  },

  nameless() {
    const wanted = "button, select, input, [role=img], [role=group], [role=region], section";
    return [...document.querySelectorAll(wanted)].filter((one) => one.checkVisibility()
      && !(one.getAttribute("aria-label") || one.getAttribute("aria-labelledby") || one.labels?.length || one.textContent.trim()))
      .map((one) => one.outerHTML.slice(0, 90));
  },

  sameIds() {
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    return ids.filter((id, nth) => ids.indexOf(id) !== nth);
  },

  /** [what has the focus, whether one can see that]. */
  focus() {
    const at = document.activeElement, style = getComputedStyle(at);
    const beside = at.matches("input") ? getComputedStyle(at.nextElementSibling) : style;
    return [at.outerHTML.slice(0, 90), beside.outlineStyle !== "none" || style.strokeWidth === "1.5px"];
  },

  channels(told) {
    const found = told.match(/[\d.]+/g).map(Number);
    return told.startsWith("color(") ? [...found.slice(0, 3).map((one) => one * 255), found[3] ?? 1] : [...found.slice(0, 3), found[3] ?? 1];
  },

  over: ([r, g, b, a], under) => [r, g, b].map((one, nth) => one * a + under[nth] * (1 - a)),

  ground(one) {
    const own = this.channels(getComputedStyle(one).backgroundColor);
    return own[3] >= 1 ? own.slice(0, 3) : this.over(own, one.parentElement ? this.ground(one.parentElement) : [255, 255, 255]);
  },

  /** As WCAG 2.2 has it. */
  ratio(one, other) {
    const light = (rgb) => {
      const [r, g, b] = rgb.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  },
}

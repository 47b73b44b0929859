// The look of each arm: a colour and a mark, the same in every drawing. The table of them is Python's, asap.page.looks.

import { svg } from "../page/dom.js";
import { page } from "./data.js";

const RADIUS = 4.4; // of the marks of the table
const looks = new Map();

/** Give every arm its look. */
export function dress() {
  const inks = new CSSStyleSheet();
  page.arms.forEach((arm, number) => {
    const { light, dark, path, stroked } = page.report.looks[number];
    inks.insertRule(`.ink-${number} { color: light-dark(${light}, ${dark}); }`);
    looks.set(arm.name, { ink: `ink-${number}`, path, stroked });
  });
  document.adoptedStyleSheets.push(inks);
}

/** The class that colours what belongs to an arm. */
export function inkOf(name) {
  return looks.get(name).ink;
}

/** The mark of an arm in a drawing, filled, or hollow for the paper's figures. */
export function markAt(name, x, y, hollow = false, radius = 4.5) {
  const { ink, path, stroked } = looks.get(name);
  const place = `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${(radius / RADIUS).toFixed(2)})`;
  return svg("path", { class: `mark ${ink}${hollow ? " hollow" : ""}${stroked ? " open" : ""}`, d: path, transform: place });
}

/** The mark by itself, to stand before a name. */
export function badge(name) {
  return svg("svg", { class: "badge", width: 12, height: 12, viewBox: "-6 -6 12 12", "aria-hidden": "true" }, markAt(name, 0, 0, false, 4.2));
}

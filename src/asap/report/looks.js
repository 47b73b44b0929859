// One colour and one mark for each method, the same in every drawing; other arms get those that are left, in their order.

import { svg } from "../page/dom.js";
import { page } from "./data.js";

const LOOKS = {
  original: ["original", "square"],
  "zero-shot": ["zero", "plus"],
  asap: ["asap", "circle"],
  spirit: ["spirit", "diamond"],
  "selective-context": ["selective", "down"],
  llmlingua2: ["lingua", "up"],
  tokenskip: ["skip", "cross"],
  "asap-fine": ["fine", "up"],
  "asap-coarse": ["coarse", "down"],
  random: ["random", "cross"],
  alignment: ["alignment", "diamond"],
};
const SPARE = [
  ["spirit", "diamond"],
  ["asap", "circle"],
  ["lingua", "up"],
  ["selective", "down"],
  ["random", "cross"],
  ["skip", "plus"],
  ["alignment", "square"],
  ["coarse", "up"],
  ["fine", "diamond"],
];

const looks = new Map();

/** Give every arm its look. A reference without a method of its own looks like Original. */
export function dress() {
  const taken = new Set(page.arms.map((arm) => LOOKS[arm.method]?.[0]));
  const spare = SPARE.filter(([ink]) => !taken.has(ink));
  page.arms.forEach((arm, number) => {
    const own = LOOKS[arm.method] ?? (number === 0 && !taken.has("original") ? LOOKS.original : (spare.shift() ?? ["zero", "plus"]));
    looks.set(arm.name, { ink: `ink-${own[0]}`, mark: own[1] });
  });
}

/** The class that colours what belongs to an arm. */
export function inkOf(name) {
  return looks.get(name).ink;
}

/** The mark of an arm in a drawing, filled, or hollow for the paper's figures. */
export function markAt(name, x, y, hollow = false, size = 4.5) {
  const look = looks.get(name);
  return svg("path", { class: `mark ${look.ink}${hollow ? " hollow" : ""}${/plus|cross/.test(look.mark) ? " open" : ""}`, d: shape(look.mark, x, y, size) });
}

/** The mark by itself, to stand before a name. */
export function badge(name) {
  return svg("svg", { class: "badge", width: 12, height: 12, viewBox: "-6 -6 12 12", "aria-hidden": "true" }, markAt(name, 0, 0, false, 4.2));
}

function shape(mark, x, y, r) {
  const points = {
    square: [[-0.88, -0.88], [0.88, -0.88], [0.88, 0.88], [-0.88, 0.88]],
    diamond: [[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]],
    up: [[0, -1.15], [1.1, 0.85], [-1.1, 0.85]],
    down: [[0, 1.15], [1.1, -0.85], [-1.1, -0.85]],
  }[mark];
  const at = ([dx, dy]) => `${(x + dx * r).toFixed(1)},${(y + dy * r).toFixed(1)}`;
  if (points) return `M${points.map(at).join("L")}Z`;
  if (mark === "plus") return `M${at([-1.1, 0])}L${at([1.1, 0])}M${at([0, -1.1])}L${at([0, 1.1])}`;
  if (mark === "cross") return `M${at([-0.9, -0.9])}L${at([0.9, 0.9])}M${at([0.9, -0.9])}L${at([-0.9, 0.9])}`;
  return `M${at([-1, 0])}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`;
}

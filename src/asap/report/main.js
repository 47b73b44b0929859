// Navigation: the shown view, the address, the keys.

import { h } from "../page/dom.js";
import { frame, nextTheme, showKeys } from "../page/frame.js";
import { loadReport, page } from "./data.js";
import { dress } from "./looks.js";
import { addressOf } from "./matrix.js";
import { makeOverview } from "./overview.js";
import { makeProblem } from "./problem.js";

const app = document.getElementById("app");
const KEYS = [
  ["/", "search the problems"],
  ["j k, \u2191 \u2193", "through the problems"],
  ["Enter", "open a problem: two generations side by side"],
  ["\u2190 \u2192", "in a problem: another arm on the right"],
  ["[ ]", "in a problem: another seed or sample"],
  ["Esc", "back to the report"],
  ["t", "light or dark"],
];

let overview = null;
let view = null; // the shown problem
let at = null; // its benchmark and number
let scrolled = 0;

async function begin() {
  try {
    await loadReport();
  } catch (error) {
    app.replaceChildren(h("p", { class: "broken" }, `This page is damaged or your browser is too old for it (${error}).`));
    return;
  }
  dress();
  frame("arms beside each other", KEYS, () => {});
  addEventListener("hashchange", (event) => route(new URL(event.newURL).hash));
  addEventListener("keydown", onKey);
  overview = makeOverview();
  overview.matrix?.update();
  await route(location.hash);
  app.removeAttribute("aria-busy");
}

/** Show what an address names: `#benchmark=gsm8k&problem=gsm8k/12`. */
async function route(hash) {
  const words = new URLSearchParams(hash.slice(1));
  const benchmark = page.benchmarks.find((one) => one.name === words.get("benchmark"));
  const problem = benchmark ? benchmark.ids.indexOf(words.get("problem")) : -1;
  if (problem < 0) return showOverview();
  if (!at) scrolled = scrollY;
  const order = overview.matrix.benchmark() === benchmark ? overview.matrix.rows() : [];
  const place = order.indexOf(problem);
  at = { benchmark, problem, before: order[place - 1] ?? null, after: place < 0 ? null : (order[place + 1] ?? null) };
  view = makeProblem(benchmark, problem, { before: at.before, after: at.after, at: place, size: order.length });
  app.replaceChildren(view.node);
  scrollTo(0, 0);
  return view.drawn;
}

function showOverview() {
  const before = at;
  [view, at] = [null, null];
  app.replaceChildren(overview.node);
  overview.draw();
  if (before) overview.matrix.refresh();
  else overview.matrix?.update();
  scrollTo(0, scrolled);
  if (!before) return;
  overview.matrix.refresh();
  overview.node.querySelector(`[data-problem="${before.problem}"] a`)?.focus({ preventScroll: true });
}

function onKey(event) {
  const typing = event.target.matches("input, select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    else if (view && !document.querySelector("dialog[open]")) location.hash = "";
    return;
  }
  if (typing) return;
  const go = (problem) => at && problem !== null && (location.hash = addressOf(at.benchmark, problem));
  const act = {
    "/": () => {
      if (view) location.hash = "";
      setTimeout(() => overview.matrix?.search.focus());
    },
    j: () => (view ? go(at.after) : overview.matrix?.focus(0)),
    k: () => go(at?.before ?? null),
    ArrowRight: () => view?.arm(1),
    ArrowLeft: () => view?.arm(-1),
    "[": () => view?.turn(-1),
    "]": () => view?.turn(1),
    t: () => nextTheme(),
    "?": showKeys,
  }[event.key];
  if (!act) return;
  if (!event.key.startsWith("Arrow") && !(event.key === "j" && event.target.closest(".list"))) event.preventDefault();
  if (event.key === "j" && event.target.closest(".list")) return;
  act();
}

begin();

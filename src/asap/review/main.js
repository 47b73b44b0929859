// Navigation: the shown view, the address, the keys, light and dark.

import { h, oncePerFrame } from "../page/dom.js";
import { frame, nextTheme, showKeys } from "../page/frame.js";
import { loadIndex } from "./data.js";
import { isRuled, startRulings } from "./rulings.js";
import { listed, onChange, page, setCut, start, state, tellRuled } from "./state.js";
import { makeOverview } from "./overview.js";
import { makeTrace } from "./trace.js";

const app = document.getElementById("app");
const KEYS = [
  ["/", "search"],
  ["\u2191 \u2193, Enter", "through the list, open a trace"],
  ["n p", "next and previous cut (or difference)"],
  ["j k", "next and previous trace"],
  ["[ ]", "smaller and larger budget"],
  ["r", "back to the run's budget"],
  ["h", "only what is left"],
  ["o", "overrule the step in focus (n and p go to cuts)"],
  ["c", "copy the command"],
  ["Esc", "back to all traces"],
  ["t", "light or dark"],
];

let overview = null;
let view = null; // the shown trace
let scrolled = 0; // the overview's last scroll position
let order = []; // the list that the open trace belongs to

async function begin() {
  try {
    start(await loadIndex());
    startRulings();
    tellRuled(isRuled);
  } catch (error) {
    app.replaceChildren(h("p", { class: "broken" }, `This page is damaged or your browser is too old for it (${error}).`));
    return;
  }
  frame("what was cut, and why", KEYS, () => view?.redraw());
  onChange((changed) => draw(changed));
  addEventListener("hashchange", (event) => route(new URL(event.newURL).hash)); // `remember` may have overwritten the address since
  addEventListener("keydown", onKey);
  addEventListener("resize", oncePerFrame(() => view?.redraw()));
  overview = makeOverview();
  order = listed();
  await route(location.hash);
  app.removeAttribute("aria-busy");
  requestAnimationFrame(() => setTimeout(() => performance.mark("first-view")));
}

/** Show what an address names: `#trace=12&budget=1024`, or `#id=row-12`. */
async function route(hash) {
  const words = new URLSearchParams(hash.slice(1));
  const [kind] = ["budget", "ratio"].filter((name) => Number(words.get(name)) > 0);
  if (kind) setCut({ kind, value: kind === "budget" ? Math.round(Number(words.get(kind))) : Math.min(1, Number(words.get(kind))) });
  const named = words.has("id") ? page.index.traces.id.indexOf(words.get("id")) : null;
  const trace = words.has("trace") ? Number(words.get("trace")) : named;
  const wanted = Number.isInteger(trace) && trace >= 0 && trace < page.index.size ? trace : null;
  await show(wanted);
  remember();
}

async function show(trace) {
  if (trace === state.trace && app.firstChild) return;
  if (state.trace === null && app.firstChild) {
    scrolled = scrollY;
    order = state.filter === "rejected" ? [] : overview.list.rows();
  }
  const before = state.trace;
  state.trace = trace;
  view?.leave();
  if (trace === null) {
    view = null;
    app.replaceChildren(overview.node);
    overview.update(new Set(["all"]));
    scrollTo(0, scrolled);
    if (state.filter !== "rejected") overview.list.refresh();
    if (before !== null) overview.node.querySelector(`[data-trace="${before}"] a`)?.focus({ preventScroll: true });
    return;
  }
  const at = order.indexOf(trace);
  const around = at < 0 ? { before: null, after: null, at: trace, size: page.index.size } : { before: order[at - 1] ?? null, after: order[at + 1] ?? null, at, size: order.length };
  const made = await makeTrace(trace, around);
  if (state.trace !== trace) return;
  view = made;
  app.replaceChildren(made.node);
  scrollTo(0, 0);
  made.shown();
}

function draw(changed) {
  if (state.trace === null) overview.update(changed);
  else if (changed.has("cut") || changed.has("rulings")) view?.update();
  if (changed.has("cut")) remember();
}

const remember = oncePerFrame(() => {
  const words = new URLSearchParams();
  if (state.trace !== null) words.set("trace", state.trace);
  if (state.cut.kind !== "run") words.set(state.cut.kind, state.cut.value);
  const hash = words.size ? `#${words}` : location.pathname + location.search;
  if (location.hash.slice(1) !== String(words)) history.replaceState(null, "", hash);
});

function onKey(event) {
  const typing = event.target.matches("input:not([type=range], [type=radio]), select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    else if (state.trace !== null && !document.querySelector("dialog[open]")) location.hash = "";
    return;
  }
  if (typing) return;
  const current = view ?? overview;
  const neighbour = (by) => {
    const link = order[order.indexOf(state.trace) + by];
    if (state.trace !== null && order.includes(state.trace) && link !== undefined) location.hash = `trace=${link}`;
  };
  const act = {
    "/": () => {
      if (state.trace !== null) location.hash = "";
      setTimeout(() => overview.search.focus());
    },
    n: () => view?.jump(1),
    p: () => view?.jump(-1),
    j: () => (view ? neighbour(1) : overview.list.focus(0)),
    k: () => neighbour(-1),
    ArrowRight: () => event.target.type !== "range" && neighbour(1),
    ArrowLeft: () => event.target.type !== "range" && neighbour(-1),
    "[": () => current.control.step(-1),
    "]": () => current.control.step(1),
    r: () => setCut({ kind: "run" }),
    h: () => view?.toggleFold(),
    o: () => view?.overrule(),
    c: () => current.command.copy(),
    t: () => nextTheme(),
    "?": showKeys,
  }[event.key];
  if (!act) return;
  if (!event.key.startsWith("Arrow") && !(event.key === "j" && event.target.closest(".list"))) event.preventDefault();
  act();
}

begin();

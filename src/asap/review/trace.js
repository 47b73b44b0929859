// One trace: the question, every step in its place with its state and reason, the answer.

import { breath, h, many, oncePerFrame, percent, shown, whole } from "../page/dom.js";
import { curve, curveSays } from "./chart.js";
import { isMovable, tokensAfter } from "./cut.js";
import { loadText } from "./data.js";
import { makeLane } from "./lane.js";
import { stepsOf } from "./reason.js";
import { firstBelow, grouped, makeRow } from "./rows.js";
import { canRule, makeRulings, ruleRow, ruleStep, rulingOn } from "./rulings.js";
import { page, state } from "./state.js";
import { makeCommand, makeControl } from "./control.js";
import { makeStrip } from "./strip.js";
import { rendered } from "../page/text.js";

const AT_ONCE = 80; // steps drawn before the page is shown; the others follow

/** The page of one trace. `around` holds the traces before and after it in the list. */
export async function makeTrace(trace, around) {
  const text = await loadText(page.index, trace);
  const views = page.runs.map((run, number) => stepsOf(run, trace, text.runs[number], text.runs.find(Boolean)));
  const there = page.runs.map((_, number) => number).filter((number) => views[number]);
  const two = there.length > 1;
  const blocks = blocksOf(text.cot, views[there[0]]);
  const lanes = there.map((number) => makeLane(text.cot, views[number], page.runs[number], trace, blocks));
  const view = lanes[0].steps.view;
  const rule = canRule() ? (step, verdict) => ruleStep(trace, view, step, verdict) : null;
  const rows = blocks.map((block, at) => makeRow(block, at, lanes, two, rule));
  const ofRow = canRule() ? rowButtons(trace, view) : null;
  const rulings = makeRulings();
  const control = makeControl(() => rangeOf(there.map((number) => page.runs[number]), trace));
  const movable = there.some((number) => isMovable(page.runs[number], trace));
  const command = makeCommand();
  const sum = h("div", { class: "sum", role: "status" });
  const figure = h("figure", { class: "figure" });
  const groups = grouped(rows);
  const steps = h("div", { class: two ? "steps two" : "steps one-run", role: "list", "aria-label": "Steps" }, groups.map((group) => group.node));
  const count = h("span", { class: "count" });
  const strip = makeStrip(blocks.map((block) => block.weight), lanes.map((lane) => lane.now), (at, within) => scrollToStep(at, within));
  const fold = h("button", { type: "button", class: "fold", "aria-pressed": "false", onclick: toggleFold }, two ? "Only differences" : "Only what is left");
  const dock = h(
    "div",
    { class: "dock" },
    h("div", { class: "jumps" }, h("button", { type: "button", onclick: () => jump(-1), title: "Previous (p)", "aria-label": two ? "Previous difference" : "Previous cut" }, "\u2191"), h("button", { type: "button", onclick: () => jump(1), title: "Next (n)" }, two ? "Next difference" : "Next cut"), fold, count),
    movable ? control.node : null,
  );
  const node = h(
    "main",
    { class: "trace" },
    header(trace, around, sum, ofRow?.node),
    dock,
    h(
      "div",
      { class: two ? "sheet pair" : "sheet" },
      h("section", { class: "question", "aria-label": "Question" }, h("h2", {}, text.before ? "Before this turn" : "Question"), text.system ? h("details", {}, h("summary", {}, "System message"), rendered(text.system)) : null, text.before ? before(text.before) : question(text.question)),
      h("aside", { class: "side" }, figure, movable ? h("p", { class: "caption" }, curveSays(lanes[0].worthName)) : null, rulings.node, command.node),
      h("h2", { class: "of" }, "Trace"),
      two ? legend() : null,
      steps,
      h("section", { class: "answer", "aria-label": "Answer" }, h("h2", {}, "Answer"), h("div", { class: "body" }, rendered(text.answer))),
    ),
    strip.node,
  );

  function update() {
    lanes.forEach((lane) => lane.move());
    ofRow?.update();
    rulings.update();
    node.classList.toggle("dropped", canRule() && rulingOn(trace, view).row === "drop");
    const [first, , last] = node.isConnected && rows.length ? onScreen() : [0, 0, 0];
    rows.forEach((row, at) => row.update(two || (at >= first - 4 && at <= last + 4)));
    inTurn("paint");
    control.update();
    command.update();
    strip.draw();
    sum.replaceChildren(...lanes.map((lane, number) => lane.summary(two ? "AB"[there[number]] : null)));
    drawCurve();
    const marks = rows.filter((row) => row.marked()).length;
    count.textContent = two ? `${many(marks, "step")} apart` : `${many(marks, "step")} cut`;
  }

  function drawCurve() {
    const lines = lanes.map((lane) => lane.points()).filter((points) => points.length > 1);
    figure.hidden = !lines.length || !figure.clientWidth;
    if (figure.hidden && lines.length) figure.hidden = false;
    if (!lines.length) return;
    const worth = lanes[0].worthName;
    const marks = [...lanes.map((lane) => lane.at(true)), ...lanes.map((lane, number) => ({ ...lane.at(false), now: true, name: two ? "AB"[there[number]] : "" }))];
    const now = marks.at(-1);
    figure.replaceChildren(curve({ width: Math.max(220, figure.clientWidth), height: 170, lines, marks, worth, title: `Tokens kept against ${worth} kept; now ${percent(now.x)} and ${percent(now.y)}` }));
  }

  function toggleFold() {
    state.fold = !state.fold;
    const at = onScreen()[0];
    fold.setAttribute("aria-pressed", state.fold);
    steps.classList.toggle("folded", state.fold);
    scrollToStep(at, 0);
  }

  function onScreen() {
    const top = dock.getBoundingClientRect().bottom < innerHeight / 2 ? dock.getBoundingClientRect().bottom : 60;
    const at = (edge) => {
      const group = firstBelow(groups, edge);
      const row = firstBelow(group.rows, edge);
      const box = row.node.getBoundingClientRect();
      return [row.at, Math.min(1, Math.max(0, (edge - box.top) / (box.height || 1)))];
    };
    return [...at(top), ...at(innerHeight)];
  }

  function scrollToStep(at, within) {
    const { top, height } = rows[at].node.getBoundingClientRect();
    scrollTo({ top: scrollY + top + within * height - Math.min(innerHeight / 3, 260) });
  }

  /** Scroll to the next run of marked steps from the reading position. */
  function jump(by) {
    const focused = rows.findIndex((row) => row.node === document.activeElement);
    let at = focused >= 0 ? focused : onScreen()[0] - (by > 0 ? 1 : 0);
    do at += by;
    while (at >= 0 && at < rows.length && !(rows[at].marked() && !(at > 0 && rows[at - 1].marked())));
    if (at < 0 || at >= rows.length) return;
    scrollToStep(at, 0);
    rows[at].node.focus({ preventScroll: true });
  }

  const follow = oncePerFrame(() => node.isConnected && rows.length && strip.show(...onScreen()));

  /** Draw everything that needs the page in the document, the first steps at once. */
  async function shownNow() {
    lanes.forEach((lane) => lane.move());
    rows.slice(0, AT_ONCE).forEach((row) => row.fill());
    steps.classList.toggle("folded", state.fold);
    fold.setAttribute("aria-pressed", state.fold);
    update();
    follow();
    addEventListener("scroll", follow, { passive: true });
    await inTurn("fill");
    follow();
  }

  let turn = 0;

  /** Call a method of every row, a few milliseconds at a time; a later call replaces this one. */
  async function inTurn(what) {
    const mine = what === "paint" ? ++turn : turn;
    let told = performance.now();
    for (const row of rows) {
      row[what]();
      if (performance.now() - told < 8) continue;
      await breath();
      if (!node.isConnected || (what === "paint" && mine !== turn)) return;
      told = performance.now();
    }
  }

  /** Rule on the step in focus. */
  function overrule() {
    rows.find((row) => row.node.contains(document.activeElement))?.overrule();
  }

  return { node, update, shown: shownNow, jump, toggleFold, overrule, control, command, leave: () => removeEventListener("scroll", follow), redraw: () => (strip.draw(), drawCurve(), follow()) };
}

/** The buttons that leave a row whole or drop it. */
function rowButtons(trace, view) {
  const [what, dropped] = page.index.traces.whole?.[trace] ? ["Leave this turn whole", "Drop this conversation"] : ["Leave this row whole", "Drop this row"];
  const buttons = Object.entries({ whole: what, drop: dropped }).map(([row, label]) => [row, h("button", { type: "button", onclick: () => ruleRow(trace, view, row) }, label)]);
  const node = h("p", { class: "row-rule" }, buttons.map(([, button]) => button));
  const update = () => buttons.forEach(([row, button]) => button.setAttribute("aria-pressed", rulingOn(trace, view).row === row));
  return { node, update };
}

function header(trace, around, sum, rule) {
  const { index } = page;
  const to = (other, label, title) => (other === null ? h("span", { class: "off" }, label) : h("a", { href: `#trace=${other}`, title, "aria-label": title }, label));
  return h(
    "header",
    { class: "head" },
    h("nav", { "aria-label": "Traces" }, h("a", { href: "#", class: "back" }, "All traces"), to(around.before, "\u2190", "Previous trace"), h("span", { class: "of" }, `${whole(around.at + 1)} of ${whole(around.size)}`), to(around.after, "\u2192", "Next trace")),
    h("h1", {}, ...shown(index.traces.id[trace])),
    turns(trace),
    sum,
    rule,
  );
}

/** The other thinking turns of the conversation that a trace is of. */
function turns(trace) {
  const { id, whole: names } = page.index.traces;
  const name = names?.[trace];
  if (!name) return null;
  const all = id.map((_, other) => other).filter((other) => names[other] === name);
  const label = (other) => shown(id[other].slice(name.length));
  const links = all.map((other) => (other === trace ? h("b", { "aria-current": "true" }, ...label(other)) : h("a", { href: `#trace=${other}` }, ...label(other))));
  return h("nav", { class: "turns", "aria-label": "Turns" }, `Turn ${all.indexOf(trace) + 1} of ${all.length} that think in `, h("span", {}, ...shown(name)), links.flatMap((link) => [link, " "]));
}

function legend() {
  return h("p", { class: "legend" }, "Where A and B agree, a step is shown once; where they differ, twice: as in ", h("b", {}, "A ", ...shown(page.runs[0].name)), ", then as in ", h("b", {}, "B ", ...shown(page.runs[1].name)), ".");
}

function question(text) {
  const body = h("div", { class: "body" }, rendered(text));
  if (text.length < 900 && text.split("\n").length < 14) return body;
  body.classList.add("long");
  const more = h("button", { type: "button", class: "more", onclick: () => (body.classList.remove("long"), more.remove()) }, "Show the whole question");
  return [body, more];
}

/** The messages before a turn, folded but for the last. */
function before(messages) {
  return h(
    "div",
    { class: "before" },
    messages.map(([role, text], at) => {
      const start = text.replace(/\s+/g, " ").trim();
      const name = h("b", {}, ...shown(role[0].toUpperCase() + role.slice(1)));
      return h("details", { open: at === messages.length - 1 }, h("summary", {}, name, h("span", { dir: "auto" }, ...shown(start.slice(0, 160)))), h("div", { class: "body" }, rendered(text)));
    }),
  );
}

function rangeOf(runs, trace) {
  const inside = runs.filter((run) => isMovable(run, trace));
  if (!inside.length) return [1, 2];
  const least = Math.min(...inside.map((run) => tokensAfter(run, trace, Math.max(0, run.series[trace] - run.least[trace]))));
  const most = Math.max(...inside.map((run) => run.coarse[trace]));
  return [Math.max(1, least), Math.max(2, most)];
}

/** The shown pieces: the steps, or paragraphs if a run has no steps. */
function blocksOf(cot, steps) {
  const spans = steps.start.length ? steps.start.map((start, at) => [start, steps.end[at]]) : paragraphs(cot);
  return spans.map(([start, end]) => {
    const text = cot.slice(start, end);
    const lines = text.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / 72)), 0);
    return { start, end, text, lines, weight: Math.min(lines, 400) + 1 };
  });
}

function paragraphs(cot) {
  return [...cot.matchAll(/\S[^]*?(?=\s*\n[ \t]*\n|\s*$)/g)].map((found) => [found.index, found.index + found[0].length]);
}

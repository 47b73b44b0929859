// The overview: the effect of a run on all of its traces, and their list.

import { breath, h, many, oncePerFrame, percent, shown, whole } from "../page/dom.js";
import { bar, curve, curveSays, histogram, lengthCounts, lengthScale } from "./chart.js";
import { limitOf, ownCut, sharesAll } from "./cut.js";
import { cutOf, listed, page, state } from "./state.js";
import { makeCommand, makeControl } from "./control.js";
import { makeList, rejectedList } from "./list.js";
import { makeRulings } from "./rulings.js";
import { makeTools } from "./tools.js";

const CURVE_POINTS = 40;

/** The whole first page. `update(changed)` redraws the parts that depend on the changed state. */
export function makeOverview() {
  const { runs, index } = page;
  const control = makeControl(() => [Math.min(16, most() / 2), most()]);
  const command = makeCommand();
  const rulings = makeRulings();
  const list = makeList();
  const sums = h("div", { class: "sums" });
  const figure = h("figure", { class: "figure" });
  const caption = h("p", { class: "caption" });
  const bins = h("div", {});
  const found = h("p", { class: "found", role: "status" });
  const rows = h("div", {}, list.node);
  const { node: tools, update: updateTools, search } = makeTools(list);
  const fixed = control.node
    ? null
    : h("p", { class: "note" }, "This method cuts inside steps, so its cut cannot be moved from here: run asap prune with another budget instead.");
  const node = h(
    "main",
    { class: "overview" },
    heading(),
    h("section", { class: "result", "aria-label": "Result" }, sums, control.node, fixed, rulings.node, command.node, notesOf()),
    h("section", { class: "figures", "aria-label": "Figures" }, curveBlock(figure, caption), h("div", { class: "block" }, h("h2", {}, "How long the traces are"), bins)),
    extremes(),
    about(),
    h("section", { class: "traces", "aria-label": "Traces" }, h("h2", { id: "traces" }, "Traces"), tools, found, rows),
  );
  const curves = new Map();
  const width = () => Math.max(260, figure.clientWidth);

  function most() {
    return Math.max(2, ...runs.map((run) => run.before.reduce((a, b) => Math.max(a, b), 1)));
  }

  function drawCurve() {
    const kind = control.node ? (state.cut.kind === "run" ? (runs.map(ownCut).find(Boolean)?.kind ?? "budget") : state.cut.kind) : null;
    if (kind === null || runs.every((run) => !run.left.length)) return figure.parentNode.remove();
    const lines = curves.get(kind);
    if (!lines) {
      curves.set(kind, []);
      workOut(kind, most()).then((made) => {
        curves.set(kind, made);
        drawCurve();
      });
    }
    const points = runs.map((run, number) => sharesAll(run, state.cut, page.totals[number]));
    const own = runs.map((run, number) => sharesAll(run, { kind: "run" }, page.totals[number]));
    const names = runs.length > 1 ? ["A", "B"] : [];
    const worth = runs[0].knowsWorth ? "surprisal" : "steps";
    const marks = [...own.map((at) => ({ x: at.tokens, y: at.worth })), ...points.map((at, number) => ({ x: at.tokens, y: at.worth, now: true, name: names[number] }))];
    const said = points.map((at) => `${percent(at.tokens)} of the tokens, ${percent(at.worth)} of the ${worth}`);
    figure.replaceChildren(curve({ width: width(), lines: lines ?? [], marks, worth, title: `Tokens kept against ${worth} kept; now ${said.join(" and ")}` }));
    const at = said.length > 1 ? `A: ${said[0]}. B: ${said[1]}.` : `${said[0]} ${state.cut.kind === "run" ? "are kept by this run." : "are kept here; the ring is the run."}`;
    caption.textContent = at;
    return undefined;
  }

  function drawBins() {
    bins.replaceChildren(...histograms(Math.min(560, Math.max(260, bins.clientWidth))), binsKey(), h("p", { class: "caption" }, "Each bar counts the traces up to that length, and longer than the one to its left."));
  }

  function drawSums() {
    sums.replaceChildren(...runs.map((run, number) => summary(run, number)));
  }

  function drawList() {
    const rejected = state.filter === "rejected";
    list.node.hidden = rejected;
    rows.replaceChildren(list.node, ...(rejected ? [rejectedList()] : []));
    if (rejected) {
      found.textContent = many(index.rejected_total, "rejected row");
      return;
    }
    const traces = listed();
    found.textContent = traces.length === index.size ? many(index.size, "trace") : `${whole(traces.length)} of ${many(index.size, "trace")}`;
    list.update(traces);
  }

  const late = oncePerFrame(() => {
    drawBins();
    updateTools();
  });

  function update(changed) {
    const every = changed.has("all");
    if (every || changed.has("rulings")) {
      rulings.update();
      command.update();
      updateTools();
    }
    if (every || changed.has("cut")) {
      drawSums();
      control.update();
      command.update();
      drawCurve();
      late();
    }
    if (every || ["filter", "sort", "found", "query"].some((name) => changed.has(name))) updateTools();
    drawList();
  }

  addEventListener("resize", oncePerFrame(() => {
    if (!node.isConnected) return;
    drawCurve();
    drawBins();
  }));
  return { node, update, list, search, control, command };
}

function heading() {
  const { runs, index } = page;
  const names = runs.map((run) => run.name);
  const title = runs.length > 1 ? [h("span", {}, "A "), ...shown(names[0]), h("span", {}, " and B "), ...shown(names[1])] : shown(names[0]);
  const run = runs[0];
  const sampled = index.size < index.total ? h("p", { class: "note" }, `This page shows ${whole(index.size)} of ${many(index.total, "trace")}, chosen by their content; all figures here are of these. The whole run: ${whole(run.counts.tokens_before)} tokens before, ${whole(run.counts.tokens_after)} after.`) : null;
  return h("header", { class: "head" }, h("p", { class: "from" }, ...shown(run.settings.sources.join(", "))), h("h1", {}, title), sampled);
}

/** One run as a sentence, a bar, and counts that add up. */
function summary(run, number) {
  const totals = page.totals[number];
  const result = page.results[number];
  const before = totals.before || 1;
  const stage1 = Math.min(totals.before - totals.coarse, before - result.tokens); // a floor puts stage 2's removals back first
  const stage2 = before - stage1 - result.tokens;
  const letter = page.runs.length > 1 ? h("b", { class: "letter" }, number ? "B" : "A") : null;
  const parts = [
    ["kept", result.tokens],
    ["one", stage1],
    ["two", stage2],
  ];
  const rejected = run.counts.rejected;
  const rowsText = `${many(totals.traces + rejected, "row")} = ${whole(totals.traces - result.unchanged)} pruned + ${whole(result.unchanged)} unchanged + ${whole(rejected)} rejected`;
  const steps = totals.steps + totals.gone1;
  const stepsText = `${many(steps, "step")} = ${whole(steps - result.removed1 - result.removed - result.removed3)} kept + ${whole(result.removed1)} removed by stage 1 + ${whole(result.removed)} by stage 2${result.removed3 ? ` + ${whole(result.removed3)} by hand` : ""}`;
  return h(
    "div",
    { class: "sum" },
    h("p", { class: "big" }, letter, h("strong", {}, percent(result.tokens / before)), ` of ${whole(totals.before)} tokens stay: ${whole(result.tokens)}.`),
    bar(parts, before, `${percent(result.tokens / before)} kept, ${percent(stage1 / before)} removed by stage 1, ${percent(stage2 / before)} by stage 2`),
    h("p", { class: "key" }, key("kept", "kept", result.tokens), stage1 ? key("one", "removed by stage 1", stage1) : null, key("two", "removed by stage 2", stage2)),
    h("p", { class: "adds" }, rowsText),
    run.left.length || result.removed1 ? h("p", { class: "adds" }, stepsText) : null,
    result.over ? h("p", { class: "adds" }, `${many(result.over, "trace")} over budget: the steps that must stay are longer.`) : null,
  );
}

function key(name, label, tokens) {
  return h("span", {}, h("i", { class: name }), `${label} `, h("b", {}, whole(tokens)));
}

function curveBlock(figure, caption) {
  const worth = page.runs[0].knowsWorth ? "surprisal" : "steps";
  return h("div", { class: "block" }, h("h2", {}, `Tokens against ${worth}`), figure, caption, h("p", { class: "caption" }, curveSays(worth)));
}

/** The lengths of the traces of each run at the shown cut, on one scale. */
function histograms(width) {
  const found = page.runs.flatMap((run, number) => {
    const traces = run.steps.flatMap((steps, trace) => (steps < 0 ? [] : [trace]));
    const lengths = Object.entries({ before: run.before, coarse: run.coarse, after: page.results[number].after });
    return traces.length ? [{ run, number, counts: lengthCounts(Object.fromEntries(lengths.map(([name, of]) => [name, traces.map((trace) => of[trace])]))) }] : [];
  });
  const scale = lengthScale(found.map((one) => one.counts));
  return found.map(({ run, number, counts }) => {
    const cut = cutOf(run);
    const name = page.runs.length > 1 ? h("figcaption", {}, h("b", { class: "letter" }, "AB"[number]), ...shown(run.name)) : null;
    return h("figure", { class: "figure bins" }, name, histogram({ width, counts, scale, limit: cut.kind === "budget" ? limitOf(cut, 0) : null }));
  });
}

function binsKey() {
  const limited = page.runs.some((run) => cutOf(run).kind === "budget");
  return h("p", { class: "key" }, h("span", {}, h("i", { class: "pale" }), "before"), page.totals.some((totals) => totals.gone1) ? h("span", {}, h("i", { class: "mark" }), "after stage 1") : null, h("span", {}, h("i", { class: "kept" }), "after"), limited ? h("span", {}, h("i", { class: "limit" }), "budget") : null);
}

function notesOf() {
  const notes = [];
  if (page.runs.some((run) => run.settings.backfill)) {
    notes.push("This run re-adds removed steps that still fit (--backfill), which needs its tokenizer. At other budgets the page shows the cut before that; asap cut keeps a few steps more.");
  }
  if (page.runs.some((run) => run.grades)) {
    notes.push("This run put removed steps back until the trace supported its answer again (--support-floor), which needs its model. At other budgets nothing is put back, as with asap cut.");
  }
  if (page.runs.some((run) => run.ruled)) {
    notes.push("A person overruled some rows of this run (asap cut --overrule). At other budgets the tokens are those without that; asap cut applies it again.");
  }
  return notes.map((note) => h("p", { class: "note" }, note));
}

/** The longest traces, those that lost most in the run, and those that took longest, if known. */
function extremes() {
  const run = page.runs.at(-1);
  const traces = run.steps.flatMap((steps, trace) => (steps < 0 ? [] : [trace]));
  const lists = [
    ["Longest", (trace) => run.before[trace], (trace) => `${whole(run.before[trace])} tokens`],
    ["Most cut", (trace) => run.before[trace] - run.after[trace], (trace) => `${whole(run.before[trace] - run.after[trace])} tokens gone`],
    ["Least left", (trace) => -run.after[trace] / run.before[trace], (trace) => `${percent(run.after[trace] / run.before[trace])} left`],
  ];
  if (traces.some((trace) => run.ms[trace] >= 0)) {
    lists.push(["Slowest", (trace) => run.ms[trace], (trace) => `${(run.ms[trace] / 1000).toFixed(1)} s`]);
  }
  const columns = lists.map(([name, value, text]) => {
    const top = [...traces].sort((a, b) => value(b) - value(a) || a - b).slice(0, 4);
    const items = top.map((trace) => h("li", {}, h("a", { href: `#trace=${trace}` }, ...shown(page.index.traces.id[trace])), h("span", {}, text(trace))));
    return h("div", { class: "block" }, h("h2", {}, name), h("ol", { class: "top" }, items));
  });
  return h("section", { class: "extremes", "aria-label": "Extremes" }, columns);
}

/** The manifest in short. */
function about() {
  const facts = page.runs.map((run, number) => {
    const { settings, counts, versions } = run;
    const scorer = settings.scorer ?? {};
    const own = ownCut(run);
    const rows = [
      ["folder", run.path],
      ["method", settings.method],
      ["budget", own === null ? "none (stage 1 only)" : own.kind === "ratio" ? `${percent(own.value, 0)} of each trace` : `${whole(own.value)} tokens a trace`],
      ["stage 1", settings.coarse === "align" ? `align, at most ${percent(settings.coarse_share, 0)} of the steps` : settings.coarse],
      ["support floor", run.grades ? `${settings.support_floor} nats per token` : null],
      ["LLM", settings.llm],
      ["scorer", [scorer.model, scorer.dtype, scorer.revision].filter(Boolean).join(", ")],
      ["tokenizer", `${settings.tokenizer_name} (${settings.tokenizer})`],
      ["steps", settings.step_split],
      ["scored in windows", counts.windowed ? many(counts.windowed, "trace") : null],
      ["ids made unique", counts.renamed ? many(counts.renamed, "row") : null],
      ["rejected", counts.rejected ? Object.entries(counts.rejected_by).map(([reason, count]) => `${reason} ${whole(count)}`).join(", ") : null],
      ["input hash", run.input_hash.slice(0, 16)],
      ["versions", `asap ${settings.asap}, ${Object.entries(versions).map((pair) => pair.join(" ")).join(", ")}`],
    ];
    const list = h("dl", {}, rows.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, ...shown(String(value))))));
    return page.runs.length > 1 ? h("div", {}, h("h3", {}, number ? "B" : "A"), list) : list;
  });
  return h("details", { class: "about" }, h("summary", {}, "About this run"), h("div", { class: "runs" }, facts));
}

/** The curve of each run, a few points at a time so that the page stays responsive. */
async function workOut(kind, most) {
  const lines = page.runs.map(() => []);
  for (let at = 0; at <= CURVE_POINTS; at++) {
    const cut = kind === "ratio" ? { kind, value: Math.max(0.005, at / CURVE_POINTS) } : { kind, value: Math.max(1, Math.round(most ** (at / CURVE_POINTS))) };
    page.runs.forEach((run, number) => {
      if (!run.left.length) return;
      const share = sharesAll(run, cut, page.totals[number]);
      lines[number].push([share.tokens, share.worth]);
    });
    if (at % 2) await breath();
  }
  return lines.filter((line) => line.length).map((line) => line.sort((a, b) => a[0] - b[0]));
}

// The state of the page, and its observers.

import { cutAll, isOwn, isThere, isUnchanged, limitOf, ownCut, totalsOf } from "./cut.js";

export const page = { index: null, runs: [], totals: [], results: [] };
export const state = { cut: { kind: "run" }, trace: null, filter: "all", sort: "input", query: "", found: null, fold: false, rulings: 0 };

const listeners = [];
let ruled = () => false; // whether somebody ruled on a trace

/** Say how to tell whether somebody ruled on a trace. */
export function tellRuled(how) {
  ruled = how;
}

/** Register a function to call with the names of changed state. */
export function onChange(listener) {
  listeners.push(listener);
}

/** Change some of the state and notify the observers. */
export function change(values) {
  const changed = new Set(Object.keys(values).filter((name) => state[name] !== values[name]));
  Object.assign(state, values);
  if (changed.has("cut")) page.results = page.runs.map((run) => cutAll(run, state.cut));
  if (changed.size) listeners.forEach((listener) => listener(changed));
}

/** Initialise the state from the index. */
export function start(index) {
  page.index = index;
  page.runs = index.runs;
  page.totals = index.runs.map(totalsOf);
  page.results = index.runs.map((run) => cutAll(run, state.cut));
  state.sort = index.runs.length > 1 ? "apart" : "input";
}

/** Set the cut; a cut that is every run's own is shown as the run itself. */
export function setCut(cut) {
  change({ cut: page.runs.every((run) => isOwn(run, cut)) ? { kind: "run" } : cut });
}

/** The shown cut of a run. */
export function cutOf(run) {
  return isOwn(run, state.cut) ? (ownCut(run) ?? { kind: "run" }) : state.cut;
}

/** The filters that apply to these runs: [name, label]. */
export function filters() {
  const two = page.runs.length > 1;
  const stage1 = page.totals.some((totals) => totals.gone1 > 0);
  return [
    ["all", "All"],
    two && ["apart", "Different"],
    stage1 && ["stage1", "Cut by stage 1"],
    page.runs.some((run) => run.left.length) && ["stage2", "Cut by stage 2"],
    ["unchanged", "Unchanged"],
    ["over", "Over budget"],
    ...["holds", "mended", "whole"].map((grade) => page.runs.some((run) => run.grades?.includes(grade)) && [`grade-${grade}`, `Support ${grade}`]),
    (!two || page.runs.some((run) => run.ruled)) && ["ruled", "Ruled by hand"],
    two && page.runs.some((run) => run.steps.includes(-1)) && ["lone", "In one run only"],
    page.index.rejected_total > 0 && ["rejected", "Rejected"],
  ].filter(Boolean);
}

/** Whether a trace passes a filter at the shown cut. */
export function passes(name, trace) {
  if (name === "all") return true;
  if (name === "apart") return apart(trace) > 0;
  if (name === "ruled") return ruled(trace);
  if (name === "lone") return page.runs.some((run) => !isThere(run, trace));
  return page.runs.some((run, number) => isThere(run, trace) && passesIn(name, run, page.results[number], trace));
}

function passesIn(name, run, result, trace) {
  if (name === "stage1") return result.gone1[trace] > 0;
  if (name.startsWith("grade-")) return run.grades?.[trace] === name.slice(6);
  if (name === "stage2") return result.gone[trace] > 0;
  if (name === "unchanged") return isUnchanged(run, trace, result.gone1[trace] + result.gone[trace] + result.gone3[trace], result.after[trace]);
  const limit = limitOf(cutOf(run), run.before[trace]);
  return limit !== null && result.after[trace] > limit;
}

/** Orders of the list: a name and a sort key, the largest first. */
export const SORTS = {
  apart: ["Most different", (trace) => apart(trace)],
  input: ["As in the data", (trace) => -trace],
  longest: ["Longest", (trace) => lengthOf(trace)],
  cut: ["Most tokens cut", (trace) => lengthOf(trace) - afterOf(trace)],
  share: ["Least left", (trace) => -afterOf(trace) / lengthOf(trace)],
  stage1: ["Most by stage 1", (trace) => Math.max(...page.runs.map((run) => run.gone1[trace] / run.steps[trace]))],
  windows: ["Most scoring windows", (trace) => Math.max(...page.runs.map((run) => run.windows[trace]))],
};

function lengthOf(trace) {
  return Math.max(...page.runs.map((run) => run.before[trace]));
}

function afterOf(trace) {
  return Math.min(...page.runs.map((run, number) => (isThere(run, trace) ? page.results[number].after[trace] : Infinity)));
}

let marks = new Uint8Array(0);

/** The number of steps in which two runs differ about a trace at the shown cut. */
export function apart(trace) {
  const [one, two] = page.runs;
  if (!two || !isThere(one, trace) || !isThere(two, trace)) return 0;
  const movable = one.series[trace] && two.series[trace] && one.steps[trace] === two.steps[trace] && one.order && two.order;
  const recorded = page.runs.every((run) => isOwn(run, state.cut));
  if (!movable || recorded) return page.index.apart[trace];
  const size = one.steps[trace];
  if (marks.length < size) marks = new Uint8Array(2 * size);
  marks.fill(0, 0, size);
  page.runs.forEach((run, number) => {
    for (let at = run.offset[trace] + page.results[number].gone[trace]; at < run.offset[trace + 1]; at++) marks[run.order[at]] ^= 1;
  });
  let count = 0;
  for (let step = 0; step < size; step++) count += marks[step];
  return count;
}

/** The traces that pass filter and search, in order. */
export function listed() {
  const { found, filter, sort } = state;
  const traces = [];
  for (let trace = 0; trace < page.index.size; trace++) {
    if ((!found || found.has(trace)) && passes(filter, trace)) traces.push(trace);
  }
  if (sort !== "input") {
    const value = Float64Array.from({ length: page.index.size }, (_, trace) => NaN);
    for (const trace of traces) value[trace] = SORTS[sort][1](trace);
    traces.sort((a, b) => value[b] - value[a] || a - b);
  }
  return traces;
}

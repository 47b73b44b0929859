// Why a step was removed or kept: in plain words, and in numbers.

import { nats, whole } from "../page/dom.js";
import { thresholds } from "./cut.js";

const SAID = {
  asap: ["its first token is", "most predictable", "least predictable"],
  "first-token-entropy": ["what comes first in it is", "most certain", "least certain"],
  "mean-surprisal": ["its text is", "most predictable", "least predictable"],
  "step-entropy": ["its text is", "most certain", "least certain"],
  spirit: ["the rest misses it", "least", "most"],
  "leave-one-out": ["the answer misses it", "least", "most"],
  alignment: ["its gain from the answer is", "smallest", "largest"],
}; // of the step that goes first, and of the one that goes last
const ORDERS = {
  random: "drawn by chance",
  "random-block": "in a block placed by chance",
  "keep-head": "from the end",
  "keep-tail": "from the start",
  "keep-ends": "from the middle",
  "longest-first": "longest first",
  "functional-first": "checks and second tries first",
  "cut-after-answer": "what follows the answer first",
  coverage: "what adds least to the answer first",
}; // in which the methods without a word for their score remove
const SCORES = {
  asap: "first-token surprisals",
  "first-token-entropy": "first-token entropies",
  "mean-surprisal": "mean surprisals",
  "step-entropy": "step entropies",
  spirit: "losses of perplexity",
  "leave-one-out": "losses of the answer",
  random: "random numbers",
  "functional-first": "random numbers, those of functional steps first",
};
const PLAIN = new Set([
  "cut-after-answer",
  "coverage",
  "random",
  "random-block",
  "keep-head",
  "keep-tail",
  "keep-ends",
  "longest-first",
  "functional-first",
  "original",
]); // their scores mean nothing to a reader

/** The steps of one trace in one run, with all that the line about each needs. Null if the run has no such trace. */
export function stepsOf(run, trace, view, other) {
  if (!view) return null;
  const start = view.start ?? other.start;
  const end = view.end ?? other.end;
  const limits = thresholds(run, trace);
  const back = new Set(view.floor?.back);
  const first = Uint8Array.from(view.by, (by, step) => by === "1" || Boolean(view.floor?.coarse.includes(step)));
  const byRank = view.rank ? [...view.rank.keys()].filter((step) => !first[step]).sort((a, b) => view.rank[a] - view.rank[b]) : [];
  const place = new Int32Array(view.by.length).fill(-1);
  byRank.forEach((step, at) => (place[step] = at));
  return { run, view, start, end, back, first, size: view.by.length, byRank, place, limits, score: view.surprisal ?? view.score ?? [] };
}

/** The state of a step after the given number of removals of stage 2: "k", "1" or "2". */
export function stateOf(steps, step, cut) {
  if (cut.own) return steps.view.by[step];
  if (steps.first[step]) return "1";
  return steps.place[step] < cut.gone ? "2" : "k";
}

const VERDICTS = { k: "Kept", kh: "Kept by hand", "k ": "Parts removed", 1: "Removed by stage 1", 2: "Removed by stage 2", 3: "Removed by hand" };

/** The words for a step's state. */
export function verdictOf(steps, step, state, cut) {
  return cut.own && state === "k" && steps.back.has(step) ? "Put back, to hold the support of the answer" : VERDICTS[state];
}

/** The reason in plain words, which no budget changes; empty if there is nothing to say without numbers. */
export function plainReason(steps, step) {
  const { run, view, first, place, byRank } = steps;
  const { method, rescore } = run.settings;
  const words = rescore ? null : SAID[method];
  if (first[step]) return view.alignment ? "the answer makes it no likelier" : stage1Of(steps, step);
  if (!view.rank || method === "original") return "";
  if (isProtected(run, step, steps.size)) return `the ${step < run.settings.keep_first ? "first" : "last"} steps are always kept`;
  const at = place[step];
  if (!words) return `removal order: ${ordinal(at + 1)} of ${byRank.length}, ${ORDERS[method] ?? "by its score"}`;
  if (at && at === byRank.length - 1) return `${words[0]} the ${words[2]} of ${byRank.length}`;
  return `${words[0]} the ${at ? `${ordinal(at + 1)} ` : ""}${words[1]} of ${byRank.length}`;
}

/** The reason in numbers, which no budget changes. */
export function reasonOf(steps, step) {
  const { run, view } = steps;
  const parts = [];
  const stage1 = stage1Of(steps, step);
  if (stage1) parts.push(stage1);
  if (!steps.first[step] && view.rank) parts.push(stage2Of(steps, step));
  if (run.settings.rescore && !steps.first[step]) parts.push(`scored again after every ${run.settings.rescore} removals`);
  return parts.join("; ");
}

function stage1Of({ view, first }, step) {
  const { by, failures } = view.stage1;
  const gone = first[step];
  const fallback = failures.length ? ", as no reply of the LLM was usable" : "";
  if (view.alignment) {
    const value = `${nats(view.alignment[step])} nats per token`;
    return gone ? `the answer makes it no likelier: alignment ${value}${fallback}` : `alignment ${value}`;
  }
  if (by === "rewrite") {
    const match = view.match?.[step];
    if (gone) return "no step of the LLM\u2019s shorter trace matches it";
    return match === null || match === undefined ? "" : `matches the LLM\u2019s version by ${match.toFixed(2)}`;
  }
  return by === "select" ? (gone ? "the LLM did not name it" : "named by the LLM") : "";
}

function stage2Of(steps, step) {
  const { run, place, limits, byRank, score } = steps;
  const at = place[step];
  const method = run.settings.method;
  const value = score[step];
  const known = value !== null && value !== undefined;
  const limit = limits[at];
  if (isProtected(run, step, steps.size)) return `always stays (--keep-${step < run.settings.keep_first ? "first" : "last"})`;
  const scored = known && !PLAIN.has(method) ? `, ${nats(value)} nats` : "";
  const order =
    run.settings.rescore || !SCORES[method]
      ? `goes ${ordinal(at + 1)} of ${byRank.length}${scored}`
      : `${at === 0 ? "lowest" : at === byRank.length - 1 ? "highest" : `${ordinal(at + 1)} lowest`} of ${byRank.length} ${SCORES[method]}${scored}`;
  return limit === null ? `${order}; stays at every budget` : `${order}; gone at every budget below ${whole(limit)} tokens`;
}

function isProtected(run, step, size) {
  return step < run.settings.keep_first || step >= size - run.settings.keep_last;
}

function ordinal(number) {
  const ending = number % 100 > 10 && number % 100 < 14 ? "th" : (["th", "st", "nd", "rd"][number % 10] ?? "th");
  return `${whole(number)}${ending}`;
}

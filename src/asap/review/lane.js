// The effect of one run on the blocks of one trace at the shown cut.

import { h, many, nats, percent, whole } from "../page/dom.js";
import { cutOne, tokensAfter, worthKept } from "./cut.js";
import { stateOf, verdictOf } from "./reason.js";
import { isMine, ruledStep, rulingOn } from "./rulings.js";
import { state } from "./state.js";

/** The state of each block in one run, at the shown cut. */
export function makeLane(cot, steps, run, trace, blocks) {
  const same = !steps.view.spans && steps.start.length === blocks.length && blocks.every((block, at) => block.start === steps.start[at] && block.end === steps.end[at]);
  const now = new Array(blocks.length).fill("");
  const cuts = new Array(blocks.length).fill(null);
  const highest = Math.max(1e-9, ...steps.score.map((value) => Math.abs(value ?? 0)));
  const worthName = run.knowsWorth ? "surprisal" : "steps";
  const worthAll = run.knowsWorth ? run.worthOf[trace] || 1 : run.series[trace] || 1;
  let cut = null;

  const worth = (removed) => (run.knowsWorth ? worthKept(run, trace, removed) : run.series[trace] - removed) / worthAll;

  function move() {
    cut = cutOne(run, trace, state.cut);
    const ruling = rulingOn(trace, steps.view);
    if (same) blocks.forEach((_, at) => (now[at] = ruledState(stateOf(steps, at, cut), ruling, at)));
    else if (steps.view.spans && ruling.row === "whole") blocks.forEach((_, at) => ([now[at], cuts[at]] = ["kh", null]));
    else splitUp();
  }

  /** A step's state after a ruling: by hand where the ruling changes it, or names it. */
  function ruledState(before, ruling, at) {
    const verdict = ruledStep(ruling, at);
    if (verdict === "keep") return before === "k" && ruling.row === "whole" ? "k" : "kh";
    return verdict === "remove" && before === "k" ? "3" : before;
  }

  function splitUp() {
    const kept = steps.view.spans ?? keptSpans();
    blocks.forEach((block, at) => {
      const gone = gaps(block, kept).filter(([from, to]) => cot.slice(block.start + from, block.start + to).trim());
      const whole = gone.length === 1 && gone[0][0] === 0 && gone[0][1] === block.end - block.start;
      const before = JSON.stringify(cuts[at]);
      cuts[at] = whole || !gone.length ? null : gone;
      if (JSON.stringify(cuts[at]) !== before) now[at] = "";
      now[at] = whole ? "2" : cuts[at] ? "k " : "k";
    });
  }

  function keptSpans() {
    return steps.start.flatMap((start, step) => (stateOf(steps, step, cut) === "k" ? [[start, steps.end[step]]] : []));
  }

  function summary(letter) {
    const before = run.before[trace];
    if (steps.view.spans) return h("p", {}, letter ? h("b", { class: "letter" }, letter) : null, ...amount(before), `; ${many(blocks.length, "step")}: parts removed of ${whole(now.filter((one) => one === "k ").length)}, ${whole(now.filter((one) => one === "2").length)} removed`);
    const stage1 = cut.gone1 ? `${whole(cut.gone1)} removed by stage 1, ${whole(cut.gone)} by stage 2` : `${whole(cut.gone)} removed by stage 2`;
    const byHand = cut.gone3 ? `, ${whole(cut.gone3)} by hand` : "";
    const gone = run.steps[trace] ? `; ${many(run.steps[trace], "step")}: ${whole(run.steps[trace] - cut.gone1 - cut.gone - cut.gone3)} kept, ${stage1}${byHand}` : "";
    const windows = run.windows[trace] > 1 ? `; scored in ${run.windows[trace]} overlapping windows` : "";
    return h("p", {}, letter ? h("b", { class: "letter" }, letter) : null, ...amount(before), `${gone}${windows}${isMine(trace) ? "; your rulings are not counted here" : ""}`, support());
  }

  function amount(before) {
    return [`${whole(before)} tokens \u2192 `, h("strong", {}, whole(cut.after)), ` (${percent(cut.after / before)})`];
  }

  function support() {
    const { floor } = steps.view;
    if (!floor || !cut.own) return null;
    const back = floor.back.length ? `; ${many(floor.back.length, "step")} put back, then ${nats(floor.left)}` : "";
    return h("span", { class: "support" }, `Support of the answer: ${nats(floor.full)} nats per token from the whole trace, ${nats(floor.cut)} after the cut${back}.`);
  }

  function points() {
    const size = run.series[trace];
    const every = Math.max(1, Math.floor(size / 300));
    const list = [];
    for (let removed = 0; removed < size; removed += every) list.push([tokensAfter(run, trace, removed) / run.before[trace], worth(removed)]);
    return list;
  }

  function at(own) {
    const { gone, after } = own ? cutOne(run, trace, { kind: "run" }) : cut;
    const exact = own || cut.own;
    const left = run.knowsWorth && exact ? run.worth_kept[trace] / worthAll : worth(gone);
    return { x: after / run.before[trace], y: left };
  }

  const verdict = (at) => verdictOf(steps, at, now[at], cut);

  return { steps, run, now, cuts, verdict, highest, same, worthName, move, summary, points, at };
}

/** The parts of a block that no kept span covers, from its start. */
function gaps(block, kept) {
  const list = [];
  let at = block.start;
  for (const [from, to] of kept) {
    if (to <= at) continue;
    if (from >= block.end) break;
    if (from > at) list.push([at - block.start, from - block.start]);
    at = Math.max(at, to);
  }
  if (at < block.end) list.push([at - block.start, block.end - block.start]);
  return list;
}

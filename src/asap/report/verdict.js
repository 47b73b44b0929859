// Each arm against the reference: one strip for each difference, all on one scale.

import { h, shown, svg } from "../page/dom.js";
import { page } from "./data.js";
import { markAt } from "./looks.js";
import { armName, chance, hundred, points, sizeOf } from "./words.js";

const SURE = 0.05;

/** What the differences come to, in a sentence. */
export function headline() {
  const { differences, reference, results } = page.report;
  if (!results.length) return null;
  if (!differences.length) return h("p", { class: "big" }, "There is one arm, so nothing is compared.");
  const sure = differences.filter((one) => one.passed.p_holm < SURE);
  const count = h("strong", {}, sure.length ? `${sure.length} of ${differences.length}` : "None");
  const text = differences.length === 1 ? [h("strong", {}, sure.length ? "A difference" : "No difference"), " from ", ...shown(reference), sure.length ? " is shown." : " is shown, which does not show that there is none."] : [count, ` of the ${differences.length} differences from `, ...shown(reference), sure.length ? " are shown." : " is shown, which does not show that there is none."];
  if (sure.length && differences.length > 1) {
    const higher = sure.filter((one) => one.passed.difference > 0).length;
    const ways = [higher && `${higher} higher`, sure.length - higher && `${sure.length - higher} lower`].filter(Boolean);
    text.splice(1, 3, " differences from ", ...shown(reference), ` are shown: ${ways.join(", ")}.`);
  }
  return h("p", { class: "big" }, text);
}

/** The strips of all differences; null if there are none. */
export function makeVerdict() {
  const { differences, reference } = page.report;
  if (!differences.length) return null;
  const most = scaleOf(differences);
  const rows = page.benchmarks
    .map(({ name }) => [name, differences.filter((one) => one.benchmark === name)])
    .filter(([, found]) => found.length)
    .flatMap(([name, found]) => [h("h3", {}, ...shown(name), h("span", {}, tried(found))), ...found.map((one) => strip(one, most))]);
  const ticks = h("div", { class: "axis", "aria-hidden": "true" }, [-most, -most / 2, 0, most / 2, most].map((at) => h("span", {}, at ? points(at).replace(".0", "") : "0")));
  return h("div", { class: "verdict" }, rows, h("div", { class: "strip-row ends" }, h("span", {}), ticks, h("span", {})), h("p", { class: "caption" }, "Points of Pass@1 minus ", ...shown(reference), ": to the right is better. The line is the 95 % interval. A true difference inside the grey band goes unnoticed more than one time in five with so many problems. p is corrected for the number of comparisons (Holm)."));
}

function tried(found) {
  const counts = [...new Set(found.map(sizeOf))];
  const seeds = Math.max(...found.flatMap((one) => one.seeds));
  return `${counts.join(" or ")}${seeds > 1 ? `, ${seeds} seeds` : ""}`;
}

/** The end of the scale: a round share that holds all intervals. */
function scaleOf(differences) {
  const ends = differences.flatMap(({ passed }) => [...passed.interval, passed.smallest_difference, passed.difference].filter(Number.isFinite).map(Math.abs));
  const most = Math.max(0.01, ...ends);
  return [0.02, 0.04, 0.06, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1].find((end) => end >= most) ?? 1;
}

function strip({ arm, passed, problems, clusters }, most) {
  const [low, high] = passed.interval.map((end) => Math.max(-most, Math.min(most, end)));
  const place = (share) => 50 + (50 * share) / most;
  const line = h("div", { class: "strip", role: "img", "aria-label": `${arm}: ${points(passed.difference)} points, ${points(low)} to ${points(high)}, over ${sizeOf({ problems, clusters })}` });
  const blind = Math.min(most, passed.smallest_difference ?? most);
  line.append(piece("band", place(-blind), place(blind)), piece("zero", 50, 50), piece("whisker", place(low), place(high)));
  const mark = svg("svg", { width: 14, height: 14, viewBox: "-7 -7 14 14" }, markAt(arm, 0, 0, false, 5));
  mark.style.left = `${place(passed.difference)}%`;
  line.append(mark);
  const told = [h("b", {}, points(passed.difference)), h("span", {}, `${points(passed.interval[0])} to ${points(passed.interval[1])}`), h("span", { class: passed.p_holm < SURE ? "p sure" : "p", title: `${passed.test}: p ${passed.p.toPrecision(3)}, by Holm ${passed.p_holm.toPrecision(3)}` }, `p ${chance(passed.p_holm)}`)];
  return h("div", { class: "strip-row", title: passed.smallest_difference === null ? `nothing would have shown: there is one ${clusters === null ? "problem" : "cluster"}` : `would have shown with power 0.8: ${hundred(passed.smallest_difference)} points` }, armName(arm), line, h("div", { class: "told" }, told));
}

function piece(name, from, to) {
  const node = h("i", { class: name });
  node.style.left = `${from}%`;
  node.style.width = `${to - from}%`;
  return node;
}

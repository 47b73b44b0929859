// The main table, arm by arm on each benchmark with the paper's figures beside ours, and the training cost.

import { h, shown, whole } from "../page/dom.js";
import { page, resultOf } from "./data.js";
import { armName, hundred, number, short, signed, sizeOf } from "./words.js";

/** The results: best bold, second underlined, where the arms have the same problems. */
export function makeResults() {
  if (!page.report.results.length) return null;
  const has = { sizes: page.benchmarks.some(({ name }) => new Set(page.report.results.filter((one) => one.benchmark === name).map((one) => one.problems)).size > 1), tokens: known("tokens"), s: known("latency") || known("seconds"), paper: page.report.results.some((one) => one.paper), trained: page.arms.some((arm) => arm.trained_tokens !== null) };
  const head = h("tr", {}, h("th", {}, "arm"), has.sizes && h("th", {}, "problems"), h("th", {}, "Pass@1, %"), h("th", { class: "interval" }, "95 % interval"), has.tokens && h("th", {}, "tokens"), has.s && h("th", { class: "wide" }, "seconds"), has.trained && h("th", {}, "trained on"), has.paper && ["the paper: %", "tokens", "s"].map((name, at) => h("th", { class: at ? "theirs wide" : "theirs" }, name)));
  return h("div", { class: "scroll" }, h("table", { class: "results" }, h("thead", {}, head), page.benchmarks.map((benchmark) => resultRows(benchmark.name, has))));
}

function known(name) {
  return page.report.results.some((one) => one[name] !== null);
}

function resultRows(benchmark, has) {
  const results = page.arms.map((arm) => [arm, resultOf(arm, benchmark)]).filter(([, result]) => result);
  const ofSame = page.report.unequal.includes(benchmark) ? [] : results.map(([, one]) => one);
  const passed = ranked(ofSame.map((one) => one.passed), false);
  const tokens = ranked(ofSame.map((one) => one.tokens), true);
  const seconds = ranked(ofSame.map((one) => one.latency ?? one.seconds), true);
  const counts = [...new Set(results.map(([, one]) => sizeOf(one)))];
  const title = h("tr", { class: "of" }, h("th", { colspan: 10, scope: "rowgroup" }, ...shown(benchmark), h("span", {}, `${counts.join(" or ")}${budgetOf(results)}`)));
  const rows = results.map(([arm, one]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, armName(arm.name, one.seeds > 1 && h("small", {}, ` ${one.seeds} seeds`))),
      has.sizes && h("td", {}, whole(one.problems)),
      h("td", { class: passed(one.passed) }, hundred(one.passed, 2)),
      h("td", { class: "interval" }, one.interval ? `${hundred(one.interval[0])}\u2009\u2013\u2009${hundred(one.interval[1])}` : ""),
      has.tokens && h("td", { class: tokens(one.tokens) }, number(one.tokens)),
      has.s && h("td", { class: `wide ${seconds(one.latency ?? one.seconds)}` }, number(one.latency ?? one.seconds, 2)),
      has.trained && h("td", { title: arm.trained_tokens === null ? "no training run is known" : `${whole(Math.round(arm.trained_tokens))} tokens` }, short(arm.trained_tokens)),
      has.paper && theirs(one.paper),
    ),
  );
  return h("tbody", {}, title, rows);
}

function budgetOf(results) {
  const budgets = [...new Set(results.map(([, one]) => one.budget).filter(Boolean))];
  return budgets.length ? `, at most ${budgets.map(whole).join(" or ")} tokens` : "";
}

function theirs(paper) {
  const title = paper ? `${paper.source}: ${paper.model}, at most ${whole(paper.budget)} tokens` : "";
  return [number(paper?.accuracy, 2), number(paper?.tokens), number(paper?.latency, 2)].map((text, at) => h("td", { class: at ? "theirs wide" : "theirs", title }, text));
}

/** The class of a value among others: best, second, or nothing. */
function ranked(values, lower) {
  const order = [...new Set(values.filter((value) => value !== null && value !== undefined).map((value) => value.toFixed(6)))].sort((a, b) => (lower ? a - b : b - a));
  return (value) => (order.length < 2 || value === null || value === undefined ? "" : { 0: "best", 1: "second" }[order.indexOf(value.toFixed(6))] ?? "");
}

/** The training cost, relative to the first arm that was trained (the paper's Table 3). */
export function makeCosts() {
  const { costs, paper } = page.report;
  if (!costs.length) return null;
  const [base] = costs;
  const change = (cost, name) => (cost === base || !base[name] ? null : h("small", {}, ` ${signed((100 * (cost[name] - base[name])) / base[name], 1)}\u202f%`));
  const head = ["arm", "rows", "steps", "tokens per sample", "seconds per step", "tokens/s", "trained on", "peak memory, MiB"];
  const rows = costs.map((cost) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("span", { class: "arm" }, h("span", { class: "arm-name", title: cost.arm }, ...shown(cost.arm)))),
      ...[whole(cost.rows), whole(cost.steps)].map((text) => h("td", {}, text)),
      h("td", {}, number(cost.tokens_per_sample), change(cost, "tokens_per_sample")),
      h("td", {}, number(cost.seconds_per_step, 2), change(cost, "seconds_per_step")),
      h("td", {}, number(cost.tokens_per_second)),
      h("td", {}, short(cost.tokens)),
      h("td", {}, whole(cost.peak_mib), h("small", {}, ` ${cost.peak_of}`)),
    ),
  );
  const table = h("table", { class: "costs" }, h("thead", {}, h("tr", {}, head.map((name) => h("th", {}, name)))), h("tbody", {}, rows));
  return h("div", {}, h("div", { class: "scroll" }, table), paper.map((text) => h("p", { class: "caption" }, text)));
}

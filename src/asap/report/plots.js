// Drawings of Pass@1: against the token budget, against generated tokens, with and without the stages; and how attempts ended.

import { h, shown, svg, whole } from "../page/dom.js";
import { page, resultOf } from "./data.js";
import { inkOf, markAt } from "./looks.js";
import { armName, hundred } from "./words.js";

const BOX = { left: 34, right: 14, top: 22, bottom: 36 };

/** Pass@1 by token budget (the paper's Figure 3), for each benchmark with budgets; hollow marks are the paper's. */
export function budgetPlots(width) {
  return page.benchmarks.flatMap(({ name }) => {
    const lines = page.arms.map((arm) => [arm, curveOf(resultOf(arm, name))]).filter(([, line]) => line.length > 1);
    if (!lines.length) return [];
    const theirs = page.arms.map((arm) => [arm, publishedOf(arm, name)]).filter(([, line]) => line.length > 1);
    const budgets = [...new Set([...lines, ...theirs].flatMap(([, line]) => line.map((at) => at.x)))].sort((a, b) => a - b);
    const frame = frameOf(width, { xs: budgets, ys: [...lines, ...theirs].flatMap(([, line]) => line.flatMap((at) => [at.y, at.low ?? at.y, at.high ?? at.y])), xTicks: budgets, from: 0, x: "tokens that an answer may have", title: `Pass@1 on ${name} by token budget` });
    theirs.forEach(([arm, line]) => frame.node.append(path(frame, line, `line paper ${inkOf(arm.name)}`), ...line.map((at) => markAt(arm.name, frame.x(at.x), frame.y(at.y), true, 3.6))));
    lines.forEach(([arm, line]) => frame.node.append(path(frame, line, `line ${inkOf(arm.name)}`), ...line.map((at) => markedPoint(frame, arm, at))));
    return [figure(name, frame.node, "by token budget")];
  });
}

function curveOf(result) {
  if (!result) return [];
  const points = result.budgets.map((at) => ({ x: at.budget, y: at.passed, low: at.interval?.[0], high: at.interval?.[1] }));
  if (points.length && result.budget && !points.some((at) => at.x === result.budget)) points.push({ x: result.budget, y: result.passed, low: result.interval?.[0], high: result.interval?.[1] });
  return points.sort((a, b) => a.x - b.x);
}

function publishedOf(arm, benchmark) {
  return page.report.published.filter((one) => one.arm === arm.name && one.benchmark === benchmark && one.accuracy !== null).map((one) => ({ x: one.budget, y: one.accuracy / 100 })).sort((a, b) => a.x - b.x);
}

/** Pass@1 against mean generated tokens; hollow marks are the paper's. */
export function tokenPlots(width) {
  return page.benchmarks.flatMap(({ name }) => {
    const ours = page.arms.map((arm) => [arm, resultOf(arm, name)]).filter(([, one]) => one && one.tokens !== null && one.passed !== null);
    if (!ours.length) return [];
    const points = ours.map(([arm, one]) => [arm, { x: one.tokens, y: one.passed, low: one.interval?.[0], high: one.interval?.[1] }]);
    const theirs = ours.filter(([, one]) => one.paper?.accuracy && one.paper.tokens).map(([arm, { paper }]) => [arm, { x: paper.tokens, y: paper.accuracy / 100 }]);
    const all = [...points, ...theirs].map(([, at]) => at);
    const frame = frameOf(width, { xs: all.map((at) => at.x), ys: all.flatMap((at) => [at.y, at.low ?? at.y, at.high ?? at.y]), from: 0, x: "tokens generated, mean", title: `Pass@1 on ${name} against generated tokens` });
    frame.node.append(...theirs.map(([arm, at]) => markAt(arm.name, frame.x(at.x), frame.y(at.y), true)), ...points.map(([arm, at]) => markedPoint(frame, arm, at)));
    return [figure(name, frame.node, "by tokens generated")];
  });
}

/** Pass@1 with and without the stages, a bar for each arm; null unless there is an arm without one. */
export function ablationPlots(width) {
  const arms = page.arms.filter((arm) => ["asap", "asap-fine", "asap-coarse", "original"].includes(arm.method));
  if (!arms.some((arm) => arm.method === "asap-fine" || arm.method === "asap-coarse")) return [];
  return page.benchmarks.flatMap(({ name }) => {
    const found = arms.map((arm) => [arm, resultOf(arm, name)]).filter(([, one]) => one?.passed !== null && one);
    if (!found.length) return [];
    const row = 30;
    const height = found.length * row + 8;
    const x = (share) => 118 + share * (width - 118 - 44);
    const node = svg("svg", { class: "plot bars", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Pass@1 on ${name} with and without the stages: ${found.map(([arm, one]) => `${arm.name} ${hundred(one.passed)} %`).join(", ")}` });
    found.forEach(([arm, one], at) => {
      const y = 4 + at * row;
      node.append(svg("text", { class: "name", x: 0, y: y + 15 }, clipped(arm.name, 18)), svg("rect", { class: `bar ${inkOf(arm.name)}`, x: x(0), y: y + 3, width: Math.max(1, x(one.passed) - x(0)), height: row - 14 }));
      if (one.interval) node.append(svg("line", { class: "whisker", x1: x(one.interval[0]), x2: x(one.interval[1]), y1: y + 11, y2: y + 11 }));
      if (one.paper?.accuracy) node.append(svg("line", { class: "published", x1: x(one.paper.accuracy / 100), x2: x(one.paper.accuracy / 100), y1: y, y2: y + row - 8 }));
      node.append(svg("text", { x: Math.max(x(one.interval?.[1] ?? 0), x(one.passed)) + 6, y: y + 15 }, hundred(one.passed)));
    });
    return [figure(name, node)];
  });
}

function clipped(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}\u2026` : text;
}

function markedPoint(frame, arm, at) {
  const group = svg("g", { class: inkOf(arm.name) }, svg("title", {}, `${arm.name}: ${hundred(at.y)} % at ${whole(Math.round(at.x))} tokens`));
  if (at.low !== undefined) group.append(svg("line", { class: "whisker", x1: frame.x(at.x), x2: frame.x(at.x), y1: frame.y(at.low), y2: frame.y(at.high) }));
  group.append(markAt(arm.name, frame.x(at.x), frame.y(at.y)));
  return group;
}

function path(frame, points, name) {
  return svg("path", { class: name, d: `M${points.map((at) => `${frame.x(at.x).toFixed(1)},${frame.y(at.y).toFixed(1)}`).join("L")}` });
}

function figure(name, node, by = "") {
  return h("figure", { class: "block" }, h("h3", {}, ...shown(name), h("span", {}, by)), node);
}

/** Axes around all values: Pass@1 upwards in percent, tokens to the right. */
function frameOf(width, { xs, ys, xTicks, from, x: label, title }) {
  const height = 230;
  const yTicks = ticks(Math.max(0, Math.min(...ys) - 0.02), Math.min(1, Math.max(...ys) + 0.02), 4);
  const xAll = xTicks ?? ticks(from, Math.max(...xs) * 1.05, 5);
  const [y0, y1] = [Math.min(yTicks[0], ...ys), Math.max(yTicks.at(-1), ...ys)];
  const [x0, x1] = [Math.min(from, ...xs), Math.max(xAll.at(-1), ...xs)];
  const x = (value) => BOX.left + ((value - x0) / (x1 - x0 || 1)) * (width - BOX.left - BOX.right);
  const y = (value) => height - BOX.bottom - ((value - y0) / (y1 - y0 || 1)) * (height - BOX.top - BOX.bottom);
  const apart = xAll.filter((at, number, all) => number === all.length - 1 || x(all[number + 1]) - x(at) > 34);
  const node = svg("svg", { class: "plot", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  node.append(
    ...yTicks.map((at) => svg("line", { class: "grid", x1: BOX.left, x2: width - BOX.right, y1: y(at), y2: y(at) })),
    ...yTicks.map((at) => svg("text", { x: BOX.left - 7, y: y(at) + 4, "text-anchor": "end" }, String(+(100 * at).toFixed(2)))),
    ...xAll.map((at) => svg("line", { class: "tick", x1: x(at), x2: x(at), y1: height - BOX.bottom, y2: height - BOX.bottom + 4 })),
    ...apart.map((at) => svg("text", { x: x(at), y: height - BOX.bottom + 16, "text-anchor": x(at) > width - 30 ? "end" : "middle" }, whole(Math.round(at)))),
    svg("line", { class: "base", x1: BOX.left, x2: width - BOX.right, y1: height - BOX.bottom, y2: height - BOX.bottom }),
    svg("text", { x: 0, y: 10 }, "Pass@1, %"),
    svg("text", { x: width - BOX.right, y: height - 4, "text-anchor": "end" }, label),
  );
  return { node, x, y };
}

/** About `count` round numbers from low to high. */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const base = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((times) => times * base).find((size) => size >= rough * 0.999);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step);
}

/** How the attempts of each arm ended, a bar for each. */
export function makeOutcomes() {
  const { results } = page.report;
  const used = page.outcomes.filter((one) => results.some((result) => result.outcomes[one.name]));
  const key = h("p", { class: "key" }, used.map((one) => h("span", {}, h("i", { class: `end-${one.name}` }), one.label)));
  const rows = page.benchmarks.map(({ name }) =>
    h(
      "div",
      { class: "ends-of" },
      h("h3", {}, ...shown(name)),
      page.arms.map((arm) => [arm, resultOf(arm, name)]).filter(([, one]) => one).map(([arm, one]) => endsOf(arm, one, used)),
    ),
  );
  return h("div", {}, key, rows);
}

function endsOf(arm, result, used) {
  const total = Object.values(result.outcomes).reduce((a, b) => a + b, 0);
  const told = used.filter((one) => result.outcomes[one.name]).map((one) => `${whole(result.outcomes[one.name])} ${one.label}`);
  const line = h("div", { class: "parts", role: "img", title: told.join(", "), "aria-label": told.join(", ") });
  for (const one of used) {
    const part = h("i", { class: `end-${one.name}` });
    part.style.width = `${(100 * (result.outcomes[one.name] ?? 0)) / total}%`;
    if (result.outcomes[one.name]) line.append(part);
  }
  return h("div", { class: "ends-row" }, armName(arm.name), line, h("span", { class: "told" }, told.slice(told[0]?.endsWith("right") ? 1 : 0).join(", ")));
}

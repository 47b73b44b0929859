// Small drawings: the curve, the histogram, the bar of kept and removed tokens.

import { h, percent, svg, whole } from "../page/dom.js";

/** The curve of tokens kept against surprisal kept. `lines` are [[x, y], …] in shares; `marks` are {x, y, now, name}. */
export function curve({ width, height = 210, lines, marks, worth, title }) {
  const box = { left: 38, right: 10, top: 12, bottom: 34 };
  const x = (share) => box.left + share * (width - box.left - box.right);
  const y = (share) => height - box.bottom - share * (height - box.top - box.bottom);
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  const drawing = svg("svg", { class: "curve", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  drawing.append(
    ...ticks.map((share) => svg("line", { class: "grid", x1: x(share), x2: x(share), y1: y(0), y2: y(1) })),
    ...ticks.map((share) => svg("line", { class: "grid", x1: x(0), x2: x(1), y1: y(share), y2: y(share) })),
    svg("line", { class: "even", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    ...ticks.filter((share) => share !== 0.25 && share !== 0.75).flatMap((share) => [
      svg("text", { class: "tick", x: x(share), y: height - box.bottom + 14, "text-anchor": share === 1 ? "end" : "middle" }, percent(share, 0)),
      svg("text", { class: "tick", x: box.left - 6, y: y(share) + 4, "text-anchor": "end" }, (100 * share).toFixed(0)),
    ]),
    svg("text", { class: "axis", x: x(1), y: height - 4, "text-anchor": "end" }, "tokens kept"),
    svg("text", { class: "axis", x: x(0) + 6, y: y(1) + 12 }, `% of ${worth} kept`),
    ...lines.map((points, number) => svg("path", { class: number ? "line other" : "line", d: `M${points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join("L")}` })),
    ...marks.map((mark) => svg("circle", { class: mark.now ? "now" : "own", cx: x(mark.x), cy: y(mark.y), r: mark.now ? 5 : 6 })),
    ...marks.filter((mark) => mark.name).map((mark) => svg("text", { class: "name", x: x(mark.x) + 9, y: y(mark.y) + 14 }, mark.name)),
  );
  return drawing;
}

/** What the curve says, for who sees it first. */
export function curveSays(worth) {
  return `Each point of the line is a budget. Above the dotted diagonal, what stays has more than its share of the ${worth}.`;
}

/** The traces of a run by length in powers of two, before, after stage 1 and after. */
export function lengthCounts({ before, coarse, after }) {
  const top = (tokens) => Math.max(0, Math.ceil(Math.log2(Math.max(1, tokens))));
  return [before, coarse, after].map((values) => counted(values.map(top)));
}

/** The scale on which the histograms of several runs can be compared: the powers of two from first to last, and the most traces. */
export function lengthScale(runs) {
  const bins = runs.flat();
  const used = bins.flatMap((bin) => [...bin.keys()]);
  return { first: Math.min(...used), last: Math.max(...used), most: Math.max(...bins.flatMap((bin) => [...bin.values()])) };
}

/** The counts of a run on a scale: a pale bar before, a dark one after, a mark after stage 1. */
export function histogram({ width, height = 170, counts: bins, scale: { first, last, most }, limit }) {
  const step = (width - 8) / (last - first + 1);
  const base = height - 30;
  const y = (count) => base - (count / most) * (base - 20);
  const title = `Traces by tokens. ${range(first, last).map((bin) => `Up to ${whole(2 ** bin)}: ${bins[0].get(bin) ?? 0} before, ${bins[2].get(bin) ?? 0} after`).join(". ")}`;
  const drawing = svg("svg", { class: "histogram", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  const every = step < 34 ? 2 : 1;
  for (const bin of range(first, last)) {
    const left = 4 + (bin - first) * step;
    const [b, c, a] = bins.map((counts) => counts.get(bin) ?? 0);
    const bar = (name, count, from, to) => svg("rect", { class: name, x: left + step * from, width: step * (to - from), y: y(count), height: base - y(count) });
    drawing.append(bar("before", b, 0.06, 0.94), bar("after", a, 0.24, 0.76));
    if (c !== b) drawing.append(svg("line", { class: "coarse", x1: left + step * 0.06, x2: left + step * 0.94, y1: y(c), y2: y(c) }));
    if (a) drawing.append(svg("text", { class: "count", x: left + step / 2, y: y(a) - 4, "text-anchor": "middle" }, whole(a)));
    if ((bin - first) % every === 0) drawing.append(svg("text", { class: "tick", x: left + step / 2, y: base + 14, "text-anchor": "middle" }, short(2 ** bin)));
  }
  drawing.append(svg("line", { class: "base", x1: 4, x2: width - 4, y1: base, y2: base }));
  drawing.append(svg("text", { class: "axis", x: width - 4, y: height - 3, "text-anchor": "end" }, "tokens in a trace, up to"));
  if (limit) {
    const at = 4 + (Math.log2(limit) - first + 1) * step;
    if (at > 4 && at < width) drawing.append(svg("line", { class: "limit", x1: at, x2: at, y1: 4, y2: base }));
  }
  return drawing;
}

/** One bar of kept tokens and those that each stage removed. `parts` are [class, tokens]. */
export function bar(parts, total, label) {
  const line = h("div", { class: "parts", role: "img", "aria-label": label });
  for (const [name, tokens] of parts) {
    if (!tokens) continue;
    const part = h("i", { class: name });
    part.style.width = `${(100 * tokens) / total}%`;
    line.append(part);
  }
  return line;
}

function counted(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function range(first, last) {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

function short(tokens) {
  return tokens < 1024 ? String(tokens) : `${tokens / 1024}k`;
}

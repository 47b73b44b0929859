// The map: the whole trace as a strip, each step in proportion to its text, with a frame around the visible part.

import { h, oncePerFrame } from "../page/dom.js";

/** A strip for steps with the given weights. `lanes` is one list of states for each run; `go(step, within)` scrolls there. */
export function makeStrip(weights, lanes, go) {
  const canvas = h("canvas", {});
  const frame = h("i", { class: "frame" });
  const inks = ["k", "one", "two", "hand"].map((name) => h("b", { class: name }));
  const node = h("div", { class: "strip", "aria-hidden": "true" }, canvas, frame, inks);
  const ends = new Float64Array(weights.length + 1);
  weights.forEach((weight, at) => (ends[at + 1] = ends[at] + weight));
  const total = ends[weights.length] || 1;

  const draw = oncePerFrame(() => {
    const { clientWidth: width, clientHeight: height } = node;
    const scale = devicePixelRatio;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const [kept, one, two, hand] = inks.map((ink) => getComputedStyle(ink).color);
    const colours = { k: kept, kh: kept, "k ": kept, 1: one, 2: two, 3: hand };
    const gap = height / weights.length > 4 ? 1 : 0;
    const lane = width / lanes.length;
    lanes.forEach((states, number) => {
      for (let at = 0; at < states.length; at++) {
        const top = (ends[at] / total) * height;
        const tall = Math.max(gap ? 1 : 0.6, ((ends[at + 1] - ends[at]) / total) * height - gap);
        pen.fillStyle = colours[states[at]];
        const left = number * lane + (number ? 1 : 0);
        const wide = lane - (lanes.length > 1 ? 1 : 0);
        pen.fillRect(left, top, wide, tall);
        if (states[at] !== "k ") continue;
        pen.fillStyle = two; // parts are removed
        pen.fillRect(left + wide / 2, top, wide / 2, tall);
      }
    });
  });

  const jump = (event) => {
    const box = node.getBoundingClientRect();
    const at = Math.min(0.9999, Math.max(0, (event.clientY - box.top) / box.height)) * total;
    let low = 0;
    let high = weights.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle + 1] <= at) low = middle + 1;
      else high = middle;
    }
    go(low, (at - ends[low]) / (weights[low] || 1));
  };
  node.addEventListener("pointerdown", (event) => {
    node.setPointerCapture(event.pointerId);
    jump(event);
  });
  node.addEventListener("pointermove", (event) => {
    if (event.buttons) jump(event);
  });

  /** Frame the visible part: from a position inside one step to a position inside another. */
  function show(first, from, last, to) {
    const top = (ends[first] + from * (weights[first] ?? 0)) / total;
    const end = (ends[last] + to * (weights[last] ?? 0)) / total;
    frame.style.top = `${100 * top}%`;
    frame.style.height = `${100 * Math.max(0.004, end - top)}%`;
  }

  return { node, draw, show };
}

// A list as tall as its data that creates only the visible rows, and scrolls with the page.

import { h, oncePerFrame } from "./dom.js";

/**
 * `row(item, at, size)` makes an element with `data-at` and a link inside; the height of rows is `--row` of the list's style.
 * `update(items)` shows other items, `refresh()` redraws the same ones, `focus(at)` goes to one.
 */
export function makeScroller(attributes, row) {
  const node = h("div", { role: "list", ...attributes });
  let rows = [];
  let height = 64;
  let made = new Map();

  const place = oncePerFrame(layOut);
  addEventListener("scroll", place, { passive: true });
  addEventListener("resize", () => {
    measure();
    place();
  });
  node.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    const at = event.target.closest("[data-at]");
    if (!by || !at) return;
    event.preventDefault();
    focus(Number(at.dataset.at) + by);
  });

  function measure() {
    height = parseFloat(getComputedStyle(node).getPropertyValue("--row")) || 64;
    node.style.height = `${rows.length * height}px`;
  }

  function layOut() {
    if (!node.isConnected || node.offsetParent === null) return;
    const top = node.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / height) - 4);
    const last = Math.min(rows.length - 1, Math.ceil((innerHeight - top) / height) + 4);
    const now = new Map();
    for (let at = first; at <= last; at++) now.set(at, made.get(at) ?? make(at));
    for (const [at, row] of made) if (now.get(at) !== row) row.remove();
    for (const [at, row] of now) if (made.get(at) !== row) node.append(row);
    made = now;
  }

  function make(at) {
    const made = row(rows[at], at, rows.length);
    made.style.transform = `translateY(${at * height}px)`;
    return made;
  }

  function forget() {
    const at = Number(document.activeElement?.closest?.("[data-at]")?.dataset.at ?? NaN);
    made.forEach((row) => row.remove());
    made = new Map();
    layOut();
    made.get(at)?.querySelector("a").focus({ preventScroll: true });
  }

  function focus(at) {
    if (at < 0 || at >= rows.length) return;
    const wanted = scrollY + node.getBoundingClientRect().top + at * height;
    if (wanted < scrollY + 90) scrollTo({ top: wanted - 90 });
    else if (wanted + height > scrollY + innerHeight) scrollTo({ top: wanted + height - innerHeight });
    layOut();
    made.get(at)?.querySelector("a").focus({ preventScroll: true });
  }

  function update(wanted) {
    rows = wanted;
    measure();
    forget();
  }

  return { node, update, refresh: forget, focus, rows: () => rows };
}

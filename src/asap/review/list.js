// The list of traces: as tall as the data, but it creates only the visible rows.

import { h, many, oncePerFrame, percent, shown, whole } from "../page/dom.js";
import { bar } from "./chart.js";
import { isThere } from "./cut.js";
import { apart, page, state } from "./state.js";

/** A list that scrolls with the page. `update(rows)` shows other rows, `refresh()` redraws the same ones. */
export function makeList() {
  const node = h("div", { class: page.runs.length > 1 ? "list pairs" : "list", role: "list", "aria-label": "Traces" });
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
    const row = traceRow(rows[at], at, rows.length);
    row.style.transform = `translateY(${at * height}px)`;
    return row;
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

function traceRow(trace, at, size) {
  const { index, runs } = page;
  const two = runs.length > 1;
  const parts = runs.map((run, number) => (isThere(run, trace) ? runLine(run, number, trace) : h("div", { class: "amount" }, `not in ${run.name}`)));
  const label = h("div", { class: "what" }, h("span", { class: "id" }, ...shown(index.traces.id[trace])), h("span", { class: "title", dir: "auto" }, ...shown(index.traces.title[trace])));
  const extra = two ? h("span", { class: "differ" }, `${many(apart(trace), "step")} apart`) : null;
  const link = h("a", { href: `#trace=${trace}` }, label, h("div", { class: "amounts" }, parts, extra));
  return h("div", { class: two ? "item two" : "item", role: "listitem", "aria-posinset": at + 1, "aria-setsize": size, "data-at": at, "data-trace": trace }, link);
}

function runLine(run, number, trace) {
  const after = page.results[number].after[trace];
  const before = run.before[trace];
  const most = largest();
  const parts = [
    ["kept", Math.min(after, before)],
    ["one", Math.min(before - run.coarse[trace], before - after)],
    ["two", Math.max(0, run.coarse[trace] - after)],
    ["none", most - before],
  ];
  const text = after === before ? `${whole(before)}` : `${whole(before)} \u2192 ${whole(after)}`;
  return h(
    "div",
    { class: "amount" },
    bar(parts, most, `${percent(after / before, 0)} left`),
    h("span", { class: "tokens" }, text),
    h("span", { class: "share" }, after === before ? "" : percent(after / before, 0)),
  );
}

let most = 0;
function largest() {
  most ||= Math.max(...page.runs.map((run) => run.before.reduce((a, b) => Math.max(a, b), 1)));
  return most;
}

/** Rejected rows with their reasons. */
export function rejectedList() {
  const { rejected, rejected_total: total } = page.index;
  const query = state.query.toLowerCase();
  const found = rejected.filter((row) => !query || JSON.stringify(row).toLowerCase().includes(query)).slice(0, 1000);
  const items = found.map((row) =>
    h(
      "li",
      {},
      h("b", {}, ...shown(row.reason)),
      h("span", { class: "where" }, ...shown(`${row.source}, line ${row.line}${row.id ? `, ${row.id}` : ""}`)),
      h("span", { class: "detail" }, ...shown(row.detail)),
    ),
  );
  const rest = total > found.length && !query ? h("p", { class: "note" }, `${whole(found.length)} of ${whole(total)} rejected rows; rejected.jsonl has all.`) : null;
  return h("div", { class: "rejected" }, h("ul", {}, items), rest);
}

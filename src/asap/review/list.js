// The list of traces.

import { h, many, percent, shown, whole } from "../page/dom.js";
import { makeScroller } from "../page/scroller.js";
import { bar } from "./chart.js";
import { isThere } from "./cut.js";
import { apart, page, state } from "./state.js";

/** The list of traces. */
export function makeList() {
  return makeScroller({ class: page.runs.length > 1 ? "list pairs" : "list", "aria-label": "Traces" }, traceRow);
}

function traceRow(trace, at, size) {
  const { index, runs } = page;
  const two = runs.length > 1;
  const parts = runs.map((run, number) => (isThere(run, trace) ? runLine(run, number, trace) : h("div", { class: "absent" }, "not in ", ...shown(run.name))));
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

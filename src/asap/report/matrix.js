// Arms by problems: how each arm did at each problem, with filters; a problem opens both generations.

import { h, many, oncePerFrame, shown, whole } from "../page/dom.js";
import { makeScroller } from "../page/scroller.js";
import { differs, page, shareOf } from "./data.js";
import { badge } from "./looks.js";
import { armName } from "./words.js";

const state = { benchmark: 0, filter: "all", sort: "input", query: "" };

const SORTS = {
  input: ["As in the runs", () => 0],
  apart: ["Most different", (cells) => spread(cells.map(shareOf))],
  hard: ["Hardest", (cells) => -mean(cells.map(shareOf))],
  tokens: ["Most tokens", (cells) => Math.max(...cells.flat().map((attempt) => attempt.tokens ?? 0), 0)],
};

function spread(shares) {
  const known = shares.filter((share) => share !== null);
  return known.length ? Math.max(...known) - Math.min(...known) : 0;
}

function mean(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : 1;
}

function filters() {
  const reference = page.arms[0];
  const worse = (cells) => cells.slice(1).some((cell) => beats(cells[0], cell));
  const better = (cells) => cells.slice(1).some((cell) => beats(cell, cells[0]));
  const ends = ["budget", "looping", "no-answer", "infra"].map((name) => [name, capital(page.outcomes.find((one) => one.name === name).label), (cells) => cells.flat().some((attempt) => attempt.outcome === name)]);
  return [
    ["all", "All", () => true],
    page.arms.length > 1 && ["differ", "Arms differ", differs],
    page.arms.length > 1 && ["better", `Better than ${reference.name}`, better],
    page.arms.length > 1 && ["worse", `Worse than ${reference.name}`, worse],
    ["none", "Nobody right", (cells) => cells.every((cell) => (shareOf(cell) ?? 0) === 0)],
    ...ends,
  ].filter(Boolean);
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

function beats(one, other) {
  const [a, b] = [shareOf(one), shareOf(other)];
  return a !== null && b !== null && a > b;
}

/** The address of a problem. */
export function addressOf(benchmark, problem) {
  return `#${new URLSearchParams({ benchmark: benchmark.name, problem: benchmark.ids[problem] })}`;
}

/** The problems that pass filter and search, in order. */
function listed() {
  const { cells, ids } = page.benchmarks[state.benchmark];
  const passes = filters().find(([name]) => name === state.filter)[2];
  const word = state.query.toLowerCase();
  const found = ids.map((_, problem) => problem).filter((problem) => passes(cells[problem]) && ids[problem].toLowerCase().includes(word));
  if (state.sort === "input") return found;
  const value = new Map(found.map((problem) => [problem, SORTS[state.sort][1](cells[problem])]));
  return found.sort((a, b) => value.get(b) - value.get(a) || a - b);
}

/** The whole section. */
export function makeMatrix() {
  const scroller = makeScroller({ class: "list matrix", "aria-label": "Problems" }, problemRow);
  const box = h("input", { type: "search", placeholder: "Search problems by their name", "aria-label": "Search", class: "search" });
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Filter" });
  const found = h("p", { class: "found", role: "status" });
  const choose = (label, options, change) => h("label", { class: "order" }, `${label} `, h("select", { onchange: change, "aria-label": label }, options.map(([value, text]) => h("option", { value }, text))));
  const benchmarks = page.benchmarks.length > 1 && choose("Benchmark", page.benchmarks.map((one, at) => [at, one.name]), (event) => set({ benchmark: Number(event.target.value), filter: "all" }));
  const sorts = choose("Order", Object.entries(SORTS).map(([name, [label]]) => [name, label]), (event) => set({ sort: event.target.value }));
  const head = h("div", { class: "arms-head" }, h("span", {}), h("span", { class: "cells" }, page.arms.map((arm) => h("span", { class: "cell", title: arm.name }, badge(arm.name)))));
  const arms = h("p", { class: "key" }, page.arms.map((arm) => armName(arm.name)));
  box.addEventListener("input", oncePerFrame(() => set({ query: box.value.trim() })));
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "ArrowDown") return;
    event.preventDefault();
    scroller.focus(0);
  });

  function set(values) {
    Object.assign(state, values);
    update();
  }

  function update() {
    const { cells, ids } = page.benchmarks[state.benchmark];
    const rows = listed();
    const counted = filters().map(([name, label, passes]) => [name, label, cells.filter(passes).length]).filter(([name, , count]) => count || name === "all");
    chips.replaceChildren(...counted.map(([name, label, count]) => h("button", { type: "button", class: "chip", "aria-pressed": String(state.filter === name), onclick: () => set({ filter: name }) }, ...shown(label), " ", h("span", {}, whole(count)))));
    found.textContent = rows.length === ids.length ? many(ids.length, "problem") : `${whole(rows.length)} of ${many(ids.length, "problem")}`;
    scroller.update(rows);
  }

  const node = h("section", { class: "traces", "aria-label": "Problems" }, h("h2", { id: "problems" }, "Every problem, every arm"), arms, h("div", { class: "tools" }, benchmarks, box, chips, sorts), found, head, scroller.node);
  return { node, update, refresh: scroller.refresh, focus: scroller.focus, search: box, rows: scroller.rows, benchmark: () => page.benchmarks[state.benchmark] };
}

function problemRow(problem, at, size) {
  const benchmark = page.benchmarks[state.benchmark];
  const cells = benchmark.cells[problem].map((attempts, arm) => h("span", { class: "cell" }, cellOf(attempts, page.arms[arm].name)));
  const link = h("a", { href: addressOf(benchmark, problem) }, h("span", { class: "id" }, ...shown(benchmark.ids[problem])), h("span", { class: "cells" }, cells));
  return h("div", { class: "item", role: "listitem", "aria-posinset": at + 1, "aria-setsize": size, "data-at": at, "data-problem": problem }, link);
}

/** The outcome of one attempt as a square, of several as their share. */
export function cellOf(attempts, arm) {
  const title = `${arm}: ${said(attempts)}`;
  if (!attempts.length) return h("i", { class: "end end-nothing", title });
  if (attempts.length === 1) return h("i", { class: `end end-${attempts[0].outcome}`, title });
  const square = h("i", { class: "end share", title });
  square.style.setProperty("--right", `${(100 * countRight(attempts)) / attempts.length}%`);
  return square;
}

/** The outcome of one attempt, or how many of several were right, in words. */
export function said(attempts) {
  if (!attempts.length) return "not tried";
  if (attempts.length > 1) return `${countRight(attempts)} of ${attempts.length} right`;
  return page.outcomes.find((one) => one.name === attempts[0].outcome).label;
}

function countRight(attempts) {
  return attempts.filter((attempt) => attempt.outcome === "right").length;
}

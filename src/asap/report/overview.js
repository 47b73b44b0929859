// The first view: verdict, results, drawings, outcomes, cost, notes, problems.

import { h, many, oncePerFrame, shown } from "../page/dom.js";
import { page } from "./data.js";
import { makeMatrix } from "./matrix.js";
import { ablationPlots, budgetPlots, makeOutcomes, tokenPlots } from "./plots.js";
import { makeCosts, makeResults } from "./tables.js";
import { headline, makeVerdict } from "./verdict.js";
import { armName } from "./words.js";

/** The whole first page. */
export function makeOverview() {
  const { report, arms, benchmarks } = page;
  const matrix = benchmarks.length ? makeMatrix() : null;
  const drawings = [
    ["Accuracy against tokens", (width) => byBenchmark([...budgetPlots(width), ...tokenPlots(width)]), `Smaller budgets are read off the same run. Lines are 95 % intervals.${ofThePaper("Hollow marks and dashed lines")}`],
    ["With and without the stages", ablationPlots, `Lines are 95 % intervals.${ofThePaper("Dotted lines")}`],
  ].map(([title, draw, caption]) => ({ draw, box: h("div", { class: "figures" }), node: h("section", { "aria-label": title }, heading(title)), caption }));
  const key = h("p", { class: "key" }, arms.map((arm) => armName(arm.name)));
  drawings.forEach((one) => one.node.append(arms.length > 1 ? key.cloneNode(true) : "", one.box, h("p", { class: "caption" }, one.caption)));
  const from = `${many(arms.length, "arm")}${benchmarks.length ? `, ${many(benchmarks.length, "benchmark")}` : ""}${arms.length > 1 && report.results.length ? `; the reference is ${report.reference}` : ""}`;
  const node = h(
    "main",
    { class: "overview" },
    h("header", { class: "head" }, h("p", { class: "from" }, ...shown(from)), h("h1", {}, ...shown(report.title)), report.label && h("p", { class: "label" }, `${report.label[0].toUpperCase()}${report.label.slice(1)}`)),
    section("Against the reference", headline(), makeVerdict()),
    section("Results", makeResults(), report.results.length ? h("p", { class: "caption" }, `${report.unequal.length < benchmarks.length ? "Best bold, second underlined." : ""}${report.results.some((one) => one.latency !== null) ? " Seconds: wall time over samples." : report.results.some((one) => one.seconds !== null) ? " Seconds: the mean of a request." : ""}`) : null, ...report.said_of_results.map((text) => h("p", { class: "caption" }, ...shown(text)))),
    drawings.map((one) => one.node),
    report.results.length ? section("How the attempts ended", makeOutcomes()) : null,
    section("Training cost", makeCosts()),
    notesOf(),
    matrix?.node,
  );

  function draw() {
    for (const one of drawings) {
      const width = Math.max(260, Math.min(520, one.box.clientWidth || 520, (node.clientWidth - 48 > 860 ? (node.clientWidth - 104) / 2 : node.clientWidth - 32)));
      const figures = one.draw(width);
      one.node.hidden = !figures.length;
      one.box.replaceChildren(...figures);
    }
  }

  addEventListener("resize", oncePerFrame(() => node.isConnected && draw()));
  return { node, draw, matrix };
}

/** A heading, with the label that figures of small models carry. */
function heading(title) {
  const { label } = page.report;
  return h("h2", {}, title, label && h("span", {}, ` \u00b7 ${label}`));
}

function section(title, ...parts) {
  const there = parts.filter(Boolean);
  return there.length ? h("section", { "aria-label": title }, heading(title), there) : null;
}

function ofThePaper(what) {
  return page.report.results.some((one) => one.paper) ? ` ${what} are the paper's.` : "";
}

/** The drawings of a benchmark beside each other. */
function byBenchmark(figures) {
  const names = page.benchmarks.map((one) => one.name);
  const of = (figure) => names.indexOf(figure.querySelector("h3").firstChild.textContent);
  return figures.sort((a, b) => of(a) - of(b));
}

function notesOf() {
  const { report, arms } = page;
  const unit = report.cluster === null ? "A problem" : "A cluster of problems";
  const reading = `${unit} is the unit of every interval and test: the shares of a problem's samples and seeds are averaged first. With several seeds, intervals draw seeds, too; p values hold for these trained models only.`;
  const runs = arms.map((arm) =>
    h(
      "dl",
      {},
      h("div", {}, h("dt", {}, armName(arm.name)), h("dd", {}, ...shown(arm.models.join(", ") || "model unknown"))),
      h("div", {}, h("dt", {}, "evaluated"), h("dd", {}, ...shown(arm.evaluations.join(", ") || "\u2013"))),
      h("div", {}, h("dt", {}, "trained"), h("dd", {}, ...shown(arm.trainings.join(", ") || "\u2013"))),
      arm.review.length > 0 && h("div", {}, h("dt", {}, "what was cut"), h("dd", {}, arm.review.map((review) => h("a", { href: review.href }, ...shown(review.href))))),
    ),
  );
  return h("section", { class: "notes", "aria-label": "Notes" }, h("h2", {}, "Notes"), h("ul", {}, [reading, ...report.said].map((text) => h("li", {}, ...shown(text)))), h("details", { class: "about" }, h("summary", {}, "Where it comes from"), h("div", { class: "runs" }, runs)));
}

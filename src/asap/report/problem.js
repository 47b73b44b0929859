// One problem: its question, and two generations side by side, with their verdicts.

import { h, shown, whole } from "../page/dom.js";
import { rendered } from "../page/text.js";
import { loadAttempt, loadQuestion, page } from "./data.js";
import { badge } from "./looks.js";
import { addressOf, cellOf, said } from "./matrix.js";
import { number } from "./words.js";

const CLOSE = /<\/(?:think|thinking|thought|reasoning)>|<\|end_of_thought\|>/i;
const MOST_ASKED = [1200, 12]; // characters and lines of a question that are shown before one asks for all
const chosen = { a: 0, b: 1, shown: 0 }; // the arms on the left and on the right, and on a phone which of them is shown

/** The view of a problem. `around` says what is before and after it in the list. */
export function makeProblem(benchmark, problem, around) {
  const cells = benchmark.cells[problem];
  const several = page.arms.length > 1;
  const attempt = { a: 0, b: 0 };
  chosen.b = Math.min(chosen.b, page.arms.length - 1);
  const sides = several ? ["a", "b"] : ["a"];
  const columns = Object.fromEntries(sides.map((side) => [side, h("section", { class: "column", "data-side": side })]));
  const step = (to, text, key) => (to === null ? h("span", { class: "off" }, text) : h("a", { href: addressOf(benchmark, to), title: `${text} (${key})` }, text));
  const nav = h("nav", {}, h("a", { href: "#", class: "back", title: "All problems (Esc)" }, "\u2190 All problems"), step(around.before, "previous", "k"), step(around.after, "next", "j"), h("span", {}, around.at < 0 ? "" : `${whole(around.at + 1)} of ${whole(around.size)}`));
  const all = h("p", { class: "all" }, several && h("span", { class: "hint" }, "How each arm did; press one to read it", h("span", { class: "beside" }, " on the right"), "."), page.arms.map((arm) => h("button", { type: "button", "aria-label": `${arm.name}: ${said(cells[arm.number])}`, onclick: () => ((chosen.shown = sides.length - 1), show(sides.at(-1), arm.number)) }, badge(arm.name), h("span", { class: "arm-name" }, ...shown(arm.name)), cellOf(cells[arm.number], arm.name), h("span", { class: "did" }, said(cells[arm.number])))));
  const pair = h("div", { class: several ? "pair" : "pair alone" }, Object.values(columns));
  const toggle = several ? h("div", { class: "sides", role: "group", "aria-label": "Shown" }) : null;
  const question = h("section", { class: "asked", "aria-label": "Question" });
  const node = h("main", { class: "problem" }, h("header", { class: "head" }, nav, h("p", { class: "from" }, ...shown(benchmark.name), page.report.label && h("b", {}, ` \u00b7 ${page.report.label}`)), h("h1", {}, ...shown(benchmark.ids[problem])), all, links(benchmark, problem)), question, toggle, pair);

  async function draw(side) {
    const arm = page.arms[chosen[side]];
    const attempts = cells[arm.number];
    attempt[side] = Math.min(attempt[side], Math.max(0, attempts.length - 1));
    const one = attempts[attempt[side]];
    const select = h("select", { "aria-label": side === "a" ? "Arm on the left" : "Arm on the right", onchange: (event) => show(side, Number(event.target.value)) }, page.arms.map((other) => h("option", { value: other.number, selected: other === arm }, other.name)));
    const which = attempts.length > 1 && h("div", { class: "chips" }, attempts.map((other, at) => h("button", { type: "button", class: "chip", "aria-pressed": String(at === attempt[side]), onclick: () => turn(side, at) }, nameOf(other, attempts))));
    const head = h("header", {}, h("div", { class: "who" }, badge(arm.name), several ? select : h("b", {}, ...shown(arm.name))), which);
    columns[side].replaceChildren(head, h("p", { class: "note" }, "\u2026"));
    if (!one) return columns[side].replaceChildren(head, h("p", { class: "note" }, "This arm did not try this problem."));
    const text = await loadAttempt(one);
    if (page.arms[chosen[side]] !== arm || cells[arm.number][attempt[side]] !== one) return undefined;
    columns[side].replaceChildren(head, ending(one, text), ...(text?.asked ? [otherwise(text.asked)] : []), ...bodyOf(text));
    return undefined;
  }

  function mark() {
    pair.dataset.shown = sides[chosen.shown] ?? "a";
    toggle?.replaceChildren(...sides.map((side, at) => h("button", { type: "button", "aria-pressed": String(at === chosen.shown), onclick: () => ((chosen.shown = at), mark()) }, badge(page.arms[chosen[side]].name), ...shown(page.arms[chosen[side]].name))));
    all.querySelectorAll("button").forEach((button, at) => button.toggleAttribute("data-on", sides.some((side) => chosen[side] === at)));
  }

  function show(side, arm) {
    chosen[side] = arm;
    attempt[side] = 0;
    mark();
    return draw(side);
  }

  function turn(side, at) {
    attempt[side] = at;
    return draw(side);
  }

  async function ask() {
    const text = await loadQuestion(benchmark, problem);
    if (text !== null) question.replaceChildren(h("h2", {}, "Question", h("span", {}, ` ${whole(text.length)} characters`)), ...shortly(text));
  }

  mark();
  const drawn = Promise.all([ask(), ...sides.map(draw)]);
  return {
    node,
    drawn,
    arm: (by) => several && show("b", (chosen.b + by + page.arms.length) % page.arms.length),
    turn: (by) => sides.forEach((side) => cells[chosen[side]].length > 1 && turn(side, (attempt[side] + by + cells[chosen[side]].length) % cells[chosen[side]].length)),
  };
}

function nameOf(attempt, all) {
  const seeds = new Set(all.map((one) => one.seed)).size > 1;
  const samples = new Set(all.map((one) => one.sample)).size > 1;
  const text = [seeds && `seed ${attempt.seed + 1}`, samples && `sample ${attempt.sample + 1}`].filter(Boolean).join(", ");
  return [h("i", { class: `end end-${attempt.outcome}` }), ` ${text}`];
}

/** How an attempt ended: outcome, tokens, seconds, and what the judge says. */
function ending(attempt, text) {
  const label = page.outcomes.find((one) => one.name === attempt.outcome).label;
  const costs = [attempt.tokens !== null && `${number(attempt.tokens)} tokens`, attempt.seconds !== null && `${number(attempt.seconds, 2)} s`].filter(Boolean);
  const detail = text?.detail && h("span", { class: "detail" }, ...shown(text.detail));
  return h("p", { class: "ending" }, h("b", { class: "outcome" }, h("i", { class: `end end-${attempt.outcome}` }), ` ${label}`), costs.length > 0 && h("span", {}, costs.join(", ")), detail);
}

function bodyOf(attempt) {
  if (!attempt) return [h("p", { class: "note" }, "The text of this attempt is not on this page: see the notes of the report.")];
  const { text, opened } = attempt;
  const close = CLOSE.exec(text);
  if (!close && !opened && !/^\s*<(?:think|thinking)>/i.test(text)) return [part("Answer", text)];
  if (!close) return [part("Thinking, which never ends", text)];
  const end = close.index + close[0].length;
  return [part("Thinking", text.slice(0, end)), part("Answer", text.slice(end))];
}

/** The beginning of a question, and a button that shows all of it. */
function shortly(text) {
  const end = endOfBeginning(text, ...MOST_ASKED);
  if (text.length - end < 300) return [h("div", { class: "body" }, rendered(text))];
  const body = h("div", { class: "body" }, rendered(text.slice(0, end)));
  const all = h("button", { type: "button", class: "more", onclick: () => (all.remove(), body.replaceChildren(...rendered(text))) }, `\u2026 show all ${whole(text.length)} characters`);
  return [body, all];
}

/** Where a text ends that has at most so many characters and lines. */
function endOfBeginning(text, characters, lines) {
  const most = text.slice(0, characters - /[\ud800-\udbff]/.test(text[characters - 1])); // no half of a pair
  return most.split("\n", lines).join("\n").length;
}

/** What this attempt was asked, where that is not the question of the others. */
function otherwise(asked) {
  const details = h("details", { class: "part", ontoggle: () => details.childElementCount === 1 && details.append(h("div", { class: "body" }, rendered(asked))) }, h("summary", {}, `Asked otherwise: ${whole(asked.length)} characters`));
  return details;
}

function part(name, text) {
  return h("div", { class: "part" }, h("h2", {}, name, h("span", {}, ` ${whole(text.length)} characters`)), h("div", { class: "body" }, rendered(text.replace(/^\n+/, ""))));
}

/** Links to the review pages of what the arms were trained on: to the trace itself where it is among them, else to the page. */
function links(benchmark, problem) {
  const found = page.arms.flatMap((arm) => arm.review.map((review) => ({ arm, review, own: review.problems[benchmark.name]?.includes(problem) })));
  const line = (name, links) => links.length > 0 && h("p", { class: "links" }, `${name}: `, links);
  const link = ({ arm, review }, hash) => h("a", { href: review.href + hash }, badge(arm.name), ...shown(arm.name));
  return [
    line("Its trace in the review page", found.filter((one) => one.own).map((one) => link(one, `#id=${encodeURIComponent(benchmark.ids[problem])}`))),
    line("Review pages of what was trained on", found.filter((one) => !one.own).map((one) => link(one, ""))),
  ];
}

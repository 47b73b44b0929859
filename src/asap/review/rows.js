// The steps on the page: a margin, the text, and its state.

import { h, many, nats, whole } from "../page/dom.js";
import { plainReason, reasonOf } from "./reason.js";
import { rendered } from "../page/text.js";

const GROUP = 16;
const NAMES = { k: "kept", 1: "one", 2: "two", 3: "hand" };
const PLAINLY_KEPT = new Set(["k", "kh"]);

/** The rows in groups, which the browser lays out only near the window; groups are fewer to observe than rows. */
export function grouped(rows) {
  const groups = [];
  for (let from = 0; from < rows.length; from += GROUP) {
    const some = rows.slice(from, from + GROUP);
    const node = h("div", { class: "group", role: "presentation" }, some.map((row) => row.node));
    node.style.setProperty("--h", `${some.reduce((sum, row) => sum + row.height, 0)}px`);
    node.addEventListener("contentvisibilityautostatechange", (event) => event.skipped || some.forEach((row) => row.paint()));
    groups.push({ node, rows: some });
  }
  return groups;
}

/** The first of some nodes whose lower edge is below a line across the window. */
export function firstBelow(list, edge) {
  let low = 0;
  let high = list.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].node.getBoundingClientRect().bottom <= edge) low = middle + 1;
    else high = middle;
  }
  return list[low];
}

/** One block with its margin and its reasons. Its text is made when `fill` is called. `rule` rules on a step, where that can be done. */
export function makeRow(block, at, lanes, two, rule) {
  const [lane] = lanes;
  const node = h("div", { class: "step", role: "listitem", "data-step": at, tabindex: -1 });
  const height = two ? block.lines * 27 + 70 : Math.max(86, block.lines * 27 + 12);
  let filled = false;
  let painted = false;
  let past = "";
  const cells = [];
  const button = rule && lane.same ? h("button", { type: "button", class: "rule", onclick: overrule }) : null;

  function fill() {
    if (filled) return;
    filled = true;
    node.append(margin(lane, at, button), ...lanes.map((each, number) => cell(each, number)));
    painted = false;
    paint();
  }

  function cell(each, number) {
    const body = h("div", { class: "body" });
    const verdict = h("b", { class: "verdict" });
    const tokens = each.same ? `${many(each.steps.view.tokens[at], "token")}` : "";
    const reason = each.same ? [tokens, reasonOf(each.steps, at)].filter(Boolean).join("; ") : "";
    const letter = two ? h("b", { class: "letter" }, "AB"[number]) : null;
    const plain = each.same ? plainReason(each.steps, at) : "";
    const numbers = reason && plain ? h("details", {}, h("summary", {}, "Numbers"), `${capital(reason)}.`) : null;
    const said = plain || reason;
    const why = h("div", { class: "why" }, letter, verdict, said ? `. ${capital(said)}.` : ".", numbers);
    cells[number] = { body, verdict, letter, reason, text: null, node: h("div", { class: "cell" }, body, why), why };
    return cells[number].node;
  }

  function states() {
    return lanes.map((each) => each.now[at]).join("|");
  }

  function apart() {
    return two && lanes.some((each) => each.now[at][0] !== "k") !== lanes.every((each) => each.now[at][0] !== "k");
  }

  function marked() {
    if (two) return apart() || lanes.some((each) => each.cuts[at]);
    return !PLAINLY_KEPT.has(lane.now[at]);
  }

  /** What the button of the step does: take a ruling back, or the opposite of what is. */
  function offered() {
    const now = lane.now[at];
    if (now === "kh" || now === "3") return ["Undo", null, `Undo: step ${whole(at + 1)} as the run decides`];
    return now === "k" ? ["Remove", "remove", `Remove step ${whole(at + 1)}`] : ["Keep", "keep", `Keep step ${whole(at + 1)}`];
  }

  /** Rule on the step, or take the ruling back. */
  function overrule() {
    if (button) rule(at, offered()[1]);
  }

  /** Apply the state; rows off screen are only marked, and painted when they come into view. */
  function update(visible) {
    const wanted = states();
    if (wanted === past && !lanes.some((each) => each.cuts[at])) return;
    past = wanted;
    painted = false;
    node.dataset.state = NAMES[lane.now[at][0]];
    node.toggleAttribute("data-hand", lane.now[at] === "kh" || lane.now[at] === "3");
    if (two) node.classList.toggle("apart", marked());
    if (visible) paint();
  }

  function paint() {
    if (!filled || painted) return;
    painted = true;
    if (button) {
      const [label, , title] = offered();
      button.textContent = label;
      button.setAttribute("aria-label", title);
    }
    const split = two && marked();
    const alike = two && !split && lanes[0].now[at] === lanes[1].now[at] && cells[0].reason === cells[1].reason;
    if (two) {
      cells[0].letter.textContent = alike ? "A and B" : "A";
      cells[1].node.hidden = alike;
    }
    lanes.forEach((each, number) => {
      const part = cells[number];
      const now = each.now[at];
      if (two) part.node.dataset.state = NAMES[now[0]];
      part.verdict.textContent = each.verdict(at);
      const text = JSON.stringify(each.cuts[at] ?? []);
      const needed = number === 0 || split;
      if (needed && part.text !== text) {
        part.body.replaceChildren(...rendered(block.text, each.cuts[at] ?? []));
        part.text = text;
      }
    });
  }

  return { node, at, height, fill, update, paint, marked, overrule };
}

function margin(lane, at, button) {
  const value = lane.same ? lane.steps.score[at] : null;
  const known = value !== null && value !== undefined;
  const bar = h("i", { class: "bar" });
  bar.style.width = `${known ? Math.max(2, (100 * Math.abs(value)) / lane.highest) : 0}%`;
  return h("div", { class: "margin" }, h("span", { class: "no" }, whole(at + 1)), h("span", { class: "value" }, known ? nats(value) : ""), h("span", { class: "track", "aria-hidden": "true" }, bar), button);
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

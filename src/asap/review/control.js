// The budget control: a slider, its number in tokens or as a share, a reset, and the matching command.

import { h, oncePerFrame, whole } from "../page/dom.js";
import { command, ownCut } from "./cut.js";
import { countRulings } from "./rulings.js";
import { page, setCut, state } from "./state.js";

const POSITIONS = 1000;
let names = 0;

/** The control for budgets between `range()` = [least, most] tokens. `update()` shows the state; `node` is null if no cut can be moved. */
export function makeControl(range) {
  const name = `kind-${names++}`;
  const slider = h("input", { type: "range", min: 0, step: 1, "aria-label": "Budget", class: "slider" });
  const field = h("input", { type: "number", class: "field", inputmode: "decimal" });
  const unit = h("span", { class: "unit" });
  const radios = ["budget", "ratio"].map((kind) => h("input", { type: "radio", name, value: kind, onchange: () => switchTo(kind) }));
  const kinds = h(
    "span",
    { class: "kinds", role: "radiogroup", "aria-label": "What the budget is measured in" },
    radios.map((radio, at) => h("label", {}, radio, h("span", {}, ["Tokens per trace", "Share of a trace"][at]))),
  );
  const reset = h("button", { class: "reset", type: "button", onclick: () => setCut({ kind: "run" }) }, "Back to the run");
  const each = h("span", { class: "each" }, "each as it was run");
  const node = h("div", { class: "control" }, h("div", { class: "row" }, kinds, h("label", { class: "number" }, field, unit), page.runs.length > 1 ? each : null, reset), slider);
  let kind = "budget";

  const moved = oncePerFrame(() => setCut(atPosition(Number(slider.value))));
  slider.addEventListener("input", moved);
  field.addEventListener("change", () => {
    const cut = typed(field.value);
    if (cut) setCut(cut);
    update();
  });

  function switchTo(wanted) {
    kind = wanted;
    const cut = here();
    const before = page.totals[0].before;
    if (wanted === "ratio" && cut.kind === "budget") setCut({ kind: "ratio", value: Math.max(0.01, Math.round((100 * page.results[0].tokens) / before) / 100) });
    else if (wanted === "budget" && cut.kind === "ratio") setCut({ kind: "budget", value: nice(Math.max(...page.results[0].after)) });
    update();
  }

  function here() {
    return state.cut.kind === "run" ? (page.runs.map(ownCut).find(Boolean) ?? { kind: "budget", value: Math.max(...page.runs[0].coarse) }) : state.cut;
  }

  function atPosition(position) {
    if (kind === "ratio") return { kind, value: Number((position / 100).toFixed(2)) };
    const [least, most] = range();
    return { kind, value: Math.max(1, nice(least * (most / least) ** (position / POSITIONS), most)) };
  }

  function typed(text) {
    const number = Number(text);
    if (!Number.isFinite(number) || number <= 0) return null;
    if (kind === "ratio") return { kind, value: Math.min(1, Number((number / 100).toFixed(6))) };
    return { kind, value: Math.max(1, Math.round(number)) };
  }

  function update() {
    const cut = here();
    kind = cut.kind;
    radios.forEach((radio) => (radio.checked = radio.value === kind));
    const [least, most] = range();
    slider.min = kind === "ratio" ? 1 : 0;
    slider.max = kind === "ratio" ? 100 : POSITIONS;
    const position = kind === "ratio" ? 100 * cut.value : (POSITIONS * Math.log(Math.max(1, cut.value / least))) / Math.log(Math.max(1.001, most / least));
    const exact = Math.min(position, Number(slider.max));
    if (kind === "ratio" || atPosition(Number(slider.value)).value !== cut.value) slider.value = exact;
    slider.style.setProperty("--at", `${(100 * (slider.value - slider.min)) / (slider.max - slider.min)}%`);
    if (document.activeElement !== field) field.value = kind === "ratio" ? Number((100 * cut.value).toFixed(4)) : cut.value;
    field.setAttribute("aria-label", kind === "ratio" ? "Percent of each trace that may stay" : "Tokens that a trace may have");
    unit.textContent = kind === "ratio" ? "%" : "tokens";
    slider.setAttribute("aria-valuetext", kind === "ratio" ? `${field.value} percent of each trace` : `${whole(cut.value)} tokens a trace`);
    each.hidden = state.cut.kind !== "run";
    reset.disabled = state.cut.kind === "run";
  }

  return { node: page.runs.some((run) => run.left.length) ? node : null, update, step: (by) => nudge(slider, by), kind: () => kind };
}

function nudge(slider, by) {
  slider.value = Number(slider.value) + by * (slider.max > 100 ? 10 : 1);
  slider.dispatchEvent(new Event("input"));
}

/** A budget rounded to three digits, enough for a slider; the largest budget stays exact. */
function nice(tokens, most = Infinity) {
  if (tokens >= most) return Math.ceil(most);
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, tokens))) - 2);
  return Math.round(tokens / unit) * unit;
}

function shownCommands() {
  return page.runs.map((run) => command(run, state.cut, countRulings() > 0)).filter(Boolean);
}

/** The commands that write the shown cut, with a button that copies them. */
export function makeCommand() {
  const text = h("code", { class: "line", tabindex: 0 });
  const button = h("button", { type: "button", class: "copy", onclick: copy }, "Copy command");
  const said = h("span", { class: "said", role: "status" });
  const node = h("div", { class: "command" }, text, button, said);

  function update() {
    const lines = shownCommands();
    text.replaceChildren(...lines.flatMap((line, at) => (at ? [h("br"), line] : [line])));
    node.hidden = lines.length === 0;
    said.textContent = "";
  }

  async function copy() {
    const lines = shownCommands().join("\n");
    try {
      await navigator.clipboard.writeText(lines);
    } catch {
      getSelection().selectAllChildren(text);
      document.execCommand("copy");
    }
    said.textContent = "Copied";
  }

  return { node, update, copy };
}

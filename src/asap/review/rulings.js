// Rulings: what the reader decides instead of the stages, remembered by the browser and saved as the file that `asap cut --overrule` reads.
//
// A ruling is {id, digest, row, keep, remove}: row is "whole", "drop" or null; keep and remove list steps. One that a run has already comes
// with its traces (`view.ruled`), and the reader's stands in its place.

import { h, many } from "../page/dom.js";
import { change, page, state } from "./state.js";

const FILE = "rulings.jsonl";
const FORGET = "Forget them";
const made = new Map(); // by the id of the row
let place = null; // of the browser's storage; null where no rulings can be made: two runs

/** Read what was decided on this run's page before. */
export function startRulings() {
  if (page.runs.length !== 1) return;
  const [run] = page.runs;
  place = `asap-rulings ${run.name} ${run.input_hash} ${run.settings.step_split}`;
  try {
    for (const ruling of JSON.parse(localStorage.getItem(place) ?? "[]")) made.set(ruling.id, ruling);
  } catch {
    // no storage, or not ours: begin without
  }
}

/** Whether the page can take rulings. */
export function canRule() {
  return place !== null;
}

/** The ruling on a trace, the reader's or the run's own; empty if there is none. */
export function rulingOn(trace, view) {
  return made.get(page.index.traces.id[trace]) ?? { ...emptyRuling(), ...view.ruled };
}

/** Whether somebody ruled on a trace. */
export function isRuled(trace) {
  const own = made.get(page.index.traces.id[trace]);
  return own ? isSaying(own) : page.runs.some((run) => run.ruled?.[trace]);
}

function emptyRuling() {
  return { row: null, keep: [], remove: [] };
}

function isSaying({ row, keep, remove }) {
  return row !== null || keep.length + remove.length > 0;
}

/** Leave a row whole or drop it; the same again takes it back. */
export function ruleRow(trace, view, row) {
  put(trace, view, { ...emptyRuling(), row: rulingOn(trace, view).row === row ? null : row });
}

/** Keep or remove a step, or take the ruling on it back (null). In a row that was left whole, all other steps stay kept. */
export function ruleStep(trace, view, step, verdict) {
  const before = rulingOn(trace, view);
  const keep = before.row === "whole" ? [...view.by].map((_, other) => other) : before.keep;
  const { remove } = before;
  const without = (steps) => steps.filter((other) => other !== step);
  const to = (name, steps) => (verdict === name ? [...without(steps), step].sort((a, b) => a - b) : without(steps));
  put(trace, view, { row: null, keep: to("keep", keep), remove: to("remove", remove) });
}

/** What a ruling says of a step: "keep", "remove" or null. */
export function ruledStep({ row, keep, remove }, step) {
  if (row === "whole" || keep.includes(step)) return "keep";
  return remove.includes(step) ? "remove" : null;
}

function put(trace, view, { row, keep, remove }) {
  const id = page.index.traces.id[trace];
  const ruling = { id, digest: view.digest, row, keep, remove };
  const before = { ...emptyRuling(), ...view.ruled };
  if (JSON.stringify([row, keep, remove]) === JSON.stringify([before.row, before.keep, before.remove])) made.delete(id);
  else made.set(id, ruling);
  storeRulings();
}

function storeRulings() {
  try {
    if (made.size) localStorage.setItem(place, JSON.stringify([...made.values()]));
    else localStorage.removeItem(place);
  } catch {
    // the file is what counts
  }
  change({ rulings: state.rulings + 1 });
}

/** Whether the reader ruled on a trace on this page. */
export function isMine(trace) {
  return made.has(page.index.traces.id[trace]);
}

/** The number of rows that the reader ruled on. */
export function countRulings() {
  return made.size;
}

/** The file: a line for each row, in the order of the page. A line that says nothing takes the run's own ruling back. */
export function rulingsFile() {
  const at = new Map(page.index.traces.id.map((id, trace) => [id, trace]));
  const ordered = [...made.values()].sort((a, b) => (at.get(a.id) ?? Infinity) - (at.get(b.id) ?? Infinity) || (a.id < b.id ? -1 : 1));
  return ordered.map((ruling) => `${JSON.stringify(Object.fromEntries(Object.entries(ruling).filter(([, value]) => value?.length)))}\n`).join("");
}

function saveRulings() {
  const link = h("a", { href: URL.createObjectURL(new Blob([rulingsFile()], { type: "application/jsonl" })), download: FILE });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** What the reader decided so far, with buttons that save it as a file and forget it. `update()` shows the state. */
export function makeRulings() {
  const said = h("p", { role: "status" });
  const save = h("button", { type: "button", class: "save", onclick: saveRulings }, `Save ${FILE}`);
  const forget = h("button", { type: "button", onclick: forgetAll }, FORGET);
  const node = h("div", { class: "rulings" }, said, h("div", {}, save, " ", forget), h("p", { class: "note" }, "Then run the command below: it applies the file, counts the tokens, and cuts nothing else to make up for it."));

  /** Asks once more, for nothing else brings them back. */
  function forgetAll() {
    if (forget.textContent === FORGET) {
      forget.textContent = "Press again to forget them";
      return;
    }
    made.clear();
    storeRulings();
  }

  function update() {
    forget.textContent = FORGET;
    const all = [...made.values()];
    const sum = (steps) => all.reduce((total, ruling) => total + ruling[steps].length, 0);
    const rows = (row) => all.filter((ruling) => ruling.row === row).length;
    const parts = [[sum("keep"), "step", " to keep"], [sum("remove"), "step", " to remove"], [rows("whole"), "row", " left whole"], [rows("drop"), "row", " dropped"]];
    const told = parts.filter(([count]) => count).map(([count, noun, what]) => many(count, noun) + what);
    node.hidden = !all.length;
    said.textContent = `Your rulings on ${many(all.length, "row")}: ${told.join(", ") || "the run\u2019s own taken back"}.`;
  }

  return { node, update };
}

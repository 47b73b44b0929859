// Search, filters and order of the list.

import { h, whole } from "../page/dom.js";
import { loadPiece } from "../page/inflate.js";
import { SORTS, change, filters, page, passes, state } from "./state.js";

/** Search, filters and order. */
export function makeTools(list) {
  const box = h("input", { type: "search", placeholder: "Search questions, traces and answers", "aria-label": "Search", class: "search" });
  const buttons = new Map(filters().map(([name, label]) => [name, h("button", { type: "button", class: "chip", onclick: () => change({ filter: name }) }, label)]));
  const sorts = h(
    "select",
    { "aria-label": "Order", onchange: () => change({ sort: sorts.value }) },
    Object.entries(SORTS)
      .filter(([name]) => isUseful(name))
      .map(([name, [label]]) => h("option", { value: name }, label)),
  );
  const node = h("div", { class: "tools" }, box, h("div", { class: "chips", role: "group", "aria-label": "Filter" }, [...buttons.values()]), h("label", { class: "order" }, "Order ", sorts));
  let wait = 0;
  box.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(() => search(box.value.trim(), node), 150);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "ArrowDown") return;
    event.preventDefault();
    list.focus(0);
  });

  function updateTools() {
    sorts.value = state.sort;
    for (const [name, button] of buttons) {
      button.setAttribute("aria-pressed", state.filter === name);
      let count = name === "rejected" ? page.index.rejected_total : 0;
      if (name !== "rejected") for (let trace = 0; trace < page.index.size; trace++) count += passes(name, trace);
      button.replaceChildren(filters().find(([other]) => other === name)[1], " ", h("span", {}, whole(count)));
    }
  }

  return { node, update: updateTools, search: box };
}

function isUseful(name) {
  if (name === "apart") return page.runs.length > 1;
  if (name === "stage1") return page.totals.some((totals) => totals.gone1 > 0);
  return name !== "windows" || page.runs.some((run) => run.windows.some((count) => count > 1));
}

let running = 0;

/** Search ids and the starts of questions at once, then all texts piece by piece; a newer search ends an older one. */
async function search(query, node) {
  const mine = ++running;
  if (!query) return change({ query, found: null });
  const { index } = page;
  const word = query.toLowerCase();
  const found = new Set();
  for (let trace = 0; trace < index.size; trace++) {
    if (index.traces.id[trace].toLowerCase().includes(word) || index.traces.title[trace].toLowerCase().includes(word)) found.add(trace);
  }
  change({ query, found: new Set(found) });
  node.setAttribute("aria-busy", "true");
  let told = performance.now();
  for (let piece = 0; piece < index.pieceStart.length; piece++) {
    const texts = await loadPiece(piece);
    if (mine !== running) return undefined;
    texts.forEach((row, at) => {
      if ([row.question, row.cot, row.answer, ...(row.before ?? []).map(([, text]) => text)].some((text) => text.toLowerCase().includes(word))) found.add(index.pieceStart[piece] + at);
    });
    if (performance.now() - told > 400) {
      change({ found: new Set(found) });
      told = performance.now();
    }
  }
  node.removeAttribute("aria-busy");
  return change({ found: new Set(found) });
}

// What every page has around it: the line at the top, the keys, light and dark.

import { h } from "./dom.js";

const THEMES = ["auto", "light", "dark"];
let redraw = () => {};

/** Put the line at the top and the dialog of keys around the page; `onTheme` redraws what CSS does not reach. */
export function frame(motto, keys, onTheme) {
  redraw = onTheme;
  document.documentElement.dataset.theme = remembered();
  const rows = keys.map(([key, text]) => h("div", {}, h("dt", {}, key), h("dd", {}, text)));
  document.body.append(h("dialog", { "aria-label": "Keys" }, h("h2", {}, "Keys"), h("dl", {}, rows), h("form", { method: "dialog" }, h("button", {}, "Close"))));
  document.getElementById("app").before(
    h(
      "div",
      { class: "top-line" },
      h("a", { href: "#", class: "brand" }, "ASAP ", h("span", {}, motto)),
      h("button", { type: "button", class: "theme", onclick: nextTheme, title: "Light or dark (t)" }, "Light / dark"),
      h("button", { type: "button", onclick: showKeys, title: "Keys (?)" }, "Keys"),
    ),
  );
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

/** Show the keys. */
export function showKeys() {
  document.querySelector("dialog").showModal();
}

/** Dark after light, light after dark; remembered for all pages. */
export function nextTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme;
  const next = now === "dark" || (now === "auto" && dark) ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  redraw();
  try {
    localStorage.setItem("asap-theme", next);
  } catch {
    // a page opened from disk may have no storage, which is fine
  }
}

function remembered() {
  try {
    const theme = localStorage.getItem("asap-theme");
    return THEMES.includes(theme) ? theme : "auto";
  } catch {
    return "auto";
  }
}

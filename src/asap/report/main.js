// The page.

import { h, shown } from "../page/dom.js";
import { loadReport } from "./data.js";

const app = document.getElementById("app");

async function begin() {
  const report = await loadReport();
  app.replaceChildren(h("main", { class: "overview" }, h("h1", {}, ...shown(report.title))));
  app.removeAttribute("aria-busy");
}

begin();

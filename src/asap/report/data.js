// The embedded index.

import { json } from "../page/inflate.js";

/** The index of the report. */
export function loadReport() {
  return json("index");
}

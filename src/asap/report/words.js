// Numbers as they are read here.

import { h, many, shown, whole } from "../page/dom.js";
import { badge } from "./looks.js";

const NONE = "\u2013";

/** A share as 95.2, without the sign. */
export function hundred(share, digits = 1) {
  return share === null || share === undefined ? NONE : (100 * share).toFixed(digits);
}

/** A difference of shares in points: +1.9 */
export function points(share) {
  return signed(100 * share, 1);
}

/** A number with its sign and a true minus. */
export function signed(value, digits) {
  const text = Math.abs(value).toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${value < 0 && Number(text.replace(/,/g, "")) !== 0 ? "\u2212" : "+"}${text}`;
}

/** A number with digits after the point, or a dash. */
export function number(value, digits = 0) {
  return value === null || value === undefined ? NONE : value.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** 0.019, 0.57, < 0.001 */
export function chance(p) {
  if (p < 0.001) return "<\u202f0.001";
  return p < 0.1 ? p.toFixed(3) : p.toFixed(2);
}

/** A large count as 1.2M */
export function short(count) {
  if (count === null || count === undefined) return NONE;
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)}B`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(2)}M`;
  return count >= 1e5 ? `${Math.round(count / 1e3)}k` : whole(Math.round(count));
}

/** An arm's name behind its mark. */
export function armName(name, ...more) {
  return h("span", { class: "arm" }, badge(name), h("span", { class: "arm-name", title: name }, ...shown(name)), ...more);
}

/** `a`, `a and b`, `a, b and c` */
export function listing(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** On how much a figure rests: `12 problems in 4 clusters` */
export function sizeOf({ problems, clusters }) {
  return clusters === null ? many(problems, "problem") : `${many(problems, "problem")} in ${many(clusters, "cluster")}`;
}

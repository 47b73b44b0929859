// Text for reading: code blocks in a monospaced face with light colours, everything else as written. No character is left out.

import { h, shown } from "./dom.js";

const MOST_SHOWN = 20_000; // characters of one step; the rest appears on request
const FENCE = /^[ \t]*(?:>[ \t]*)*(`{3,}|~{3,})([^`\r\n]*)$/;
const HASHES = new Set(["", "py", "python", "python3", "sh", "bash", "shell", "ruby", "rb", "r", "perl", "yaml", "toml"]);
const WORDS =
  "and as assert async await auto bool boolean break case catch char class const constexpr continue def default del delete do double elif else enum except export extends extern false False final finally float fn for from func function global go if impl implements import in include instanceof int interface is lambda let long loop match mod mut namespace new None nonlocal not null nullptr or package pass private protected pub public raise return self Self short signed sizeof static std string String struct super switch template this throw throws trait true True try type typedef typename typeof union unsigned use using var vector virtual void volatile while with yield";
const KEYWORDS = new Set(WORDS.split(" "));

/** The nodes of a text. `cuts` are removed ranges [from, to) inside it, in order. */
export function rendered(text, cuts = []) {
  if (text.length > MOST_SHOWN) return shortened(text, cuts);
  return fenced(text).flatMap((part) => {
    const inside = within(cuts, part.from, part.text.length);
    if (part.code) return [h("pre", { class: "code", dir: "ltr" }, inside.length ? marked(part.text, inside) : [...shown(part.open), ...coloured(part.body, part.language), ...shown(part.close)])];
    return part.text.trim() ? [h("div", { class: isLaidOut(part.text) ? "prose laid" : "prose", dir: "auto" }, inside.length ? marked(part.text, inside) : inline(part.text))] : [];
  });
}

function shortened(text, cuts) {
  const rest = h("button", { type: "button", class: "more", onclick: () => rest.replaceWith(...marked(text.slice(MOST_SHOWN), within(cuts, MOST_SHOWN, text.length))) });
  rest.append(`Show the other ${(text.length - MOST_SHOWN).toLocaleString("en-GB")} characters`);
  return [h("div", { class: "prose", dir: "auto" }, marked(text.slice(0, MOST_SHOWN), within(cuts, 0, MOST_SHOWN)), rest)];
}

/** The parts of ranges inside a part of their text, from its start. */
function within(cuts, start, length) {
  return cuts.map(([from, to]) => [Math.max(0, from - start), Math.min(length, to - start)]).filter(([from, to]) => from < to);
}

function marked(text, cuts) {
  const nodes = [];
  let at = 0;
  for (const [from, to] of cuts) {
    nodes.push(...shown(text.slice(at, from)), h("del", {}, shown(text.slice(from, to))));
    at = to;
  }
  return [...nodes, ...shown(text.slice(at))];
}

/** Prose and fenced code in turn, each with its place in the text. An unclosed fence extends to the end. */
function fenced(text) {
  const parts = [];
  let prose = [];
  let block = null;
  let at = 0; // the start of the line
  let began = 0; // of the prose
  const flush = () => {
    if (prose.length) parts.push({ text: prose.join("\n"), from: began });
    prose = [];
  };
  const close = (body, last) => {
    parts.push({ ...block, code: true, body, close: last, text: block.open + body + last });
    block = null;
  };
  for (const line of text.split("\n")) {
    const fence = FENCE.exec(line);
    if (block) {
      if (fence && fence[1][0] === block.mark[0] && fence[1].length >= block.mark.length && !fence[2].trim()) close(block.lines.join(""), line);
      else block.lines.push(`${line}\n`);
    } else if (fence) {
      flush();
      block = { from: at, mark: fence[1], open: `${line}\n`, language: fence[2].trim().split(/\s/)[0].toLowerCase(), lines: [] };
    } else {
      if (!prose.length) began = at;
      prose.push(line);
    }
    at += line.length + 1;
  }
  if (block) close(block.lines.join("").replace(/\n$/, ""), "");
  flush();
  return parts;
}

/** Whether a text's columns carry meaning: indented, padded on several lines, or sums and tables without words. */
function isLaidOut(text) {
  const lines = text.split("\n").filter((line) => line.trim());
  if (lines.some((line) => /^( {4,}|\t)\S/.test(line)) || lines.filter((line) => /\S {3,}\S/.test(line)).length > 1) return true;
  return lines.length > 1 && lines.every((line) => !/[\p{L}]{3}/u.test(line));
}

/** `code` between single backquotes, including the backquotes. */
function inline(text) {
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(/(`+)(?!`)[^`\n]+\1(?!`)/g)) {
    nodes.push(...shown(text.slice(at, found.index)), h("code", { dir: "ltr" }, ...shown(found[0])));
    at = found.index + found[0].length;
  }
  nodes.push(...shown(text.slice(at)));
  return nodes;
}

/** Code with its comments, strings, numbers and keywords in colour: enough to see the structure, in any language. */
function coloured(code, language) {
  const comment = HASHES.has(language) ? "#[^\\n]*" : "//[^\\n]*|/\\*[^]*?\\*/";
  const string = `"""[^]*?"""|'''[^]*?'''|"(?:[^"\\\\\\n]|\\\\.)*"|'(?:[^'\\\\\\n]|\\\\.)*'`;
  const tokens = new RegExp(`(${comment})|(${string})|\\b(\\d[\\w.]*)|([A-Za-z_]\\w*)`, "g");
  const nodes = [];
  let at = 0;
  for (const found of code.matchAll(tokens)) {
    const kind = found[1] ? "c" : found[2] ? "s" : found[3] ? "n" : KEYWORDS.has(found[4]) ? "k" : null;
    if (!kind) continue;
    nodes.push(...shown(code.slice(at, found.index)), h("span", { class: kind }, ...shown(found[0])));
    at = found.index + found[0].length;
  }
  nodes.push(...shown(code.slice(at)));
  return nodes;
}

// Elements, numbers, and text that cannot act as markup or hide characters.

const SVG = "http://www.w3.org/2000/svg";
// Invisible characters and those that change the direction of text are shown by number. Joiners are kept: scripts and emoji need them.
const UNSEEN =
  /(?![\t\n\u0600-\u0605\u06dd\u070f\u08e2\u200c\u200d]|\r\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0\u{e0100}-\u{e01ef}]/gu;

/** An element with attributes, `on…` listeners and children; strings become text, never markup. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Untrusted text as nodes, with invisible characters made visible. */
export function shown(text) {
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(UNSEEN)) {
    if (found.index > from) nodes.push(text.slice(from, found.index));
    const code = found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    nodes.push(h("span", { class: "unseen", title: `the character U+${code}` }, code));
    from = found.index + found[0].length;
  }
  nodes.push(text.slice(from));
  return nodes;
}

const WHOLE = new Intl.NumberFormat("en-GB");

/** 12,345 */
export function whole(number) {
  return WHOLE.format(number);
}

/** `1 trace`, `2 traces` */
export function many(number, noun, plural = `${noun}s`) {
  return `${whole(number)} ${number === 1 ? noun : plural}`;
}

/** A share as 74.5 %, with a narrow space that does not break. */
export function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)}\u202f%`;
}

/** Nats with a useful number of digits. */
export function nats(value) {
  const text = Math.abs(value) < 10 ? value.toFixed(2) : value.toFixed(1);
  return text.replace("-", "\u2212");
}

/** Run a function once before the next frame, however often it is requested. */
export function oncePerFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}

/** Let the browser draw and handle events before continuing. */
export function breath() {
  return new Promise((resolve) => setTimeout(resolve));
}

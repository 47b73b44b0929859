// Embedded data: inflated when they are needed.

const kept = new Map(); // recently inflated pieces, by number
const MOST_KEPT = 12;

/** The bytes of a block. */
export async function inflated(id) {
  const block = document.getElementById(id);
  const text = block.textContent;
  let bytes;
  if (Uint8Array.fromBase64) bytes = Uint8Array.fromBase64(text);
  else bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** The JSON value of a block. */
export async function json(id) {
  return JSON.parse(new TextDecoder().decode(await inflated(id)));
}

/** The texts of one piece, in order. */
export async function loadPiece(number) {
  if (!document.getElementById(`piece-${number}`)) await parsed();
  const texts = kept.get(number) ?? json(`piece-${number}`);
  kept.delete(number);
  kept.set(number, texts);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
  return texts;
}

function parsed() {
  if (document.readyState !== "loading") return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
}

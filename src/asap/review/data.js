// The embedded data: reads the index at once, the texts piece by piece.

const kept = new Map(); // recently inflated pieces, by number
const MOST_KEPT = 12;

async function inflated(id) {
  const block = document.getElementById(id);
  const text = block.textContent;
  let bytes;
  if (Uint8Array.fromBase64) bytes = Uint8Array.fromBase64(text);
  else bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

async function json(id) {
  return JSON.parse(new TextDecoder().decode(await inflated(id)));
}

/** The index with each run's series as typed arrays: tokens left after each removal, the worth of the removed step (nats), and with two runs its index. */
export async function loadIndex() {
  const index = await json("index");
  const buffers = await Promise.all(index.runs.map((_, number) => inflated(`series-${number}`)));
  index.runs.forEach((run, number) => {
    const total = run.series.reduce((sum, length) => sum + length, 0);
    run.left = new Uint32Array(buffers[number], 0, total);
    run.worth = new Float32Array(buffers[number], 4 * total, total);
    run.order = buffers[number].byteLength > 8 * total ? new Uint32Array(buffers[number], 8 * total, total) : null;
    run.offset = new Uint32Array(run.series.length + 1);
    run.series.forEach((length, trace) => (run.offset[trace + 1] = run.offset[trace] + length));
    run.knowsWorth = total > 0 && run.worth.every((value) => value === value);
    run.worthOf = new Float64Array(run.series.length);
    for (let trace = 0; trace < run.series.length; trace++) {
      for (let at = run.offset[trace]; at < run.offset[trace + 1]; at++) run.worthOf[trace] += run.worth[at];
    }
  });
  index.size = index.traces.id.length;
  index.pieceStart = [];
  index.traces.piece.forEach((piece, trace) => (index.pieceStart[piece] ??= trace));
  return index;
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

/** Question, trace, answer and steps of one trace. */
export async function loadText(index, trace) {
  const piece = index.traces.piece[trace];
  return (await loadPiece(piece))[trace - index.pieceStart[piece]];
}

function parsed() {
  if (document.readyState !== "loading") return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
}

// The embedded data: reads the index at once, the texts piece by piece.

import { inflated, json, loadPiece } from "../page/inflate.js";

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

/** Question, trace, answer and steps of one trace. */
export async function loadText(index, trace) {
  const piece = index.traces.piece[trace];
  return (await loadPiece(piece))[trace - index.pieceStart[piece]];
}

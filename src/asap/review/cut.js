// The rules of `asap cut` (Algorithm 2 as a look-up): remove in order until the trace fits or only the steps that must be kept remain.
//
// A cut is {kind: "run"} (each trace as in its run), {kind: "budget", value: tokens} or {kind: "ratio", value: share}.

/** The tokens that a trace may have; null means no limit. The same arithmetic as token_budget in Python. */
export function limitOf(cut, before) {
  if (cut.kind === "ratio") return Math.max(1, Math.floor(before * cut.value + 1e-9));
  return cut.kind === "budget" ? cut.value : null;
}

/** The cut that a run was made with: a budget, a ratio, or null without one. */
export function ownCut(run) {
  const { budget, ratio, coarse_only: coarseOnly, method } = run.settings;
  if (coarseOnly || method === "original" || ((budget ?? null) === null && (ratio ?? null) === null)) return null;
  return ratio !== null && ratio !== undefined ? { kind: "ratio", value: ratio } : { kind: "budget", value: budget };
}

/** Whether a cut is the run's own. Every other cut removes the steps that a support floor put back. */
export function isOwn(run, cut) {
  const own = run.grades ? null : ownCut(run);
  return cut.kind === "run" || (own !== null && own.kind === cut.kind && own.value === cut.value);
}

/** The number of steps that stage 2 removes from one trace, in their order. */
export function removedAt(run, trace, limit) {
  const base = run.offset[trace];
  const most = run.series[trace] - run.least[trace];
  let removed = 0;
  let tokens = run.coarse[trace];
  while (limit !== null && tokens > limit && removed < most) tokens = run.left[base + removed++];
  return removed;
}

/** The tokens of a trace after `removed` removals. */
export function tokensAfter(run, trace, removed) {
  return removed ? run.left[run.offset[trace] + removed - 1] : run.coarse[trace];
}

/** Whether the run has a trace; whether its cut can be moved. */
export function isThere(run, trace) {
  return run.steps[trace] >= 0;
}
export function isMovable(run, trace) {
  return run.series[trace] > 0;
}

/** The whole run at a cut: per trace the removals of stage 2 and the tokens after, and the totals. */
export function cutAll(run, cut) {
  const own = isOwn(run, cut);
  const size = run.steps.length;
  const totals = { tokens: 0, worth: 0, removed1: 0, removed: 0, removed3: 0, unchanged: 0, over: 0, traces: 0 };
  const result = { gone1: new Uint32Array(size), gone: new Uint32Array(size), gone3: new Uint32Array(size), after: new Uint32Array(size), ...totals };
  const limits = own ? (ownCut(run) ?? { kind: "run" }) : cut;
  for (let trace = 0; trace < size; trace++) {
    if (run.steps[trace] < 0) continue;
    const limit = limitOf(limits, run.before[trace]);
    const fixed = own || run.series[trace] === 0;
    const gone = fixed ? run.gone2[trace] : removedAt(run, trace, limit);
    const after = fixed ? run.after[trace] : tokensAfter(run, trace, gone);
    const gone1 = run.gone1[trace] - (fixed ? run.back1[trace] : 0);
    const gone3 = fixed ? run.gone3[trace] : 0;
    result.gone1[trace] = gone1;
    result.gone[trace] = gone;
    result.gone3[trace] = gone3;
    result.after[trace] = after;
    result.traces += 1;
    result.tokens += after;
    result.removed1 += gone1;
    result.removed += gone;
    result.removed3 += gone3;
    result.worth += fixed ? run.worth_kept[trace] : worthKept(run, trace, gone);
    if (isUnchanged(run, trace, gone1 + gone + gone3, after)) result.unchanged += 1;
    if (limit !== null && after > limit && !(own && run.ruled?.[trace])) result.over += 1;
  }
  return result;
}

/** Whether nothing is cut from a trace. */
export function isUnchanged(run, trace, gone, after) {
  return gone === 0 && (run.series[trace] > 0 || after === run.before[trace]);
}

/** The surprisal (nats) of the steps kept after `removed` removals. */
export function worthKept(run, trace, removed) {
  let worth = run.worthOf[trace];
  const base = run.offset[trace];
  for (let at = base; at < base + removed; at++) worth -= run.worth[at];
  return worth;
}

/** One trace at a cut, as in the run or by the rules. `gone1` and `gone` count the removals of stages 1 and 2, `gone3` those by hand. */
export function cutOne(run, trace, cut) {
  if (isOwn(run, cut) || !isMovable(run, trace)) {
    return { gone1: run.gone1[trace] - run.back1[trace], gone: run.gone2[trace], gone3: run.gone3[trace], after: run.after[trace], own: true };
  }
  const gone = removedAt(run, trace, limitOf(cut, run.before[trace]));
  return { gone1: run.gone1[trace], gone, gone3: 0, after: tokensAfter(run, trace, gone), own: false };
}

/** The budget below which each removal happens: the fewest tokens before it, in the order of removal. Null if it never happens. */
export function thresholds(run, trace) {
  const series = run.series[trace];
  const values = [];
  let least = run.coarse[trace];
  for (let removed = 0; removed < series; removed++) {
    values.push(removed < series - run.least[trace] ? least : null);
    least = Math.min(least, run.left[run.offset[trace] + removed]);
  }
  return values;
}

/** The shares of tokens and worth (surprisal, or steps if it is unknown) that a run keeps at a cut, relative to `totals`. */
export function sharesAll(run, cut, totals) {
  const result = cutAll(run, cut);
  const worth = run.knowsWorth ? result.worth / (totals.worth || 1) : 1 - result.removed / (totals.steps || 1);
  return { tokens: result.tokens / (totals.before || 1), worth };
}

/** The totals that shares are relative to: all tokens before any cut, and worth and steps after stage 1. */
export function totalsOf(run) {
  const totals = { before: 0, coarse: 0, steps: 0, gone1: 0, worth: 0, traces: 0 };
  for (let trace = 0; trace < run.steps.length; trace++) {
    if (run.steps[trace] < 0) continue;
    totals.traces += 1;
    totals.before += run.before[trace];
    totals.coarse += run.coarse[trace];
    totals.gone1 += run.gone1[trace];
    totals.steps += run.steps[trace] - run.gone1[trace];
    totals.worth += run.worthOf[trace];
  }
  return totals;
}

/** The command that writes the shown cut, with the reader's rulings if there are some; null if none does. */
export function command(run, cut, ruled) {
  const made = cut.kind === "run" ? ownCut(run) : cut;
  const overrule = ruled ? " --overrule rulings.jsonl" : "";
  const named = ruled ? "-overruled" : "";
  if (ruled && cut.kind === "run") return `asap cut ${quoted(run.path)}${overrule} --out ${quoted(run.path + named)}`;
  if (made === null || run.left.length === 0 || (run.grades && cut.kind === "run")) return null;
  const value = String(made.value);
  return `asap cut ${quoted(run.path)} --${made.kind} ${value}${overrule} --out ${quoted(`${run.path}-${value}${named}`)}`;
}

function quoted(path) {
  const safe = path.startsWith("-") ? `./${path}` : path;
  return /^[\w@%+=:,./-]+$/.test(safe) ? safe : `'${safe.replaceAll("'", `'\\''`)}'`;
}

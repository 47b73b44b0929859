// The embedded report: its figures, and the attempts of each arm at each problem.

import { json, loadPiece } from "../page/inflate.js";

export const page = { report: null, arms: [], outcomes: [], benchmarks: [] };

const AT = { problem: 0, seed: 1, sample: 2, outcome: 3, tokens: 4, seconds: 5, piece: 6, place: 7 };

/** Read the index. Each benchmark gets `cells[problem][arm]`, the attempts there. */
export async function loadReport() {
  const report = await json("index");
  page.report = report;
  page.outcomes = report.outcomes.map(([name, label]) => ({ name, label }));
  page.arms = report.arms.map((arm, number) => ({ ...arm, number, review: report.reviews[number] }));
  page.benchmarks = Object.keys(report.problems).map((name) => {
    const ids = report.problems[name];
    const cells = ids.map(() => page.arms.map(() => []));
    report.attempts[name].forEach((attempts, arm) => {
      for (const attempt of attempts) cells[attempt[AT.problem]][arm].push(attemptOf(attempt));
    });
    return { name, ids, cells, questions: report.questions[name] };
  });
  return page;
}

function attemptOf(values) {
  const attempt = Object.fromEntries(Object.entries(AT).map(([name, at]) => [name, values[at]]));
  return { ...attempt, outcome: page.outcomes[attempt.outcome].name };
}

/** What an arm comes to on a benchmark; undefined where it did not try. */
export function resultOf(arm, benchmark) {
  return page.report.results.find((one) => one.arm === arm.name && one.benchmark === benchmark);
}

/** The share of right attempts among those that were judged; null if none was. */
export function shareOf(attempts) {
  const judged = attempts.filter((attempt) => attempt.outcome !== "infra");
  return judged.length ? judged.filter((attempt) => attempt.outcome === "right").length / judged.length : null;
}

/** Whether the arms that tried a problem differ in it. */
export function differs(cells) {
  const shares = cells.map(shareOf).filter((share) => share !== null);
  return shares.some((share) => share !== shares[0]);
}

/** Text, verdict and detail of an attempt; null if its text is not on the page. */
export async function loadAttempt(attempt) {
  return attempt.piece < 0 ? null : (await loadPiece(attempt.piece))[attempt.place];
}

/** What was asked about a problem; null if that is not on the page. */
export async function loadQuestion(benchmark, problem) {
  const [piece, place] = benchmark.questions[problem];
  return piece < 0 ? null : (await loadPiece(piece))[place].text;
}

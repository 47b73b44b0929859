"""Whether a step with hidden keys is worth what a step that is left out is worth, and what the bets cost.

Run `python -m experiments.bets.sanity ROWS --out checked.jsonl` from the repository's root. For each row: the rank correlation of the
answer's surprisal with each step's keys hidden and without each step (exact, `asap.lm.leave_out`), of f with the exact one, the tokens
that the model read for each, and the share of the tokens of bridge's paths at a half and a quarter that a cut to these budgets keeps.
Rows that are in the file already are not computed again. As the mean correlation was below 0.6, l has left two_end.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from experiments.bets.bridge import path, ranked, transitions
from experiments.bets.laid import Laid
from experiments.bets.sketch import Tail, sketch
from experiments.bets.two_end import losses
from scipy.stats import spearmanr

from asap import read_samples
from asap.lm.scorer import LeaveOutRequest, Scorer
from asap.lm.specs import load_scorer
from asap.prune.fine.removal import removal_order, removals
from asap.prune.together import together
from asap.prune.trace import Steps, Trace

LEAST = 0.6


def main() -> None:
    """Write a line for each row, then print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", help="a data set that asap prune reads")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scorer", default="bundled")
    parser.add_argument("--limit", type=int, default=5)
    options = parser.parse_args()
    found = {one["id"]: one for one in map(json.loads, options.out.read_text("utf-8").splitlines())} if options.out.exists() else {}
    scorer = load_scorer(options.scorer)
    for number, sample in enumerate(read_samples(options.rows)):
        if number == options.limit:
            break
        if sample.id not in found:
            trace = Trace.of(sample, "fenced", "chat" if scorer.tokens.hf.chat_template else "raw", scorer, scorer.tokens, 0)
            found[sample.id] = {"id": sample.id, **checked(trace.steps(range(len(trace.spans))), scorer)}
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found[sample.id]) + "\n")
            print(found[sample.id], flush=True)
    means = {name: float(np.mean([one[name] for one in found.values()])) for name in next(iter(found.values())) if name != "id"}
    print(json.dumps({"rows": len(found), **{name: round(value, 3) for name, value in means.items()}}))
    print(f"hidden keys stand for leaving out: {means['hidden, exact'] >= LEAST} (the rank correlation must be {LEAST} or more)")


def checked(steps: Steps, scorer: Scorer) -> dict[str, Any]:
    """The numbers of one row."""
    tail, lm = Tail.of(steps.sample), scorer.causal_lm
    assert lm is not None, "name a scorer that is in this process"
    laid = Laid.of(steps, tail, lm.tokens)
    every = np.arange(len(laid.ids) - laid.text)
    masked = losses(lm, steps, tail, every)
    left_out = scorer.leave_out(LeaveOutRequest(steps.request.context, steps.texts, tail.text, tail.lead, between=steps.between))
    exact = [rest.nll - left_out.whole.nll for rest in left_out.without]
    [drawn] = together([sketch(steps)], scorer)
    assert not isinstance(drawn, Exception)
    read, behind = int(laid.begins[-1]), len(laid.ids) - int(laid.begins[-1])
    lengths = steps.tokens.count_many(list(steps.texts))
    costs = transitions(lm, steps)
    scores = ranked(costs, lengths)
    return {
        "steps": len(steps.texts),
        "tokens": read,
        "hidden, exact": _rank_correlation(masked, exact),
        "forward, exact": _rank_correlation(drawn.gains.mean(axis=1), exact),
        "read by f": read + (len(steps.texts) + 1) * behind,
        "read by l": read + (len(steps.texts) + 1) * behind,
        "read by bridge": read + sum(min(17, 1 + lengths[stop - 1]) if stop <= len(lengths) else behind for _, stop in costs),
        "read by leave-one-out": read + int(len(steps.texts) * (read - int(laid.begins[0])) / 2) + (len(steps.texts) + 1) * behind,
        **{f"path kept at {share}": _kept(scores, lengths, path(costs, lengths, share * sum(lengths)), share) for share in (0.5, 0.25)},
    }


def _kept(scores: Sequence[float], lengths: Sequence[int], on_path: Sequence[int], share: float) -> float:
    """The share of a path's tokens that a cut by these scores keeps."""
    order = removal_order(scores)
    left = [sum(lengths), *(sum(lengths) - int(total) for total in np.cumsum([lengths[step] for step in order]))]
    kept = {*order[removals(left, int(share * sum(lengths)), at_most=len(order) - 1) :]}
    return sum(lengths[step] for step in kept.intersection(on_path)) / max(1, sum(lengths[step] for step in on_path))


def _rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    return float(spearmanr(one, other).statistic)


if __name__ == "__main__":
    main()

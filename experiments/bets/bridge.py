"""Bridge path: which steps make a trace that is easy to continue from one kept step to the next. Does not read the answer.

c(i -> j) is the mean surprisal of the first 16 tokens of s_j given the question and s_1 … s_i, as if s_j stood right behind s_i. A path
goes from the question through steps to the end of the thinking; from each step it goes at most 4 steps ahead, or jumps to one of 4 steps
in the last quarter. For a budget, the path minimises the sum of c plus a price for each token, and the price is the lowest, by
bisection, at which the path fits; it may be negative, since short paths have few transitions.

A score must order the steps once for all budgets: a path is found for each share of `SHARES`, and a step scores by the smallest share
whose path it lies on; of equal ones the later step stays longer. Paths of different budgets are not nested, so a cut keeps the smaller
paths whole and only some of its own: `sanity.py` counts how much of a path at a half and a quarter a cut keeps.

Reads the trace once and at most 9 times 17 tokens for each step.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from experiments.bets.laid import Laid
from experiments.bets.prefill import Prefill, Probe
from experiments.bets.sketch import Tail
from numpy.typing import NDArray

from asap.lm.causal_lm import CausalLM
from asap.lm.scorer import Scoring
from asap.prune.trace import Steps
from asap.think_tags import CLOSED

SHARES = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_AHEAD = 4
_DEPTH = 16
_HIGHEST_PRICE = 100.0  # nats a token: above the surprisal of any
_HALVINGS = 50

Costs = Mapping[tuple[int, int], float]
"""c(i -> j) by i and j, in the order of j: 0 is the question, the steps count from 1, and the end comes after the last."""


def score(steps: Steps) -> Scoring[list[float]]:
    """The negated smallest share of tokens whose path has the step; -1 for a step that no path has."""
    lengths = steps.tokens.count_many(list(steps.texts))
    costs = yield from steps.ask_model(lambda lm: transitions(lm, steps))
    return ranked(costs, lengths)


def ranked(costs: Costs, lengths: Sequence[int]) -> list[float]:
    """The scores of steps by what it costs to go from one to another."""
    smallest = [1.0] * len(lengths)
    for share in reversed(SHARES):
        for step in path(costs, lengths, share * sum(lengths)):
            smallest[step] = share
    return [-share + index * 1e-6 for index, share in enumerate(smallest)]


def path(costs: Costs, lengths: Sequence[int], budget: float) -> list[int]:
    """The steps of the longest path by price that fits; the shortest one where none does."""
    low, high = -_HIGHEST_PRICE, _HIGHEST_PRICE
    best = _cheapest(costs, lengths, high)
    for _ in range(_HALVINGS):
        price = (low + high) / 2
        found = _cheapest(costs, lengths, price)
        if sum(lengths[step] for step in found) <= budget:
            best, high = found, price
        else:
            low = price
    return best


def _cheapest(costs: Costs, lengths: Sequence[int], price: float) -> list[int]:
    """The steps of the path with the smallest sum of costs and prices (Viterbi)."""
    end = len(lengths) + 1
    reached: dict[int, tuple[float, int]] = {0: (0.0, 0)}
    for (start, stop), cost in costs.items():
        if start in reached:
            total = reached[start][0] + cost + (price * lengths[stop - 1] if stop < end else 0.0)
            if stop not in reached or total < reached[stop][0]:
                reached[stop] = total, start
    found, at = list[int](), reached[end][1]
    while at:
        found.append(at - 1)
        at = reached[at][1]
    return found[::-1]


def targets(start: int, steps: int) -> list[int]:
    """Where a path may go from a step (0: from the question); the end is `steps` + 1."""
    first = max(1, steps - steps // 4)
    jumps = {int(one) for one in np.linspace(first, steps, 4).round()}
    ahead = range(start + 1, min(start + _AHEAD, steps) + 1)
    end = {steps + 1} if start + 1 >= first else set[int]()
    return sorted({*ahead, *(jump for jump in jumps if jump > start), *end})


def transitions(lm: CausalLM, steps: Steps) -> Costs:
    """c(i -> j) for all transitions that a path may take."""
    laid = Laid.of(steps, Tail(CLOSED, "", []), lm.tokens)
    kept = Prefill.of(lm, laid.ids[: laid.begins[-1]])
    count = len(steps.texts)
    edges = sorted(((start, stop) for start in range(count + 1) for stop in targets(start, count)), key=lambda edge: edge[::-1])
    return dict(zip(edges, map(_mean_surprisal, kept.logprobs([_probe(laid, *edge) for edge in edges])), strict=True))


def _probe(laid: Laid, start: int, stop: int) -> Probe:
    """The last token before the place behind step `start`, and the first tokens of step `stop` there."""
    before = int(laid.begins[start])
    ends = [*laid.begins[1:], len(laid.ids)]
    first = int(laid.begins[stop - 1])
    ids = laid.ids[[before - 1, *range(first, min(first + _DEPTH, int(ends[stop - 1])))]]
    return Probe(ids, np.arange(int(laid.begins[-1])) < before - 1, before - 1)


def _mean_surprisal(logprobs: NDArray[np.float64]) -> float:
    return float(-logprobs.mean()) if len(logprobs) else 0.0

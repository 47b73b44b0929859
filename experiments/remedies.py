"""Three remedies for what first-token surprisal gets wrong on code, as methods of one's own; none of them beat random removal.

From the repository's root: `asap prune ROWS --method experiments.remedies:local_surprisal --out DIR`, or the same name in
`asap compare --methods`. docs/results/compare.md has their rows.
"""

from collections.abc import Sequence
from statistics import median

import numpy as np

from asap.fences import is_open
from asap.lm.scorer import Scoring, TokenScores
from asap.prune.coarse.align import alignment
from asap.prune.fine.surprisal import checked
from asap.prune.methods.from_one_pass import first_token_surprisal
from asap.prune.trace import Steps
from asap.spans import Span

_NEIGHBOURS = 4  # on each side of a step


def local_surprisal(steps: Steps) -> Scoring[list[float]]:
    """First-token surprisal, minus the median of the steps around it: normalised by position."""
    return against_neighbours((yield from first_token_surprisal(steps)))


def past_fence_surprisal(steps: Steps) -> Scoring[list[float]]:
    """First-token surprisal; for a step that opens a code fence, that of the first token in the fence."""
    read = yield from steps.read()
    return [checked(_past_fence(*parts)) for parts in zip(steps.texts, steps.request.spans, read, strict=True)]


def aligned_surprisal(steps: Steps) -> Scoring[list[float]]:
    """The step's rank by surprisal plus its rank by alignment."""
    aligned = yield from alignment(steps)
    return ranks_added((yield from first_token_surprisal(steps)), aligned)


def against_neighbours(scores: Sequence[float]) -> list[float]:
    """Each score minus the median of the scores around it."""
    near = [scores[max(0, index - _NEIGHBOURS) : index + _NEIGHBOURS + 1] for index in range(len(scores))]
    return [checked(score - median(around)) for score, around in zip(scores, near, strict=True)]


def ranks_added(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """The sum of the ranks of two scores, from 0; of equal ones the earlier step ranks lower."""
    ranks = (np.argsort(np.argsort(scores, kind="stable")) for scores in (one, other))
    return sum(ranks, np.zeros(len(one))).tolist()


def _past_fence(text: str, span: Span, read: TokenScores) -> float:
    opener, _, inside = text.lstrip().partition("\n")
    start = len(opener) + 1 + len(inside) - len(inside.lstrip()) if is_open(opener) else 0
    first = int(np.searchsorted(read.ends, span.start + start, side="right")) if start else 0
    first = first if first < len(read.logprobs) else 0  # the fence is empty
    return -float(read.logprobs[first]) if len(read.logprobs) else 0.0

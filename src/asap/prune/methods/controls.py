"""Controls: scores without a model. A method that does not beat them has shown nothing."""

import random
from itertools import accumulate

from asap.lm.word_cache import by_words
from asap.prune.fine.surprisal import checked
from asap.prune.methods.functional import functional_class
from asap.prune.trace import Steps


def random_draw(steps: Steps) -> list[float]:
    """A draw that depends on the seed and the sample's content only."""
    draws = random.Random(f"{steps.seed} {steps.sample.digest()}")
    return [checked(draws.random()) for _ in steps.texts]


def random_block(steps: Steps) -> list[float]:
    """A tent over the trace whose top is at a place drawn once: at any budget, what stays is one run of steps around it.

    Of the tokens that go, a share u stands before the block and 1 - u behind it, with u uniform between 0 and 1 (up to whole steps). So
    a block of any length starts at each place with equal chance, and a longer one contains a shorter one.
    """
    place = random.Random(f"block {steps.seed} {steps.sample.digest()}").random()
    middles, total = _middles(steps)
    return [min(middle * (1 - place), (total - middle) * place) for middle in middles]


def keep_ends(steps: Steps) -> list[float]:
    """The distance in tokens from the middle of the trace, which goes first (both ends stay, as E-SFT does, arXiv:2609.07103)."""
    middles, total = _middles(steps)
    return [abs(middle - total / 2) for middle in middles]


def keep_head(steps: Steps) -> list[float]:
    """The step's position, negated: removes the end first, which truncates by whole steps."""
    return [-float(index) for index in range(len(steps.texts))]


def keep_tail(steps: Steps) -> list[float]:
    """The step's position: removes the start first."""
    return [float(index) for index in range(len(steps.texts))]


def longest_first(steps: Steps) -> list[float]:
    """The step's length in tokens, negated."""
    return [-float(count) for count in by_words(steps.tokens).count_many(steps.texts)]


def functional_first(steps: Steps) -> list[float]:
    """The draw of `random`, plus 1 for a step of no functional class: all others go first (the classes of PIR, arXiv:2505.19187)."""
    return [draw + (functional_class(text) is None) for draw, text in zip(random_draw(steps), steps.texts, strict=True)]


def _middles(steps: Steps) -> tuple[list[float], int]:
    """Where the middle of each step lies, in tokens from the start, and how many tokens they have. A step counts as at least one."""
    counts = [max(1, count) for count in by_words(steps.tokens).count_many(steps.texts)]
    ends = list(accumulate(counts))
    return [end - count / 2 for end, count in zip(ends, counts, strict=True)], sum(counts)

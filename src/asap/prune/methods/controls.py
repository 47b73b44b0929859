"""Controls: scores without a model. A method that does not beat them has shown nothing."""

import random

from asap.lm.word_cache import by_words
from asap.prune.fine.surprisal import checked
from asap.prune.trace import Steps


def random_draw(steps: Steps) -> list[float]:
    """A draw that depends on the seed and the sample's content only."""
    draws = random.Random(f"{steps.seed} {steps.sample.digest()}")
    return [checked(draws.random()) for _ in steps.texts]


def keep_head(steps: Steps) -> list[float]:
    """The step's position, negated: removes the end first, which truncates by whole steps."""
    return [-float(index) for index in range(len(steps.texts))]


def keep_tail(steps: Steps) -> list[float]:
    """The step's position: removes the start first."""
    return [float(index) for index in range(len(steps.texts))]


def longest_first(steps: Steps) -> list[float]:
    """The step's length in tokens, negated."""
    return [-float(count) for count in by_words(steps.tokens).count_many(steps.texts)]

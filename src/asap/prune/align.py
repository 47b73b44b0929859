"""Stage 1 without an LLM (`--coarse align`): the answer itself is the anchor.

A step's *alignment* is how much showing the anchor raises the mean log-probability of its tokens:
log p(step | question, anchor, before) - log p(step | question, before), in nats per token. A step goes when its alignment
is below the `coarse_share` quantile of its trace's alignments and not above zero: at most that share of the steps, and
only steps that the answer does not make likelier. This replaces the paper's LLM (§3.2); it is not the paper's method.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np

from asap.lm.scorer import TokenScores
from asap.prune.surprisal import checked
from asap.sample import Sample

DEPTH = 1024  # of a longer step the first 1,024 tokens speak for it


@cache
def align_prompt() -> str:
    """The wording that shows the anchor, with the placeholders {question} and {anchor}."""
    return files("asap.prune").joinpath("prompts/align.txt").read_text(encoding="utf-8").rstrip("\n")


def anchored_prompt(sample: Sample) -> list[dict[str, str]]:
    """The chat messages before the response, with the answer shown beside the question."""
    *before, question = sample.prompt
    before_question, after_question = align_prompt().split("{question}")
    before_anchor, after_anchor = after_question.split("{anchor}")
    shown = before_question + question["content"] + before_anchor + sample.answer + after_anchor
    return [*before, {**question, "content": shown}]


def alignments(plain: Sequence[TokenScores], anchored: Sequence[TokenScores]) -> list[float]:
    """The alignment of each step, from its scores without and with the anchor in sight; 0 for a step without tokens."""
    return [
        checked(float(np.mean(seen.logprobs[:DEPTH]) - np.mean(unseen.logprobs[:DEPTH]))) if len(unseen.logprobs) else 0.0
        for unseen, seen in zip(plain, anchored, strict=True)
    ]


def unaligned(values: Sequence[float], share: float) -> list[bool]:
    """Which steps stage 1 removes: alignment below the `share` quantile and not above zero. Never all of them."""
    threshold = float(np.quantile(values, share))
    return [value < threshold and value <= 0 for value in values]

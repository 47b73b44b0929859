"""Support: how likely the answer's own code is after question and trace, under some scorer.

The code (for mathematics the final answer) follows the trace directly; the prose of the answer is left out, because it says
little and is long. What this does not do: run anything. High support means that the code is likely, not that a model trained
on the trace writes it.
"""

import re
from typing import NamedTuple

import numpy as np

from asap.errors import RowError
from asap.lm.prompt_style import default_context, render_context
from asap.lm.scorer import Scored, ScoreRequest
from asap.lm.tokens import TokenCounter
from asap.prune.program import program_of
from asap.sample import Sample
from asap.spans import Span
from asap.think import CLOSED

CODE_LEAD = "```python\n"
_BOXED = re.compile(r"\\boxed\s*\{")


class Target(NamedTuple):
    """What a scorer is asked about: some words that lead to it, and the text itself."""

    lead: str
    text: str


def target_of(sample: Sample) -> Target:
    """The answer's program; without one its last boxed result, and without that either the whole answer."""
    program = program_of(sample)
    if program is not None:
        return Target(CODE_LEAD, program)
    boxed = _last_boxed(sample.answer)
    return Target("The final answer is ", boxed) if boxed else Target("", sample.answer)


def support_request(tokens: TokenCounter, sample: Sample, trace: str) -> ScoreRequest:
    """What to ask a scorer for the support that `trace` gives to the answer of a sample."""
    target = target_of(sample)
    context = render_context(tokens, sample.prompt, default_context(tokens))
    before = f"{trace}{CLOSED}{target.lead}"
    return ScoreRequest(context, before + target.text, [Span(len(before), len(before) + len(target.text))])


def support_of(scored: Scored, sample: Sample) -> float:
    """The mean log-probability of the target's tokens, in nats. Raises RowError where there is no number."""
    logprobs = scored.spans[0].logprobs
    support = float(np.mean(logprobs)) if len(logprobs) else float("nan")
    if not np.isfinite(support):
        raise RowError("bad_support", f"the scorer gave {support} for the answer", sample.id)
    return round(support, 6)


def _last_boxed(answer: str) -> str | None:
    """The last `\\boxed{...}` with its braces in balance, as it stands."""
    for opening in reversed(list(_BOXED.finditer(answer))):
        depth = 0
        for place in range(opening.end() - 1, len(answer)):
            depth += {"{": 1, "}": -1}.get(answer[place], 0)
            if depth == 0:
                return answer[opening.start() : place + 1]
    return None

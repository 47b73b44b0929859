"""Support: how likely a scorer finds the answer's own code after question and trace.

The code (for mathematics the final answer) follows the trace directly, without the answer's prose, which is long and uninformative.
What this does not do: run anything. High support means that the code is likely, not that a model trained on the trace writes it.
"""

import re
from typing import NamedTuple

import numpy as np

from asap.errors import RowError
from asap.lm.prompt_style import default_context, render_context
from asap.lm.scorer import Scored, ScoreRequest
from asap.lm.tokens import TokenCounter
from asap.maths_result import concluded_number, last_boxed
from asap.prune.answer_code import program_of
from asap.sample import Sample
from asap.spans import Span
from asap.think_tags import CLOSED

CODE_LEAD = "```python\n"
RESULT_LEAD = "The final answer is "
_DIGIT = re.compile("[0-9]")


class Target(NamedTuple):
    """The text whose likelihood is measured, and the words that lead to it."""

    lead: str
    text: str


def target_of(sample: Sample) -> Target:
    """The answer's program, else its last boxed result, else the number that it gives as its result to a question of numbers, as if
    boxed, else the whole answer.
    """
    program = program_of(sample)
    if program is not None:
        return Target(CODE_LEAD, program)
    boxed = last_boxed(sample.answer)
    if boxed is None and _DIGIT.search(sample.question) and (number := concluded_number(sample.answer)):
        boxed = f"\\boxed{{{number.text}}}"
    return Target(RESULT_LEAD, boxed) if boxed else Target("", sample.answer)


def support_request(tokens: TokenCounter, sample: Sample, trace: str) -> ScoreRequest:
    """The request for the support that `trace` gives to a sample's answer."""
    target = target_of(sample)
    context = render_context(tokens, sample.prompt, default_context(tokens))
    before = f"{trace}{CLOSED}{target.lead}"
    return ScoreRequest(context, before + target.text, [Span(len(before), len(before) + len(target.text))])


def support_of(scored: Scored, sample: Sample) -> float:
    """The mean log-probability of the target's tokens, in nats. Raises RowError if it is not finite."""
    logprobs = scored.spans[0].logprobs
    support = float(np.mean(logprobs)) if len(logprobs) else float("nan")
    if not np.isfinite(support):
        raise RowError("bad_support", f"the scorer gave {support} for the answer", sample.id)
    return round(support, 6)

"""Estimates the cost of a run before it starts: the tokens that a model reads to score, and the requests to stage 1's LLM.

Scoring: counts the trace and, if it is shown or scored, the answer. It ignores the text before the trace, the uneven length of the
steps that stage 1 and `rescore` leave to later passes, and the overlap of windows in traces longer than the scorer's context.

The LLM: prompt tokens are counted on the requests to be sent, exactly if the LLM's tokenizer is available. The length of the replies
can only be bounded: from below by empty replies, from above by the longest usable reply at every attempt. The expectation is based
on earlier replies in the folder (`--pilot`) or, without any, on an assumption that the report names as one.
"""

from collections.abc import Iterable
from math import inf, log2
from typing import NamedTuple

from asap.lm.generate import Generator
from asap.lm.reply_cache import ReplyCache, Usage
from asap.lm.spending import Amount, Estimate
from asap.lm.tokens import count_prompt, count_tokens
from asap.prune.coarse.anchor import anchor_text
from asap.prune.coarse.llm_reply import InvalidReply
from asap.prune.coarse.requests import ANCHOR_TOKENS, select_tokens
from asap.prune.coarse.rewrite import Rewrite
from asap.prune.methods.method import alignment_reads, is_one_pass
from asap.prune.methods.spirit import Spirit
from asap.prune.settings import AsapSettings
from asap.prune.trace import Size
from asap.sample import Sample

_LEAVE_OUT = ("spirit", "leave-one-out")  # methods whose first reading of the whole trace is kept


class Reading(NamedTuple):
    """Tokens that a model reads, at least and at most."""

    low: float
    high: float


def tokens_read(settings: AsapSettings, size: Size, kept: float) -> Reading:
    """The approximate tokens that a method's model reads for a trace of this size, of which at most `kept` tokens are kept."""
    if settings.is_token_level:
        return Reading(size.trace, size.trace)
    method = settings.scoring
    stage_1 = alignment_reads(size) if settings.stage_1 == "align" else 0.0
    lefts = range(size.steps - settings.rescore, 0, -settings.rescore) if settings.rescore else ()
    again = (method.reads(size._replace(steps=left, trace=size.trace * left / size.steps)) for left in lefts)
    read = stage_1 + method.reads(size) + sum(again) + _read_for_scores(settings, size)
    floor = _read_for_floor(settings, size, kept)
    return Reading(read + floor.low, read + floor.high)


def _read_for_scores(settings: AsapSettings, size: Size) -> float:
    """The tokens that `scores` adds: one pass unless the stages read the whole trace, and the other passes that have not run yet."""
    if settings.stored_scores == "own":
        return 0.0
    known = {settings.name} if not settings.rescore or settings.name in _LEAVE_OUT else set()
    known |= {"alignment"} if settings.stage_1 == "align" else set()
    others = [method for method in settings.stored_methods if not is_one_pass(method) and method.name not in known]
    asked = sum(method.reads(size) for method in others)
    return (0.0 if settings.reads_whole_trace else size.trace) + asked - _read_for_both(settings, size)


def _read_for_both(settings: AsapSettings, size: Size) -> float:
    """What `spirit` and `leave-one-out` read together where both are stored (`Steps.leave_out`)."""
    both = Spirit() in settings.stored_methods and not size.anew
    return Spirit().reads(size) if both else 0.0


def _read_for_floor(settings: AsapSettings, size: Size, kept: float) -> Reading:
    """The tokens that `support_floor` adds: the whole and the cut trace, and at most a doubling and a halving search between them.

    Each is read with the answer after it. Nothing is read if nothing is cut.
    """
    fits = kept >= size.trace
    if settings.support_floor is None or (fits and settings.stage_1 == "none"):
        return Reading(0.0, 0.0)
    each = (size.trace + kept) / 2 + size.answer
    removed = size.steps if fits else size.steps * (1 - kept / size.trace)
    return Reading(0.0 if fits else 2 * each, (1 + 2 * log2(1 + removed)) * each)


class Scenario(NamedTuple):
    """Assumed replies: tokens of an anchor, attempts for a trace, and the length of a pruning reply as a share of its prompt without
    the anchor.
    """

    anchor: float
    attempts: float
    share: float


ASSUMED = {"rewrite": Scenario(600, 1.5, 0.45), "select": Scenario(600, 1.2, 0.03)}


def estimate(samples: Iterable[Sample], llm: Generator, settings: AsapSettings, replies: ReplyCache) -> Estimate:
    """The estimate of the remaining requests about these samples, given the replies so far."""
    usage = replies.usage()
    rules = settings.strategy.rules
    likely = _expected(settings.stage_1, usage, rules.attempts)
    rows, low, expected, high = 0, Amount(), Amount(), Amount()
    for sample in samples:
        if asks := Asks.about(sample, llm, settings, replies):
            rows += 1
            low = asks.added_to(low, Scenario(0, 1, 0))
            expected = asks.added_to(expected, likely)
            high = asks.added_to(high, Scenario(ANCHOR_TOKENS + rules.thinking_tokens, rules.attempts, inf))
    rows_seen = usage["anchor"].replies if _is_seen(settings.stage_1, usage) else 0
    return Estimate(rows, rows_seen, low, expected, high, llm.tokens is not None)


class Asks(NamedTuple):
    """The requests about one trace in tokens: the anchor's prompt (None: its reply is known), the pruning's prompt and longest reply."""

    anchor_prompt: float | None
    prompt: float
    reply: float

    @classmethod
    def about(cls, sample: Sample, llm: Generator, settings: AsapSettings, replies: ReplyCache) -> "Asks | None":
        """The requests about a sample; None if the LLM has answered them or will not be asked."""
        requests = settings.requests_about(sample)
        if len(requests.spans) < 2:
            return None
        first = requests.anchor()
        known = replies.get(first.key(llm.model))
        try:
            anchor = anchor_text(known.text) if known else ""
        except InvalidReply:
            anchor = ""
        second = requests.pruning(anchor or "-")
        if known and replies.get(second.key(llm.model)):
            return None
        reply = 1.1 * count_tokens(sample.cot, llm.tokens) if isinstance(requests.strategy, Rewrite) else select_tokens(len(requests.spans))
        prompts = [count_prompt(request.messages, llm.tokens) for request in (first, second)]
        return cls(None if known else prompts[0], prompts[1], reply + requests.strategy.rules.thinking_tokens)

    def added_to(self, amount: Amount, scenario: Scenario) -> Amount:
        """The amount plus the requests about this trace."""
        anchor = scenario.anchor
        if self.anchor_prompt is None:
            anchor = 0
        else:
            amount = amount.plus(1, self.anchor_prompt, anchor)
        shown = min(anchor, ANCHOR_TOKENS)  # without the thinking of the reply
        return amount.plus(scenario.attempts, self.prompt + shown, min(self.reply, scenario.share * self.prompt))


def _is_seen(strategy: str, usage: dict[str, Usage]) -> bool:
    return "anchor" in usage and strategy in usage


def _expected(strategy: str, usage: dict[str, Usage], most_attempts: int) -> Scenario:
    """The scenario that earlier replies suggest, or the assumption without any.

    The folder may hold anchors without prunings, after a kill or from another folder, so attempts are clamped to the possible range.
    """
    if not _is_seen(strategy, usage):
        return ASSUMED[strategy]
    anchors, prunings = usage["anchor"], usage[strategy]
    anchor = anchors.completion_tokens / anchors.replies
    shown = max(1.0, prunings.prompt_tokens - prunings.replies * anchor)
    attempts = min(max(1.0, prunings.replies / anchors.replies), most_attempts)
    return Scenario(anchor, attempts, prunings.completion_tokens / shown)

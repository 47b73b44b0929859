"""What stage 1 with an LLM will ask for and cost, before it is paid: `asap prune --dry-run` and the start of each run.

Prompt tokens are counted on the requests that will be sent, exactly where the LLM's tokenizer is at hand. What the replies
will hold can only be bounded: by nothing at all, and by the longest reply that makes sense at every attempt. In between
stands what former replies in the folder showed (`--pilot`) or, without any, an assumption that is named as one.
"""

from collections.abc import Iterable
from math import inf
from typing import NamedTuple

from asap.lm.replies import Usage
from asap.lm.spending import Price
from asap.lm.tokens import count_prompt, count_tokens
from asap.prune.coarse.anchor import anchor_request, anchor_text
from asap.prune.coarse.anchor_guided import ANCHOR_TOKENS, Guide, rewrite_tokens, select_tokens
from asap.prune.coarse.llm_reply import InvalidReply
from asap.prune.coarse.rewrite import rewrite_request
from asap.prune.coarse.select import select_request
from asap.sample import Sample
from asap.steps import split_steps


class Scenario(NamedTuple):
    """How replies might turn out: tokens of an anchor, attempts for a trace, and the length of a pruning reply as a share
    of its prompt without the anchor.
    """

    anchor: float
    attempts: float
    share: float


ASSUMED = {"rewrite": Scenario(600, 1.5, 0.45), "select": Scenario(600, 1.2, 0.03)}


class Amount(NamedTuple):
    """Requests and tokens still to be paid for."""

    requests: float = 0
    prompt_tokens: float = 0
    completion_tokens: float = 0

    def plus(self, requests: float, prompt_tokens: float, completion_tokens: float) -> "Amount":
        """So many requests more, of so many tokens each."""
        return Amount(
            self.requests + requests,
            self.prompt_tokens + requests * prompt_tokens,
            self.completion_tokens + requests * completion_tokens,
        )

    def cost(self, price: Price) -> float:
        """US dollars."""
        return price.cost(round(self.prompt_tokens), round(self.completion_tokens))


class Estimate(NamedTuple):
    """What is still to be asked for `rows` traces of which nothing is known yet, at least, as expected and at most.

    `rows_seen`: the expectation rests on the replies about so many rows; 0: on assumptions.
    """

    rows: int
    rows_seen: int
    low: Amount
    expected: Amount
    high: Amount
    exact: bool
    """Whether prompt tokens are counted with the LLM's own tokenizer."""


def estimate(samples: Iterable[Sample], guide: Guide, usage: dict[str, Usage]) -> Estimate:
    """What the guide would still have to ask about these samples, given the usage up to now (`Replies.usage`)."""
    strategy = guide.settings.coarse
    likely = _expected(strategy, usage, guide.settings.attempts)
    rows, low, expected, high = 0, Amount(), Amount(), Amount()
    for sample in samples:
        if asks := _Asks.about(sample, guide):
            rows += 1
            low = asks.added_to(low, Scenario(0, 1, 0))
            expected = asks.added_to(expected, likely)
            high = asks.added_to(high, Scenario(ANCHOR_TOKENS + guide.settings.thinking_tokens, guide.settings.attempts, inf))
    rows_seen = usage["anchor"].replies if _is_seen(strategy, usage) else 0
    return Estimate(rows, rows_seen, low, expected, high, guide.llm.tokens is not None)


class _Asks(NamedTuple):
    """The requests about one trace in tokens: the anchor's prompt (None: it is there), the pruning's prompt, the longest reply."""

    anchor_prompt: float | None
    prompt: float
    reply: float

    @classmethod
    def about(cls, sample: Sample, guide: Guide) -> "_Asks | None":
        """None where the LLM was asked already or will not be."""
        settings, replies, model = guide.settings, guide.memory.replies, guide.llm.model
        spans = split_steps(sample.cot, settings.step_split)
        if len(spans) < 2:
            return None
        first = anchor_request(sample, ANCHOR_TOKENS + settings.thinking_tokens)
        known = replies.get(first.key(model))
        try:
            anchor = anchor_text(known.text) if known else ""
        except InvalidReply:
            anchor = ""
        if settings.coarse == "rewrite":
            temperature = 2.0 if settings.temperature is None else settings.temperature
            room = rewrite_tokens(sample.cot) + settings.thinking_tokens
            second = rewrite_request(sample, anchor or "-", temperature=temperature, max_tokens=room, draw=0)
            reply = 1.1 * count_tokens(sample.cot, guide.llm.tokens)
        else:
            room = select_tokens(len(spans)) + settings.thinking_tokens
            second = select_request(
                sample, anchor or "-", spans, 0, len(spans), temperature=settings.temperature or 0.0, max_tokens=room, draw=0
            )
            reply = select_tokens(len(spans))
        if known and replies.get(second.key(model)):
            return None
        prompts = [count_prompt(request.messages, guide.llm.tokens) for request in (first, second)]
        return cls(None if known else prompts[0], prompts[1], reply + settings.thinking_tokens)

    def added_to(self, amount: Amount, scenario: Scenario) -> Amount:
        """What is asked before, and this trace."""
        anchor = scenario.anchor
        if self.anchor_prompt is None:
            anchor = 0
        else:
            amount = amount.plus(1, self.anchor_prompt, anchor)
        shown = min(anchor, ANCHOR_TOKENS)  # without the thinking before it
        return amount.plus(scenario.attempts, self.prompt + shown, min(self.reply, scenario.share * self.prompt))


def _is_seen(strategy: str, usage: dict[str, Usage]) -> bool:
    return "anchor" in usage and strategy in usage


def _expected(strategy: str, usage: dict[str, Usage], most_attempts: int) -> Scenario:
    """What former replies showed, as a scenario; the assumption where there are none.

    Anchors may be there without prunings, after a kill, or come from another folder: attempts are kept within what is possible.
    """
    if not _is_seen(strategy, usage):
        return ASSUMED[strategy]
    anchors, prunings = usage["anchor"], usage[strategy]
    anchor = anchors.completion_tokens / anchors.replies
    shown = max(1.0, prunings.prompt_tokens - prunings.replies * anchor)
    attempts = min(max(1.0, prunings.replies / anchors.replies), most_attempts)
    return Scenario(anchor, attempts, prunings.completion_tokens / shown)

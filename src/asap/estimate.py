"""What stage 1 with an LLM will ask for and cost, before it is paid: `asap prune --dry-run` and the start of each run.

Prompt tokens are counted on the requests that will be sent, exactly where the LLM's tokenizer is at hand. The length of
the replies can only be bounded: by nothing at all, and by the longest reply that makes sense at every attempt. What is expected
in between follows from former replies in the folder (`--pilot`) or, without any, from an assumption that is named as one.
"""

from collections.abc import Iterable
from math import inf
from typing import NamedTuple

from asap.lm.generate import Generator
from asap.lm.replies import Replies, Usage
from asap.lm.spending import Price
from asap.lm.tokens import count_prompt, count_tokens
from asap.prune.coarse.anchor import anchor_text
from asap.prune.coarse.llm_reply import InvalidReply
from asap.prune.coarse.requests import ANCHOR_TOKENS, requests_about, select_tokens
from asap.prune.settings import AsapSettings
from asap.sample import Sample


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


def estimate(samples: Iterable[Sample], llm: Generator, settings: AsapSettings, replies: Replies) -> Estimate:
    """What the LLM would still be asked about these samples, given the replies up to now."""
    usage = replies.usage()
    likely = _expected(settings.coarse, usage, settings.attempts)
    rows, low, expected, high = 0, Amount(), Amount(), Amount()
    for sample in samples:
        if asks := _Asks.about(sample, llm, settings, replies):
            rows += 1
            low = asks.added_to(low, Scenario(0, 1, 0))
            expected = asks.added_to(expected, likely)
            high = asks.added_to(high, Scenario(ANCHOR_TOKENS + settings.thinking_tokens, settings.attempts, inf))
    rows_seen = usage["anchor"].replies if _is_seen(settings.coarse, usage) else 0
    return Estimate(rows, rows_seen, low, expected, high, llm.tokens is not None)


class _Asks(NamedTuple):
    """The requests about one trace in tokens: the anchor's prompt (None: its reply is known), the pruning's prompt and longest reply."""

    anchor_prompt: float | None
    prompt: float
    reply: float

    @classmethod
    def about(cls, sample: Sample, llm: Generator, settings: AsapSettings, replies: Replies) -> "_Asks | None":
        """None where the LLM was asked already or will not be."""
        requests = requests_about(sample, settings)
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
        reply = 1.1 * count_tokens(sample.cot, llm.tokens) if requests.is_rewrite else select_tokens(len(requests.spans))
        prompts = [count_prompt(request.messages, llm.tokens) for request in (first, second)]
        return cls(None if known else prompts[0], prompts[1], reply + requests.thinking_tokens)

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

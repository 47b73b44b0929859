"""Stage 1's requests about one trace (paper §3.2): one for the anchor, then prunings along it.

The pass sends them, the estimate counts them, and the reply cache identifies each by its content, so only this module makes them.

What this does not do: ask, or read a reply.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from asap.digest import content_digest
from asap.lm.generate import Request
from asap.prune.coarse.anchor import anchor_request
from asap.prune.coarse.llm_reply import prompt_file
from asap.prune.coarse.rewrite import Rewrite, rewrite_request
from asap.prune.coarse.select import Select, select_request
from asap.sample import Sample
from asap.spans import Span
from asap.steps import Splitter, StepSplit, split_steps

ANCHOR_TOKENS = 4096
LlmStrategy = Select | Rewrite


@dataclass(frozen=True, slots=True)
class TraceRequests:
    """The requests about a trace, split into these steps by `split`. A further `draw` repeats a request to get another reply."""

    sample: Sample
    spans: Sequence[Span]
    split: StepSplit | Splitter
    strategy: LlmStrategy

    def anchor(self, draw: int = 0) -> Request:
        """The request for the direct derivation of the answer."""
        return replace(anchor_request(self.sample, ANCHOR_TOKENS + self.strategy.rules.thinking_tokens), draw=draw)

    def pruning(self, anchor: str, draw: int = 0, window: tuple[int, int] | None = None) -> Request:
        """The request for the steps to keep, of the whole trace or of a `window` (first step, last + 1)."""
        rules = self.strategy.rules
        if isinstance(self.strategy, Rewrite):
            temperature = 2.0 if rules.temperature is None else rules.temperature
            room = rewrite_tokens(self.sample.cot) + rules.thinking_tokens
            return rewrite_request(self.sample, anchor, temperature=temperature, max_tokens=room, draw=draw)
        first, last = window or (0, len(self.spans))
        temperature = (1.0 if draw else 0.0) if rules.temperature is None else rules.temperature
        room = select_tokens(last - first) + rules.thinking_tokens
        return select_request(self.sample, anchor, self.spans, first, last, temperature=temperature, max_tokens=room, draw=draw)


def requests_about(sample: Sample, strategy: LlmStrategy, split: StepSplit | Splitter) -> TraceRequests:
    """The requests about a sample's trace. Callers skip a trace of one step, since one step is always kept."""
    return TraceRequests(sample, split_steps(sample.cot, split), split, strategy)


def prompts_hash(strategy: str) -> str:
    """A hash of the requests' wording: equal hashes mean equal requests."""
    return content_digest(prompt_file("anchor"), prompt_file(strategy))[:16]


def rewrite_tokens(cot: str) -> int:
    """The token limit for a rewritten trace. Based on bytes, so that a request does not depend on any tokenizer."""
    return len(cot.encode("utf-8")) // 2 + 512


def select_tokens(num_steps: int) -> int:
    """The token limit for the numbers of the steps to keep."""
    return 8 * num_steps + 128

"""The requests of stage 1 about one trace (paper §3.2): one for the anchor, then prunings along it.

The pass sends them, the estimate counts them, and the reply cache knows each by its content, so they are made here only.

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
from asap.prune.settings import AsapSettings
from asap.sample import Sample
from asap.spans import Span
from asap.steps import StepSplit, split_steps

ANCHOR_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class TraceRequests:
    """The requests about a trace, which `split` cuts into these steps. A further `draw` asks the same again, for another reply."""

    sample: Sample
    spans: Sequence[Span]
    split: StepSplit
    strategy: Select | Rewrite

    def anchor(self, draw: int = 0) -> Request:
        """Asks for the direct derivation of the answer."""
        return replace(anchor_request(self.sample, ANCHOR_TOKENS + self.strategy.rules.thinking_tokens), draw=draw)

    def pruning(self, anchor: str, draw: int = 0, window: tuple[int, int] | None = None) -> Request:
        """Asks what to keep of the trace, or with `window` of its steps from the first number up to before the last."""
        rules = self.strategy.rules
        if isinstance(self.strategy, Rewrite):
            temperature = 2.0 if rules.temperature is None else rules.temperature
            room = rewrite_tokens(self.sample.cot) + rules.thinking_tokens
            return rewrite_request(self.sample, anchor, temperature=temperature, max_tokens=room, draw=draw)
        first, last = window or (0, len(self.spans))
        temperature = (1.0 if draw else 0.0) if rules.temperature is None else rules.temperature
        room = select_tokens(last - first) + rules.thinking_tokens
        return select_request(self.sample, anchor, self.spans, first, last, temperature=temperature, max_tokens=room, draw=draw)


def requests_about(sample: Sample, settings: AsapSettings) -> TraceRequests:
    """The requests about a sample's trace. Who asks leaves a trace of one step out, since a step always stays."""
    assert isinstance(settings.coarse, Select | Rewrite), "without an LLM there is nobody to ask"
    return TraceRequests(sample, split_steps(sample.cot, settings.step_split), settings.step_split, settings.coarse)


def prompts_hash(strategy: str) -> str:
    """A hash of the wording of the requests: equal hashes, equal requests."""
    return content_digest(prompt_file("anchor"), prompt_file(strategy))[:16]


def rewrite_tokens(cot: str) -> int:
    """Room for a rewritten trace. By bytes and not by tokens, so that no tokenizer has a say in what a request is."""
    return len(cot.encode("utf-8")) // 2 + 512


def select_tokens(num_steps: int) -> int:
    """Room for the numbers of the steps to keep."""
    return 8 * num_steps + 128

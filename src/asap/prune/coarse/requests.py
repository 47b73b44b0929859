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
from asap.prune.coarse.rewrite import rewrite_request
from asap.prune.coarse.select import select_request
from asap.prune.settings import AsapSettings
from asap.sample import Sample
from asap.spans import Span
from asap.steps import split_steps

ANCHOR_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class TraceRequests:
    """The requests about a trace with these steps. A further `draw` asks for the same again, to get another reply.

    `temperature` is that of prunings; None: the strategy's own. `thinking_tokens` is room in every reply for what an LLM thinks.
    """

    sample: Sample
    spans: Sequence[Span]
    is_rewrite: bool
    temperature: float | None
    thinking_tokens: int

    def anchor(self, draw: int = 0) -> Request:
        """Asks for the direct derivation of the answer."""
        return replace(anchor_request(self.sample, ANCHOR_TOKENS + self.thinking_tokens), draw=draw)

    def pruning(self, anchor: str, draw: int = 0, window: tuple[int, int] | None = None) -> Request:
        """Asks what to keep of the trace, or with `window` of its steps from the first number up to before the last."""
        if self.is_rewrite:
            temperature = 2.0 if self.temperature is None else self.temperature
            room = rewrite_tokens(self.sample.cot) + self.thinking_tokens
            return rewrite_request(self.sample, anchor, temperature=temperature, max_tokens=room, draw=draw)
        first, last = window or (0, len(self.spans))
        temperature = (1.0 if draw else 0.0) if self.temperature is None else self.temperature
        room = select_tokens(last - first) + self.thinking_tokens
        return select_request(self.sample, anchor, self.spans, first, last, temperature=temperature, max_tokens=room, draw=draw)


def requests_about(sample: Sample, settings: AsapSettings) -> TraceRequests:
    """The requests about a sample's trace. Who asks leaves a trace of one step out, since a step always stays."""
    spans = split_steps(sample.cot, settings.step_split)
    return TraceRequests(sample, spans, settings.stage_1 == "rewrite", settings.rules.temperature, settings.rules.thinking_tokens)


def prompts_hash(strategy: str) -> str:
    """A hash of the wording of the requests: equal hashes, equal requests."""
    return content_digest(prompt_file("anchor"), prompt_file(strategy))[:16]


def rewrite_tokens(cot: str) -> int:
    """Room for a rewritten trace. By bytes and not by tokens, so that no tokenizer has a say in what a request is."""
    return len(cot.encode("utf-8")) // 2 + 512


def select_tokens(num_steps: int) -> int:
    """Room for the numbers of the steps to keep."""
    return 8 * num_steps + 128

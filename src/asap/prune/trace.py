"""A sample's trace in steps (paper §3.2), and the requests that have some of its steps scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from asap.errors import RowError
from asap.lm.prompt_style import PromptStyle, render_context
from asap.lm.scorer import (
    LeaveOutRequest,
    LeftOut,
    ModelRequest,
    PrefixRequest,
    Scored,
    Scorer,
    ScoreRequest,
    Scoring,
    TokenScores,
    Worked,
)
from asap.lm.tokens import TokenCounter
from asap.prune.anchored import anchored_prompt
from asap.sample import Sample
from asap.spans import Span
from asap.steps import Splitter, StepSplit, laid_out, separator, split_steps
from asap.think_tags import CLOSED

if TYPE_CHECKING:
    from asap.lm.causal_lm import CausalLM

T = TypeVar("T")


class Size(NamedTuple):
    """The length of a trace: its steps, its tokens and its answer's tokens.

    `anew`: its model keeps nothing, as behind a server, and reads each text from the beginning.
    """

    steps: int
    trace: float
    answer: float
    anew: bool = False


@dataclass(slots=True, eq=False)
class Steps:
    """Some steps of a sample's trace, in order, as a method sees them.

    `request` asks for all tokens of every step in the joined text of these steps. `anchored` is the context that also shows the
    answer. With `deep`, the first reading requests everything, so that every one-pass method can use it; with `every`, leaving out steps
    is for all methods that do. `seed` is for methods that draw, `tokens` counts the budget. Without `entropies` the model gives none.
    """

    sample: Sample
    texts: Sequence[str]
    request: ScoreRequest
    anchored: str
    tokens: TokenCounter
    seed: int = 0
    deep: bool = False
    every: bool = False
    entropies: bool = True
    windows: int = 1
    """The largest number of windows that a reading has needed."""
    unread: int = 0
    """The most tokens of the text before the trace that a reading had no room for."""
    between: Sequence[str] = ()
    """What joins each step to the next; blank lines by default."""
    _read: tuple[ScoreRequest, Scored] | None = field(default=None, repr=False)
    _left_out: dict[tuple[bool, int | None], LeftOut] = field(default_factory=dict, repr=False)
    _behind: tuple[PrefixRequest, Scored] | None = field(default=None, repr=False)

    def read(self, depth: int | None = None, *, entropy: bool = False) -> Scoring[list[TokenScores]]:
        """The first `depth` tokens (None: all) of each step, given the question and all earlier steps. Reuses a reading if possible.

        Raises RowError for entropies that the model does not give.
        """
        if entropy and not self.entropies:
            raise RowError("no_entropies", "a method asks for entropies, and the model behind the server gives none", self.sample.id)
        if self._read is None or not _covers(self._read[0], depth, entropy):
            asked = self.request if self.deep else self.request._replace(depth=depth, entropy=entropy)
            self._read = asked, (yield from self._scored(asked))
        return [step.first(depth) for step in self._read[1].spans]

    def read_anchored(self, depth: int | None = None) -> Scoring[list[TokenScores]]:
        """The same with the answer shown beside the question."""
        return (yield from self._scored(self.request._replace(context=self.anchored, depth=depth, entropy=False, shipped=None))).spans

    def leave_out(self, *, answer: bool = False, suffix_tokens: int | None = None) -> Scoring[LeftOut]:
        """The surprisal of the other steps, or with `answer` of the answer after them, without each step."""
        kind = answer, None if answer else suffix_tokens
        if self.every and kind == (False, None):
            yield from self.leave_out(answer=True)  # tells of the other steps, too, if the scorer reads both at once
        if kind not in self._left_out:
            tail = (self.sample.answer, CLOSED) if answer else ("", "")
            [found] = yield [LeaveOutRequest(self.request.context, self.texts, *tail, kind[1], self.between, answer and self.every)]
            assert isinstance(found, LeftOut)
            self._left_out |= {kind: found} if found.steps is None else {kind: found, (False, None): found.steps}
        left_out = self._left_out[kind]
        return left_out._replace(without=[*left_out.without])  # the caller may change it

    def prefixes(self, tail: str | None = None, lead: str = CLOSED) -> Scoring[list[TokenScores]]:
        """The scores of the answer's tokens, or those of another tail, behind no step, the first step, the first two and so on."""
        request = PrefixRequest(self.request.context, self.texts, self.sample.answer if tail is None else tail, lead, self.between)
        if self._behind is None or self._behind[0] != request:
            [found] = yield [request]
            assert isinstance(found, Scored)
            self.windows, self.unread = max(self.windows, found.windows), max(self.unread, found.unread)
            self._behind = request, found
        return [*self._behind[1].spans]

    def ask_model(self, work: "Callable[[CausalLM], T]") -> Scoring[T]:
        """What some work with the model itself returns. Ends with a UsageError where the model is not in this process."""
        [found] = yield [ModelRequest(work)]
        assert isinstance(found, Worked)
        result: T = found.result
        return result

    def _scored(self, request: ScoreRequest) -> Scoring[Scored]:
        [scored] = yield [request]
        assert isinstance(scored, Scored)
        self.windows, self.unread = max(self.windows, scored.windows), max(self.unread, scored.unread)
        return scored


def _covers(asked: ScoreRequest, depth: int | None, entropy: bool) -> bool:
    """Whether the answer to a request holds the first `depth` tokens of each step, and their entropies if `entropy`."""
    return (asked.depth is None or (depth is not None and depth <= asked.depth)) and (asked.entropy or not entropy)


@dataclass(frozen=True, slots=True)
class Trace:
    """A sample with the spans of its steps and the two contexts before its trace: the question, and question and answer.

    `tokens` counts the budget, `seed` is for methods that draw. Without `entropies` the scorer gives none.
    """

    sample: Sample
    spans: Sequence[Span]
    context: str
    anchored: str
    tokens: TokenCounter
    seed: int
    entropies: bool = True

    @classmethod
    def of(
        cls, sample: Sample, split: StepSplit | Splitter, context: PromptStyle, scorer: Scorer, tokens: TokenCounter, seed: int
    ) -> "Trace":
        """The trace of a sample, for a scorer to read. Raises RowError if it has no step."""
        spans = split_steps(sample.cot, split)
        if not spans:
            raise RowError("empty_think", "the trace has no step: nothing but white space", sample.id)
        plain, anchored = (render_context(scorer.tokens, prompt, context) for prompt in (sample.prompt, anchored_prompt(sample)))
        return cls(sample, spans, plain, anchored, tokens, seed, scorer.gives_entropies)

    def steps(self, left: Sequence[int], *, deep: bool = False, every: bool = False) -> Steps:
        """The steps with these indices: in the original trace if all are left, else joined."""
        cot, spans = self.sample.cot, [self.spans[index] for index in left]
        texts = [cot[span.start : span.end] for span in spans]
        text, laid, shipped = cot, spans, self.sample.logprobs
        if len(left) < len(self.spans):
            (text, laid), shipped = laid_out(cot, spans), None
        request = ScoreRequest(self.context, text, visible(text, laid), entropy=self.entropies, shipped=shipped)
        between = [separator(cot, *pair) for pair in pairwise(spans)]
        return Steps(self.sample, texts, request, self.anchored, self.tokens, self.seed, deep, every, self.entropies, between=between)


def visible(text: str, spans: Sequence[Span]) -> list[Span]:
    """The spans without their leading white space: a step's first token is its first visible one."""
    return [Span(span.end - len(text[span.start : span.end].lstrip()), span.end) for span in spans]

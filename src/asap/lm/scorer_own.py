"""A scorer made of a function that returns log-probabilities: whatever reads texts can score them (docs/plugins.md).

What this does not do: batches, windows for texts longer than a model's context, and entropies, which a whole `Scorer` may do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asap.digest import content_digest
from asap.errors import AsapError, RowError, UsageError
from asap.lm.scorer import (
    LeaveOutRequest,
    LeftOut,
    PrefixRequest,
    Scored,
    Scorer,
    ScoreRequest,
    TokenScores,
    leave_out_anew,
    prefixes_anew,
)
from asap.lm.tokens import TokenCounter, consecutive
from asap.lm.windows import tokens_in_spans

_NEEDED = ("tokens", "context_tokens", "batch_tokens", "gives_entropies", "identity", "causal_lm", "score", "leave_out", "prefixes")


_Logprobs = Sequence[float] | NDArray[np.floating[Any]]


@dataclass(frozen=True)
class OwnScorer:
    """A scorer whose model is a function: `logprobs(context, text)` returns the natural-log probability of each token of the text after
    the context, in order; the tokens are those of `tokens`.

    `name` and `revision` stand in the manifest: two scorers with both in common are taken for the same model.

    Example: ``Asap(OwnScorer(my_logprobs, load_tokens("bundled"), "mine"), AsapSettings(ratio=0.5))``
    """

    logprobs: Callable[[str, str], _Logprobs]
    tokens: TokenCounter
    name: str
    context_tokens: int = 1 << 30
    revision: str = "none"
    batch_tokens: int = field(default=0, init=False)
    gives_entropies: bool = field(default=False, init=False)
    causal_lm: None = field(default=None, init=False)

    @property
    def identity(self) -> dict[str, str]:
        """What the manifest says of the scorer."""
        return {"spec": self.name, "model": self.name, "revision": self.revision, "dtype": "none"}

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """The scores of each request, in order. Raises RowError if the function returns no log-probability for each token."""
        return [self._scored(request) for request in requests]

    def leave_out(self, request: LeaveOutRequest) -> LeftOut:
        """What remains without each step, read anew each time."""
        return leave_out_anew(self.score, request)

    def prefixes(self, request: PrefixRequest) -> Scored:
        """The scores of the tail behind each prefix, read anew each time."""
        return prefixes_anew(self.score, request)

    def _scored(self, request: ScoreRequest) -> Scored:
        encoded = self.tokens.encode(request.text)
        found = self._checked(self._asked(request), len(encoded.ids))
        first, counts = tokens_in_spans(encoded, request)
        wanted = consecutive(first, counts)
        starts, ends, values, none = encoded.starts[wanted], encoded.ends[wanted], found[wanted], np.full(len(wanted), np.nan)
        borders = pairwise([0, *np.cumsum(counts).tolist()])
        return Scored([TokenScores(starts[at:to], ends[at:to], values[at:to], none[at:to]) for at, to in borders], 1)

    def _asked(self, request: ScoreRequest) -> _Logprobs:
        try:
            return self.logprobs(request.context, request.text)
        except AsapError:
            raise
        except (Exception, SystemExit) as error:
            raise RowError("bad_scores", f"scorer {self.name} raised {type(error).__name__}: {error}") from error

    def _checked(self, returned: _Logprobs, count: int) -> NDArray[np.float64]:
        try:
            found = np.asarray(returned, np.float64)
        except (TypeError, ValueError) as error:
            raise RowError("bad_scores", f"scorer {self.name} returned {returned!r:.60}; a list of numbers is expected") from error
        if found.shape != (count,):
            raise RowError("bad_scores", f"scorer {self.name} returned {found.size} log-probabilities for a text of {count} tokens")
        if not np.isfinite(found).all() or (found > 0).any():
            raise RowError(
                "bad_scores", f"scorer {self.name} returned a number that is no log-probability: finite and at most 0 is expected"
            )
        return found


def checked_scorer(scorer: object, what: str) -> Scorer:
    """The object, which has all that a scorer needs. Raises UsageError."""
    if isinstance(scorer, type):
        raise UsageError(f"{what} is the class itself; make an instance of it, {scorer.__name__}(...)")
    if lacking := [name for name in _NEEDED if not hasattr(scorer, name)]:
        raise UsageError(f"{what} has no {', '.join(lacking)}, which a scorer needs: see asap.Scorer, or wrap a function in asap.OwnScorer")
    return scorer  # type: ignore[return-value]


def own_scorer(spec: str) -> Scorer:
    """The scorer that the function `package.module:function` returns. Raises UsageError if it cannot be loaded or returns none."""
    module_name, _, function_name = spec.partition(":")
    try:
        module = import_module(module_name)
        made = getattr(module, function_name)()
    except AsapError:
        raise
    except (Exception, SystemExit) as error:
        said = str(error) if isinstance(error, (ImportError, AttributeError, ValueError)) else f"{type(error).__name__}: {error}"
        raise UsageError(f"scorer {spec!r} cannot be made ({said}); write package.module:function, which returns a scorer") from error
    scorer = checked_scorer(made, f"what {spec} returned")
    if not isinstance(scorer, OwnScorer):
        return scorer
    file = getattr(module, "__file__", None)
    return replace(scorer, name=spec, revision=content_digest(Path(file).read_text("utf-8", "replace") if file else "")[:16])

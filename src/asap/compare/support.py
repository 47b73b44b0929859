"""Measures support with a language model, and stores the results."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from asap.digest import content_digest
from asap.lm.fields import number_in
from asap.lm.scorer import Scorer, ScoreRequest
from asap.prune.support import support_of, support_request
from asap.sample import Sample
from asap.store.content import Database

_FILE = "judge.sqlite"
_SCHEMA = "CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, support REAL NOT NULL) WITHOUT ROWID;"


class SupportScorer:
    """Measures support with a scorer. Results are stored in a file by content, so nothing is measured twice."""

    def __init__(self, scorer: Scorer, verdicts: Database) -> None:
        self.scorer = scorer
        self.computed = 0
        """The number of supports computed because none was stored."""
        self._verdicts = verdicts
        self.claim_files = verdicts.claim_files
        self._identity = content_digest(dict(scorer.identity), scorer.context_tokens)

    @classmethod
    @contextmanager
    def open(cls, scorer: Scorer, folder: Path) -> Iterator["SupportScorer"]:
        """A support scorer that stores its results in a folder."""
        with Database.open(folder / _FILE, _SCHEMA, synchronous="NORMAL") as verdicts:
            yield cls(scorer, verdicts)

    def in_windows(self, sample: Sample, trace: str) -> bool:
        """Whether question, trace and target exceed the judge's context, so that it reads them in overlapping windows."""
        request = support_request(self.scorer.tokens, sample, trace)
        return len(self.scorer.tokens.input_ids(request.context + request.text)) > self.scorer.context_tokens

    def support(self, sample: Sample, trace: str) -> float:
        """Mean log-probability of the target's tokens, in nats. Raises RowError if the judge gives no number."""
        return self.supports(sample, [trace])[0]

    def supports(self, sample: Sample, traces: Sequence[str]) -> list[float]:
        """The support that each trace gives. A judge on a GPU reads all of them together; one on a CPU reads, and stores, one by one."""
        requests = {trace: support_request(self.scorer.tokens, sample, trace) for trace in traces}
        keys = {trace: self._key(request) for trace, request in requests.items()}
        found = {trace: support for trace, key in keys.items() if (support := self._stored(key)) is not None}
        missing = [trace for trace in requests if trace not in found]
        together = len(missing) if self.scorer.batch_tokens else 1
        for at in range(0, len(missing), max(1, together)):
            group = missing[at : at + together]
            scored = self.scorer.score([requests[trace] for trace in group])
            self.computed += len(group)
            supports = {trace: support_of(one, sample) for trace, one in zip(group, scored, strict=True)}
            with self._verdicts.transaction():
                for trace, support in supports.items():
                    self._verdicts.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?)", (keys[trace], support))
            found |= supports
        return [found[trace] for trace in traces]

    def _key(self, request: ScoreRequest) -> str:
        target = request.spans[0]
        return content_digest(self._identity, request.context, request.text[: target.start], request.text[target.start :])

    def _stored(self, key: str) -> float | None:
        found = self._verdicts.execute("SELECT support FROM verdicts WHERE key = ?", (key,))
        return number_in(found[0][0]) if found else None  # what was damaged is measured anew

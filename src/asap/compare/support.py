"""Measures support with a language model, and stores the results."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asap.digest import content_digest
from asap.lm.scorer import Scorer
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
        request = support_request(self.scorer.tokens, sample, trace)
        target = request.spans[0]
        key = content_digest(self._identity, request.context, request.text[: target.start], request.text[target.start :])
        for (found,) in self._verdicts.execute("SELECT support FROM verdicts WHERE key = ?", (key,)):
            return float(found)
        self.computed += 1
        [scored] = self.scorer.score([request])
        support = support_of(scored, sample)
        self._verdicts.execute("INSERT OR IGNORE INTO verdicts VALUES (?, ?)", (key, support))
        return support

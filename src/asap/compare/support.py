"""A judge of support, whose verdicts are kept.

A trace that holds the final code in a fence is merely copied, so support is asked for twice: with the trace as it is, and
with fenced code taken out of it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asap.database import trouble
from asap.lm import Scorer
from asap.prune.support import support_of, support_request
from asap.sample import Sample, content_digest
from asap.steps import without_fences

FILE = "judge.sqlite"


class Judge:
    """A scorer that is asked for support. Its verdicts are kept in a file, by content, so that nothing is judged twice."""

    def __init__(self, scorer: Scorer, verdicts: sqlite3.Connection) -> None:
        self.scorer = scorer
        self.asked = 0
        """Verdicts that were not found and had to be made."""
        self._verdicts = verdicts
        self._identity = content_digest(dict(scorer.identity), scorer.context_tokens)

    @classmethod
    @contextmanager
    def open(cls, scorer: Scorer, folder: Path) -> Iterator["Judge"]:
        """A judge whose verdicts are kept in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        try:
            verdicts = sqlite3.connect(folder / FILE, isolation_level=None, timeout=1.0)
        except sqlite3.Error as error:
            raise trouble(error, folder / FILE) from error
        try:
            verdicts.executescript(
                "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                "CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, support REAL NOT NULL) WITHOUT ROWID;"
            )
            yield cls(scorer, verdicts)
        except sqlite3.Error as error:
            raise trouble(error, folder / FILE) from error
        finally:
            verdicts.close()

    def support(self, sample: Sample, trace: str, *, with_code: bool = True) -> float:
        """Mean log-probability of the target's tokens, in nats. Raises RowError where the judge gives no number."""
        request = support_request(self.scorer.tokens, sample, trace if with_code else without_fences(trace))
        target = request.spans[0]
        key = content_digest(self._identity, request.context, request.text[: target.start], request.text[target.start :])
        found = self._verdicts.execute("SELECT support FROM verdicts WHERE key = ?", (key,)).fetchone()
        if found:
            return float(found[0])
        self.asked += 1
        [scored] = self.scorer.score([request])
        support = support_of(scored, sample)
        self._verdicts.execute("INSERT OR IGNORE INTO verdicts VALUES (?, ?)", (key, support))
        return support

"""Support: how likely the answer's own code is after question and trace, by a judge that is better not the scorer.

The code (for mathematics the final answer) follows the trace directly; the prose of the answer is left out, because it says
little and is long. A trace that holds the final code in a fence is merely copied, so support is asked for twice: with the
trace as it is, and with fenced code taken out of it.

What this does not do: run anything. High support means that the code is likely, not that a model trained on the trace writes it.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asap.errors import InputError, RowError
from asap.lm import Scorer, ScoreRequest
from asap.lm.context import default_context, render_context
from asap.prune.anchor import program_of
from asap.sample import Sample, content_digest
from asap.steps import Span, without_fences

FILE = "judge.sqlite"
_BOXED = re.compile(r"\\boxed\s*\{")


class Target(NamedTuple):
    """What the judge is asked about: some words that lead to it, and the text itself."""

    lead: str
    text: str


def target_of(sample: Sample) -> Target:
    """The answer's program; without one its last boxed result, and without that either the whole answer."""
    program = program_of(sample)
    if program is not None:
        return Target("```python\n", program)
    boxed = _last_boxed(sample.answer)
    return Target("The final answer is ", boxed) if boxed else Target("", sample.answer)


def _last_boxed(answer: str) -> str | None:
    """The last `\\boxed{...}` with its braces in balance, as it stands."""
    for opening in reversed(list(_BOXED.finditer(answer))):
        depth = 0
        for place in range(opening.end() - 1, len(answer)):
            depth += {"{": 1, "}": -1}.get(answer[place], 0)
            if depth == 0:
                return answer[opening.start() : place + 1]
    return None


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
            raise InputError(f"{folder / FILE} cannot be opened ({error})") from error
        try:
            verdicts.executescript(
                "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                "CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, support REAL NOT NULL) WITHOUT ROWID;"
            )
            yield cls(scorer, verdicts)
        except sqlite3.Error as error:
            reason = "another asap process is working there" if "locked" in str(error) else str(error)
            raise InputError(f"{folder / FILE} cannot be used ({reason})") from error
        finally:
            verdicts.close()

    def support(self, sample: Sample, trace: str, *, with_code: bool = True) -> float:
        """Mean log-probability of the target's tokens, in nats. Raises RowError where the judge gives no number."""
        tokens, target = self.scorer.tokens, target_of(sample)
        context = render_context(tokens, sample.prompt, default_context(tokens))
        before = f"{trace if with_code else without_fences(trace)}\n</think>\n\n{target.lead}"
        key = content_digest(self._identity, context, before, target.text)
        found = self._verdicts.execute("SELECT support FROM verdicts WHERE key = ?", (key,)).fetchone()
        if found:
            return float(found[0])
        self.asked += 1
        span = Span(len(before), len(before) + len(target.text))
        [scored] = self.scorer.score([ScoreRequest(context, before + target.text, [span])])
        logprobs = scored.spans[0].logprobs
        support = float(np.mean(logprobs)) if len(logprobs) else float("nan")
        if not np.isfinite(support):
            raise RowError("bad_support", f"the judge gave {support} for the answer", sample.id)
        self._verdicts.execute("INSERT OR IGNORE INTO verdicts VALUES (?, ?)", (key, round(support, 6)))
        return round(support, 6)

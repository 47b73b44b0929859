"""Scored runs of small problems of mathematics, and the browser that opens their report."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from asap.cli import run
from browsing import browser, visit

__all__ = ["browser", "visit"]

PROBLEMS = 12


@pytest.fixture(scope="session")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Score attempts at the first `problems` sums of 0 + 0, 1 + 1, …: `right` are those solved, `texts` other texts by problem.

    The same attempts are scored once; those of a name that begins with "own" belong to one test, which may change them.
    """
    folder = tmp_path_factory.mktemp("scored")

    @cache
    def sums(problems: int) -> Path:
        rows = [{"id": f"sum/{n}", "question": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(problems)]
        file = folder / ("sums.jsonl" if problems == PROBLEMS else f"sums-{problems}.jsonl")
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return file

    def score(name: str, right: Sequence[int], texts: Mapping[int, str] | None = None, samples: int = 1, problems: int = PROBLEMS) -> Path:
        return made(name, tuple(right), tuple((texts or {}).items()), samples, problems)

    @cache
    def made(name: str, right: tuple[int, ...], texts: tuple[tuple[int, str], ...], samples: int, problems: int) -> Path:
        rows = [
            {
                "task_id": f"sum/{n}",
                "generation": dict(texts).get(n) or f"<think>\n{n} twice.\n</think>\n\n\\boxed{{{2 * n + (n not in right)}}}",
                "tokens": 100 + 10 * n + 5 * len(name),
                "stopped_by": "length" if dict(texts).get(n, "").endswith("still") else "stop",
            }
            for n in range(problems)
            for _ in range(samples)
        ]
        attempts, out = folder / f"{name}.jsonl", folder / name
        assert not out.exists(), "each name is one arm"
        attempts.write_text("".join(json.dumps(row) + "\n" for row in rows))
        assert run(["score", str(attempts), "--benchmark", f"maths:{sums(problems)}", "--out", str(out)]) == 0
        return out

    return score

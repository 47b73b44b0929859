"""How many rows of an arm have the trace tokens of another arm: known once both have been pruned."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from asap.reproduce.stage import RowsLike


def rows_alike(out: Path) -> Callable[[RowsLike], str]:
    """How many of the first rows of one stage have about as many trace tokens as all rows of another one."""

    def number(wanted: RowsLike) -> str:
        target = sum(_trace_tokens(out / wanted.like.name))
        so_far, best = 0, (target, 0)
        for count, tokens in enumerate(_trace_tokens(out / wanted.rows.name), 1):
            so_far += tokens
            best = min(best, (abs(target - so_far), count))
        return str(max(1, best[1]))

    return number


def _trace_tokens(folder: Path) -> Iterator[int]:
    with (folder / "decisions.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            yield int(json.loads(line)["tokens_after"])

"""The tables of docs/results/held_out.md, from the judged values of the one-time test (experiments/held_out).

    python -m experiments.held_out_tables docs/results/held_out
    python -m experiments.held_out_tables docs/results/held_out --plot docs/results/held_out-maths.png      # of the rows of maths

The folder has code.jsonl.xz and maths.jsonl.xz: judged.jsonl of `asap compare`, ids and numbers without text. First comes the rule's
decision, then all methods on each kind of rows, then the code without the two rows that were seen before the test.
"""

import json
import lzma
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from experiments.held_out.decide import markdown, values_of, verdicts
from experiments.held_out.run import KINDS, PLAN

from asap.compare.aggregate import FULL_TRACE, NO_TRACE, Aggregate, Contrast, summarise
from asap.compare.measurement import Measurement
from asap.compare.plot import pareto
from asap.tables import Table

SEEN = ("Prefill_00000124_I-instruct-1", "Prefill_00000044_I-instruct-1")
HEAD = ("method", "kept %", "rows off", "answer lines left %", "support", "minus full trace", "minus random", "p", "minus asap", "p")


def main() -> None:
    """Print the tables of a folder, or draw its rows of maths."""
    folder = Path(sys.argv[1])
    if sys.argv[2:3] == ["--plot"]:
        found = summarise(one._replace(method=plain(one.method)) for one in read(folder / "maths.jsonl.xz"))
        pareto(found, Path(sys.argv[3]), "150 rows of maths, pruned by a model of 135M parameters and judged by one of 1.5B")
    else:
        print("\n".join(pages(folder)))


def pages(folder: Path) -> Iterator[str]:
    """The decision, then the tables."""
    judged = {kind: read(folder / f"{kind}.jsonl.xz") for kind in KINDS}
    values = {cell: value for kind in KINDS for cell, value in values_of(kind, [one._asdict() for one in judged[kind]]).items()}
    yield markdown(verdicts(values, json.loads(PLAN.read_text("utf-8"))["bets"]))
    for title, rows in [*judged.items(), ("code without the two rows seen", [one for one in judged["code"] if one.id not in SEEN])]:
        found = summarise(rows)
        for ratio in sorted({one.ratio for one in found if 0 < one.ratio < 1}, reverse=True):
            yield f"### {title}, ratio {ratio:g}, {max(one.rows for one in found)} rows\n\n{table(found, ratio)}\n"


def read(file: Path) -> list[Measurement]:
    """The judged values of a kind of rows."""
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        return [Measurement(**json.loads(line)) for line in lines]


def table(found: Iterable[Aggregate], ratio: float) -> str:
    """All methods at a ratio, the best first, between the full trace and none."""
    shown = [one for one in found if one.ratio in (1.0, ratio, 0.0)]
    assert (shown[0].method, shown[-1].method) == (FULL_TRACE, NO_TRACE)
    return Table(HEAD, [cells(one) for one in shown]).markdown()


def cells(one: Aggregate) -> Sequence[str]:
    """A line of the table."""
    name = f"bet: {plain(one.method)}" if ":" in one.method else one.method
    lines = "" if one.answer_lines is None else f"{100 * one.answer_lines:.1f}"
    fixed = [name, f"{100 * one.share:.1f}", str(one.rows_off), lines, f"{one.value:.3f}"]
    full = "" if one.method == FULL_TRACE else signed(one)
    return [*fixed, full, *against(one.against["random"]), *against(one.against["asap"])]


def plain(method: str) -> str:
    """A bet's name without its module."""
    return method.split(".")[-1].removesuffix(":score")


def against(one: Contrast | None) -> tuple[str, str]:
    """A difference and its p; nothing for the method itself."""
    return (signed(one), "<0.001" if one.p < 0.001 else f"{one.p:.3f}") if one else ("", "")


def signed(one: Aggregate | Contrast) -> str:
    """A difference with its interval."""
    return f"{one.mean:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"


if __name__ == "__main__":
    main()

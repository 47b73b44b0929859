"""How well loops at the end of traces are told from traces that end: rates of finding and of false alarm, with intervals.

    python benchmarks/loops/roc.py TRACES... --written written.jsonl [--made 150] [--show 12]

TRACES hold real traces (`response`); those whose thinking was ended and answered are healthy. `written.jsonl` comes from `write.py`: a text
is a loop by its token ids alone, if its tokens ran out and the last 200 of them have an exact period of at most 50. What ran out without
such a period is counted apart, since nobody said what it is. `made.py` makes the rest. Half of all (by a digest of the text) was used to
choose the constants of the detector; the tables are of the other half (`--half`).
"""

import argparse
import random
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from made import LOOPS, REASONS

from asap.dataset.jsonl import jsonl_rows
from asap.digest import content_digest
from asap.evaluate.metrics import wilson
from asap.repetition import repetition
from asap.think import parts_of

_LAST, _PERIOD = 200, 50  # tokens


class Trace(NamedTuple):
    """A trace, where it comes from, and whether it ends in a loop; None if that is not known."""

    kind: str
    name: str
    text: str
    loops: bool | None


def of_period(text: str) -> float:
    """The rounds of the exact period of the last 6,000 characters (Knuth, Morris, Pratt), where it spans 240 characters."""
    tail = text.rstrip()[-6000:][::-1]
    borders, most = [0] * len(tail), 1.0
    for end in range(1, len(tail)):
        border = borders[end - 1]
        while border and tail[end] != tail[border]:
            border = borders[border - 1]
        borders[end] = border + (tail[end] == tail[border])
        if end + 1 >= 240:
            most = max(most, (end + 1) / (end + 1 - borders[end]))
    return most


def of_compression(text: str) -> float:
    """The size of the last 4,096 bytes by their size after zlib."""
    tail = text.rstrip().encode()[-4096:]
    return len(tail) / len(zlib.compress(tail)) if len(tail) >= 240 else 1.0


def of_repetition(text: str) -> float:
    """How often the end says the same: the detector."""
    return repetition(text).times


MEASURES: Mapping[str, Callable[[str], float]] = {
    "asap.repetition": of_repetition,
    "exact period of the last 6,000 characters": of_period,
    "zlib, last 4,096 bytes": of_compression,
}


def healthy(files: Sequence[Path]) -> Iterator[Trace]:
    """The thinking of rows that have an answer as well."""
    for file in files:
        for number, raw in enumerate(jsonl_rows(file)):
            row = raw.value or {}
            found = parts_of(row.get("response") or row["response_raw"], opened=not row.get("response"))
            if found.thinking and (found.answer or "").strip():
                yield Trace(f"real, {file.name.partition('.')[0]}", f"{file.name}:{number + 1}", found.thinking, False)


def written(file: Path) -> Iterator[Trace]:
    """What a small model wrote."""
    for raw in jsonl_rows(file):
        row = raw.value or {}
        ids, text = row["ids"], f"{row['start']} {row['text']}"
        if row["ended"]:
            yield Trace("written, ended", row["id"], text, False)
        elif _is_periodic(ids[-_LAST:]):
            yield Trace("written, a loop", row["id"], text, True)
        else:
            yield Trace("written, not known", row["id"], text, None)


def _is_periodic(ids: Sequence[int]) -> bool:
    return len(ids) == _LAST and any(all(ids[at] == ids[at - period] for at in range(period, len(ids))) for period in range(1, _PERIOD + 1))


def made(traces: Sequence[Trace], count: int) -> Iterator[Trace]:
    """Loops and legitimate repetition behind healthy traces, `count` of each kind."""
    draw = random.Random(0)
    for makers, loops in ((LOOPS, True), (REASONS, False)):
        for make in makers:
            for trace in draw.sample(traces, count):
                yield Trace(f"made, {make.__name__.replace('_', ' ')}", trace.name, make(draw, trace.text), loops)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", nargs="+", type=Path)
    parser.add_argument("--written", type=Path)
    parser.add_argument("--made", type=int, default=150, help="of each kind")
    parser.add_argument("--show", type=int, default=0, help="print the ends of so many wrong ones")
    parser.add_argument("--half", choices=["tuned", "held"], default="held")
    args = parser.parse_args()
    real = list(healthy(args.traces))
    traces = [*real, *(written(args.written) if args.written else ()), *made(real, args.made)]
    held = [(content_digest(trace.text)[0] in "01234567") != (args.half == "tuned") for trace in traces]
    scores = dict[str, list[float]]()
    for name, measure in MEASURES.items():
        started = time.process_time()
        scores[name] = [measure(trace.text) for trace in traces]
        seconds = time.process_time() - started
        print(f"{name}: {1e9 * seconds / sum(len(trace.text) for trace in traces):.0f} ns of CPU time a character")
    print(f"\n{len(traces):,} texts; the {args.half} half has {sum(held):,}\n")
    _print_kinds([trace for trace, one in zip(traces, held, strict=True) if one])
    _print_measures(traces, held, scores)
    for trace, score, one in zip(traces, scores["asap.repetition"], held, strict=True):
        if one and args.show and trace.loops is not None and trace.loops != repetition(trace.text).is_loop:
            args.show -= 1
            print(f"\n--- {trace.kind}, {trace.name}: {score:.2f}\n{trace.text.rstrip()[-400:]}")


def _print_kinds(traces: Sequence[Trace]) -> None:
    """How many of each kind are flagged."""
    print("| kind | texts | loops | flagged | share, 95 % interval |\n|---|---:|---|---:|---|")
    kinds = defaultdict[str, list[Trace]](list)
    for trace in traces:
        kinds[trace.kind].append(trace)
    for kind, found in kinds.items():
        flagged = sum(repetition(trace.text).is_loop for trace in found)
        told = {True: "yes", False: "no", None: "not known"}[found[0].loops]
        print(f"| {kind} | {len(found)} | {told} | {flagged} | {_share(flagged, len(found))} |")


def _print_measures(traces: Sequence[Trace], held: Sequence[bool], scores: Mapping[str, Sequence[float]]) -> None:
    """The area under the curve of each measure, and what it finds at a false alarm in 200 and in 23 healthy texts."""
    print("\n| measure | area under the curve, 95 % interval | finds at 1 false alarm in 200 | at 1 in 23 |\n|---|---|---|---|")
    for name, values in scores.items():
        loops = np.array([value for value, trace, one in zip(values, traces, held, strict=True) if one and trace.loops])
        ends = np.array([value for value, trace, one in zip(values, traces, held, strict=True) if one and trace.loops is False])
        draw = np.random.default_rng(0)
        areas = [_area(draw.choice(loops, len(loops)), draw.choice(ends, len(ends))) for _ in range(500)]
        found = [_share(int((loops > np.quantile(ends, 1 - rate, method="higher")).sum()), len(loops)) for rate in (1 / 200, 1 / 23)]
        low, high = np.quantile(areas, [0.025, 0.975])
        print(f"| {name} | {_area(loops, ends):.4f}, {low:.4f}–{high:.4f} | {' | '.join(found)} |")
    print("\n| flagged from | loops found | healthy flagged |\n|---:|---|---|")
    known = [(value, trace.loops) for value, trace, one in zip(scores["asap.repetition"], traces, held, strict=True) if one]
    for least in (1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0):
        flagged = {told: [value >= least for value, is_loop in known if is_loop is told] for told in (True, False)}
        rates = [_share(sum(found), len(found)) for found in flagged.values()]
        print(f"| {least:g} | {' | '.join(rates)} |")


def _area(loops: np.ndarray, ends: np.ndarray) -> float:
    """The chance that a loop scores higher than a text that ends, half of it where they are equal."""
    ordered = np.sort(ends)
    below, not_above = np.searchsorted(ordered, loops, "left"), np.searchsorted(ordered, loops, "right")
    return float((below + not_above).mean() / 2 / len(ends))


def _share(count: int, total: int) -> str:
    low, high = wilson(count, total)
    return f"{count} of {total}: {100 * count / max(total, 1):.1f} % ({100 * low:.1f}–{100 * high:.1f})"


if __name__ == "__main__":
    main()

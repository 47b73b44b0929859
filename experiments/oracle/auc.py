"""Which scores see what is necessary: the AUC of every step score on the oracle's rows, without training.

    python -m experiments.oracle.auc --rows 2000 --out DIR                                  # bundled scorer, both settings of openers
    python -m experiments.oracle.auc --rows 2000 --scorer hf:FOLDER --one-pass --out DIR    # without spirit and leave-one-out
    python -m experiments.oracle.auc --rows 2000 --methods package.module:function --out DIR
    python -m experiments.oracle.auc --rows 2000 --plan 20 --out DIR                        # scores 20 rows and says what 2,000 cost
    python -m experiments.oracle.auc --table --out DIR                                      # writes the table of what is scored
    python -m experiments.oracle.auc --rows 2000 --skip 600 --lines FILE --out DIR          # without the first 600, whose lines are in FILE

The same command goes on where it was: a kill loses the row that was being scored. Scores are in DIR, by scorer and setting; auc.md,
auc.csv, auc.json and auc.jsonl (a line a trace) are written after 50 rows of each setting, after 100, and so on.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from experiments.oracle.auc_table import Line, cells_of, csv_of, lines_of, markdown_of, read_lines, text_of
from experiments.oracle.openers import SETTINGS
from experiments.oracle.scores import Scored, decided
from experiments.oracle.versions import machine

from asap.atomic import replacing
from asap.lm.hub import Dtype
from asap.lm.specs import load_scorer

RUNS = "runs.json"
FIRST = 50


def main() -> None:
    """Score rows, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000, help="default %(default)s")
    parser.add_argument("--skip", type=int, default=0, help="score none of the first SKIP rows")
    parser.add_argument("--lines", type=Path, nargs="+", default=[], help="files auc.jsonl of other runs, which the tables take in")
    parser.add_argument("--seed", type=int, default=1, help="of the rows (default %(default)s)")
    parser.add_argument("--scorer", default="bundled", help="a model spec (default %(default)s)")
    parser.add_argument("--dtype", choices=get_args(Dtype), default="auto")
    parser.add_argument("--methods", default="", help="methods of one's own, package.module:function, separated by commas")
    parser.add_argument("--one-pass", action="store_true", help="leave out spirit and leave-one-out")
    parser.add_argument("--settings", default=",".join(SETTINGS), help="of the openers (default %(default)s)")
    parser.add_argument("--plan", type=int, metavar="N", help="score N rows of each setting only, and say what all cost")
    parser.add_argument("--table", action="store_true", help="score nothing")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.table:
        own = tuple(filter(None, options.methods.split(",")))
        kind = "one-pass" if options.one_pass else "every"
        name = f"{options.scorer.rsplit('/', 1)[-1].replace(':', '-')}-{options.dtype}-{kind}"
        runs = [
            Scored(options.out / f"{name}-{setting}", setting, options.seed, own, not options.one_pass, options.skip)
            for setting in SETTINGS
            if setting in options.settings.split(",")
        ]
        remember(options.out, runs, options.scorer)
        score(runs, options)
    write_tables(options.out, options.lines)


def score(runs: Sequence[Scored], options: argparse.Namespace) -> None:
    """Score the rows of both settings by turns, in shares that double, with the tables after each."""
    scorer = load_scorer(options.scorer, dtype=options.dtype)
    for count in [options.plan] if options.plan else doubling(FIRST, options.rows - options.skip):
        for run in runs:
            run.write_rows(options.rows)
            before, started = sum(1 for _ in decided(run.run())), time.process_time()
            run.score(scorer, count)
            seconds, new = time.process_time() - started, count - before
            if new > 0:
                hours = seconds / new * options.rows / 3600
                print(f"{run.folder.name}: {new} rows in {seconds:.0f} s of CPU; {options.rows:,} rows: {hours:.1f} h of CPU", flush=True)
        write_tables(options.out, options.lines)


def doubling(first: int, last: int) -> Iterator[int]:
    """first, twice that, and so on, up to last."""
    while first < last:
        yield first
        first *= 2
    yield last


def remember(out: Path, runs: Sequence[Scored], spec: str) -> None:
    """Note which runs the folder holds, for the tables."""
    known = noted(out)
    for run in runs:
        own = sorted({*run.own, *known.get(run.folder.name, {}).get("own", [])})
        known[run.folder.name] = {
            "scorer": spec,
            "setting": run.setting,
            "seed": run.seed,
            "own": own,
            "every": run.every,
            "skip": run.skip,
        }
    with replacing(out / RUNS) as file:
        file.write(json.dumps(known, indent=1) + "\n")


def noted(out: Path) -> dict[str, dict[str, Any]]:
    """The runs of a folder, by name."""
    return dict(json.loads((out / RUNS).read_text("utf-8"))) if (out / RUNS).is_file() else {}


def write_tables(out: Path, others: Sequence[Path]) -> None:
    """Write auc.md, auc.csv and auc.json, which take in the lines of other runs, and auc.jsonl, which does not."""
    lines, about = list[Line](), dict[str, object]()
    for name, run in noted(out).items():
        scored = Scored(out / name, run["setting"], run["seed"], tuple(run["own"]), bool(run["every"]), int(run["skip"]))
        lines += lines_of(scored, str(run["scorer"]))
        manifest = scored.run() / "manifest.json"
        about[name] = json.loads(manifest.read_text("utf-8"))["settings"]["scorer"] if manifest.is_file() else None
    cells = cells_of([*read_lines(others), *lines])
    about_all = {"machine": machine(), "scorers": about, "cells": [cell._asdict() for cell in cells]}
    for name, text in {
        "auc.jsonl": text_of(lines),
        "auc.md": markdown_of(cells) + "\n",
        "auc.csv": csv_of(cells),
        "auc.json": json.dumps(about_all, indent=1) + "\n",
    }.items():
        with replacing(out / name) as file:
            file.write(text)


if __name__ == "__main__":
    main()

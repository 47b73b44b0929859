"""The scores of the held-out test, made while the judge's weights are still on their way: `experiments.held_out.run` goes on with them.

    python benchmarks/gpu/held_ahead.py --code kodcode_r1.jsonl.gz --maths math_r1_qwq.jsonl.gz --out DIR --device cuda

with PYTHONPATH=src:. from the repository's root. The runs are those of `asap compare` in the test: another setting, row or digest than
there, and the test refuses to go on with them. `--rehearse` as in the test, whose rows it takes. Nothing is judged here.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.held_out.rows import code_rows, maths_rows, read_rows, write_rows
from experiments.held_out.run import KINDS, PLAN, check, rehearsed
from experiments.scored_ahead import scored_ahead

from asap.lm.scorer import Scorer
from asap.lm.specs import load_scorer


def main() -> None:
    """Score both kinds of rows, or go on where it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", type=Path, required=True)
    parser.add_argument("--maths", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--rehearse", action="store_true")
    options = parser.parse_args()
    plan = json.loads(PLAN.read_text("utf-8"))
    sources = {"code": read_rows(options.code), "maths": read_rows(options.maths)}
    chosen = rehearsed(sources) if options.rehearse else {"code": code_rows(sources["code"]), "maths": maths_rows(sources["maths"])}
    if not options.rehearse:
        check(plan, chosen, options.out)
    scorer = load_scorer(plan["scorer"], dtype=plan["dtype"], device=options.device)
    for kind in [options.only] if options.only else KINDS:
        rows = options.out / f"{kind}.jsonl"
        write_rows(rows, chosen[kind])
        score(scorer, rows, options.out / kind, plan)


def score(scorer: Scorer, rows: Path, folder: Path, plan: Mapping[str, Any]) -> None:
    """Make the runs that `asap compare` would make in this folder; prints the seconds of each."""
    begun = time.monotonic()
    for name, totals in scored_ahead(scorer, rows, folder, [*plan["methods"], *plan["bets"]], plan):
        found = {"scored": name, "kind": folder.name, "rows": totals.rows, "rejected": totals.rejected}
        print(json.dumps({**found, "seconds": round(time.monotonic() - begun, 1)}), flush=True)
        begun = time.monotonic()


if __name__ == "__main__":
    main()

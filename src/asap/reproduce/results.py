"""What a finished chain came to: for each arm the tokens that it was trained on, beside every result."""

import json
from pathlib import Path
from typing import Any

from asap.reproduce.chain import Chain
from asap.reproduce.stage import Stage
from asap.tables import Table


def results_text(chain: Chain, out: Path) -> str:
    """A table of arms, seeds and benchmarks: rows and tokens trained on, Pass@1 with its interval, tokens of an answer."""
    header = ["arm", "seed", "rows", "trace tokens", "tokens an epoch", "benchmark", "Pass@1", "95 %", "tokens an answer"]
    cells = list[list[str]]()
    for (arm, seed, _), stage in chain.evaluated.items():
        train = chain.trained.get((arm, seed))
        trained = _trained(chain, chain.pruned[arm], train, out) if train else ["0", "0", "0"]
        summary = json.loads((out / stage.name / "summary.json").read_text("utf-8"))
        for entry in summary["benchmarks"]:
            cells.append([arm, str(seed) if train else "", *trained, entry["benchmark"], *_result(entry)])
    return f"{chain.scale.about}\n\n{Table(header, cells, 'lrrrrlr').markdown(padded=True)}\n"


def _trained(chain: Chain, pruned: Stage, train: Stage, out: Path) -> list[str]:
    """The rows of a training, the tokens of their traces, and all its tokens in one epoch."""
    counts = json.loads((out / train.name / "manifest.json").read_text("utf-8"))["counts"]
    ids = {json.loads(line)["id"] for line in (out / train.name / "rows.jsonl").read_text("utf-8").splitlines()}
    decisions = map(json.loads, (out / pruned.name / "decisions.jsonl").read_text("utf-8").splitlines())
    traces = sum(decision["tokens_after"] for decision in decisions if decision["id"] in ids)
    return [f"{counts['rows']:,}", f"{traces:,}", f"{counts['tokens']:,}"]


def _result(entry: dict[str, Any]) -> list[str]:
    rate, interval, tokens = entry.get("pass@1"), entry.get("interval"), entry["efficiency"]["tokens_mean"]
    shown = "" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"
    return ["" if rate is None else f"{100 * rate:.2f}", shown, "" if tokens is None else f"{tokens:,.0f}"]

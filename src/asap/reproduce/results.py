"""What a finished chain came to: for each arm the tokens that it was trained on, beside every result."""

import json
from pathlib import Path
from typing import Any

from asap.reproduce.chain import Chain
from asap.reproduce.stage import Stage
from asap.tables import Table


def results_of(chain: Chain, out: Path) -> list[dict[str, Any]]:
    """For each arm, seed and benchmark: rows and tokens trained on, Pass@1 with its interval, tokens of an answer; JSON-able."""
    found = list[dict[str, Any]]()
    for (arm, seed, _), stage in chain.evaluated.items():
        train = chain.trained.get((arm, seed))
        trained: dict[str, Any] = {"seed": None, "rows": 0, "trace_tokens": 0, "tokens": 0}
        if train:
            trained = {"seed": seed, **_trained(chain.pruned[arm], train, out)}
        summary = json.loads((out / stage.name / "summary.json").read_text("utf-8"))
        for entry in summary["benchmarks"]:
            result = {name: entry.get(name) for name in ("benchmark", "pass@1", "interval")}
            found.append({"arm": arm, **trained, **result, "tokens_mean": entry["efficiency"]["tokens_mean"]})
    return found


def results_text(chain: Chain, results: list[dict[str, Any]]) -> str:
    """The results as a table."""
    header = ["arm", "seed", "rows", "trace tokens", "tokens an epoch", "benchmark", "Pass@1", "95 %", "tokens an answer"]
    table = Table(header, [*map(_cells, results)], "lrrrrlr").markdown(padded=True)
    return f"{chain.heading}\n{chain.scale.about}\n\n{table}"


def _trained(pruned: Stage, train: Stage, out: Path) -> dict[str, Any]:
    """The rows of a training, the tokens of their traces, and all its tokens in one epoch."""
    counts = json.loads((out / train.name / "manifest.json").read_text("utf-8"))["counts"]
    ids = {json.loads(line)["id"] for line in (out / train.name / "rows.jsonl").read_text("utf-8").splitlines()}
    decisions = map(json.loads, (out / pruned.name / "decisions.jsonl").read_text("utf-8").splitlines())
    traces = sum(decision["tokens_after"] for decision in decisions if decision["id"] in ids)
    return {"rows": counts["rows"], "trace_tokens": traces, "tokens": counts["tokens"]}


def _cells(result: dict[str, Any]) -> list[str]:
    rate, interval, tokens = result["pass@1"], result["interval"], result["tokens_mean"]
    return [
        result["arm"],
        "" if result["seed"] is None else str(result["seed"]),
        *(f"{result[name]:,}" for name in ("rows", "trace_tokens", "tokens")),
        result["benchmark"],
        "" if rate is None else f"{100 * rate:.2f}",
        "" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}",
        "" if tokens is None else f"{tokens:,.0f}",
    ]

"""Print one trace of an output folder as a diff: removed steps with a minus, and why each was removed.

Usage: python examples/show_cuts.py out/demo [ID]
"""

import json
import sys
from pathlib import Path

import asap


def main(folder: str, wanted: str | None = None) -> None:
    """Print the trace with the given id, or the first one. The originals are read from where the run read them."""
    decisions = map(json.loads, (Path(folder) / "decisions.jsonl").read_text("utf-8").splitlines())
    found = next((asap.decision_from_row(row) for row in decisions if wanted in (None, row["id"])), None)
    sources = json.loads((Path(folder) / "manifest.json").read_text("utf-8"))["settings"]["sources"]
    samples = asap.read_samples(*sources, on_reject=lambda rejected: None)
    cot = next((sample.cot for sample in samples if found and sample.id == found.id), None)
    if found is None or cot is None:
        raise SystemExit(f"{folder} and its sources, {', '.join(sources)}, hold no row {wanted or ''}")
    print(f"{found.id}: {found.tokens_before} tokens -> {found.tokens_after}")
    for step in found.steps:
        mark = " " if step.kept else "-"
        print(f"@@ step {step.index}: {reason(step)} @@")
        print("\n".join(f"{mark} {text}" for text in cot[step.start : step.end].splitlines()))


def reason(step: asap.StepDecision) -> str:
    """Why a step stayed or was removed, in one line."""
    if step.removed_by == "coarse":
        return "removed by stage 1" + ("" if step.alignment is None else f", alignment {step.alignment:+.3f} nats per token")
    score = "" if step.score is None else f", score {step.score:.2f}, rank {step.rank} in the order of removal"
    return ("kept" if step.kept else "removed by stage 2") + score


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    try:
        main(*sys.argv[1:3])
    except (asap.AsapError, OSError) as error:  # a folder that is none, or originals that moved
        raise SystemExit(f"show_cuts.py: {error}") from None

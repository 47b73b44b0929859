"""Print one trace of an output folder as a diff: removed steps with a minus, and why each went.

Usage: python examples/show_cuts.py out/demo [ID]
"""

import json
import sys
from pathlib import Path

import asap


def main(folder: str, wanted: str | None) -> None:
    """Print the trace with the given id, or the first one."""
    originals = {sample.id: sample for sample in asap.read_samples("examples/traces.jsonl")}
    for line in (Path(folder) / "decisions.jsonl").read_text(encoding="utf-8").splitlines():
        decision = asap.Decision.from_row(json.loads(line))
        if wanted in (None, decision.id):
            break
    else:
        raise SystemExit(f"{folder} holds no row {wanted}")
    cot = originals[decision.id].cot
    print(f"{decision.id}: {decision.tokens_before} tokens -> {decision.tokens_after}")
    for step in decision.steps:
        mark = " " if step.kept else "-"
        print(f"@@ step {step.index}: {reason(step)} @@")
        print("\n".join(f"{mark} {text}" for text in cot[step.start : step.end].splitlines()))


def reason(step: asap.StepDecision) -> str:
    """Why a step stayed or went, in one line."""
    if step.removed_by == "coarse":
        return f"removed by stage 1, alignment {step.alignment:+.3f} nats a token"
    surprisal = f"first-token surprisal {step.surprisal:.2f} nats, rank {step.rank}"
    return f"kept, {surprisal}" if step.kept else f"removed by stage 2, {surprisal}"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)

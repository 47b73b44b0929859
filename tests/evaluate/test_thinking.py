"""Trace collapse: each generation is of one kind, and the rates are means over problems, as thinkpack defines them."""

import json
from pathlib import Path
from typing import Any

import pytest
from evaluate_helpers import read_rows, write_rows

from asap.cli import run
from asap.evaluate.attempt import Attempt
from asap.evaluate.paired_run import read_run
from asap.evaluate.thinking import thinking_of, thinking_rates

KINDS = [
    ("<think>\nhm\n</think>\n\n4", "complete"),
    ("hm\n</think>\n\n4", "complete"),
    ("[THINK]hm[/THINK]4", "complete"),
    ("<think>\nhm\n</think>\n", "complete"),
    ("<think>\n\n</think>\n\n4", "empty"),
    ("<think></think>4", "empty"),
    ("</think>4", "empty"),
    ("<think>\nhm, 4", "unclosed"),
    ("<think>\n", "unclosed"),
    ("The answer is 4.", "missing"),
    ("", "missing"),
    ("The tag `<think>` opens a thought and `</think>` closes it.", "missing"),
]


@pytest.mark.parametrize(("text", "kind"), KINDS)
def test_the_kind_of_a_text(text: str, kind: str) -> None:
    assert thinking_of(Attempt("a", 0, "generation", text)) == kind


def test_what_is_known_of_the_prompt_and_of_refusals() -> None:
    assert thinking_of(Attempt("a", 0, "generation", "hm, 4", {"opened": True})) == "unclosed"
    assert thinking_of(Attempt("a", 0, "solution", "x = 4")) is None
    assert thinking_of(Attempt("a", 0, "generation", "", {"stopped_by": "too_long"})) is None


def test_rates_are_means_over_problems_by_hand() -> None:
    seen = {"a": [("complete", "pass"), ("complete", "fail"), ("missing", "pass")], "b": [("missing", "pass")]}
    seen["c"] = [("complete", "infra")]
    records: list[dict[str, Any]] = [
        {"task_id": name, "thinking": kind, "verdict": verdict, "passed": verdict == "pass"}
        for name, found in seen.items()
        for kind, verdict in found
    ]
    rates = thinking_rates([*records, {"task_id": "d", "verdict": "pass", "passed": True}])
    assert rates["VR"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert rates["MR"] == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert (rates["ER"], rates["TR"], rates["Rpass@1"]) == (0, 0, 0.5)
    assert thinking_rates([{"task_id": "d", "verdict": "pass", "passed": True}]) == {}


def scored(folder: Path, name: str, texts: list[str]) -> Path:
    """A file of generations about four sums, judged."""
    problems = write_rows(folder / "sums.jsonl", [{"id": f"s{n}", "question": f"{n} + 1?", "answer": str(n + 1)} for n in range(4)])
    attempts = write_rows(folder / f"{name}.jsonl", [{"task_id": f"s{n}", "generation": text} for n, text in enumerate(texts)])
    assert run(["score", str(attempts), "--benchmark", f"maths:{problems}", "--out", str(folder / name)]) == 0
    return folder / name


def test_a_model_that_stopped_thinking_is_seen_in_its_summary_and_beside_another(tmp_path: Path) -> None:
    pytest.importorskip("math_verify")
    before = scored(tmp_path, "before", [f"<think>\nhm\n</think>\n\n\\boxed{{{n + 1}}}" for n in range(4)])
    after = scored(tmp_path, "after", ["<think>\nhm\n</think>\n\n\\boxed{1}", "<think></think>\\boxed{2}", "\\boxed{3}", "<think>\nhm"])
    [entry] = json.loads((after / "summary.json").read_text())["benchmarks"]
    assert entry["thinking"] == {"VR": 0.25, "ER": 0.25, "TR": 0.25, "MR": 0.25, "Rpass@1": 1.0}
    assert [row["thinking"] for row in read_rows(after / "verdicts.jsonl")] == ["complete", "empty", "missing", "unclosed"]
    assert "thinking missing (MR)" in (after / "summary.md").read_text()
    out = tmp_path / "compared.json"
    assert run(["compare-runs", str(before), str(after), "--out", str(out)]) == 0
    [compared] = json.loads(out.read_text())["benchmarks"]
    assert (compared["thinking"]["a"], compared["thinking"]["b"]) == (1, 0.25)
    old = [{name: value for name, value in row.items() if name != "thinking"} for row in read_rows(before / "verdicts.jsonl")]
    write_rows(before / "verdicts.jsonl", old)  # as former versions wrote it
    assert "thinking" not in read_run(before).benchmarks[entry["benchmark"]].costs
    assert run(["compare-runs", str(before), str(after)]) == 0

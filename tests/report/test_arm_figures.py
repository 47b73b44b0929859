"""The figures of a report: those of compare-runs, Holm over all of them, seeds drawn, and labels where they belong."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asap.cli import run
from asap.evaluate.paired import compare
from asap.evaluate.paired_run import read_run
from asap.lm.model_size import parameters_of, size_label
from asap.report.crossed import crossed_spread
from asap.report.paper import method_of, paper_figures
from asap.stats import holm, interval
from run_fixtures import refusal

Scored = Callable[..., Path]


def report_of(out: Path, *words: object) -> dict[str, object]:
    assert run(["report", *map(str, words), "--out", str(out)]) == 0
    found: dict[str, object] = json.loads((out / "report.json").read_text())
    return found


def test_the_statistics_are_those_of_compare_runs(scored: Scored, tmp_path: Path) -> None:
    base, better, worse = scored("base", range(6)), scored("better", range(2, 12)), scored("worse", [0, 7])
    made = report_of(tmp_path / "out", base, f"b={better}", f"w={worse}")
    compared = [compare(read_run(base), read_run(other))["benchmarks"][0] for other in (better, worse)]
    adjusted = holm([entry["pass"]["p"] for entry in compared])
    for one, entry, p in zip(made["differences"], compared, adjusted, strict=True):  # type: ignore[call-overload]
        assert one["passed"] == {**entry["pass"], "p_holm": p}
        assert {**one["tokens"], "p_holm": 0} == {**entry["tokens"], "p_holm": 0}
    assert [one["passed"] for one in made["results"]] == [0.5, 10 / 12, 2 / 12]  # type: ignore[attr-defined]
    assert run(["compare-runs", str(base), str(better), "--out", str(tmp_path / "c.json")]) == 0


def test_seeds_of_an_arm_are_drawn_too(scored: Scored, tmp_path: Path) -> None:
    base, one, two = scored("three", range(3)), scored("one", range(2, 8)), scored("two", range(4, 12))
    made = report_of(tmp_path / "out", f"base={base}", f"arm={one}", f"arm={two}")
    [difference] = made["differences"]  # type: ignore[misc]
    assert difference["seeds"] == [1, 2]
    a = np.array([[n in range(2, 8), n in range(4, 12)] for n in range(12)], dtype=float)
    b = np.array([[n in range(3)] for n in range(12)], dtype=float)
    spread = crossed_spread(a, b)
    assert difference["passed"]["interval"] == [spread.low, spread.high]
    assert difference["passed"]["difference"] == pytest.approx(a.mean() - b.mean())
    rows = list(csv.DictReader((tmp_path / "out" / "report.csv").read_text().splitlines()))
    assert [(row["arm"], row["seeds"]) for row in rows] == [("base", "1"), ("arm", "2")]


def test_one_seed_is_the_bootstrap_over_problems() -> None:
    values = np.random.default_rng(3).random((200, 1))
    spread, (low, high) = crossed_spread(values), interval(values[:, 0])
    assert (spread.low, spread.high) == pytest.approx((low, high), abs=0.004)
    seeds = np.repeat(np.array([[0.0, 1.0]]), 50, axis=0)  # seeds that disagree about everything
    assert crossed_spread(seeds)[:2] == pytest.approx((0.0, 1.0))


def test_attempts_end_in_more_ways_than_two(scored: Scored, tmp_path: Path) -> None:
    texts = {1: "<think>\n" + "round and round " * 60, 2: "<think>\nstill", 3: "<think>\nhm\n</think>\n\n"}
    base = scored("own-ends", range(12), texts)
    made = report_of(tmp_path / "out", base)
    assert made["results"][0]["outcomes"] == {"right": 9, "no-answer": 1, "budget": 1, "looping": 1}  # type: ignore[index]
    base.with_suffix(".jsonl").unlink()
    made = report_of(tmp_path / "out", base)
    assert "texts that are not where their run found them" in str(made["said"])


def test_the_papers_figures_stand_beside(scored: Scored, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {figure.table for figure in paper_figures("table4, figure3")} == {"table9", "table10", "table13"}
    asap = [figure for figure in paper_figures("table1") if figure.method == "asap" and figure.benchmark == "livecodebench:v4_v5"]
    assert [(one.accuracy, one.tokens, one.latency) for one in asap] == [(36.19, 6035, 2.61)]
    assert [method_of(name) for name in ("ASAP (equal tokens)", "w/o coarse", "Zero-shot", "mine")] == [
        "asap",
        "asap-fine",
        "zero-shot",
        None,
    ]
    assert "--paper table99: the paper's figures are here as table1" in refusal(
        capsys, "report", str(scored("nothing", [])), "--paper", "table99"
    )
    base = scored("single", [1])
    assert "The paper has no figure for these arms on these benchmarks: its arms are " in str(
        report_of(tmp_path / "out", f"asap={base}", "--paper", "table1")["said"]
    )


def test_small_and_unknown_models_carry_a_label(scored: Scored, tmp_path: Path) -> None:
    sizes = {"hf:Qwen/Qwen2.5-Coder-0.5B": 500_000_000, "bundled": 135_000_000, "openai:DeepSeek-R1-Distill-Qwen-7B": 7_000_000_000}
    assert {spec: parameters_of(spec) for spec in sizes} == sizes
    assert parameters_of("openai:gpt-4") is None
    assert size_label([7_000_000_000]) is None
    assert size_label([135_000_000, None]) == "figures of a small model (135M) and of one whose size is not known"
    base = scored("single", [1])
    report_of(tmp_path / "out", f"SmolLM2-135M={base}")
    for name in ("report.md", "report.csv", "report.tex", "report.json"):
        assert "igures of a small model (135M)" in (tmp_path / "out" / name).read_text(), name
    report_of(tmp_path / "out", f"QwQ-32B={base}")
    assert "igures of" not in (tmp_path / "out" / "report.md").read_text()


def test_what_is_no_run_is_refused(scored: Scored, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = scored("single", [1])
    for words, said in (
        ([str(tmp_path / "nowhere")], "nowhere is not there; report takes"),
        ([str(base), f"x={base}"], "is named twice"),
        ([f"={base}"], "a run is written FOLDER or NAME=FOLDER"),
        ([str(base), "--reference", "other"], "--reference other: the arms are single"),
        ([str(base), "--out", str(base)], "holds a run of asap evaluate; choose another --out"),
    ):
        assert said in refusal(capsys, "report", *words)


def test_the_same_runs_give_the_same_bytes(scored: Scored, tmp_path: Path) -> None:
    base, other = scored("base", range(6)), scored("better", range(2, 12))
    report_of(tmp_path / "out", base, other)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    report_of(tmp_path / "out", base, other)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before

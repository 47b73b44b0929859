"""`asap report --cluster`: the figures of compare-runs by cluster, in every file, and never more certain than without."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asap.cli import run
from asap.evaluate.paired import compare
from asap.evaluate.paired_run import read_run
from asap.report.crossed import crossed_spread
from run_fixtures import read_rows, refusal, write_rows

Scored = Callable[..., Path]


def topic_of(task_id: str) -> int:
    return int(task_id.partition("/")[2]) // 4


def with_topics(folder: Path, *, only: int = 3) -> Path:
    """Give the answers of a run the topics of their problems, 0 to 2, as far as they are below `only`."""
    rows = read_rows(folder / "verdicts.jsonl")
    write_rows(folder / "verdicts.jsonl", [row | ({"topic": topic} if (topic := topic_of(row["task_id"])) < only else {}) for row in rows])
    return folder


@pytest.fixture(scope="module")
def three(scored: Scored) -> list[Path]:
    """A run with topics, and two without any."""
    return [with_topics(scored("own-topics", range(6))), scored("later", range(2, 12)), scored("even", range(0, 12, 2))]


def made(out: Path, *words: object) -> dict[str, Any]:
    assert run(["report", *map(str, words), "--out", str(out)]) == 0
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


def test_the_figures_are_those_of_compare_runs(three: list[Path], tmp_path: Path) -> None:
    base, other, _ = three
    found = made(tmp_path / "out", f"a={base}", f"b={other}", "--cluster", "topic")
    [entry] = compare(*(read_run(folder, cluster="topic") for folder in (base, other)))["benchmarks"]
    [difference] = found["differences"]
    assert difference["clusters"] == entry["clusters"] == 3
    assert difference["passed"] == {**entry["pass"], "p_holm": entry["pass"]["p"]}
    assert {**difference["tokens"], "p_holm": 0} == {**entry["tokens"], "p_holm": 0}
    plain = made(tmp_path / "plain", f"a={base}", f"b={other}")
    for with_, without in zip(found["results"], plain["results"], strict=True):
        assert (with_["clusters"], without["clusters"]) == (3, None)
        assert with_["interval"][0] <= without["interval"][0] <= without["interval"][1] <= with_["interval"][1]
    assert found["results"][0]["interval"] == [0, 1]  # of its three topics, one is right, one is wrong


def test_every_file_says_so(three: list[Path], tmp_path: Path) -> None:
    made(tmp_path, f"a={three[0]}", f"b={three[1]}", "--cluster", "topic")
    said = "Problems of one cluster (the same topic) count as one: tests and intervals are over clusters."
    assert {name: said in (tmp_path / name).read_text() for name in ("report.md", "report.json")} == {
        "report.md": True,
        "report.json": True,
    }
    latex = (tmp_path / "report.tex").read_text()
    assert latex.count(said) == 3  # results, differences, tokens
    assert "maths:sums.jsonl: problems & maths:sums.jsonl: clusters" in latex
    lines = (tmp_path / "report.md").read_text().splitlines()
    assert "| a | 12 | 3 | " in "\n".join(lines)
    [row] = [line for line in lines if line.startswith("| maths:sums.jsonl | b | 12 | 3 | 1 |")]
    assert "Wilcoxon, signed ranks" in row
    assert {row["clusters"] for row in csv.DictReader((tmp_path / "report.csv").read_text().splitlines())} == {"3"}


def test_the_page_says_so(visit: Callable[..., Any], three: list[Path], tmp_path: Path) -> None:
    made(tmp_path, f"a={three[0]}", f"b={three[1]}", "--cluster", "topic")
    page = visit(tmp_path / "report.html")
    assert "12 problems in 3 clusters" in page.locator(".results .of").inner_text()
    assert "12 problems in 3 clusters" in page.locator(".verdict h3").inner_text()
    assert "(the same topic) count as one" in page.get_by_role("region", name="Results").inner_text()
    assert "A cluster of problems is the unit" in page.locator(".notes").inner_text()


def test_seeds_are_drawn_with_clusters(three: list[Path], tmp_path: Path) -> None:
    base, one, two = three
    [difference] = made(tmp_path, f"a={base}", f"b={one}", f"b={two}", "--cluster", "topic")["differences"]
    ours = np.array([[n in range(2, 12), n % 2 == 0] for n in range(12)], dtype=float)
    theirs = np.array([[n in range(6)] for n in range(12)], dtype=float)
    spread = crossed_spread(ours, theirs, [str(n // 4) for n in range(12)])
    assert difference["passed"]["interval"] == [spread.low, spread.high]
    assert difference["passed"]["interval_by"] == "bootstrap over clusters and seeds"
    assert spread.deviation > crossed_spread(ours, theirs).deviation


def test_a_draw_of_clusters_has_the_spread_of_their_means() -> None:
    """Of clusters of unequal size: the mean of a draw is over its problems, and its spread that of the linearised mean (Miller 2024)."""
    chance = np.random.default_rng(5)
    clusters = np.repeat(np.arange(60), chance.integers(1, 8, size=60))
    shares = (chance.random(60)[clusters] < 0.5).astype(float)[:, None]
    residuals = np.bincount(clusters, shares[:, 0] - shares.mean())
    expected = np.sqrt((residuals**2).sum()) / len(shares)
    assert crossed_spread(shares, clusters=[*map(str, clusters)]).deviation == pytest.approx(expected, rel=0.05)
    small = np.tile([[1.0], [0.0]], (20, 1))  # pairs that make up for each other: clusters never make the spread smaller
    assert crossed_spread(small, clusters=[str(n // 2) for n in range(40)]) == crossed_spread(small)


def test_a_problem_without_a_cluster_is_refused(three: list[Path], scored: Scored, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, "report", str(three[1]), str(three[2]), "--cluster", "topic")
    assert said == (
        "maths:sums.jsonl: 12 of 12 problems, such as 'sum/0', have nothing in the column of --cluster, neither in "
        f"{three[1]} nor in another run; leave --cluster out, or add the column"
    )
    some = with_topics(scored("own-some", range(6)), only=2)
    assert "4 of 12 problems, such as 'sum/8'" in refusal(capsys, "report", str(some), "--cluster", "topic")


def test_one_cluster_shows_nothing(scored: Scored, tmp_path: Path) -> None:
    one = with_topics(scored("own-one", [0, 1], problems=4))
    other, third = scored("own-other", [1, 2], problems=4), scored("own-third", [1], problems=4)
    for number, words in enumerate(([f"b={other}"], [f"b={other}", f"b={third}"])):
        found = made(tmp_path / str(number), f"a={one}", *words, "--cluster", "topic")
        assert [result["interval"] for result in found["results"]] == [[0, 1], [0, 1]]
        assert (found["differences"][0]["passed"]["interval"], found["differences"][0]["passed"]["smallest_difference"]) == ([-1, 1], None)
        told = (tmp_path / str(number) / "report.md").read_text()
        assert "| none: one cluster |" in told
        assert "inf" not in told

"""The bets in experiments/bets as methods of one's own, and what they compute, by hand and by trying all ways."""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.cli import run
from asap.lm.specs import load_scorer
from asap.prune.methods import METHODS, method_named
from asap.prune.methods.method import scores_of
from asap.prune.together import together
from asap.prune.trace import Trace
from asap.sample import Sample
from run_fixtures import model_folder, parcel_sample, prune, read_decisions, row, same_output, write_rows

ROOT = Path(__file__).parents[1]
BETS = [f"experiments.bets.{name}:score" for name in ("two_end", "bridge", "random_halves")]
CODE = "def total(numbers):\n    answer = sum(numbers)\n    return answer"
TRACE = "So the sum of numbers.\n\ndef total(numbers):\n\nWait, answer = sum(numbers), and then check again.\n\n    return answer\n\nOkay."


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def bet(name: str) -> ModuleType:
    from importlib import import_module

    return import_module(f"experiments.bets.{name}")


def code_rows() -> list[dict[str, Any]]:
    answer = f"Here it is.\n\n```python\n{CODE}\n```\n"
    return [{"id": "code", "question": "Sum numbers.", "cot": TRACE, "answer": answer}, row(1), {**row(2, steps=1), "id": "one"}]


@pytest.mark.parametrize("method", BETS)
def test_a_bet_prunes_like_any_method_and_always_the_same(method: str, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", code_rows())
    out = prune(source, tmp_path / "out", "--method", method, "--ratio", "0.5")
    decisions = read_decisions(out)
    assert len(decisions) == 3
    assert len({step["score"] for step in decisions[0]["steps"]}) > 2
    same_output(out, prune(source, tmp_path / "again", "--method", method, "--ratio", "0.5"))


def test_the_bets_are_compared_without_what_they_copy(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", code_rows())
    words = ["compare", str(source), "--out", str(tmp_path / "out"), "--scorer", f"hf:{model_folder()}", "--ratios", "0.5,0.25"]
    assert run([*words, "--methods", ",".join(["asap", "random", *BETS])]) == 0
    judged = [json.loads(line) for line in (tmp_path / "out" / "judged.jsonl").read_text("utf-8").splitlines()]
    assert {*BETS} <= {one["method"] for one in judged}
    assert {one["measure"] for one in judged} == {"support without copies"}


@pytest.mark.parametrize("name", ["two_end", "random_halves"])
def test_the_step_that_gives_the_answer_away_is_kept_longest(name: str) -> None:
    scorer = load_scorer("bundled", dtype="float32", device="cpu")
    trace = Trace.of(parcel_sample(), "fenced", "chat", scorer, scorer.tokens, 0)
    [scores] = together([scores_of(method_named(f"experiments.bets.{name}:score"), trace.steps(range(5)))], scorer)
    assert isinstance(scores, list)
    assert max(range(5), key=scores.__getitem__) == 2


def test_a_step_is_read_without_its_copies() -> None:
    sample = Sample("1", "Sum numbers.", TRACE, f"```python\n{CODE}\n```")
    assert bet("sketch").without_copies(sample, "Now:\ndef total(numbers):\nand on") == "Now:\n\nand on"


def test_the_bet_that_is_built_in_is_called_by_its_old_name_too() -> None:
    assert bet("coverage").score is METHODS["coverage"].score


def every_path(costs: Mapping[tuple[int, int], float], steps: int) -> list[list[int]]:
    """All paths from the question to the end, as the steps on them, counted from 0."""
    chosen = [list(some) for size in range(steps + 1) for some in combinations(range(1, steps + 1), size)]
    return [[step - 1 for step in some] for some in chosen if all(edge in costs for edge in _edges(some, steps))]


def _edges(some: Sequence[int], steps: int) -> list[tuple[int, int]]:
    return [*zip([0, *some], [*some, steps + 1], strict=True)]


@given(st.integers(1, 8), st.integers(0, 10_000), st.floats(0.05, 0.95))
def test_the_path_is_the_best_of_all_paths_at_some_price(steps: int, seed: int, share: float) -> None:
    bridge, chance = bet("bridge"), np.random.default_rng(seed)
    edges = sorted(((start, stop) for start in range(steps + 1) for stop in bridge.targets(start, steps)), key=lambda edge: edge[::-1])
    costs = {edge: float(chance.uniform(0, 5)) for edge in edges}
    lengths = chance.integers(1, 20, steps).tolist()
    paths = every_path(costs, steps)

    def total(path: Sequence[int]) -> tuple[float, int]:
        return sum(costs[edge] for edge in _edges([step + 1 for step in path], steps)), sum(lengths[step] for step in path)

    found = bridge.path(costs, lengths, share * sum(lengths))
    assert found in paths
    cost, length = total(found)
    assert length <= share * sum(lengths) or length == min(total(path)[1] for path in paths)
    assert not any(one <= cost and other == length and one < cost - 1e-9 for one, other in map(total, paths)), (
        "of its length it is the best"
    )


def test_a_path_goes_from_the_question_to_the_end() -> None:
    targets = bet("bridge").targets
    assert targets(0, 40) == [1, 2, 3, 4, 30, 33, 37, 40]
    assert targets(36, 40) == [37, 38, 39, 40, 41]
    assert targets(40, 40) == [41]
    assert targets(0, 1) == [1, 2]


def test_halves_find_what_each_step_adds() -> None:
    halves, chance = bet("random_halves"), np.random.default_rng(1)
    true = np.array([0.0, 1.0, 0.0, -0.5, 0.2, 0.0])
    drawn = chance.permuted(np.repeat([[True, False] * 3], 40, axis=0), axis=1)
    values = np.stack([drawn @ true, ~drawn @ true], axis=1) + 3.0
    found = halves.effects(drawn, values)
    assert np.argsort(found)[[0, -2, -1]].tolist() == [3, 4, 1]
    together = values + 2.0 * np.stack([drawn[:, 0] == drawn[:, 1]] * 2, axis=1)
    assert halves.effects(drawn, together) == pytest.approx(found), "what two steps do together cancels"

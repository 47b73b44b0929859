"""Rows of evaluation.sqlite that somebody edited, or that were damaged: measured anew, or one sentence; never another figure."""

import json
import shlex
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from evaluate_helpers import DOUBLE, NEGATE, RIGHT, WRONG, NoWait, Streamed, answer, benchmark, name_of, streaming

from asap.errors import InputError
from asap.evaluate.ledger import EVALUATION_FILE, Ledger
from asap.evaluate.plan import Plan
from asap.evaluate.reference import LimitSettings
from asap.evaluate.run import Evaluation
from asap.evaluate.stored import is_reference_run, is_verdict, wrong_in_generation
from asap.lm.openai import OpenAIGenerator
from asap.sandbox.verdict import Verdict

if TYPE_CHECKING:
    from asap.sandbox import Sandbox

LIMITS = LimitSettings(least_s=2.0)
NONE: list[Any] = [None, [1], "pass", 7, True, {}]
Evaluate = Callable[[Path], int]


def evaluated(out: Path, base_url: str, sandbox: "Sandbox") -> None:
    model = OpenAIGenerator("m", base_url=base_url, measured=True, clock=NoWait())
    evaluation = Evaluation(out, [benchmark(DOUBLE, NEGATE)], model, Plan(100))
    with Ledger.open(out) as ledger:
        evaluation.leave_out(ledger, sandbox, LIMITS, 2)
        evaluation.generate(ledger)
        evaluation.judge(ledger, sandbox, LIMITS, 2)


def script(path: str, body: dict[str, Any]) -> Streamed:
    codes = RIGHT if name_of(body) == "double" else WRONG
    return Streamed(["<think>", "hm", "</think>", answer(codes[name_of(body)])])


def execute(folder: Path, sql: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(folder / EVALUATION_FILE)) as database:
        found = database.execute(sql, values).fetchall()
        database.commit()
    return found


def rows_with(folder: Path, name: str) -> dict[str, Any]:
    """The stored rows that have a field, by key."""
    rows = {key: json.loads(zlib.decompress(body)) for key, body in execute(folder, "SELECT key, body FROM done")}
    return {key: row for key, row in rows.items() if isinstance(row, dict) and name in row}


def put(folder: Path, key: str, value: Any) -> None:
    body = zlib.compress(value if isinstance(value, bytes) else json.dumps(value).encode())
    execute(folder, "UPDATE done SET body = ? WHERE key = ?", body, key)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, sandbox: "Sandbox") -> Path:
    out = tmp_path_factory.mktemp("finished")
    with streaming(script) as server:
        evaluated(out, server.base_url, sandbox)
    return out


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / EVALUATION_FILE)) as copy, closing(sqlite3.connect(finished / EVALUATION_FILE)) as database:
        database.backup(copy)
    return tmp_path


@pytest.fixture
def evaluate(sandbox: "Sandbox") -> Evaluate:
    """The whole command on a folder again; returns how many answers the model was asked for."""

    def again(folder: Path) -> int:
        with streaming(script) as server:
            try:
                evaluated(folder, server.base_url, sandbox)
            finally:
                again.asked = len(server.requests)  # type: ignore[attr-defined]
        return len(server.requests)

    return again


def figures(folder: Path) -> Any:
    return json.loads((folder / "summary.json").read_text())["benchmarks"]


@pytest.mark.parametrize("damage", [{"passed": False}, {"verdict": "fail", "passed": True, "left_out": "tests"}, b"{", None])
def test_a_damaged_verdict_is_found_anew(damage: Any, out: Path, finished: Path, evaluate: Evaluate) -> None:
    [key] = [key for key, row in rows_with(out, "verdict").items() if row["passed"]]
    put(out, key, {**rows_with(out, "verdict")[key], **damage} if isinstance(damage, dict) else damage)
    assert evaluate(out) == 0
    assert figures(out) == figures(finished)
    assert rows_with(out, "verdict")[key]["passed"] is True


@pytest.mark.parametrize("damage", [{"tokens": -5}, {"session": "first"}, b"[" * 99_999, [1]])
def test_a_damaged_answer_gets_a_sentence_whose_remedy_works(damage: Any, out: Path, finished: Path, evaluate: Evaluate) -> None:
    key = next(iter(rows_with(out, "text")))
    put(out, key, {**rows_with(out, "text")[key], **damage} if isinstance(damage, dict) else damage)
    with pytest.raises(InputError, match=f"the row '{key}' of its table done is damaged") as raised:
        evaluate(out)
    assert evaluate.asked == 0  # type: ignore[attr-defined]
    _, file, sql = shlex.split(str(raised.value).split("deleting it, with ")[1].rpartition(", or move")[0])
    assert file == str(out / EVALUATION_FILE)
    execute(out, sql)
    assert evaluate(out) == 1
    assert figures(out)[0]["pass@1"] == figures(finished)[0]["pass@1"] == 0.5


@pytest.mark.parametrize("setting", ["wall_s = 'long'", "wall_s = -1.0", "wall_s = 9e999", "generated = 'x'", "generated = -3", "id = 7"])
def test_a_session_that_is_none_gets_a_sentence(setting: str, out: Path, evaluate: Evaluate) -> None:
    execute(out, f"UPDATE sessions SET {setting}")
    with pytest.raises(InputError, match=r"evaluation\.sqlite is damaged .*session 1 took"):
        evaluate(out)


@pytest.mark.parametrize("value", [[1], {"engine": 5}, {"samplers": [1]}])
def test_a_model_that_is_none_gets_a_sentence(value: Any, out: Path, evaluate: Evaluate) -> None:
    put(out, "identity-1", value)
    with pytest.raises(InputError, match="the row 'identity-1' of its table done is damaged"):
        evaluate(out)


VERDICT = {**Verdict("pass", peak_mb=3.5, checks=2, passed_checks=2).record(), "cpu_s": 0.25, "wall_s": 0.5}
GENERATION = {
    **{"text": "x", "stopped_by": "stop", "prompt_tokens": 3, "tokens": 4, "tokens_thinking": 1, "tokens_answer": 3},
    **{"ttft_s": None, "seconds": 0.5, "opened": False, "session": 1},
}
RUN = {"verdict": "pass", "detail": "", "cpu_s": 0.1, "wall_s": 0.1, "wall_only": False, "needs": None}
RUN |= {"isolation": "apart", "tests": [["test_a", "passed"]], "untested": False}


def changed(record: dict[str, Any], *changes: dict[str, Any]) -> list[Any]:
    return [*NONE, *({**record, **change} for change in changes), *({**record, name: {"a": [1]}} for name in record if name != "limits")]


@pytest.mark.parametrize(
    "record",
    changed(
        VERDICT,
        {"verdict": "fail"},
        {"verdict": "infra", "passed": False},
        {"passed": 1},
        {"isolation": None},
        {"sandbox": "mine"},
        {"cpu_s": -1.0},
        {"peak_mb": float("nan")},
        {"checks": -4},
        {"task_id": "another"},
        {"limits": 3},
    ),
    ids=repr,
)
def test_what_is_no_verdict(record: Any) -> None:
    assert is_verdict({**VERDICT, "retried": True, "calls": None})
    assert not is_verdict(record)


@pytest.mark.parametrize(
    "row",
    changed(
        GENERATION,
        {"tokens": 5},
        {"tokens": 4.0},
        {"tokens": True},
        {"tokens": 10**30, "tokens_thinking": None, "tokens_answer": None},
        {"tokens_thinking": -1, "tokens_answer": 5},
        {"tokens_answer": None},
        {"prompt_tokens": -1},
        {"seconds": float("inf")},
        {"ttft_s": -0.1},
        {"session": 0},
        {"opened": 1},
    ),
    ids=repr,
)
def test_what_is_no_row_of_an_answer(row: Any) -> None:
    assert wrong_in_generation({**GENERATION, "tokens_thinking": None, "tokens_answer": None, "ttft_s": 0.1}) is None
    assert wrong_in_generation(row)


@pytest.mark.parametrize(
    "found",
    [
        found
        for found in changed(RUN, {"verdict": "infra"}, {"cpu_s": None}, {"tests": [["a"]]}, {"tests": ["ab"]}, {"isolation": "alone"})
        if found not in [{**RUN, name: {"a": [1]}} for name in ("wall_s", "wall_only", "untested")]  # nobody reads these again
    ],
    ids=repr,
)
def test_what_is_no_run_of_a_reference(found: Any) -> None:
    assert is_reference_run(RUN)
    assert is_reference_run({**{name: RUN[name] for name in ("verdict", "detail", "cpu_s")}, "outputs": [1]})
    assert not is_reference_run(found)

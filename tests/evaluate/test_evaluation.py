"""A whole evaluation: generation, judging, resuming, and what the files say."""

import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from evaluate_helpers import DOUBLE, NEGATE, OWN, RIGHT, WRONG, NoWait, Streamed, answer, benchmark, name_of, read_rows, right, streaming

from asap.cli import run
from asap.errors import UsageError
from asap.evaluate.ledger import Ledger
from asap.evaluate.plan import Plan
from asap.evaluate.reference import LimitSettings
from asap.evaluate.run import Evaluation
from asap.lm.generate import EndpointError
from asap.lm.openai import OpenAIGenerator
from asap.lm.specs import load_tokens
from own_process import Gate, begin, wait_until

if TYPE_CHECKING:
    from asap.sandbox import Sandbox

BOTH = benchmark(DOUBLE, NEGATE)
LIMITS = LimitSettings(least_s=2.0)


def evaluate(out: Path, base_url: str, sandbox: "Sandbox", plan: Plan, *benchmarks: Any, **options: Any) -> dict[str, Any]:
    model = OpenAIGenerator("m", base_url=base_url, concurrency=2, measured=True, clock=NoWait(), **options)
    evaluation = Evaluation(out, benchmarks or [BOTH], model, plan)
    with Ledger.open(out) as ledger:
        evaluation.leave_out(ledger, sandbox, LIMITS, 2)
        evaluation.generate(ledger)
        return evaluation.judge(ledger, sandbox, LIMITS, 2)


def test_files_and_figures_of_a_run(tmp_path: Path, sandbox: "Sandbox") -> None:
    def script(path: str, body: dict[str, Any]) -> Streamed:
        codes = RIGHT if name_of(body) == "double" else WRONG
        return Streamed(["<think>", "hm", "</think>", answer(codes[name_of(body)])])

    with streaming(script) as server:
        began = time.monotonic()
        summary = evaluate(tmp_path, server.base_url, sandbox, Plan(100))
        whole_s = time.monotonic() - began
    attempts, verdicts = read_rows(tmp_path / "attempts.jsonl"), read_rows(tmp_path / "verdicts.jsonl")
    assert [row["task_id"] for row in attempts] == [row["task_id"] for row in verdicts] == ["double", "negate"]
    assert [row["verdict"] for row in verdicts] == ["pass", "fail"]
    assert attempts[0]["generation"] == "<think>hm</think>" + answer(RIGHT["double"])
    assert (attempts[0]["tokens"], attempts[0]["share"], attempts[0]["stopped_by"], attempts[0]["loop"]) == (4, 0.04, "stop", False)
    [entry] = summary["benchmarks"]
    assert entry["pass@1"] == 0.5
    cost = entry["efficiency"]
    assert cost["tokens_mean"] == 4
    assert cost["concurrency"] == 2
    seconds = [row["seconds"] for row in attempts]
    assert cost["request_s_mean"] == pytest.approx(sum(seconds) / 2)
    assert max(seconds) / 2 <= cost["batch_wall_s_per_sample"] + 1e-9
    assert cost["batch_wall_s_per_sample"] <= whole_s / 2
    assert summary["settings"]["model"]["engine"] == {"context_tokens": 1000, "name": "unknown", "version": "9"}
    assert "Written by unknown 9: at most 100 new tokens, greedy, prefix caching unknown." in (tmp_path / "summary.md").read_text()


def test_the_same_command_again_asks_nothing_and_other_settings_ask_anew(tmp_path: Path, sandbox: "Sandbox") -> None:
    with streaming(right) as server:
        first = evaluate(tmp_path, server.base_url, sandbox, Plan(100))
        asked = len(server.requests)
        assert evaluate(tmp_path, server.base_url, sandbox, Plan(100)) == first
        assert len(server.requests) == asked
        evaluate(tmp_path, server.base_url, sandbox, Plan(200))
        assert len(server.requests) == 2 * asked


def test_two_benchmarks_that_ask_the_same_share_the_answers(tmp_path: Path, sandbox: "Sandbox") -> None:
    with streaming(right) as server:
        summary = evaluate(tmp_path, server.base_url, sandbox, Plan(100), BOTH, benchmark(DOUBLE, NEGATE, name="small+"))
    assert len(server.requests) == 2
    assert [(entry["benchmark"], entry["pass@1"]) for entry in summary["benchmarks"]] == [("small", 1.0), ("small+", 1.0)]
    assert Counter(row["benchmark"] for row in read_rows(tmp_path / "verdicts.jsonl")) == {"small": 2, "small+": 2}


def test_nobody_is_asked_about_a_problem_that_is_left_out(tmp_path: Path, sandbox: "Sandbox") -> None:
    wrongly = replace(DOUBLE, references=[WRONG["double"]])
    with streaming(right) as server:
        plan = Plan(100, samples=2, temperature=0.6, budgets=())
        summary = evaluate(tmp_path, server.base_url, sandbox, plan, benchmark(wrongly, NEGATE))
        assert {name_of(body) for _, body in server.requests} == {"negate"}
        assert len(server.requests) == 2
    [entry] = summary["benchmarks"]
    assert (entry["problems"], entry["scored"], entry["samples"], entry["pass@1"]) == (2, 1, 4, 1.0)
    assert entry["verdicts"] == {"infra": 2, "pass": 2}
    assert [(one["task_id"], one["why"]) for one in entry["left_out"]] == [("double", "reference")]
    assert [row["task_id"] for row in read_rows(tmp_path / "attempts.jsonl")] == ["negate", "negate"]
    rows = [(row["task_id"], row["sample"], row.get("left_out")) for row in read_rows(tmp_path / "verdicts.jsonl")]
    assert rows == [("negate", 0, None), ("negate", 1, None), ("double", 0, "reference"), ("double", 1, "reference")]


def test_several_samples_give_pass_at_k(tmp_path: Path, sandbox: "Sandbox") -> None:
    def script(path: str, body: dict[str, Any]) -> Streamed:
        return Streamed([answer((RIGHT if body["seed"] == 3 else WRONG)[name_of(body)])])

    with streaming(script) as server:
        [entry] = evaluate(tmp_path, server.base_url, sandbox, Plan(100, samples=5, temperature=0.6))["benchmarks"]
    assert Counter(body["seed"] for _, body in server.requests) == dict.fromkeys(range(5), 2)
    assert (entry["samples"], entry["pass@1"], entry["pass@5"]) == (10, pytest.approx(0.2), 1.0)


@pytest.mark.parametrize(("opening", "closing"), [("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<a>", "</a>")])
def test_thinking_that_a_template_opened_unseen_is_no_answer(tmp_path: Path, sandbox: "Sandbox", opening: str, closing: str) -> None:
    """A chat server does not show the tag that its template wrote; an answer that closes it gives it away for all."""

    def script(path: str, body: dict[str, Any]) -> Streamed:
        cut = name_of(body) == "negate"
        thought = answer(RIGHT[name_of(body)])
        return Streamed([thought] if cut else [thought, closing, thought], finish_reason="length" if cut else "stop")

    with streaming(script) as server:
        evaluate(tmp_path, server.base_url, sandbox, Plan(100, think_tags="<a>,</a>"))
    attempts, verdicts = read_rows(tmp_path / "attempts.jsonl"), read_rows(tmp_path / "verdicts.jsonl")
    assert [row["verdict"] for row in verdicts] == ["pass", "no-answer"]
    assert all(row["generation"].startswith(f"{opening}\n") and row["opened"] for row in attempts)
    assert attempts[1]["tokens_thinking"] == attempts[1]["tokens"]


def test_budgets_from_one_run(tmp_path: Path, sandbox: "Sandbox", model_folders: dict[str, str]) -> None:
    tokens = load_tokens(model_folders["thinking"])

    def script(path: str, body: dict[str, Any]) -> Streamed:
        return Streamed(["hm "] * 30 + ["</think>", answer(RIGHT["double"])])

    with streaming(script) as server:
        plan = Plan(500, budgets=(10, 400))
        [entry] = evaluate(tmp_path, server.base_url, sandbox, plan, benchmark(DOUBLE), tokens=tokens)["benchmarks"]
        with pytest.raises(UsageError, match="--tokenizer"):
            evaluate(tmp_path / "other", server.base_url, sandbox, plan)
    assert [row["pass@1"] for row in entry["budgets"]] == [0.0, 1.0]
    assert "smaller budgets of the same run" in (tmp_path / "summary.md").read_text()


def test_a_server_that_fails_keeps_what_was_answered(tmp_path: Path, sandbox: "Sandbox") -> None:
    def failing(path: str, body: dict[str, Any]) -> Streamed:
        return right(path, body) if name_of(body) == "double" else Streamed(status=401, message="no")

    with streaming(failing) as server, pytest.raises(EndpointError, match="refused access"):
        evaluate(tmp_path, server.base_url, sandbox, Plan(100), benchmark(DOUBLE), benchmark(NEGATE, name="other"))
    with streaming(right) as server:
        evaluate(tmp_path, server.base_url, sandbox, Plan(100), benchmark(DOUBLE), benchmark(NEGATE, name="other"))
    assert [name_of(body) for _, body in server.requests] == ["negate"]


def test_equal_rows_of_training_data_are_one_problem(tmp_path: Path, sandbox: "Sandbox") -> None:
    from dataclasses import replace

    trials = benchmark(DOUBLE, replace(DOUBLE, task_id="double-again"), NEGATE)
    with streaming(right) as server:
        [entry] = evaluate(tmp_path, server.base_url, sandbox, Plan(100), trials)["benchmarks"]
    assert (entry["problems"], len(server.requests)) == (2, 2)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(0), "--max-new-tokens is 0"),
        (Plan(10, samples=0), "--n is 0"),
        (Plan(10, samples=2), "would all be the same"),
        (Plan(10, temperature=-1), "--temperature is -1"),
        (Plan(10, top_p=0), "--top-p is 0"),
        (Plan(10, budgets=(20,)), "--budgets holds 20"),
        (Plan(10, samples=2, temperature=1, budgets=(5,)), "one greedy run"),
        (Plan(10, gamma=0), "--gamma is 0"),
    ],
)
def test_plans_that_cannot_be(plan: Plan, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan.check()


def test_tokenskips_marker_is_in_the_question(tmp_path: Path, sandbox: "Sandbox") -> None:
    from asap.ratio_marker import marked

    with streaming(right) as server:
        evaluate(tmp_path, server.base_url, sandbox, Plan(100, gamma=0.5), benchmark(DOUBLE))
    [(_, body)] = server.requests
    assert body["messages"][0]["content"] == marked("Double x.", 0.5)


def test_kill_9_at_any_moment_and_the_same_command_ends_as_if_nothing_had_happened(tmp_path: Path, sandbox: "Sandbox") -> None:
    problems = tmp_path / "own.jsonl"
    rows = [{"task_id": f"own/{number}", **OWN, "prompt": f"{OWN['prompt']}    # {number}\n"} for number in range(12)]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole, killed = tmp_path / "whole", tmp_path / "killed"

    gate = Gate()

    def script(path: str, body: dict[str, Any]) -> Streamed:
        gate.wait(len(server.requests) - 1)
        return Streamed([answer("def f(x):\n    return x + 1\n")])

    with streaming(script) as server:
        command = ["evaluate", "--model", "openai:m", "--base-url", server.base_url, "--concurrency", "1"]
        command += ["--benchmark", f"humaneval:{problems}", "--max-new-tokens", "50", "--n", "3", "--temperature", "0.5", "--out"]
        gate.open()
        assert run([*command, str(whole)]) == 0
        before = len(server.requests)
        assert before == 36
        for more in (1, 8, 16):  # of 36 requests
            most = len(server.requests) + more
            gate.open(most)
            child = begin([*command, str(killed)], tmp_path / "said")
            wait_until(lambda most=most: len(server.requests) > most, child)
            child.kill()
            child.join()
        gate.open()
        assert run([*command, str(killed)]) == 0
        asked = len(server.requests) - before
    assert asked <= before + 3, "at most what was on its way was asked again"
    one, other = (json.loads((folder / "summary.json").read_text())["benchmarks"][0] for folder in (whole, killed))
    assert {**one, "efficiency": None} == {**other, "efficiency": None}
    for name, columns in (("attempts.jsonl", ("task_id", "sample", "generation")), ("verdicts.jsonl", ("task_id", "sample", "verdict"))):
        rows = [[[row[column] for column in columns] for row in read_rows(folder / name)] for folder in (whole, killed)]
        assert rows[0] == rows[1]


def unusable_for_negate(path: str, body: dict[str, Any]) -> Streamed:
    return right(path, body) if name_of(body) == "double" else Streamed(body={"choices": []})


def test_an_answer_that_is_never_usable_ends_one_run_and_fails_the_attempt_in_the_next(tmp_path: Path, sandbox: "Sandbox") -> None:
    with streaming(unusable_for_negate) as server:
        with pytest.raises(EndpointError, match=r"same command asks again \(what gets no usable answer then either, from a server"):
            evaluate(tmp_path, server.base_url, sandbox, Plan(100))
        asked = len(server.requests)
        [entry] = evaluate(tmp_path, server.base_url, sandbox, Plan(100))["benchmarks"]
        assert len(server.requests) == asked + 6
    assert entry["pass@1"] == 0.5
    rows = read_rows(tmp_path / "attempts.jsonl")
    assert [(row["task_id"], row["stopped_by"], bool(row["generation"])) for row in rows] == [
        ("double", "stop", True),
        ("negate", "server_error", False),
    ]


def test_a_server_that_never_answers_fails_no_attempt(tmp_path: Path, sandbox: "Sandbox") -> None:
    with streaming(lambda path, body: Streamed(status=400, message="no")) as server:
        for _ in range(3):
            with pytest.raises(EndpointError, match="no"):
                evaluate(tmp_path, server.base_url, sandbox, Plan(100))
    with streaming(right) as server:
        assert evaluate(tmp_path, server.base_url, sandbox, Plan(100))["benchmarks"][0]["pass@1"] == 1.0


def test_what_a_providers_filter_refuses_is_an_outcome(tmp_path: Path, sandbox: "Sandbox") -> None:
    def script(path: str, body: dict[str, Any]) -> Streamed:
        return right(path, body) if name_of(body) == "double" else Streamed(status=400, message="content_filter: not this")

    with streaming(script) as server:
        assert evaluate(tmp_path, server.base_url, sandbox, Plan(100))["benchmarks"][0]["pass@1"] == 0.5
    assert [row["stopped_by"] for row in read_rows(tmp_path / "attempts.jsonl")] == ["stop", "content_filter"]


def test_halves_of_surrogate_pairs_neither_come_in_nor_keep_an_older_run_from_its_end(tmp_path: Path, sandbox: "Sandbox") -> None:
    def script(path: str, body: dict[str, Any]) -> Streamed:
        return Streamed([answer(RIGHT[name_of(body)]), "\ud800"], finish_reason="\udfff")

    with streaming(script) as server:
        evaluate(tmp_path / "new", server.base_url, sandbox, Plan(100))
        [first, _] = read_rows(tmp_path / "new" / "attempts.jsonl")
        assert first["generation"] == answer(RIGHT["double"]) + "?"
        assert first["stopped_by"] == "unknown"
        with Ledger.open(tmp_path / "new") as ledger:  # as versions before stored it
            for key, body in ledger._db.execute("SELECT key, body FROM done"):
                row = ledger._db.value(body)
                if "text" in row:
                    ledger._db.execute("DELETE FROM done WHERE key = ?", (key,))
                    ledger.put(key, {**row, "text": row["text"] + "\ud800", "stopped_by": "\ud800"})
        assert evaluate(tmp_path / "new", server.base_url, sandbox, Plan(100))["benchmarks"][0]["pass@1"] == 1.0
    assert {row["stopped_by"] for row in read_rows(tmp_path / "new" / "attempts.jsonl")} == {"?"}

"""`asap prune --llm` against a real server on 127.0.0.1 that misbehaves: counts add up, nothing is paid for twice, no secret gets out."""

import json
import os
import random
import re
import signal
import threading
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from asap.cli import run
from asap.lm.open_batches import OpenBatches, open_batches
from asap.lm.reply_cache import ReplyCache
from asap.store.content import Database, packed
from lm.batch_server import BatchServer
from lm.scripted_server import Scripted, ScriptedServer, error
from own_process import Gate, begin, wait_until
from run_fixtures import prune_words, read_decisions, read_rows, refusal, row, same_output, write_rows

CANARY = "sk-canary-7f3a91"
KILLS = 4


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)


def asks_for_selection(request: dict[str, Any]) -> bool:
    return "are shown" in request["messages"][-1]["content"]


def kept_every_other(request: dict[str, Any], number: int) -> Scripted:
    """A good server: anchors for anchors, and of a trace's steps each second one with the last."""
    if not asks_for_selection(request):
        return Scripted("1. Think. 2. Answer.", usage=(50, 8))
    count = int(re.findall(r"The trace has (\d+) steps", request["messages"][-1]["content"])[-1])
    return Scripted(json.dumps({"keep": [str(step) for step in [*range(1, count, 2), count]]}), usage=(300, 12))


def llm_words(source: Path, out: Path, server: ScriptedServer, *options: str) -> list[str]:
    return prune_words(source, out, "--llm", "openai:scripted", "--base-url", server.base_url, *options)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(12)])


def test_an_llm_decides_stage_1_and_every_file_says_so(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedServer(kept_every_other) as server:
        assert run(llm_words(source, tmp_path / "out", server)) == 0
    said = capsys.readouterr()
    decisions = read_decisions(tmp_path / "out")
    rows = {row["id"]: row for row in read_rows(source)}
    pruned = read_rows(tmp_path / "out" / "pruned.jsonl")
    assert all(decision["coarse"] == {"by": "select", "attempts": 1, "failures": []} for decision in decisions)
    for decision, kept in zip(decisions, pruned, strict=True):
        gone = [step["index"] for step in decision["steps"] if step["removed_by"] == "coarse"]
        assert gone == list(range(1, len(decision["steps"]) - 1, 2))
        steps = rows[kept["id"]]["cot"].split("\n\n")
        assert set(kept["cot"].split("\n\n")) <= set(steps)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["llm"]["usage"] == {
        "anchor": {"replies": 12, "prompt_tokens": 600, "completion_tokens": 96},
        "select": {"replies": 12, "prompt_tokens": 3600, "completion_tokens": 144},
    }
    assert manifest["counts"]["coarse_by"] == {"select": 12}
    assert "decided by select 12" in said.out
    assert "24 requests" in said.out
    assert "LLM will be asked about 12 traces" in said.err
    assert "Stage 1 was decided by: select 12" in (tmp_path / "out" / "README.md").read_text()
    assert {request["temperature"] for request in server.requests} == {0.0}
    assert all("response_format" in request for request in server.requests if asks_for_selection(request))


def test_no_file_and_no_word_holds_the_key(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedServer(kept_every_other) as server:
        assert run(llm_words(source, tmp_path / "out", server, "--debug")) == 0
        assert set(server.authorizations) == {f"Bearer {CANARY}"}
    with ScriptedServer([error(401, f"Incorrect API key provided: {CANARY}")]) as server:
        said = refusal(capsys, *llm_words(source, tmp_path / "other", server), lines=None)
    assert "OPENAI_API_KEY" in said
    everything = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(everything) > 6
    assert not [path for path in everything if CANARY.encode() in path.read_bytes()]
    captured = capsys.readouterr()
    assert CANARY not in said + captured.out + captured.err


def test_replies_are_not_paid_for_again(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedServer(kept_every_other) as server:
        first = tmp_path / "first"
        assert run(llm_words(source, first, server)) == 0
        assert run(llm_words(source, first, server)) == 0
        assert len(server.requests) == 24
        said = refusal(capsys, *llm_words(source, first, server, "--min-kept", "0.2"), lines=None)
        assert "min_kept is 0.1 there and 0.2 here" in said
        assert "--replies" in said
        second = llm_words(source, tmp_path / "second", server, "--min-kept", "0.2", "--budget", "30", "--replies", str(first))
        assert run(second) == 0
        assert len(server.requests) == 24
    assert json.loads((tmp_path / "second" / "manifest.json").read_text())["llm"]["usage"] == {}


def test_a_row_without_a_usable_reply_falls_back_to_align(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def script(request: dict[str, Any], number: int) -> Scripted:
        return Scripted("I will not.") if asks_for_selection(request) else Scripted("1. Think.")

    with ScriptedServer(script) as server:
        assert run(llm_words(source, tmp_path / "out", server, "--attempts", "2")) == 0
    decisions = read_decisions(tmp_path / "out")
    assert {decision["coarse"]["by"] for decision in decisions} == {"align"}
    assert all(decision["coarse"]["attempts"] == 2 and len(decision["coarse"]["failures"]) == 2 for decision in decisions)
    assert all(step["alignment"] is not None for decision in decisions for step in decision["steps"])
    assert "not usable" in capsys.readouterr().out
    assert len(server.requests) == 12 * 3


def test_limits_stop_cleanly_and_a_higher_one_goes_on(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    with ScriptedServer(kept_every_other) as server:
        assert run(llm_words(source, out, server, "--max-requests", "10", "--concurrency", "3")) == 130
        said = capsys.readouterr().err
        assert "--max-requests" in said
        assert len(server.requests) == 10
        prices = ("--price-in", "1", "--price-out", "10")
        assert run(llm_words(source, out, server, "--max-cost", "0.0100001", *prices)) == 130
        assert "--max-cost" in capsys.readouterr().err
        before = len(server.requests)
        assert run(llm_words(source, out, server, "--max-cost", "10", "--max-requests", "100", *prices)) == 0
        assert len(server.requests) == 24 >= before
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["counts"]["coarse_by"] == {"select": 12}
    assert manifest["llm"]["cost_usd"] == pytest.approx((4200 * 1 + 240 * 10) / 1e6)
    assert "0.0066 US dollars" in capsys.readouterr().out


def test_a_dry_run_asks_nothing_and_a_pilot_only_its_rows(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    with ScriptedServer(kept_every_other) as server:
        prices = ("--price-in", "1", "--price-out", "10")
        assert run([*llm_words(source, out, server, *prices), "--dry-run"]) == 0
        said = capsys.readouterr()
        assert server.requests == []
        assert not out.exists()
        assert "asked about 12 traces" in said.out
        assert "as assumed" in said.out
        assert "US dollars" in said.out
        both = refusal(capsys, *llm_words(source, out, server, *prices), "--dry-run", "--pilot", "4")
        assert both == "--dry-run tries nothing and pays for nothing, --pilot 4 does both for its rows; leave one of them out"
        assert server.requests == []
        assert run([*llm_words(source, out, server, *prices), "--pilot", "4"]) == 0
        said = capsys.readouterr()
        assert len(server.requests) == 8
        assert "asked about 8 traces" in said.out
        assert "as 4 rows showed" in said.out
        assert "the LLM removed" in said.out
        assert not (out / "pruned.jsonl").exists()
        assert run(llm_words(source, out, server, *prices)) == 0
        assert len(server.requests) == 24


def test_a_dead_server_ends_the_run_with_one_sentence(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedServer([error(404, "no such model")]) as server:
        said = refusal(capsys, *llm_words(source, tmp_path / "out", server), lines=None)
    assert "scripted" in said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--coarse", "rewrite"], "--coarse rewrite needs --llm"),
        (["--max-cost", "1"], "--max-cost is about the LLM"),
        (["--llm", "openai:x", "--coarse", "align"], "asks no LLM"),
        (["--llm", "openai:x", "--price-in", "1"], "go together"),
        (["--llm", "openai:x", "--attempts", "0"], "attempts is 0"),
        (["--llm", "openai:x", "--coarse", "rewrite", "--tau", "1.5"], "tau is 1.5"),
        (["--llm", "openai:x", "--temperature", "3"], "temperature is 3"),
        (["--llm", "openai:x", "--concurrency", "0"], "--concurrency is 0"),
        (["--llm", "openai:x", "--max-cost", "-1"], "--max-cost is -1"),
        (["--llm", "openai:x", "--max-cost", "1", "--base-url", "http://127.0.0.1:9/v1"], "--price-in"),
        (["--llm", "nonsense"], "nonsense"),
        (["--llm", "openai:x", "--base-url", "http://[::1"], "not usable"),
        (["--llm", "openai:x", "--batch", "--concurrency", "4"], "--concurrency has no use"),
        (["--llm", "openai:"], "openai:"),
        (["--llm", "bundled", "--base-url", "http://127.0.0.1:9/v1"], "base"),
        (["--llm", "openai:x", "--replies", "/nonexistent"], "/nonexistent"),
        (["--llm", "openai:x", "--min-kept", "0.9", "--max-kept", "0.5"], "min_kept is 0.9"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: list[str], expected: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in refusal(capsys, *prune_words(source, tmp_path / "out", *options), lines=None)


STEPS = [
    "Okay, the question asks for the sum of all even numbers up to the limit.",
    "Hmm, wait. Should the limit itself be counted? I am not sure about that yet.",
    "Looking at the example again: the limit is 4 and the result is 6, so 2 + 4, limit included.",
    "Alternatively one could loop over everything and test each number, which is slow.",
    "The closed form is k * (k + 1) with k = limit // 2, and for 4 that gives 2 * 3 = 6. Good.",
]


@pytest.mark.parametrize(
    ("coarse", "reply", "by", "failures"),
    [
        ("rewrite", Scripted("\n\n".join([STEPS[0], STEPS[2], STEPS[4]])), "rewrite", []),
        ("rewrite", Scripted("```\n" + "\n\n".join([STEPS[0], STEPS[2], STEPS[4]]) + "\n```"), "rewrite", []),
        ("rewrite", Scripted("\n\n".join(STEPS[::2]), message={"reasoning_content": "\n\n".join(reversed(STEPS))}), "rewrite", []),
        ("rewrite", Scripted("\n\n".join([STEPS[0], STEPS[2] + " " + STEPS[3], STEPS[4]])), "rewrite", []),  # merged
        ("rewrite", Scripted("First we sum.\n\nThen we are done, as one sees."), "align", ["no_match"] * 2),  # paraphrase
        ("rewrite", Scripted("\n\n".join([STEPS[4], STEPS[2], STEPS[0]])), "align", ["no_match"] * 2),  # reordered
        ("rewrite", Scripted("\n\n".join(STEPS[:4]), finish_reason="length"), "align", ["cut_off"] * 2),
        ("rewrite", Scripted(STEPS[0]), "align", ["head_only"] * 2),
        ("rewrite", Scripted(""), "align", ["empty"] * 2),
        ("rewrite", Scripted(None), "align", ["empty"] * 2),
        ("select", Scripted('{"keep": ["1", "3-5"]}'), "select", []),
        ("select", Scripted("Keep: 1, 3 to 5"), "select", []),
        ("select", Scripted('{"keep": ["1", "3-'), "align", ["not_a_list"] * 2),  # invalid JSON
        ("select", Scripted('{"steps": {"first": 1}}'), "align", ["not_a_list"] * 2),  # another schema
        ("select", Scripted('{"keep": ["1", "77"]}'), "align", ["out_of_range"] * 2),
        ("select", Scripted(None), "align", ["empty"] * 2),
        ("select", error(400, "this model's maximum context length is 100 tokens"), "align", ["context_too_long"]),
        ("select", error(400, "the content is against our content policy", "content_filter"), "align", ["content_filter"] * 2),
    ],
)
def test_what_becomes_of_a_reply(coarse: str, reply: Scripted, by: str, failures: list[str], tmp_path: Path) -> None:
    rows = [{"id": "one", "question": "Sum of even numbers?", "cot": "\n\n".join(STEPS), "answer": "k * (k + 1)"}]
    source = write_rows(tmp_path / "rows.jsonl", rows)

    def script(request: dict[str, Any], number: int) -> Scripted:
        return Scripted("1. Use the closed form.") if "how the answer is derived" in request["messages"][-1]["content"] else reply

    with ScriptedServer(script) as server:
        assert run(llm_words(source, tmp_path / "out", server, "--coarse", coarse, "--attempts", "2", "--coarse-only")) == 0
    [decision] = read_decisions(tmp_path / "out")
    [pruned] = read_rows(tmp_path / "out" / "pruned.jsonl")
    assert decision["coarse"]["by"] == by
    assert decision["coarse"]["failures"] == failures
    steps = iter(STEPS)
    assert all(any(kept == step for step in steps) for kept in pruned["cot"].split("\n\n"))
    if by != "align":
        assert decision["tokens_after"] < decision["tokens_before"]
        assert all((step["match"] is not None) == (step["kept"] and coarse == "rewrite") for step in decision["steps"])


class Flaky:
    """A server's script: one request in ten meets a fault, chosen by a seed; the others are answered well."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.lock = threading.Lock()
        self.answered = Counter[str]()
        self.faults = Counter[str]()
        self.gate = Gate()

    def __call__(self, request: dict[str, Any], number: int) -> Scripted:
        self.gate.wait(number)
        with self.lock:
            if self.chance.random() < 0.1:
                name, fault = self.chance.choice(
                    [
                        ("429", error(429, "slow down", headers={"Retry-After": "0.05"})),
                        ("500", error(500, "oops")),
                        ("503", error(503, "busy", headers={"Retry-After": "0"})),
                        ("reset", Scripted(fault="reset")),
                        ("reset_mid_body", Scripted("x" * 500, fault="reset_mid_body")),
                        ("html", Scripted(body=b"<html>bad gateway</html>", status=502)),
                        ("garbage", Scripted(body=b"{not json")),
                    ]
                )
                self.faults[name] += 1
                return fault
            self.answered[json.dumps([request["messages"], request["temperature"]])] += 1
        return kept_every_other(request, number)


def retry_soon() -> None:
    import asap.lm.openai as endpoint

    endpoint.backoff_s = lambda failures, headers: random.uniform(0.01, 0.03)


def test_three_hundred_rows_with_faults_and_kills_end_complete_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number, steps=4, words=3) for number in range(300)])
    script, out, said = Flaky(0), tmp_path / "out", tmp_path / "said"
    with ScriptedServer(script) as server:
        words = llm_words(source, out, server, "--concurrency", "8", "--ratio", "0.7")
        chance = random.Random(1)
        for _ in range(KILLS):
            most = len(server.requests) + chance.randint(60, 130)  # of 600 and those that meet a fault
            script.gate.open(most)
            process = begin(words, said, retry_soon)
            wait_until(lambda most=most: len(server.requests) > most, process)
            process.kill()
            process.join()
        script.gate.open()
        process = begin(words, said, retry_soon)
        process.join()
    assert process.exitcode == 0, said.read_text()
    decisions = read_decisions(out)
    assert [decision["id"] for decision in decisions] == [f"r{number}" for number in range(300)]
    assert Counter(decision["coarse"]["by"] for decision in decisions) == {"select": 300}
    assert sum(script.faults.values()) > 30
    assert len(script.faults) >= 6
    assert server.most_at_once <= 8
    assert len(script.answered) == len({json.dumps([r["messages"], r["temperature"]]) for r in server.requests})
    again = {key: count for key, count in script.answered.items() if count > 1}
    assert len(again) <= KILLS * 8  # only what was on its way when the process died
    assert max(script.answered.values()) <= 1 + KILLS


def test_equal_rows_are_asked_about_and_estimated_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{**row(1), "id": f"r{number}"} for number in range(150)])
    with ScriptedServer(kept_every_other) as server:
        assert run(llm_words(source, tmp_path / "out", server)) == 0
        assert len(server.requests) == 2
    said = capsys.readouterr().err
    assert "1/1 traces asked about" in said


def test_a_dry_run_leaves_a_folder_alone_and_tells_what_is_wrong_with_it(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "file").write_text("x")
    with ScriptedServer(kept_every_other) as server:
        assert run([*llm_words(source, tmp_path / "out", server), "--dry-run"]) == 0
        assert not list((tmp_path / "out").iterdir())
        said = refusal(capsys, *llm_words(source, tmp_path / "file", server), "--pilot", "1", lines=None)
        assert "choose another --out" in said
        assert run([*llm_words(source, tmp_path / "out", server), "--pilot", "4", "--max-requests", "2"]) == 130
    assert "stopped" in capsys.readouterr().err


def test_a_rerun_with_nothing_to_ask_keeps_what_the_server_told(source: Path, tmp_path: Path) -> None:
    manifests = []
    with ScriptedServer(kept_every_other, models=[{"id": "scripted", "owned_by": "vllm", "max_model_len": 100_000}]) as server:
        for _ in range(2):
            assert run(llm_words(source, tmp_path / "out", server)) == 0
            manifests.append(json.loads((tmp_path / "out" / "manifest.json").read_text())["llm"])
    assert manifests[0] == manifests[1]
    assert manifests[0]["server"] == "vllm"


def interrupt(process: BaseProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)


def test_ctrl_c_waits_for_the_replies_on_their_way(source: Path, tmp_path: Path) -> None:
    gate, said = Gate(), tmp_path / "said"

    def held(request: dict[str, Any], number: int) -> Scripted:
        gate.wait(number)
        return kept_every_other(request, number)

    with ScriptedServer(held) as server:
        gate.open(5)
        process = begin(llm_words(source, tmp_path / "out", server, "--concurrency", "3"), said)
        wait_until(lambda: len(server.requests) == 8, process)
        interrupt(process)
        wait_until(lambda: "on their way" in said.read_text(), process)
        gate.open()
        process.join()
    assert process.exitcode == 130
    assert "Traceback" not in said.read_text()
    with ReplyCache.open(tmp_path / "out") as replies:
        assert sum(used.replies for used in replies.usage().values()) == len(server.requests) == 8


def test_ctrl_c_does_not_wait_for_a_batch(source: Path, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with BatchServer(lambda body: Scripted("1. Think."), polls=10**6) as server:
        words = prune_words(source, tmp_path / "out", "--llm", "openai:scripted", "--base-url", server.base_url, "--batch")
        process = begin(words, said)
        wait_until(lambda: "handed in batch batch_0" in said.read_text(), process)
        interrupt(process)
        process.join()
    assert process.exitcode == 130
    assert "Traceback" not in said.read_text()
    [mark] = open_batches(tmp_path / "out")
    assert server.batches["batch_0"]["metadata"] == {"asap": mark}


REPLIES = "CREATE TABLE batches (id TEXT PRIMARY KEY, keys BLOB NOT NULL) WITHOUT ROWID;"  # as asap 0.1.0 made it


@pytest.mark.parametrize("where", ["batches.sqlite", "replies.sqlite"])
def test_a_batch_that_is_out_is_not_paid_for_twice(where: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    if where == "batches.sqlite":
        with OpenBatches.open(tmp_path / "out") as batches:
            batches.add("batch_7", 1)
    else:
        with Database.open(tmp_path / "out" / where, REPLIES) as database:
            database.execute("INSERT INTO batches VALUES (?, ?)", ("batch_7", packed({"k": "anchor"})))
    with ScriptedServer(kept_every_other) as server:
        said = refusal(capsys, *llm_words(source, tmp_path / "out", server), lines=None)
        assert server.requests == []
    assert "batch_7" in said
    assert "--batch" in said


def test_a_dry_run_does_not_lose_a_batch_that_is_out(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with Database.open(tmp_path / "out" / "replies.sqlite", REPLIES) as database:
        database.execute("INSERT INTO batches VALUES (?, ?)", ("batch_7", packed({"k": "anchor"})))
    with ScriptedServer(kept_every_other) as server:
        assert run([*llm_words(source, tmp_path / "out", server), "--batch", "--dry-run"]) == 0
        assert server.requests == []
    assert open_batches(tmp_path / "out") == ["batch_7"]


def test_shards_that_ask_an_llm_are_merged_with_their_replies_and_costs(source: Path, tmp_path: Path) -> None:
    prices = ["--price-in", "1", "--price-out", "10"]
    with ScriptedServer(kept_every_other) as server:
        assert run(llm_words(source, tmp_path / "whole", server, *prices)) == 0
        shards = [tmp_path / f"shard-{index}" for index in range(3)]
        for index, shard in enumerate(shards):
            assert run(llm_words(source, shard, server, *prices, "--shard", f"{index}/3")) == 0
        merged = tmp_path / "merged"
        assert run(["merge", *map(str, shards), "--out", str(merged)]) == 0
        same_output(tmp_path / "whole", merged)
        asked = len(server.requests)
        assert run(llm_words(source, merged, server, *prices)) == 0
        assert len(server.requests) == asked
    same_output(tmp_path / "whole", merged)
    assert json.loads((merged / "manifest.json").read_text())["llm"]["cost_usd"] == 0.00660

"""Batches: handed in when everybody waits, collected, taken up again after a kill, and asked again where a reply is missing."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from batch_server import BatchServer, Script
from hostile_server import JSON, Hostile, completion, hostile
from scripted_server import Scripted, error

from asap.lm import batch
from asap.lm.batch import BatchGenerator
from asap.lm.generate import EndpointError, Generation, Request, RequestRefused
from asap.lm.open_batches import OpenBatches, open_batches
from asap.lm.openai import OpenAIGenerator
from asap.lm.reply_cache import CachedGenerator, ReplyCache
from asap.lm.spending import Price, SpendingLimit


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_QUIET_S", 0.05)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def request(text: str) -> Request:
    return Request([{"role": "user", "content": text}], max_new_tokens=10, temperature=0.0, kind="anchor")


def echo(body: dict[str, Any]) -> Scripted:
    return Scripted(f"re: {body['messages'][-1]['content']}")


def ask_all(
    server: BatchServer, folder: Path | None, texts: list[str], *, spending: SpendingLimit | None = None
) -> tuple[list[Any], list[str]]:
    """What each request came to (a reply or an error), and what was said meanwhile."""
    said: list[str] = []

    async def work(replies: ReplyCache) -> list[Any]:
        llm = BatchGenerator(OpenAIGenerator("m", base_url=server.base_url, spending=spending), folder, poll_s=0.02, log=said.append)
        async with CachedGenerator(llm, replies) as cached:
            return await asyncio.gather(*(cached.generate(request(text)) for text in texts), return_exceptions=True)

    with ReplyCache.open(folder) as replies:
        return asyncio.run(work(replies)), said


def remember(folder: Path, name: str) -> None:
    """As a run leaves it that was killed while this batch was out."""
    with OpenBatches.open(folder) as batches:
        batches.add(name, 1)


def script_once_without(missing: str) -> Script:
    """Echoes, but leaves out one request the first time."""
    left = {missing}

    def script(body: dict[str, Any]) -> Scripted | None:
        text = body["messages"][-1]["content"]
        if text in left:
            left.discard(text)
            return None
        return echo(body)

    return script


def test_all_requests_go_into_one_batch_and_come_back_to_their_askers(tmp_path: Path) -> None:
    texts = [f"question {number}" for number in range(30)]
    spending = SpendingLimit(Price(1, 1))
    with BatchServer(echo) as server:
        replies, said = ask_all(server, tmp_path, texts, spending=spending)
        assert [reply.text for reply in replies] == [f"re: {text}" for text in texts]
        assert len(server.batches) == 1
        again, _ = ask_all(server, tmp_path, texts)
        assert again == replies
        assert len(server.batches) == 1
    assert any("handed in batch batch_0 with 30 requests" in line for line in said)
    assert (spending.requests, spending.prompt_tokens, spending.completion_tokens) == (30, 300, 150)
    assert {line["body"]["model"] for line in server.lines()} == {"m"}
    assert open_batches(tmp_path) == []


def test_a_request_without_a_reply_goes_into_the_next_batch() -> None:
    with BatchServer(script_once_without("b"), ends=("expired", "completed")) as server:
        replies, _ = ask_all(server, None, ["a", "b", "c"])
    assert [reply.text for reply in replies] == ["re: a", "re: b", "re: c"]
    assert [len(batch["lines"]) for batch in server.batches.values()] == [3, 1]


def test_lines_that_fail_for_good_fail_alone() -> None:
    def script(body: dict[str, Any]) -> Scripted:
        return error(400, "this model's maximum context length is 10 tokens") if "long" in str(body) else echo(body)

    with BatchServer(script) as server:
        [good, bad], _ = ask_all(server, None, ["short", "long"])
    assert isinstance(good, Generation)
    assert isinstance(bad, RequestRefused)
    assert bad.reason == "context_too_long"


def test_a_line_that_never_gets_a_reply_is_given_up() -> None:
    with BatchServer(lambda body: None, polls=1) as server:
        [lost], _ = ask_all(server, None, ["a"])
    assert isinstance(lost, RequestRefused)
    assert lost.reason == "server_error"
    assert len(server.batches) == 6


def test_a_batch_that_is_refused_stops_with_the_reason(tmp_path: Path) -> None:
    with BatchServer(echo, ends=("failed",)) as server:
        outcomes, _ = ask_all(server, tmp_path, ["a", "b"])
    assert all(isinstance(outcome, EndpointError) and "not to our liking" in str(outcome) for outcome in outcomes)
    assert open_batches(tmp_path) == []


def test_a_server_without_batches_is_told() -> None:
    with BatchServer(echo) as server:

        async def work() -> None:
            async with BatchGenerator(OpenAIGenerator("m", base_url=server.base_url), poll_s=0.01, log=lambda text: None) as llm:
                await llm._call(lambda client: client.get("/nothing", cast_to=object))

        with pytest.raises(EndpointError, match="takes no batches"):
            asyncio.run(work())


@pytest.mark.parametrize("known", ["id", "mark"])
def test_a_batch_of_a_killed_run_is_waited_for_and_not_handed_in_again(tmp_path: Path, known: str) -> None:
    """The run dies once the batch is in; folders of asap 0.1.0 know its id, others its mark."""
    texts = ["a", "b", "c"]
    with BatchServer(echo) as server:

        class Killed(BaseException):
            pass

        async def work(replies: ReplyCache) -> None:
            llm = BatchGenerator(OpenAIGenerator("m", base_url=server.base_url), tmp_path, poll_s=0.02, log=lambda text: None)
            async with CachedGenerator(llm, replies) as cached:
                asking = asyncio.gather(*(cached.generate(request(text)) for text in texts), return_exceptions=True)
                while not server.batches:
                    await asyncio.sleep(0.001)
                asking.cancel()
                with suppress(asyncio.CancelledError):
                    await asking

        with ReplyCache.open(tmp_path) as replies:
            asyncio.run(work(replies))
        with OpenBatches.open(tmp_path) as batches:
            [name] = batches.names()
            assert server.batches["batch_0"]["metadata"] == {"asap": name}
            if known == "id":
                batches.close(name)
                batches.add("batch_0", 3)
        outcomes, said = ask_all(server, tmp_path, texts)
        assert [outcome.text for outcome in outcomes] == ["re: a", "re: b", "re: c"]
        assert list(server.batches) == ["batch_0"]
        assert "of a former run" in said[0]


def test_a_mark_that_came_to_nothing_is_forgotten(tmp_path: Path) -> None:
    remember(tmp_path, "0123")
    with BatchServer(echo) as server:
        outcomes, _ = ask_all(server, tmp_path, ["a"])
    assert outcomes[0].text == "re: a"
    assert open_batches(tmp_path) == []


def test_large_files_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_MOST_BYTES", 1500)
    texts = [f"{number} " + "x" * 300 for number in range(10)]
    with BatchServer(echo) as server:
        replies, _ = ask_all(server, None, texts)
    assert [reply.text for reply in replies] == [f"re: {text}" for text in texts]
    assert len(server.batches) > 2
    assert all(len(json.dumps(batch["lines"])) < 3000 for batch in server.batches.values())


def test_what_the_server_does_not_take_is_left_out_of_the_next_batch() -> None:
    def script(body: dict[str, Any]) -> Scripted:
        said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        return error(400, said, "unsupported_parameter") if "max_tokens" in body else echo(body)

    with BatchServer(script) as server:
        replies, _ = ask_all(server, None, ["a", "b"])
    assert [reply.text for reply in replies] == ["re: a", "re: b"]
    assert len(server.batches) == 2


def test_a_request_without_a_reply_costs_nothing() -> None:
    spending = SpendingLimit(Price(1e6, 1e6))
    with BatchServer(script_once_without("a"), ends=("expired", "completed")) as server:
        ask_all(server, None, ["a"], spending=spending)
    assert spending.spent == pytest.approx(15)


def test_a_batch_is_handed_in_once_if_the_answer_to_that_is_lost() -> None:
    class Losing(BatchServer):
        def create(self, asked: dict[str, Any]) -> dict[str, Any]:
            shown = super().create(asked)
            if len(self.batches) == 1:
                raise ConnectionError("the answer is lost")
            return shown

    with Losing(echo) as server:
        replies, _ = ask_all(server, None, ["a"])
    assert [reply.text for reply in replies] == ["re: a"]
    assert len(server.batches) == 1


def test_what_a_former_runs_batch_cost_is_counted(tmp_path: Path) -> None:
    spending, key = SpendingLimit(Price(1e6, 1e6)), request("a").key("m")
    with BatchServer(echo) as server:
        server.files["f"] = json.dumps({"custom_id": key, "body": {"messages": [{"role": "user", "content": "a"}]}}).encode()
        server.create({"input_file_id": "f"})
        remember(tmp_path, "batch_0")
        outcomes, _ = ask_all(server, tmp_path, ["a"], spending=spending)
        assert outcomes[0].text == "re: a"
        assert len(server.batches) == 1
    assert (spending.requests, spending.prompt_tokens, spending.completion_tokens, spending.spent) == (1, 10, 5, pytest.approx(15))


def test_nothing_is_handed_in_while_a_former_batch_cannot_be_collected(tmp_path: Path) -> None:
    remember(tmp_path, "batch_of_another_account")

    class Forgetful(BatchServer):
        def show(self, batch_id: str) -> dict[str, Any]:
            return {**super().show(batch_id), "status": "failed"}

    with Forgetful(echo) as server:
        server.batches["batch_of_another_account"] = {"lines": [], "asked": 0, "end": "failed", "metadata": None, "file": "f"}
        outcomes, _ = ask_all(server, tmp_path, ["a", "b", "c"])
        assert all(isinstance(outcome, EndpointError) for outcome in outcomes)
        assert len(server.batches) == 1


def test_a_batch_that_the_server_forgot_is_asked_anew(tmp_path: Path) -> None:
    remember(tmp_path, "batch_of_another_account")
    with BatchServer(echo) as server:
        outcomes, said = ask_all(server, tmp_path, ["a"])
    assert outcomes[0].text == "re: a"
    assert any("knows no batch" in line for line in said)


def test_an_answer_that_came_back_survives_a_kill_before_it_was_handed_on(tmp_path: Path) -> None:
    """The run dies between collecting a batch and storing its replies; the provider knows the batch no more."""
    with OpenBatches.open(tmp_path) as batches:
        batches.add("batch_0", 1)
        batches.close("batch_0", {request("a").key("m"): json.loads(echo({"messages": [{"content": "a"}]}).content("m"))})
    with BatchServer(echo) as server:
        outcomes, _ = ask_all(server, tmp_path, ["a"])
        assert server.batches == {}
    assert outcomes[0].text == "re: a"


def test_a_list_of_batches_without_an_end_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(batch, "_PAGES", 5)
    remember(tmp_path, "mark")
    asked = list[str]()

    def endless(path: str, state: Hostile) -> list[bytes]:
        if "batches" not in path:
            return completion("")
        asked.append(path)
        page = {"data": [{"id": f"b{len(asked)}", "status": "completed"}], "has_more": True}
        return [JSON, json.dumps(page).encode()]

    with hostile(endless, answers_get=True) as server:
        [outcome], said = ask_all(server, tmp_path, ["a"])  # type: ignore[arg-type]
    assert len(asked) == 5
    assert any("knows no batch mark any more" in line for line in said)
    assert isinstance(outcome, EndpointError)


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"id": 7}', b"null", b"\xff", b'{"id": "b", "status": {}}'])
def test_answers_about_batches_that_cannot_be_read_end_in_one_sentence(tmp_path: Path, answer: bytes) -> None:
    def script(path: str, state: Hostile) -> list[bytes]:
        if path.endswith("/models"):
            return [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]
        return [JSON, b'{"id": "f"}' if path.endswith("/files") else answer]

    with hostile(script, answers_get=True) as server:
        [outcome], _ = ask_all(server, tmp_path, ["a"])  # type: ignore[arg-type]
    assert isinstance(outcome, EndpointError | RequestRefused)

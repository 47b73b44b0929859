"""Asking a server: every fault that one can have, on a real one, and what each costs, says and leaves behind."""

import asyncio
import logging
import threading
import traceback
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Scripted, ScriptedServer, VirtualClock, error

from asap.errors import AsapError, UsageError
from asap.lm.engine import prefix_caching
from asap.lm.generate import EndpointError, Generation, Generator, Request, RequestRefused, SpendingStop
from asap.lm.openai import OpenAIGenerator
from asap.lm.spending import Price, SpendingLimit

KEY = "sk-canary-4f1d9b7733e2"
PASSWORD = "pässword-8842"
SCHEMA = {"type": "object", "properties": {"kept": {"type": "array"}}, "required": ["kept"], "additionalProperties": False}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))  # all is plain HTTP here, and the system's certificates take long to load
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def request(text: str = "hello", **fields: Any) -> Request:
    return Request(**{"messages": [{"role": "user", "content": text}], "max_new_tokens": 100, "temperature": 0.5, **fields})


def ask(
    server: ScriptedServer, *requests: Request, clock: VirtualClock | None = None, at_once: bool = False, **settings: Any
) -> tuple[list[Any], OpenAIGenerator]:
    """The reply or error of each request, in order, and the endpoint after that."""

    async def inside() -> tuple[list[Any], OpenAIGenerator]:
        settings.setdefault("base_url", server.base_url)
        endpoint = OpenAIGenerator("model-1", clock=clock or VirtualClock(), **settings)
        async with asyncio.timeout(600), endpoint:
            if at_once:
                outcomes = list(await asyncio.gather(*(endpoint.generate(one) for one in requests), return_exceptions=True))
            else:
                outcomes = [(await asyncio.gather(endpoint.generate(one), return_exceptions=True))[0] for one in requests]
            return [one.answered() if isinstance(one, Generation) else one for one in outcomes], endpoint

    return asyncio.run(inside())


def outcome(script: Any, *, models: Sequence[Mapping[str, Any]] | None = None, **settings: Any) -> tuple[Any, ScriptedServer]:
    """What one request ends with, and the server that was asked."""
    with ScriptedServer(script, models=models) as server:
        (result,), _ = ask(server, settings.pop("request", request()), **settings)
    return result, server


def test_a_request_is_sent_as_it_is_meant_and_its_reply_comes_back() -> None:
    reply, server = outcome([Scripted("yes", usage=(7, 3))])
    assert reply == Generation("yes", "stop", 7, 3)
    messages = [{"role": "user", "content": "hello"}]
    assert server.requests == [{"model": "model-1", "messages": messages, "max_tokens": 100, "temperature": 0.5, "top_p": 1.0}]
    assert server.authorizations == [f"Bearer {KEY}"]


def test_it_is_a_completer_and_can_be_entered_in_another_event_loop() -> None:
    with ScriptedServer([Scripted()]) as server:
        endpoint: Generator = OpenAIGenerator("m", base_url=server.base_url, concurrency=2)

        async def inside() -> list[Generation]:
            async with endpoint as entered:
                return await asyncio.gather(*(entered.generate(request()) for _ in range(6)))

        assert len(asyncio.run(inside())) == len(asyncio.run(inside())) == 6
    assert server.most_at_once <= 2


@pytest.mark.parametrize(
    ("scripted", "reply"),
    [
        (Scripted(None), Generation("", "stop", 10, 5)),
        (Scripted(""), Generation("", "stop", 10, 5)),
        (Scripted("cut", finish_reason="length"), Generation("cut", "length", 10, 5)),
        (Scripted("x", finish_reason=None), Generation("x", "stop", 10, 5)),
        (Scripted(None, finish_reason="content_filter"), Generation("", "content_filter", 10, 5)),
        (Scripted("a", message={"reasoning_content": "hm"}), Generation("a", "stop", 10, 5)),
        (Scripted(None, message={"reasoning": "hm"}), Generation("", "stop", 10, 5)),
        (Scripted("<think>hm\n</think>\n\nyes"), Generation("yes", "stop", 10, 5)),
        (Scripted("\n<think>hm", finish_reason="length"), Generation("", "length", 10, 5)),
        (Scripted("hm, well\n</think>\nyes"), Generation("yes", "stop", 10, 5)),
        (Scripted("write <think>x</think> so"), Generation("write <think>x</think> so", "stop", 10, 5)),
        (
            Scripted(
                message={"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}]}
            ),
            Generation("a", "stop", 10, 5),
        ),
        (Scripted("a\ud800b"), Generation("a?b", "stop", 10, 5)),
        (Scripted("x" * 35, usage=None), Generation("x" * 35, "stop", 10, 10, counted_here=True)),
        (Scripted("", usage=None, message={"reasoning_content": "x" * 70}), Generation("", "stop", 10, 20, counted_here=True)),
    ],
)
def test_a_reply_is_read_without_thinking_and_with_its_usage(scripted: Scripted, reply: Generation) -> None:
    assert outcome([scripted])[0] == reply


@pytest.mark.parametrize(
    "fault",
    [
        Scripted(fault="reset"),
        Scripted(fault="reset_mid_body"),
        Scripted(body=b'{"choices": [{"mess'),
        Scripted(body=b"<html><body>busy</body></html>"),
        Scripted(body=b"\xff\xfe\x00"),
        Scripted(body=b"[" * 100_000),
        Scripted(body=b""),
        Scripted(body={"choices": []}),
        Scripted(body={"choices": [{"message": "text"}]}),
        Scripted(body={"error": {"message": "upstream", "code": 502}}),
        Scripted(finish_reason="insufficient_system_resource"),
        error(500, "oops"),
        error(503, "busy"),
        error(529, "overloaded"),
        error(408, "slow"),
        error(409, "conflict"),
        Scripted(status=502, body=b"<html><h1>Bad Gateway</h1></html>"),
    ],
)
def test_faults_that_pass_are_tried_again(fault: Scripted) -> None:
    clock = VirtualClock()
    reply, server = outcome([fault, fault, Scripted("yes")], clock=clock)
    assert reply == Generation("yes", "stop", 10, 5)
    assert len(server.requests) == 3
    assert [1.6 <= clock.slept[0] <= 2.4, 3.2 <= clock.slept[1] <= 4.8] == [True, True]


def test_a_server_without_a_port_open_is_tried_six_times_and_costs_nothing() -> None:
    with ScriptedServer([Scripted()]) as server:
        gone = server.base_url
    spending = SpendingLimit(Price(1, 1))
    (result,), _ = ask(server, request(), base_url=gone, spending=spending)
    assert isinstance(result, RequestRefused)
    assert result.reason == "server_error"
    assert (spending.requests, spending.spent) == (6, 0)


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_an_answer_that_does_not_come_to_an_end_is_given_up_at_the_deadline(fault: Any) -> None:
    slow = Scripted("x" * 500, fault=fault)  # a byte every 20 ms: each is in time, all of them are not
    reply, server = outcome([slow, Scripted("yes")], timeout_s=3)
    assert reply.text == "yes"
    assert len(server.requests) == 2


def test_tries_that_may_have_been_billed_count_in_full_and_refusals_are_free() -> None:
    spending = SpendingLimit(Price(0.0, 1_000_000.0))
    script = [Scripted(fault="reset_mid_body"), error(500, "oops"), error(429, "slow"), Scripted(usage=(9, 4))]
    outcome(script, spending=spending, request=request(max_new_tokens=100))
    assert spending.spent == 104
    assert (spending.requests, spending.prompt_tokens, spending.completion_tokens) == (4, 9, 4)


def test_used_up_tries_refuse_the_request_and_the_next_ones_go_on() -> None:
    with ScriptedServer(lambda asked, _: error(500, "oops") if asked["messages"][0]["content"] == "bad" else Scripted()) as server:
        results, _ = ask(server, *(request(text) for text in ["bad", "bad", "good", "bad", "bad", "bad", "bad", "bad"]))
    assert [type(result) for result in results] == [RequestRefused] * 2 + [Generation] + [RequestRefused] * 4 + [EndpointError]
    assert results[0].reason == "server_error"
    assert "HTTP 500: oops" in results[0].detail
    assert "5 requests in a row" in str(results[-1])
    assert "what was answered is kept, and the same command goes on" in str(results[-1])
    assert len(server.requests) == 7 * 6 + 1


def test_a_503_says_when_to_come_back() -> None:
    clock = VirtualClock()
    reply, _ = outcome([error(503, "busy", headers={"Retry-After": "120"}), Scripted()], clock=clock)
    assert reply.text == "ok"
    assert clock.slept == [120]


def test_429s_slow_everybody_down_and_are_no_tries() -> None:
    clock = VirtualClock()
    script = [error(429, "slow down", headers={"Retry-After": "7"} if number == 0 else None) for number in range(12)]
    reply, server = outcome([*script, Scripted("yes")], clock=clock)
    assert reply.text == "yes"
    assert len(server.requests) == 13
    assert clock.slept[0] == pytest.approx(7)
    assert max(clock.slept) <= 72


def test_nothing_but_429s_for_a_quarter_of_an_hour_ends_the_run() -> None:
    clock = VirtualClock()
    result, server = outcome([error(429, "slow down")], clock=clock)
    assert isinstance(result, EndpointError)
    assert "nothing but 429" in str(result)
    assert "the same command goes on" in str(result)
    assert 700 < clock.time - 1000 <= 900
    assert len(server.requests) < 30


def test_a_server_that_wants_hours_of_patience_ends_the_run_at_once() -> None:
    result, server = outcome([error(429, "tomorrow", headers={"Retry-After": "36000"})])
    assert isinstance(result, EndpointError)
    assert "600 minutes" in str(result)
    assert len(server.requests) == 1


def test_one_request_that_gets_nothing_but_429_is_refused_when_others_are_answered() -> None:
    def script(asked: dict[str, Any], _: int) -> Scripted:
        return error(429, "slow down") if asked["messages"][0]["content"] == "bad" else Scripted()

    async def inside() -> tuple[Any, int]:
        clock = VirtualClock()
        async with asyncio.timeout(600), OpenAIGenerator("m", base_url=server.base_url, concurrency=2, clock=clock) as endpoint:
            bad = asyncio.create_task(endpoint.generate(request("bad")))
            while not bad.done():
                await endpoint.generate(request("good"))
                await clock.sleep(100)
            return (await asyncio.gather(bad, return_exceptions=True))[0], endpoint.spending.requests

    with ScriptedServer(script) as server:
        result, requests = asyncio.run(inside())
    assert isinstance(result, RequestRefused)
    assert result.reason == "server_error"
    assert requests < 1000


@pytest.mark.parametrize(
    ("scripted", "kind", "reason", "part"),
    [
        (error(401, "Incorrect API key provided"), EndpointError, None, "OPENAI_API_KEY"),
        (error(403, "region not supported"), EndpointError, None, "OPENAI_API_KEY"),
        (error(404, "The model does not exist"), EndpointError, None, "127.0.0.1"),
        (error(404, "The model does not exist"), EndpointError, None, "'model-1'"),
        (Scripted(status=404, body=b"<html>Not\nFound</html>"), EndpointError, None, "HTTP 404: Not Found"),
        (error(402, "Insufficient Balance"), EndpointError, None, "no money left"),
        (error(429, "You exceeded your current quota", code="insufficient_quota"), EndpointError, None, "no money left"),
        (error(429, "insufficient balance"), EndpointError, None, "no money left"),
        (error(429, "Request too large for m on tokens per min: Limit 9, Requested 99"), RequestRefused, "context_too_long", "too large"),
        (error(400, "This model's maximum context length is 16384 tokens."), RequestRefused, "context_too_long", "16384"),
        (error(400, "'max_tokens' or 'max_completion_tokens' is too large: context length is 9"), RequestRefused, "context_too_long", ""),
        (error(400, "max_tokens is too large: 50000"), RequestRefused, "context_too_long", ""),
        (error(400, "The input is longer than the model's context length (9 tokens)."), RequestRefused, "context_too_long", ""),
        (error(413, "payload"), RequestRefused, "context_too_long", "payload"),
        (error(500, "the request exceeds the available context size"), RequestRefused, "context_too_long", ""),
        (Scripted(body={"error": {"code": 400, "type": "exceed_context_size_error"}}), RequestRefused, "context_too_long", ""),
        (error(400, "Content Exists Risk"), RequestRefused, "content_filter", "Risk"),
        (error(400, "refused", code="content_policy_violation"), RequestRefused, "content_filter", ""),
        (error(403, "input was flagged by moderation"), RequestRefused, "content_filter", ""),
        (error(400, "Invalid temperature, the valid range is [0, 2]"), RequestRefused, "bad_request", "range"),
        (error(422, "messages: field required"), RequestRefused, "bad_request", "field required"),
        (Scripted(status=422, body={"detail": [{"loc": ["body"], "msg": "no"}]}), RequestRefused, "bad_request", '"msg": "no"'),
        (Scripted(status=400, body={"object": "error", "message": "plain"}), RequestRefused, "bad_request", "plain"),
        (error(400, "line one\n\n  line two " + "x" * 999), RequestRefused, "bad_request", "line one line two xxx"),
    ],
)  # fmt: skip
def test_what_does_not_pass_is_asked_once_and_told_in_one_line(scripted: Scripted, kind: type, reason: str | None, part: str) -> None:
    result, server = outcome([scripted])
    assert type(result) is kind
    assert getattr(result, "reason", None) == reason
    assert part in str(result)
    assert "\n" not in str(result)
    assert len(str(result)) < 500
    assert len(server.requests) == 1
    if isinstance(result, RequestRefused):
        assert len(result.detail) <= 300


def takes(*formats: str | None) -> Any:
    """A server that knows these formats only."""

    def script(asked: dict[str, Any], _: int) -> Scripted:
        kind = asked.get("response_format", {}).get("type")
        return Scripted(str(kind)) if kind in formats else error(400, "This response_format type is unavailable now")

    return script


def test_a_schema_is_sent_strictly() -> None:
    reply, server = outcome([Scripted("{}")], request=request(schema=SCHEMA))
    assert reply.text == "{}"
    schema = {"name": "reply", "strict": True, "schema": SCHEMA}
    assert server.requests[0]["response_format"] == {"type": "json_schema", "json_schema": schema}


@pytest.mark.parametrize(
    ("formats", "prompt", "used"),
    [
        (["json_schema", "json_object", None], "in json", "json_schema"),
        (["json_object", None], "in JSON", "json_object"),
        (["json_object", None], "in words", "None"),  # json_object wants the word json in the prompt
        ([None], "in json", "None"),
    ],
)
def test_the_best_format_that_the_server_takes_is_found_once(formats: list[str | None], prompt: str, used: str) -> None:
    with ScriptedServer(takes(*formats)) as server:
        results, _ = ask(server, *[request(prompt, schema=SCHEMA)] * 3)
    assert [reply.text for reply in results] == [used] * 3
    refused = {"json_schema": 0, "json_object": 1}.get(used, 1 if "json" not in prompt else 2)
    assert len(server.requests) == 3 + refused


def test_a_server_that_takes_no_format_is_not_asked_for_ever() -> None:
    result, server = outcome([error(422, "unknown field response_format")], request=request("json", schema=SCHEMA))
    assert isinstance(result, RequestRefused)
    assert result.reason == "bad_request"
    assert len(server.requests) == 3


def test_parameters_that_a_model_does_not_take_are_left_out_and_remembered() -> None:
    def script(asked: dict[str, Any], _: int) -> Scripted:
        if "max_tokens" in asked:
            return error(400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
        if "temperature" in asked:
            return error(400, "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) is supported.")
        return error(400, "top_p is not supported") if "top_p" in asked else Scripted()

    with ScriptedServer(script) as server:
        results, endpoint = ask(server, request(), request())
    assert [reply.text for reply in results] == ["ok", "ok"]
    assert len(server.requests) == 5
    assert server.requests[-1] == {"model": "model-1", "messages": [{"role": "user", "content": "hello"}], "max_completion_tokens": 100}
    assert endpoint.identity["not_sent"] == "temperature, top_p"


def test_what_one_request_learnt_survives_replies_to_others_that_started_before() -> None:
    def script(asked: dict[str, Any], number: int) -> Scripted:
        if "response_format" in asked:
            return takes("json_object")(asked, number)
        return Scripted(delay_s=0.3)

    with ScriptedServer(script) as server:
        _, endpoint = ask(server, request(), request("json", schema=SCHEMA), at_once=True)
    assert endpoint.body(request("json", schema=SCHEMA))["response_format"] == {"type": "json_object"}


def test_a_complaint_that_leaving_out_does_not_settle_is_not_remembered() -> None:
    def script(asked: dict[str, Any], number: int) -> Scripted:
        return error(422, "messages are wrong; got response_format too") if number < 3 else Scripted()

    with ScriptedServer(script) as server:
        results, _ = ask(server, request("json", schema=SCHEMA), request("json", schema=SCHEMA))
    assert isinstance(results[0], RequestRefused)
    assert results[1].text == "ok"
    assert server.requests[-1]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    ("models", "context", "server_name"),
    [
        ([{"id": "other", "owned_by": "x"}, {"id": "model-1", "owned_by": "vllm", "max_model_len": 8192}], 8192, "vllm"),
        ([{"id": "model-1", "owned_by": "sglang", "root": "m", "max_model_len": 4096}], 4096, "sglang"),
        ([{"id": "a.gguf", "owned_by": "llamacpp", "meta": {"n_ctx": 2048, "n_ctx_train": 32768}}], 2048, "llamacpp"),
        ([{"id": "a.gguf", "owned_by": "llamacpp", "meta": {"n_vocab": 9, "n_ctx_train": 32768}}], 32768, "llamacpp"),
        ([{"id": "model-1", "owned_by": "deepseek"}, {"id": "model-2", "owned_by": "deepseek"}], None, "deepseek"),
        ([{"id": "a"}, {"id": "b"}], None, None),
        ([{"id": "model-1", "max_model_len": "big", "meta": None, "owned_by": 7}], None, None),
        ([], None, None),
        (None, None, None),
    ],
)
def test_the_server_tells_its_context_and_name(models: Any, context: int | None, server_name: str | None) -> None:
    with ScriptedServer([Scripted()], models=models) as server:
        _, endpoint = ask(server, request())
        _, told = ask(server, request(), context_tokens=99)
    assert endpoint.context_tokens == context
    assert told.context_tokens == 99
    assert endpoint.identity.get("server") == server_name
    assert endpoint.identity["host"] == f"127.0.0.1:{server.port}"
    assert endpoint.identity["model"] == "model-1"


@pytest.mark.parametrize("concurrency", [1, 4])
def test_no_more_requests_are_on_the_wire_than_allowed_whatever_happens(concurrency: int) -> None:
    together = threading.Barrier(concurrency)

    def script(asked: dict[str, Any], number: int) -> Scripted:
        if number < concurrency:  # the first ones wait for each other, however busy the machine
            together.wait(timeout=600)
        faults = [error(500, "oops"), error(429, "slow", headers={"retry-after-ms": "20"}), Scripted(fault="reset"), Scripted(body=b"?")]
        return faults[number // 7 % 4] if number % 7 == 0 else Scripted(delay_s=0.02)

    with ScriptedServer(script) as server:
        results, endpoint = ask(server, *(request(str(number)) for number in range(60)), at_once=True, concurrency=concurrency)
    assert [reply.text for reply in results] == ["ok"] * 60
    assert server.most_at_once == concurrency
    assert endpoint.spending.requests == len(server.requests) > 60


def test_after_429s_half_as_many_requests_are_on_the_wire_and_none_is_lost() -> None:
    together, at_once = threading.Barrier(8), list[int]()

    def script(asked: dict[str, Any], number: int) -> Scripted:
        if number < 8:
            together.wait(timeout=60)
            return error(429, "slow down", headers={"retry-after-ms": "20"})
        at_once.append(server._at_once)
        return Scripted(delay_s=0.05)

    with ScriptedServer(script) as server:
        results, _ = ask(server, *(request(str(number)) for number in range(40)), at_once=True, concurrency=8)
    assert [reply.text for reply in results] == ["ok"] * 40
    assert len(server.requests) == 48
    assert max(at_once[:4]) <= 4
    assert max(at_once) <= 8


def test_spending_stops_before_the_request_that_could_pass_the_limit() -> None:
    spending = SpendingLimit(Price(0.0, 1_000_000.0), max_cost=210)
    with ScriptedServer([Scripted(usage=(1, 60))]) as server:
        results, _ = ask(server, *[request(max_new_tokens=100)] * 4, spending=spending)
    assert [type(result) for result in results] == [Generation, Generation, SpendingStop, SpendingStop]
    assert len(server.requests) == 2
    assert spending.spent == 120


def test_every_http_try_counts_against_the_number_of_requests() -> None:
    result, server = outcome([error(500, "oops")], spending=SpendingLimit(None, max_requests=3))
    assert isinstance(result, SpendingStop)
    assert len(server.requests) == 3


def test_a_cancelled_request_leaves_nothing_open() -> None:
    async def inside() -> float:
        async with OpenAIGenerator("m", base_url=server.base_url, spending=SpendingLimit(Price(1, 1))) as endpoint:
            asking = asyncio.create_task(endpoint.generate(request()))
            while not server.requests:
                await asyncio.sleep(0.01)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            return endpoint.spending.spent

    with ScriptedServer([Scripted(fault="hang")]) as server:
        assert asyncio.run(inside()) > 0


def test_openai_itself_wants_a_key_and_other_servers_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    openai = OpenAIGenerator("m")  # so far nothing is asked: a dry run needs no key
    with pytest.raises(EndpointError, match="OPENAI_API_KEY"):
        asyncio.run(openai.__aenter__())
    with ScriptedServer([Scripted()]) as server:
        assert ask(server, request())[0][0].text == "ok"
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        assert ask(server, request(), base_url=None)[0][0].text == "ok"
    assert KEY not in str(server.authorizations)


@pytest.mark.parametrize("key", [KEY + "\n" + KEY, KEY + "…", KEY + " x"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_told(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(EndpointError, match="OPENAI_API_KEY") as caught:
        asyncio.run(OpenAIGenerator("m", base_url="http://127.0.0.1:1/v1").__aenter__())
    assert KEY not in everything_told(caught.value)


@pytest.mark.parametrize(
    "url", ["user:hunter22@host/v1", "ftp://user:hunter22@host/v1", "http://", "http://user:hunter22@[::1/v1", "nonsense"]
)
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UsageError, match="http://127") as caught:
        OpenAIGenerator("m", base_url=url)
    assert "hunter22" not in everything_told(caught.value)


def everything_told(error: BaseException) -> str:
    """All that an error and what led to it could show, printed or not."""
    told, seen = "", set[int]()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            told += f"{one!r} {one} {one.args} {vars(one)} " + "".join(traceback.format_exception(one))
            todo += [one.__cause__, one.__context__]
    return told


ECHOES = [f"Incorrect API key provided: {KEY}.", f"bad header Authorization: Bearer {KEY}", f"no {PASSWORD} there", f"{'y' * 290}{KEY}"]


def error_paths() -> Iterator[Scripted]:
    for status in (400, 401, 402, 403, 404, 413, 418, 422, 429, 500, 503):
        for number, echo in enumerate(ECHOES):
            yield error(status, echo, code=("insufficient_quota", "context_length", "response_format", KEY)[number])
        yield Scripted(status=status, body=f"<html>{KEY} {PASSWORD}</html>".encode())
        yield Scripted(status=status, body={"detail": [KEY, {"input": KEY}]})
    for echo in ECHOES:
        yield Scripted(body={"error": {"message": echo, "code": 400}})
        yield Scripted(body=echo.encode())
        yield Scripted(finish_reason="error", headers={"x-echo": KEY})
    yield Scripted(fault="reset")
    yield Scripted(fault="reset_mid_body", headers={"x-echo": KEY})
    yield Scripted(fault="hang")


def test_no_secret_is_told_by_any_error_repr_log_or_identity(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.INFO)
    paths = list(error_paths())

    async def inside() -> None:
        url = f"http://user:p%C3%A4ssword-8842@127.0.0.1:{server.port}/v1?token={KEY}"
        async with OpenAIGenerator("m", base_url=url, timeout_s=0.2, clock=VirtualClock()) as endpoint:
            assert endpoint.identity["server"] == "***"
            for number, path in enumerate(paths):
                (result,) = await asyncio.gather(endpoint.generate(request(str(number), schema=SCHEMA)), return_exceptions=True)
                assert isinstance(result, AsapError), (path, result)
                told = everything_told(result) + repr(endpoint) + str(endpoint) + str(endpoint.identity) + repr(endpoint.endpoint.secrets)
                for secret in (KEY, KEY[:12], PASSWORD, "p%C3%A4ss", "user:"):
                    assert secret not in told, (path, secret)

    with ScriptedServer(lambda asked, _: paths[int(asked["messages"][0]["content"])], models=[{"id": "m", "owned_by": KEY}]) as server:
        asyncio.run(inside())
    logged = caplog.text + "".join(capfd.readouterr())
    assert "token=***" in logged  # so there was something to hide
    assert KEY not in logged
    assert "ssword-8842" not in logged
    assert not logging.getLogger("httpx2").filters


def test_credentials_and_query_of_the_address_reach_the_server() -> None:
    with ScriptedServer([Scripted()], models=[{"id": "model-1", "max_model_len": 9}]) as server:
        url = f"http://user:p%C3%A4ss@127.0.0.1:{server.port}/v1?api-version=7"
        (reply,), endpoint = ask(server, request(), base_url=url)
    assert reply.text == "ok"
    assert endpoint.context_tokens == 9
    assert server.authorizations == ["Basic " + b64encode("user:päss".encode()).decode()]
    assert server.paths[-1] == "/v1/chat/completions?api-version=7"


def test_a_proxy_of_the_environment_is_not_asked_for_a_server_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def work(server: ScriptedServer) -> Generation:
        async with OpenAIGenerator("m", base_url=server.base_url) as endpoint:
            return await endpoint.generate(Request([{"role": "user", "content": "hello"}], 10, 0.0))

    with ScriptedServer([Scripted("yes")]) as server:
        assert asyncio.run(work(server)).text == "yes"


# --- engines that fill in samplers from the model's own files

VLLM = {"/version": '{"version": "0.32.0"}', "/metrics": 'vllm:cache_config_info{enable_prefix_caching="True"} 1.0\n'}
SGLANG = {"/get_server_info": '{"version": "0.5", "disable_radix_cache": false, "model_path": "m"}'}
OFF = {"repetition_penalty": 1.0, "top_k": -1, "min_p": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}


@pytest.mark.parametrize("pages", [VLLM, SGLANG])
@pytest.mark.parametrize("measured", [True, False])
def test_vllm_and_sglang_are_sent_samplers_that_do_nothing(pages: Mapping[str, str], measured: bool) -> None:
    with ScriptedServer([Scripted("yes")], pages=pages) as server:
        _, endpoint = ask(server, request(), measured=measured)
    [sent] = server.requests
    assert sent.items() >= OFF.items()
    assert endpoint.identity["samplers"] == OFF
    assert prefix_caching(endpoint.identity) == "on"


def test_other_servers_are_sent_no_samplers_that_they_may_not_know() -> None:
    with ScriptedServer([Scripted("yes")], pages={"/version": '{"version": "1"}'}) as server:
        _, endpoint = ask(server, request())
    assert not server.requests[0].keys() & OFF.keys()
    assert "samplers" not in endpoint.identity
    assert prefix_caching(endpoint.identity) == "unknown"


def test_a_sampler_that_the_server_does_not_take_is_left_out_said_and_recorded() -> None:
    def script(sent: dict[str, Any], number: int) -> Scripted:
        wrong = [name for name in ("top_k", "min_p") if name in sent]
        return error(400, f"{wrong[0]} must be a number that I like") if wrong else Scripted("yes")

    said = list[str]()
    with ScriptedServer(script, pages=VLLM) as server:
        results, endpoint = ask(server, request(), request("again"), log=said.append)
    assert [reply.text for reply in results] == ["yes", "yes"]
    assert len(server.requests) == 4
    assert endpoint.identity["not_sent"] == "min_p, top_k"
    assert endpoint.identity["samplers"] == {name: value for name, value in OFF.items() if name not in ("min_p", "top_k")}
    assert len(said) == 2
    assert "min_p" in said[0]


# --- servers that count a prompt


def counting(counts: Mapping[str, int], *, context: int = 1000) -> ScriptedServer:
    """vLLM, with a count for each prompt."""

    def script(sent: dict[str, Any], number: int) -> Scripted:
        if "max_tokens" in sent:
            return Scripted("yes")
        return Scripted(body={"count": counts[sent["messages"][0]["content"]], "max_model_len": context, "tokens": []})

    return ScriptedServer(script, pages=VLLM, models=[{"id": "model-1", "owned_by": "vllm", "max_model_len": context}])


def test_a_server_that_counts_the_prompt_leaves_all_the_rest_for_the_reply() -> None:
    long = "word " * 600
    with counting({long: 700}) as server:
        ask(server, request(long, max_new_tokens=500))
    assert server.paths == ["/tokenize", "/v1/chat/completions"]
    assert server.requests[0] == {"model": "model-1", "messages": [{"role": "user", "content": long}], "add_generation_prompt": True}
    assert server.requests[1]["max_tokens"] == 300, "by bytes it would have been the least, 64"


def test_a_prompt_that_the_server_counts_as_too_long_is_refused_without_asking() -> None:
    long = "word " * 600
    with counting({long: 1000}) as server:
        (result,), _ = ask(server, request(long))
    assert isinstance(result, RequestRefused)
    assert (result.reason, result.prompt_tokens) == ("context_too_long", 1000)
    assert server.paths == ["/tokenize"]


def test_short_prompts_are_not_counted() -> None:
    with counting({}) as server:
        ask(server, request())
    assert server.paths == ["/v1/chat/completions"]


def test_a_server_that_cannot_count_messages_is_asked_once() -> None:
    def script(sent: dict[str, Any], number: int) -> Scripted:
        return Scripted("yes") if "max_tokens" in sent else error(422, "prompt: field required")

    with ScriptedServer(script, pages=SGLANG, models=[{"id": "model-1", "max_model_len": 1000}]) as server:
        ask(server, request("word " * 600), request("words " * 500))
    assert server.paths.count("/tokenize") == 1
    assert len(server.paths) == 3

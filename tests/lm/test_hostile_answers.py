"""A server's answer is data: whatever stands in a field, and however much comes, ends in a reply or in one sentence."""

import asyncio
import itertools
import json
import shutil
import ssl
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hostile_server import JSON, STREAM, Hostile, completion, event, hostile, redirect
from hypothesis import given
from hypothesis import strategies as st
from scripted_server import Scripted, ScriptedServer, VirtualClock

from asap.lm import send
from asap.lm.api_error import ApiError, Secrets
from asap.lm.batch import _Batch, _read_lines
from asap.lm.engine import ENGINE_PATHS, engine_name, prefix_caching, read_engine
from asap.lm.fields import MOST_TOKENS, AnswerTooLarge
from asap.lm.generate import EndpointError, Generation, Request, RequestRefused, SpendingStop
from asap.lm.openai import OpenAIGenerator
from asap.lm.prompt_logprobs import SGLANG, VLLM
from asap.lm.rate_limit import retry_after_s
from asap.lm.reply_cache import CachedGenerator, ReplyCache
from asap.lm.response import Streamed, read_generation, read_model
from asap.lm.spending import Price, SpendingLimit

ASKED = Request([{"role": "user", "content": "hello"}], max_new_tokens=50, temperature=0.0)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))  # the system's certificates take long to load
    monkeypatch.setenv("OPENAI_API_KEY", "")


# --- any value in any field

TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)
NUMBERS = st.one_of(st.integers(), st.sampled_from([-1, 0, 10**30, 10**400, 1 << 63]), st.floats(), st.booleans(), st.none())
ANY = st.recursive(NUMBERS | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8)
COMPLETION = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "a", "reasoning_content": "b"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5},
}
IN_PARTS = {"choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"type": "thinking", "thinking": [{"text": "b"}]}]}}]}
CHUNK = {"choices": [{"delta": {"content": "a", "reasoning": "b"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}, "x": 1}
MODELS = {"data": [{"id": "m", "owned_by": "o", "max_model_len": 9, "root": "/a/b", "meta": {"n_ctx": 3, "n_ctx_train": 4}}]}
SETTINGS = {"version": "1", "build_info": "b", "total_slots": 1, "model_path": "/a/b", "default_generation_settings": {"n_ctx": 4}}
SETTINGS |= {"disable_radix_cache": True, "dtype": "d", "context_length": 4}
ERROR = {"error": {"message": "m", "type": "t", "code": 1, "param": "p", "detail": "d"}}
LOGPROBS = {
    "choices": [{"prompt_logprobs": [None, {"7": {"logprob": -1.0}}]}],
    "meta_info": {"input_token_logprobs": [[None, 3, None], [-1.0, 7, None]]},
}
BATCH = {"id": "b", "status": "completed", "metadata": {"asap": "x"}, "request_counts": {"completed": 1, "total": 2}}
BATCH |= {"output_file_id": "f", "errors": {"data": [{"message": "m"}]}}
LINE = {"custom_id": "k", "response": {"status_code": 200, "body": {}}, "error": {}}


def paths_in(value: Any) -> Iterator[tuple[Any, ...]]:
    yield ()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from ((key, *path) for path in paths_in(inner))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)  # type: ignore[index]
    return copy


def spoiled(template: Any) -> st.SearchStrategy[bytes]:
    """The JSON of an answer with anything in one or two of its fields."""
    places = st.lists(st.tuples(st.sampled_from(list(paths_in(template))), ANY), min_size=1, max_size=2)

    def make(changes: list[tuple[tuple[Any, ...], Any]]) -> bytes:
        value = template
        for path, new in changes:
            if path in set(paths_in(value)):
                value = put(value, path, new)
        return json.dumps(value).encode()

    return places.map(make)


def is_clean(*texts: str) -> bool:
    """Whether a file can hold them."""
    return all(isinstance(text, str) and text.encode("utf-8") is not None for text in texts)


def check_generation(content: bytes) -> None:
    found = read_generation(content, 7, None)
    if found is None:
        return
    assert is_clean(found.text, found.thought, found.whole(), found.answered().text)
    assert found.finish_reason.isprintable()
    assert 0 < len(found.finish_reason) <= 200
    assert all(type(count) is int and 0 <= count <= MOST_TOKENS for count in found[2:4])


@given(spoiled(COMPLETION) | spoiled(IN_PARTS) | st.binary(max_size=20))
def test_any_completion_is_a_generation_or_none(content: bytes) -> None:
    check_generation(content)


@given(st.lists(spoiled(CHUNK) | st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")), max_size=4))
def test_any_stream_is_a_generation_or_none(chunks: list[bytes]) -> None:
    streamed = Streamed(50)
    for chunk in chunks:
        streamed.feed(b"data: " + chunk + b"\n\n")
    check_generation(streamed.content())


@given(spoiled(MODELS))
def test_any_list_of_models_can_be_written_down(content: bytes) -> None:
    served = read_model(content, "m")
    assert is_clean(json.dumps([served.server, served.weights], ensure_ascii=False))
    assert served.context_tokens is None or type(served.context_tokens) is int


@given(st.lists(spoiled(SETTINGS), min_size=4, max_size=4), st.booleans())
def test_any_settings_of_an_engine_can_be_written_down(pages: list[bytes], is_vllm: bool) -> None:
    answers = dict(zip(ENGINE_PATHS, (page.decode() for page in pages), strict=True))
    engine = read_engine({**answers, "metrics": 'vllm:cache_config_info{a="\ud800",cache_dtype="x"} 1'} if is_vllm else answers)
    assert is_clean(json.dumps(engine, ensure_ascii=False), engine_name(engine), prefix_caching({"engine": engine}))


@given(spoiled(ERROR), st.integers(200, 599), st.text(max_size=9))
def test_any_error_is_one_printable_line(content: bytes, status: int, retry_after: str) -> None:
    error = ApiError.read(status, {"retry-after": retry_after}, content, Secrets("key", "http://h/v1"))
    assert is_clean(str(error), str(error.error("host", "model")), str(error.not_taken({"top_p": 1, "max_tokens": 1})))
    assert "\n" not in str(error)
    assert 400 <= error.status <= 599 or error.status == status


@given(spoiled(LOGPROBS))
def test_any_log_probabilities_are_finite_numbers_or_none(content: bytes) -> None:
    for wire in (VLLM, SGLANG):
        found = wire.read(content, [3, 7], 1)
        assert found is None or found[1:].tolist() == [pytest.approx(found[1])]
        assert found is None or abs(found[1]) < 1e300


@given(spoiled(BATCH), st.lists(spoiled(LINE) | st.binary(max_size=9), max_size=3))
def test_any_batch_and_its_lines_are_read_or_left_out(content: bytes, lines: list[bytes]) -> None:
    batch = _Batch.read(json.loads(content))
    assert batch is None or is_clean(batch.id, batch.status, *batch.files, *batch.errors)
    for key, line in _read_lines(lines).items():
        assert is_clean(key)
        assert 100 <= line.status <= 599


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text(max_size=30) | st.integers().map(str)))
def test_any_retry_after_is_a_pause_or_none(headers: dict[str, str]) -> None:
    pause_s = retry_after_s(headers)
    assert pause_s is None or 0 <= pause_s <= 86_400


@pytest.mark.parametrize(
    "text",
    ["1e400", "-1", "nan", "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 99999 23:59:59 GMT", "1 Jan 1 0:0 +9999"],
)
def test_a_pause_of_a_day_or_more_is_none(text: str) -> None:
    assert retry_after_s({"retry-after": text}) is None
    assert retry_after_s({"retry-after-ms": text}) is None


# --- what a reply cost


def ask(base_url: str, requests: int = 1, timeout_s: float = 60.0, **settings: Any) -> list[Any]:
    """What each request comes to, one after the other."""

    async def inside() -> list[Any]:
        async with OpenAIGenerator("m", base_url=base_url, clock=VirtualClock(), timeout_s=timeout_s, **settings) as llm:
            return [(await asyncio.gather(llm.generate(ASKED), return_exceptions=True))[0] for _ in range(requests)]

    return asyncio.run(inside())


UNUSABLE: list[Any] = [-1, -1_000_000, True, False, 10**30, 10**400, 1.5, "7", None, [], {}]


@pytest.mark.parametrize("number", UNUSABLE)
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_usage_that_cannot_be_is_counted_here_and_said_once(name: str, number: Any) -> None:
    said = list[str]()
    body = {**COMPLETION, "usage": {"prompt_tokens": 10, "completion_tokens": 5, name: number}}
    with ScriptedServer([Scripted(body=body)]) as server:
        replies = ask(server.base_url, 2, log=said.append)
    assert [(reply.prompt_tokens, reply.completion_tokens, reply.counted_here) for reply in replies] == [(10, 1, True)] * 2
    assert len(said) == 1
    assert "tells no usable numbers of tokens" in said[0]


@pytest.mark.parametrize("usage", [{"prompt_tokens": -(10**6), "completion_tokens": -9}, {"prompt_tokens": 0, "completion_tokens": 0}, 7])
def test_the_limit_of_cost_holds_whatever_usage_is_told(usage: Any) -> None:
    spending = SpendingLimit(Price(1.0, 1.0), max_cost=0.001)
    with ScriptedServer([Scripted(body={**COMPLETION, "usage": usage})]) as server:
        replies = ask(server.base_url, 200, spending=spending, log=lambda text: None)
    assert isinstance(replies[-1], SpendingStop)
    assert 0 < spending.spent <= 0.001


def test_what_former_runs_were_told_cannot_give_money_back() -> None:
    spending = SpendingLimit(Price(1.0, 1.0), max_cost=1.0)
    spending.begin(1, -(10**9), -(10**9))
    assert spending.spent == 0.0


@pytest.mark.parametrize("reason", ["\ud800", "a\nb", "x" * 9999, 7, ["stop"], {"a": 1}, True])
def test_a_paid_reply_with_a_strange_reason_is_stored_and_found_again(tmp_path: Path, reason: Any) -> None:
    async def inside(base_url: str, replies: ReplyCache) -> Generation:
        async with CachedGenerator(OpenAIGenerator("m", base_url=base_url, clock=VirtualClock()), replies) as llm:
            return await llm.generate(ASKED)

    choice = {"message": {"content": "a\ud800"}, "finish_reason": reason}
    with ScriptedServer([Scripted(body=json.dumps({**COMPLETION, "choices": [choice]}).encode())]) as server:
        for _ in range(2):
            with ReplyCache.open(tmp_path) as replies:
                assert asyncio.run(inside(server.base_url, replies)) == Generation("a?", "unknown", 10, 5)
        assert len(server.requests) == 1


# --- how much comes


def only(outcomes: list[Any]) -> RequestRefused:
    [outcome] = outcomes
    assert isinstance(outcome, RequestRefused)
    assert outcome.reason == "server_error"
    return outcome


@pytest.mark.parametrize("measured", [False, True])
def test_a_body_without_an_end_is_left_at_its_bound(measured: bool) -> None:
    def endless(path: str, state: Hostile) -> Iterator[bytes]:
        yield JSON
        yield from itertools.repeat(b" " * 65536)

    with hostile(endless) as server:
        refused = only(ask(server.base_url, measured=measured))
        assert server.sent < 12 << 20
        assert len(server.paths) == 1
    assert "more than an answer to this request can need" in refused.detail


def test_a_packed_body_is_bounded_by_what_it_unpacks_to() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    head = JSON.replace(b"Connection", b"Content-Encoding: gzip\r\nConnection")
    with hostile(lambda path, state: [head, bomb]) as server:
        assert "bytes, more than an answer" in only(ask(server.base_url)).detail


def test_packed_answers_are_read() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = JSON.replace(b"Connection", b"Content-Encoding: gzip\r\nConnection")
    with hostile(lambda path, state: [head, packer.compress(completion("yes")[1]) + packer.flush()]) as server:
        assert ask(server.base_url) == [Generation("yes", "stop", 10, 5, seconds=pytest.approx(0, abs=60))]


def test_of_an_error_without_an_end_the_beginning_is_read() -> None:
    def endless(path: str, state: Hostile) -> Iterator[bytes]:
        yield JSON.replace(b"200 OK", b"400 Bad Request")
        yield b"no such luck "
        yield from itertools.repeat(b"x" * 65536)

    with hostile(endless) as server:
        [refused] = ask(server.base_url)
        assert server.sent < 12 << 20
    assert str(refused).startswith("bad_request: no such luck xxx")


STREAMS: Mapping[str, Iterator[bytes]] = {
    "the stream goes on after": itertools.repeat(event("word " * 100)),
    "a line of the stream has more than": itertools.chain([b"data: "], itertools.repeat(b"x" * 65536)),
    "the answer has more than": itertools.repeat(b": ping\n\n" * 1000),
    "the answer has more than ": itertools.repeat(event("") * 100),
}


@pytest.mark.parametrize("said", STREAMS)
def test_a_stream_without_an_end_is_left_at_its_bound(said: str) -> None:
    with hostile(lambda path, state: itertools.chain([STREAM], STREAMS[said])) as server:
        assert said.strip() in only(ask(server.base_url, measured=True)).detail
        assert server.sent < 12 << 20


@pytest.mark.parametrize("begins", [b"", event("a")])
def test_a_stream_that_only_pings_is_given_up(monkeypatch: pytest.MonkeyPatch, begins: bytes) -> None:
    monkeypatch.setattr(send, "_SILENCE_S", 0.2)

    def pings(path: str, state: Hostile) -> Iterator[bytes]:
        yield STREAM + begins
        while not state.stopping.wait(0.02):
            yield b": ping\n\n"

    with hostile(pings) as server:
        assert "the stream goes on without text" in only(ask(server.base_url, timeout_s=2.0, measured=True)).detail


def test_what_comes_after_the_end_of_a_stream_is_not_waited_for() -> None:
    def lingering(path: str, state: Hostile) -> Iterator[bytes]:
        yield STREAM + event("yes") + event(None, finish_reason="stop") + b"data: [DONE]\n\n"
        while not state.stopping.wait(0.02):
            yield b": ping\n\n"

    with hostile(lingering) as server:
        [reply] = ask(server.base_url, measured=True, log=lambda text: None)
    assert (reply.text, reply.finish_reason) == ("yes", "stop")


@pytest.mark.parametrize("measured", [False, True])
def test_headers_that_come_byte_by_byte_are_given_up_at_the_deadline(measured: bool) -> None:
    def drip(path: str, state: Hostile) -> Iterator[bytes]:
        for byte in itertools.cycle(b"X-More: and more\r\n"):
            yield bytes([byte])
            if state.stopping.wait(0.02):
                return

    def slow(path: str, state: Hostile) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n"
        yield from drip(path, state)

    with hostile(slow) as server:
        assert "no whole answer within 0.3 s" in only(ask(server.base_url, timeout_s=0.3, measured=measured)).detail


def test_many_pieces_are_one_text_and_too_many_are_refused() -> None:
    streamed = Streamed(1 << 20)
    for _ in range(20_000):
        streamed.feed(event("word "))
    assert json.loads(streamed.content())["choices"][0]["message"]["content"] == "word " * 20_000
    with pytest.raises(AnswerTooLarge):
        Streamed(0).feed(event("x" * 70_000))


# --- redirects and certificates


def fatal(outcomes: list[Any]) -> str:
    [outcome] = outcomes
    assert isinstance(outcome, EndpointError)
    return str(outcome)


def test_training_data_does_not_follow_a_redirect_to_another_host() -> None:
    with hostile(lambda path, state: completion("stolen")) as thief:
        for to in (
            f"http://127.0.0.1:{thief.port}/v1/chat/completions",
            f"//localhost:{thief.port}/x",
            f"http://user:pw@127.0.0.1:{thief.port}/",
        ):
            for status in (307, 308, 301, 302, 303):
                with hostile(lambda path, state, status=status, to=to: redirect(status, to)) as server:  # type: ignore[misc]
                    said = fatal(ask(server.base_url))
                assert f":{server.port} redirects to " in said
                assert "neither prompts nor keys are sent on to another host" in said
                assert "pw" not in said
                assert len(server.paths) == 1
        assert thief.paths == []


def test_a_redirect_within_the_host_is_followed_with_the_body() -> None:
    def moved(path: str, state: Hostile) -> list[bytes]:
        return completion("yes") if path == "/new" else redirect(307, "/new")

    with hostile(moved) as server:
        [reply] = ask(server.base_url)
    assert reply.text == "yes"
    assert server.paths == ["/v1/chat/completions", "/new"]
    assert server.bodies[0] == server.bodies[1]


def test_a_redirect_that_would_drop_the_body_names_the_address() -> None:
    with hostile(lambda path, state: redirect(301, "/v2/chat/completions")) as server:
        said = fatal(ask(server.base_url))
    assert said.endswith(f"redirects to 127.0.0.1:{server.port}/v2/chat/completions; name that address with --base-url")


def test_redirects_in_a_circle_end() -> None:
    with hostile(lambda path, state: redirect(307, path)) as server:
        assert "one redirect after the other" in fatal(ask(server.base_url))
    assert len(server.paths) == 6


def test_a_certificate_that_is_not_trusted_ends_the_run_at_once(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("A CERTIFICATE THAT IS NOT TRUSTED IS NOT TRIED: openssl is not installed")
    names = ["-subj", "/CN=127.0.0.1", "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", *names]
    subprocess.run(make, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with hostile(lambda path, state: completion("yes"), tls) as server:
        said = fatal(ask(server.base_url.replace("http:", "https:")))
    assert f"127.0.0.1:{server.port} cannot be asked: the certificate of the server is not trusted (" in said
    assert server.paths == []

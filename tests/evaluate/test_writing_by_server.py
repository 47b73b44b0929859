"""Servers: streaming, token ids with one BOS, chat where ids are not taken, thinking that was taken apart, faults."""

from itertools import islice
from typing import Any

import pytest
from evaluate_helpers import NoWait, Streamed, streaming, write

from asap.lm.generate import EndpointError, Request
from asap.lm.openai import OpenAIGenerator
from asap.lm.prompt import render_prompt
from asap.lm.specs import load_tokens


def asking(text: str, max_new_tokens: int = 50) -> Request:
    return Request([{"role": "user", "content": text}], max_new_tokens, 0.0)


ASKS = {f"key-{number}": asking(f"Double x. {number}") for number in range(6)}


def server_model(**options: Any) -> OpenAIGenerator:
    return OpenAIGenerator("m", **options, measured=True, clock=NoWait())


def first(count: int) -> dict[str, Request]:
    return dict(islice(ASKS.items(), count))


def test_chat_without_a_tokenizer() -> None:
    def script(path: str, body: dict[str, Any]) -> Streamed:
        return Streamed(["re: ", body["messages"][0]["content"]])

    with streaming(script) as server:
        model = server_model(base_url=server.base_url, concurrency=3)
        found = write(model, ASKS)
    assert {key: written.text for key, written in found.items()} == {key: "re: " + ask.messages[0]["content"] for key, ask in ASKS.items()}
    assert server.most_at_once <= 3
    assert {path for path, _ in server.requests} == {"/v1/chat/completions"}
    assert all(body["temperature"] == 0 and body["max_tokens"] == 50 for _, body in server.requests)
    one = found["key-0"]
    assert (one.stopped_by, one.prompt_tokens, one.tokens, one.opened) == ("stop", 7, 2, False)
    assert one.ttft_s is not None
    assert 0 < one.ttft_s <= one.seconds
    assert model.identity["server"] == "vllm"
    assert model.identity["asked_with"] == "chat"


@pytest.mark.parametrize("name", ["plain", "thinking"])
def test_prompts_go_out_as_token_ids_with_exactly_one_bos(name: str, model_folders: dict[str, str]) -> None:
    tokens = load_tokens(model_folders[name])

    with streaming(lambda path, body: Streamed(["hm</think>", "yes"], finish_reason="length")) as server:
        model = server_model(base_url=server.base_url, concurrency=2, tokens=tokens)
        found = write(model, first(1))
    [(path, body)] = server.requests
    assert path == "/v1/completions"
    assert body["prompt"].count(tokens.bos_id) == 1
    assert body["prompt"][0] == tokens.bos_id
    assert tokens.hf.decode(body["prompt"]) == "<|bos|><|user|>Double x. 0<|model|>" + ("<think>\n" if name == "thinking" else "")
    written = found["key-0"]
    assert written.opened is (name == "thinking")
    assert written.text == ("<think>\n" if name == "thinking" else "") + "hm</think>yes"
    assert written.stopped_by == "length"
    assert model.identity["asked_with"] == "token ids"


def test_a_server_that_takes_no_token_ids_is_asked_for_chat(model_folders: dict[str, str]) -> None:
    def script(path: str, body: dict[str, Any]) -> Streamed:
        return Streamed(["yes"]) if "chat" in path else Streamed(status=404, message="no such path")

    with streaming(script) as server:
        model = server_model(base_url=server.base_url, concurrency=1, tokens=load_tokens(model_folders["plain"]))
        found = write(model, first(2))
    assert [written.text for written in found.values()] == ["yes", "yes"]
    assert model.identity["asked_with"] == "chat"


def test_those_who_wait_when_token_ids_are_refused_are_asked_for_chat_too(model_folders: dict[str, str]) -> None:
    def script(path: str, body: dict[str, Any]) -> Streamed:
        return Streamed(["yes"]) if "chat" in path else Streamed(status=404, message="no such path")

    with streaming(script) as server:
        model = server_model(base_url=server.base_url, concurrency=1, tokens=load_tokens(model_folders["plain"]))
        found = write(model, ASKS)
    assert [written.text for written in found.values()] == ["yes"] * 6
    assert model.identity["asked_with"] == "chat"


def test_what_a_server_does_not_take_is_found_out_once_for_all_who_wait() -> None:
    def script(path: str, body: dict[str, Any]) -> Streamed:
        return Streamed(status=400, message="temperature is not supported") if "temperature" in body else Streamed(["yes"])

    with streaming(script) as server:
        model = server_model(base_url=server.base_url, concurrency=1)
        found = write(model, ASKS)
    assert [written.text for written in found.values()] == ["yes"] * 6
    assert len(server.requests) == 7
    assert model.identity["not_sent"] == "temperature"


def test_a_server_that_does_not_stream_is_read_all_the_same() -> None:
    body = {"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    with streaming(lambda path, asked: Streamed(body=body)) as server:
        [written] = write(server_model(base_url=server.base_url, concurrency=1), first(1)).values()
    assert (written.text, written.stopped_by, written.prompt_tokens, written.tokens, written.ttft_s) == ("yes", "stop", 7, 2, None)
    assert written.seconds > 0


def test_thinking_that_the_server_took_apart_is_put_together_again() -> None:
    with streaming(lambda path, body: Streamed(["yes"], thoughts=["h", "m"])) as server:
        [whole] = write(server_model(base_url=server.base_url, concurrency=1), first(1)).values()
    with streaming(lambda path, body: Streamed([], thoughts=["h", "m"], finish_reason="length")) as server:
        [cut] = write(server_model(base_url=server.base_url, concurrency=1), first(1)).values()
    assert whole.text == "<think>\nhm\n</think>\n\nyes"
    assert cut.text == "<think>\nhm\n", "never closed: it came to no answer"


def test_a_prompt_that_leaves_no_room_is_an_outcome_and_one_that_leaves_little_stops_at_the_context(
    model_folders: dict[str, str],
) -> None:
    tokens = load_tokens(model_folders["plain"])
    asks = {"long": asking("x " * 2000, 5000), "key-0": asking("Double x. 0", 5000)}
    with streaming(lambda path, body: Streamed(["a"], finish_reason="length")) as server:  # it tells a context of 1000
        model = server_model(base_url=server.base_url, concurrency=1, tokens=tokens)
        found = write(model, asks)
    assert found["long"].stopped_by == "too_long"
    assert found["key-0"].stopped_by == "context"
    assert server.requests[0][1]["max_tokens"] == 1000 - len(render_prompt(tokens, ASKS["key-0"].messages).ids)


@pytest.mark.parametrize(
    ("answered", "message"),
    [
        (Streamed(status=401, message="who are you"), "refused access"),
        (Streamed(status=404, message="no such model"), "has no model 'm'"),
        (Streamed(["half"], finish_reason=None), "broke off"),
    ],
)
def test_faults_end_the_run_with_one_sentence(answered: Streamed, message: str) -> None:
    with streaming(lambda path, body: answered) as server, pytest.raises(EndpointError, match=message):
        write(server_model(base_url=server.base_url, concurrency=2), ASKS)


def test_a_stream_that_breaks_off_is_asked_for_again() -> None:
    def script(path: str, body: dict[str, Any]) -> Streamed:
        return Streamed(["half"], finish_reason=None) if len(server.requests) < 2 else Streamed(["whole"])

    with streaming(script) as server:
        [written] = write(server_model(base_url=server.base_url, concurrency=1), first(1)).values()
    assert (written.text, len(server.requests)) == ("whole", 2)


def test_a_server_that_is_not_there() -> None:
    model = server_model(base_url="http://127.0.0.1:9/v1", concurrency=1)
    with pytest.raises(EndpointError, match=r"127\.0\.0\.1:9 does not answer"):
        write(model, first(1))

"""A scorer behind a server gives the numbers of one in this process, and refuses servers that would give others."""

import itertools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_helpers import QUESTION, TRACE, refusal, visible_steps
from logprob_server import LogprobServer
from scripted_server import Scripted, VirtualClock

from asap.errors import RowError, UsageError
from asap.lm.generate import EndpointError
from asap.lm.prompt_logprobs import SGLANG, VLLM
from asap.lm.scorer import LeaveOutRequest, ScoreRequest
from asap.lm.scorer_server import _PROBE, ServerScorer
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import load_scorer
from asap.lm.tokens import TokenCounter
from asap.spans import Span

Folders = Callable[..., Path]
TOLERANCE = 1e-4


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))  # all is plain HTTP here, and the system's certificates take long to load
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def folder(model_folder: Folders) -> Path:
    return model_folder("qwen", "llama")


def served(server: LogprobServer, tokenizer: Path, **options: object) -> ServerScorer:
    return ServerScorer("tiny", TokenCounter.load(str(tokenizer)), base_url=server.base_url, clock=VirtualClock(), **options)  # type: ignore[arg-type]


def requests() -> list[ScoreRequest]:
    steps = visible_steps(TRACE)
    return [
        ScoreRequest(QUESTION, TRACE, steps, 1),
        ScoreRequest("", TRACE, [Span(0, len(TRACE))]),
        ScoreRequest(QUESTION, TRACE, [], 1),
        ScoreRequest(QUESTION, "", [Span(0, 0)]),
        ScoreRequest(QUESTION, TRACE * 3, [Span(5, 40), Span(0, 3)], entropy=True),
    ]


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("family", ["qwen", "r1"])
@pytest.mark.parametrize("context", [4096, 130])
def test_the_numbers_are_those_of_a_model_in_this_process(model_folder: Folders, engine: str, family: str, context: int) -> None:
    folder = model_folder(family, "llama")
    here = HFScorer(str(folder), device="cpu", context_tokens=context - 2)
    with LogprobServer(folder, engine, context=context) as server:
        there = served(server, folder, concurrency=3)
        before = len(server.requests)
        found, expected = there.score(requests()), here.score(requests())
        assert server.most_at_once <= 3
        assert len(server.requests) - before == sum(one.windows for one in expected if any(len(span.starts) for span in one.spans))
        there.close()
    assert [one.windows for one in found] == [one.windows for one in expected]
    for one, other in zip(found, expected, strict=True):
        for span, wanted in zip(one.spans, other.spans, strict=True):
            np.testing.assert_array_equal(span.starts, wanted.starts)
            np.testing.assert_array_equal(span.ends, wanted.ends)
            np.testing.assert_allclose(span.logprobs, wanted.logprobs, rtol=0, atol=TOLERANCE)
            assert np.isnan(span.entropies).all()


def test_what_remains_without_each_step(folder: Path) -> None:
    request = LeaveOutRequest(QUESTION, ["one two", "three", "four five six"], tail="seven", lead="\n")
    with LogprobServer(folder) as server:
        scorer = served(server, folder)
        found, expected = scorer.leave_out(request), HFScorer(str(folder), device="cpu").leave_out(request)
        scorer.close()
    assert [one.tokens for one in found.without] == [one.tokens for one in expected.without]
    assert [one.nll for one in found.without] == pytest.approx([one.nll for one in expected.without], abs=1e-3)


def test_who_it_is_does_not_depend_on_where_it_is(folder: Path) -> None:
    with LogprobServer(folder) as server:
        scorer = served(server, folder, concurrency=2)
        again = pickle.loads(pickle.dumps(scorer))
        for one in (scorer, again):
            assert one.identity == {
                "spec": "openai:tiny",
                "model": "tiny",
                "revision": "vllm 0.32.0",
                "dtype": "chosen by the server",
                "served": "4096",
                "weights": "tiny",
            }
            assert (one.context_tokens, one.batch_tokens) == (4094, 2 * 4094)
            one.close()


def test_the_spec_loads_it(folder: Path) -> None:
    with LogprobServer(folder, "sglang") as server:
        scorer = load_scorer("openai:tiny", base_url=server.base_url, tokenizer=str(folder))
        assert isinstance(scorer, ServerScorer)
        assert (scorer.identity["revision"], scorer.identity["dtype"]) == ("sglang 0.5.4", "bfloat16")
        scorer.close()
    assert "--tokenizer" in refusal(lambda: load_scorer("openai:tiny"), UsageError)


def test_another_tokenizer_is_refused_before_anything_is_scored(folder: Path, model_folder: Folders) -> None:
    other = model_folder("smol", "llama")
    with LogprobServer(folder) as server:
        message = refusal(lambda: served(server, other), EndpointError)
    assert "is not the tokenizer of 'tiny'" in message
    assert "--tokenizer" in message


def test_another_model_name_is_refused_in_the_servers_words(folder: Path) -> None:
    with LogprobServer(folder) as server:
        tokens = TokenCounter.load(str(folder))
        message = refusal(lambda: ServerScorer("huge", tokens, base_url=server.base_url), EndpointError)
    assert "has no model 'huge'" in message


def test_a_server_that_is_not_there_is_refused_at_once(folder: Path) -> None:
    tokens = TokenCounter.load(str(folder))
    assert "does not answer" in refusal(lambda: ServerScorer("tiny", tokens, base_url="http://127.0.0.1:9/v1"), EndpointError)


def without_numbers(logprobs: list[float | None], number: int) -> list[float | None]:
    return [None] * len(logprobs)


def positive(logprobs: list[float | None], number: int) -> list[float | None]:
    return [value if value is None else -value for value in logprobs]


def cached(logprobs: list[float | None], number: int) -> list[float | None]:
    """Wrong numbers once the prefix is known."""
    return logprobs if number < 2 else [value if value is None else value - 1.0 for value in logprobs]


def incomplete(logprobs: list[float | None], number: int) -> list[float | None]:
    """Numbers only for what was not in the cache."""
    return logprobs if number < 2 else [None] * 40 + logprobs[40:]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_numbers, "does not give the log-probabilities of all tokens"),
        (positive, "--logprobs-mode raw_logprobs"),
        (cached, "--no-enable-prefix-caching"),
        (incomplete, "does not give the log-probabilities of all tokens"),
    ],
)
def test_a_server_whose_numbers_cannot_be_trusted_is_refused(folder: Path, change: Callable[..., list[float | None]], said: str) -> None:
    with LogprobServer(folder, change=change) as server:
        assert said in refusal(lambda: served(server, folder), EndpointError)


def test_numbers_that_vary_a_little_are_told(folder: Path) -> None:
    said = list[str]()
    with LogprobServer(
        folder, change=lambda values, number: [value if value is None else value - 0.01 * number for value in values]
    ) as server:
        served(server, folder, log=said.append).close()
    assert len(said) == 1
    assert "can change places" in said[0]


def test_a_text_that_the_server_refuses_is_the_fault_of_its_row_only(folder: Path) -> None:
    with LogprobServer(folder) as server:
        scorer = served(server, folder)
        server.context = 20
        with pytest.raises(RowError) as refused:
            scorer.score([ScoreRequest(QUESTION, TRACE, [Span(0, len(TRACE))])])
        scorer.close()
    assert refused.value.reason == "context_too_long"


@pytest.mark.parametrize("number", [float("nan"), float("-inf"), -1e308, 5.0, True, 10**400, "1"], ids=lambda number: str(number)[:5])
def test_numbers_that_are_none_of_one_text_reject_its_row_and_of_every_text_end_the_run(folder: Path, number: Any) -> None:
    spoilt = [False, False]

    def spoil(values: list[float | None], _: int) -> list[float | None]:
        is_test_text = len(values) == len(TokenCounter.load(str(folder)).input_ids(_PROBE))
        return [value if value is None else number for value in values] if spoilt[is_test_text] else values

    request = ScoreRequest(QUESTION, TRACE, [Span(0, len(TRACE))])
    with LogprobServer(folder, change=spoil) as server:
        scorer = served(server, folder)
        spoilt[False] = True
        with pytest.raises(RowError) as rejected:
            scorer.score([request])
        spoilt[True] = True
        with pytest.raises(EndpointError, match="log-probabilities"):
            scorer.score([request])
        spoilt[:] = False, False
        assert np.isfinite(scorer.score([request])[0].spans[0].logprobs).all()
        scorer.close()
    assert rejected.value.reason == "no_logprobs"


def failing(server: LogprobServer, how: Callable[[int, int], Scripted | None]) -> None:
    """Has a server answer otherwise, given the tokens of a text and how many were sent before."""
    answer = server.script
    assert callable(answer)
    asked = itertools.count()

    def bent(request: dict[str, Any], number: int) -> Scripted:
        ids = request.get("prompt")
        return (how(len(ids), next(asked)) if isinstance(ids, list) else None) or answer(request, number)

    server.script = bent


def lengths_of(server: LogprobServer, scorer: ServerScorer, text: ScoreRequest) -> int:
    """The tokens that are sent for a text."""
    scorer.score([text])
    return len(server.requests[-1]["prompt"])


def test_a_text_that_the_server_fails_on_is_rejected_and_does_not_keep_the_run_from_its_end(folder: Path) -> None:
    texts = [ScoreRequest(f"{QUESTION} {'really ' * number}", TRACE, [Span(0, len(TRACE))]) for number in range(3)]
    error = Scripted(status=500, body={"error": {"message": "Out of range float values are not JSON compliant"}})
    with LogprobServer(folder) as server:
        scorer = served(server, folder)
        sizes, bad = [lengths_of(server, scorer, text) for text in texts], 1
        failing(server, lambda size, _: error if size == sizes[bad] else None)
        before = len(server.requests)
        with pytest.raises(RowError, match="not JSON compliant\\); a test text it scores") as rejected:
            scorer.score(texts)
        with pytest.raises(RowError):
            scorer.score([texts[bad]])
        assert sum(len(request.get("prompt", "")) == sizes[bad] for request in server.requests[before:]) == 6
        assert len(scorer.score([texts[0], texts[2]])) == 2
        scorer.close()
    assert rejected.value.reason == "server_error"


@pytest.mark.parametrize("body", [b"<html>please log in</html>", b'{"choices": [{"prompt_logp', b"", b"null"])
def test_a_page_that_is_no_answer_is_asked_for_again(folder: Path, body: bytes) -> None:
    with LogprobServer(folder) as server:
        scorer = served(server, folder)
        failing(server, lambda size, number: Scripted(body=body) if number < 3 else None)
        assert np.isfinite(scorer.score([ScoreRequest(QUESTION, TRACE, [Span(0, len(TRACE))])])[0].spans[0].logprobs).all()
        failing(server, lambda size, number: Scripted(body=body))
        with pytest.raises(EndpointError, match="the same command goes on"):
            scorer.score([ScoreRequest(QUESTION, TRACE, [Span(0, len(TRACE))])])
        scorer.close()


def test_a_server_that_goes_away_ends_the_run_and_what_was_scored_is_kept(folder: Path) -> None:
    with LogprobServer(folder) as server:
        scorer = served(server, folder)
    with pytest.raises(EndpointError, match="the same command goes on"):
        scorer.score([ScoreRequest(QUESTION, TRACE, [Span(0, len(TRACE))])])
    scorer.close()


@pytest.mark.parametrize("wire", [VLLM, SGLANG])
@pytest.mark.parametrize(
    "content", [b"", b"[1]", b"{}", b'{"choices": [{}]}', b'{"choices": [{"prompt_logprobs": null}]}', b'{"meta_info": {}}', b"\xff"]
)
def test_answers_without_numbers_are_recognised(wire: object, content: bytes) -> None:
    assert wire.read(content, [1, 2, 3], 1) is None  # type: ignore[attr-defined]


def test_numbers_of_other_tokens_are_not_taken() -> None:
    answer = b'{"choices": [{"prompt_logprobs": [null, {"7": {"logprob": -1.0}}, {"3": {"logprob": -2.0}}]}]}'
    assert VLLM.read(answer, [1, 2, 3], 1) is None
    found = VLLM.read(answer, [1, 7, 3], 1)
    assert found is not None
    assert found[1:].tolist() == [-1.0, -2.0]
    answer = b'{"meta_info": {"input_token_logprobs": [[null, 1, null], [-1.0, 7, null], [-2.0, 3, null]]}}'
    assert SGLANG.read(answer, [1, 2, 3], 1) is None
    found = SGLANG.read(answer, [1, 7, 3], 2)
    assert found is not None
    assert found[2:].tolist() == [-2.0]

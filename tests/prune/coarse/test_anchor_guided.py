"""Stage 1 with an LLM: what comes of good, bad and missing replies, and how often is asked."""

import asyncio
import itertools
import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from asap.cost import estimate
from asap.errors import AsapError
from asap.lm.generate import EndpointError, Generation, Request, RequestRefused
from asap.lm.reply_cache import ReplyCache
from asap.lm.tokens import count_prompt
from asap.prune.coarse.anchor_guided import selections_of
from asap.prune.coarse.selection import Selection
from asap.sample import Sample
from run_fixtures import asking_settings

STEPS = [
    "We are asked for the sum of the two numbers three and four.",
    "Hmm, maybe multiplication was meant? Let me read it again.",
    "No, the statement says sum quite clearly.",
    "Three plus four is seven, counting on the fingers.",
    "So the answer has to be seven.",
]
SAMPLE = Sample("a", "What is 3 + 4?", "\n\n".join(STEPS), "7")
Script = Callable[[Request, int], str | Generation | AsapError]


class Scripted:
    """A generator that answers as a script says, given the request and how many of its kind came before for this draw's trace."""

    model, identity, tokens, resumes = "scripted", {"model": "scripted"}, None, False

    def __init__(self, script: Script, *, context_tokens: int | None = None, concurrency: int = 4) -> None:
        self.script = script
        self.context_tokens = context_tokens
        self.concurrency = concurrency
        self.requests: list[Request] = []
        self.at_once = self.most_at_once = 0

    async def __aenter__(self) -> "Scripted":
        return self

    async def __aexit__(self, *error: object) -> None:
        return None

    async def generate(self, request: Request) -> Generation:
        self.requests.append(request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        if request.kind == "anchor":
            return Generation("1. Add the numbers.", "stop", 10, 5)
        said = self.script(request, sum(other.kind == request.kind for other in self.requests) - 1)
        if isinstance(said, AsapError):
            raise said
        return said if isinstance(said, Generation) else Generation(said, "stop", 100, 20)

    def kinds(self) -> list[str]:
        return [request.kind for request in self.requests]


def selected(
    llm: Scripted, samples: list[Sample] | None = None, replies: ReplyCache | None = None, folder: Path | None = None, **settings: object
) -> list[Selection]:
    """What an LLM selects from samples, with replies in memory or in a folder."""
    chosen = asking_settings(**{"coarse": "rewrite", **settings})  # type: ignore[arg-type]
    if replies is not None:
        return selections_of([chosen.requests_about(sample) for sample in samples or [SAMPLE]], llm, replies)
    with ReplyCache.open(folder) as replies:
        return selections_of([chosen.requests_about(sample) for sample in samples or [SAMPLE]], llm, replies)


def by_script(script: Script, samples: list[Sample] | None = None, **settings: object) -> tuple[list[Selection], Scripted]:
    llm = Scripted(script)
    return selected(llm, samples, **settings), llm  # type: ignore[arg-type]


def test_a_rewritten_trace_selects_the_steps_it_matches() -> None:
    [selection], llm = by_script(lambda request, nth: "\n\n".join([STEPS[0], STEPS[3].replace("counting", "and counting"), STEPS[4]]))
    assert selection.kept == [0, 3, 4]
    assert selection.match is not None
    assert selection.match[0] == 1.0
    assert 0.9 < selection.match[1] < 1.0
    assert (selection.attempts, selection.failures) == (1, [])
    assert llm.kinds() == ["anchor", "rewrite"]
    assert (llm.requests[0].temperature, llm.requests[1].temperature, llm.requests[1].top_p) == (0.0, 2.0, 1.0)


def test_selected_numbers_are_the_steps() -> None:
    [selection], llm = by_script(lambda request, nth: json.dumps({"keep": ["1", "4-5"]}), coarse="select")
    assert selection == Selection([0, 3, 4], None, 1, [])
    assert [request.temperature for request in llm.requests] == [0.0, 0.0]


def test_an_unusable_reply_is_asked_for_again_up_to_the_attempts() -> None:
    [selection], llm = by_script(lambda request, nth: "Something else was said here entirely." if nth < 2 else SAMPLE.cot, attempts=3)
    assert selection.kept == [0, 1, 2, 3, 4]
    assert (selection.attempts, selection.failures) == (3, ["no_match", "no_match"])
    assert [request.draw for request in llm.requests[1:]] == [0, 1, 2]

    [selection], llm = by_script(lambda request, nth: Generation("", "length", 1, 1), attempts=3)
    assert selection.kept is None
    assert (selection.attempts, len(selection.failures)) == (3, 3)
    assert llm.kinds() == ["anchor", "rewrite", "rewrite", "rewrite"]


def test_select_asks_again_at_a_higher_temperature() -> None:
    _, llm = by_script(lambda request, nth: "nothing", coarse="select", attempts=3)
    assert [request.temperature for request in llm.requests] == [0.0, 0.0, 1.0, 1.0]
    _, llm = by_script(lambda request, nth: "nothing", coarse="select", attempts=2, temperature=0.3)
    assert [request.temperature for request in llm.requests] == [0.0, 0.3, 0.3]


@pytest.mark.parametrize(
    ("reply", "settings", "reason"),
    [
        (STEPS[0], {}, "head_only"),
        ("\n\n".join(STEPS), {"max_kept": 0.9}, "too_much"),
        (STEPS[4], {"min_kept": 0.5}, "too_little"),
    ],
)
def test_a_reply_that_keeps_too_little_too_much_or_the_head_only_fails(reply: str, settings: dict[str, float], reason: str) -> None:
    [selection], _ = by_script(lambda request, nth: reply, attempts=1, **settings)
    assert selection.kept is None
    assert selection.failures == [reason]


@pytest.mark.parametrize("reason", ["context_too_long", "bad_request", "server_error"])
def test_a_refusal_for_good_ends_the_attempts_of_a_rewrite(reason: str) -> None:
    [selection], llm = by_script(lambda request, nth: RequestRefused(reason, "no"))
    assert selection == Selection(None, None, 1, [reason])
    assert llm.kinds() == ["anchor", "rewrite"]


def test_an_anchor_without_content_is_asked_for_again() -> None:
    class Silent(Scripted):
        async def generate(self, request: Request) -> Generation:
            self.requests.append(request)
            return Generation("  ", "stop", 1, 0)

    llm = Silent(lambda request, nth: "")
    [selection] = selected(llm, coarse="select", attempts=2)
    assert selection == Selection(None, None, 0, ["anchor_empty", "anchor_empty"])
    assert [request.draw for request in llm.requests] == [0, 1]


def test_a_trace_of_one_step_is_not_asked_about() -> None:
    [selection], llm = by_script(lambda request, nth: "", [replace(SAMPLE, cot="Only one step.")])
    assert selection == Selection([0], None, 0, [])
    assert llm.requests == []


def test_a_trace_longer_than_the_context_is_shown_in_parts() -> None:
    steps = [f"Step number {number} does a little bit of the work that has to be done." for number in range(60)]
    shown: list[tuple[int, int]] = []

    def script(request: Request, nth: int) -> str:
        text = request.messages[-1]["content"]
        first, last = (int(word) for word in text.split("steps; steps ")[1].split(" are shown")[0].split(" to "))
        shown.append((first, last))
        return json.dumps({"keep": [f"{first}-{last}"]})

    sample = replace(SAMPLE, cot="\n\n".join(steps))
    llm = Scripted(script, context_tokens=2200)
    [selection] = selected(llm, [sample], coarse="select")
    assert selection.kept == list(range(60))
    assert len(shown) > 1
    assert shown[0][0] == 1
    assert shown[-1][1] == 60
    assert all(later[0] <= earlier[1] for earlier, later in itertools.pairwise(shown))


class LongAnchor(Scripted):
    """It writes an anchor of a hundred lines, and refuses what its context cannot hold, as servers do."""

    async def generate(self, request: Request) -> Generation:
        self.requests.append(request)
        if request.kind == "anchor":
            return Generation("\n".join(f"{number}. Add a number to another one." for number in range(100)), "stop", 10, 1000)
        assert self.context_tokens is not None
        if count_prompt(request.messages, None) + request.max_new_tokens > self.context_tokens:
            raise RequestRefused("context_too_long", "too long")
        first, last = request.messages[-1]["content"].split("steps; steps ")[1].split(" are shown")[0].split(" to ")
        return Generation(json.dumps({"keep": [f"{first}-{last}"]}), "stop", 100, 20)


@pytest.mark.parametrize("context", [1000, 1300, 2200, 9000])
def test_an_anchor_leaves_room_for_the_trace_and_the_reply(context: int) -> None:
    steps = [f"Step number {number} does a little bit of the work that has to be done." for number in range(60)]
    llm = LongAnchor(lambda request, nth: "", context_tokens=context)
    [selection] = selected(llm, [replace(SAMPLE, cot="\n\n".join(steps))], coarse="select")
    assert selection.kept == list(range(60))
    assert selection.failures == (["anchor_too_long"] if context < 9000 else [])
    shown = [request.messages[-1]["content"] for request in llm.requests if request.kind == "select"]
    assert len(shown) < 20, "nothing is asked step by step"
    assert all("0. Add a number" in text for text in shown), "its beginning stays"
    assert all(line.endswith("another one.") for text in shown for line in text.splitlines() if "Add a number" in line)


def test_a_question_that_fills_the_context_is_not_asked_about() -> None:
    llm = Scripted(lambda request, nth: "", context_tokens=400)
    [selection] = selected(llm, coarse="select")
    assert (selection.kept, selection.failures) == (None, ["context_too_long"])
    assert llm.kinds() == ["anchor"]


def test_a_server_that_finds_a_trace_too_long_is_shown_half_of_it() -> None:
    def script(request: Request, nth: int) -> str | AsapError:
        text = request.messages[-1]["content"]
        if "5 steps; steps 1 to 5" in text:
            return RequestRefused("context_too_long", "too long")
        first = text.split("steps; steps ")[1].split(" to ")[0]
        return json.dumps({"keep": [first, text.split(" are shown")[0].split(" to ")[-1]]})

    [selection], llm = by_script(script, coarse="select")
    assert selection.kept is not None
    assert selection.kept[0] == 0
    assert selection.kept[-1] == 4
    assert selection.failures == []
    assert len(llm.requests) > 3


def test_an_error_of_the_endpoint_stops_everything_when_what_is_out_came_home() -> None:
    samples = [replace(SAMPLE, id=str(number), question=f"What is 3 + 4, for the {number}th time?") for number in range(20)]
    answered = 0

    def script(request: Request, nth: int) -> str | AsapError:
        nonlocal answered
        answered += 1
        return SAMPLE.cot if answered <= 6 else EndpointError("no money left")

    llm = Scripted(script, concurrency=4)
    with ReplyCache.open(None) as replies:
        with pytest.raises(EndpointError, match="no money left"):
            selected(llm, samples, replies)
        assert replies.usage()["rewrite"].replies == 6
    assert llm.at_once == 0
    assert len(llm.requests) < 30


def test_no_more_at_once_than_allowed() -> None:
    samples = [replace(SAMPLE, id=str(number), question=f"Question {number}?") for number in range(30)]
    llm = Scripted(lambda request, nth: SAMPLE.cot, concurrency=3)
    selections = selected(llm, samples)
    assert len(selections) == 30
    assert llm.most_at_once == 3


def test_replies_are_used_again_whatever_tau_and_budget(tmp_path: Path) -> None:
    llm = Scripted(lambda request, nth: "\n\n".join([STEPS[0], STEPS[3], STEPS[4]]))
    for settings in ({}, {"tau": 0.8, "budget": 10}):
        assert selected(llm, folder=tmp_path, **settings)[0].kept == [0, 3, 4]  # type: ignore[arg-type]
    assert llm.kinds() == ["anchor", "rewrite"]


def test_it_works_inside_a_running_event_loop() -> None:
    async def work() -> list[Selection]:
        return by_script(lambda request, nth: SAMPLE.cot)[0]

    assert asyncio.run(work())[0].kept == [0, 1, 2, 3, 4]


def test_after_an_error_the_same_llm_can_be_asked_again() -> None:
    llm = Scripted(lambda request, nth: SAMPLE.cot if nth else EndpointError("no money left"))
    with ReplyCache.open(None) as replies:
        with pytest.raises(EndpointError):
            selected(llm, replies=replies)
        assert selected(llm, replies=replies)[0].kept == [0, 1, 2, 3, 4]


def test_an_llm_of_known_context_is_not_started_where_every_reply_is_known(tmp_path: Path) -> None:
    started = 0

    class Counted(Scripted):
        async def __aenter__(self) -> "Scripted":
            nonlocal started
            started += 1
            return self

    for _ in range(2):
        llm = Counted(lambda request, nth: '{"keep": ["1-5"]}', context_tokens=9000)
        assert selected(llm, folder=tmp_path, coarse="select")[0].kept == [0, 1, 2, 3, 4]
    assert started == 1


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_inside_a_running_event_loop_stops_the_asking() -> None:
    samples = [replace(SAMPLE, id=str(number), question=f"Question {number}?") for number in range(300)]
    llm = Scripted(lambda request, nth: SAMPLE.cot, concurrency=1)

    async def cell() -> None:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        selected(llm, samples)

    before, loop = signal.signal(signal.SIGINT, signal.default_int_handler), asyncio.new_event_loop()
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(cell())
    finally:
        signal.signal(signal.SIGINT, before)
        loop.close()
    assert 0 < len(llm.requests) < 600


@pytest.mark.parametrize(("anchors", "prunings"), [(1000, 10), (1, 500)])
def test_an_estimate_stays_within_what_is_possible(anchors: int, prunings: int) -> None:
    """Anchors without prunings are there after a kill, prunings without anchors if these came from another folder."""
    with ReplyCache.open(None) as replies:
        for kind, count, completion_tokens in (("anchor", anchors, 100), ("select", prunings, 10)):
            for number in range(count):
                replies.put(f"{kind} {number}", kind, Generation("", "stop", 1000, completion_tokens))
        found = estimate([SAMPLE], Scripted(lambda request, nth: ""), asking_settings("select", thinking_tokens=10_000), replies)
    assert found.low.requests <= found.expected.requests <= found.high.requests
    assert found.high.completion_tokens >= 4096 + 10_000 + 5 * 10_000


def test_an_anchor_that_is_lost_in_thinking_is_not_asked_for_again() -> None:
    class Thinker(Scripted):
        async def generate(self, request: Request) -> Generation:
            self.requests.append(request)
            return Generation("", "length", 1, 4096)

    llm = Thinker(lambda request, nth: "")
    [selection] = selected(llm, coarse="select")
    assert selection == Selection(None, None, 0, ["anchor_thinking_cut_off"])
    assert len(llm.requests) == 1


def test_one_bad_reply_does_not_stop_the_others() -> None:
    samples = [replace(SAMPLE, id=str(number), question=f"Question {number}?") for number in range(8)]

    def script(request: Request, nth: int) -> str | AsapError:
        text = request.messages[-1]["content"]
        if "Question 3?" in text:
            return "Nothing of the kind was ever said."
        return RequestRefused("content_filter", "no") if "Question 5?" in text else SAMPLE.cot

    selections, _ = by_script(script, samples, attempts=2)
    assert [selection.kept for selection in selections] == [None if number in (3, 5) else [0, 1, 2, 3, 4] for number in range(8)]
    assert (selections[3].failures, selections[5].failures) == (["no_match"] * 2, ["content_filter"] * 2)

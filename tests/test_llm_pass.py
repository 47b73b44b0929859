"""Stage 1's pass over a run: what an LLM said about a row is stored once, and is all that deciding needs."""

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asap.dataset.source import Source
from asap.events import Listener
from asap.llm_pass import LlmOptions, LlmPass
from asap.lm.generate import Generation, Request, RequestRefused
from asap.lm.reply_cache import REPLIES_FILE, ReplyCache
from asap.lm.specs import load_scorer
from asap.lm.spending import SpendingLimit
from asap.prune.asap import Asap
from asap.prune.coarse.anchor_guided import selections_of
from asap.prune.coarse.selection import Selection
from asap.prune.settings import AsapSettings
from asap.run import prune_into
from asap.sample import Sample
from asap.store.work import Store
from asap.workers.local import InProcess
from own_process import fork
from run_fixtures import COMPARED, asking_settings, model_folder, row, write_rows

Script = Callable[[Request], Generation | RequestRefused]
KEPT = Generation('{"keep": ["1-3", "8"]}', "stop", 300, 12)


class Scripted:
    """A generator that answers as a script says, and counts what it is asked."""

    model, identity, tokens, context_tokens, concurrency, resumes = "scripted", {"model": "scripted"}, None, None, 3, False

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Request] = []

    async def __aenter__(self) -> "Scripted":
        return self

    async def __aexit__(self, *error: object) -> None:
        return None

    async def generate(self, request: Request) -> Generation:
        self.requests.append(request)
        await asyncio.sleep(0)
        found = Generation("1. Think.", "stop", 50, 8) if request.kind == "anchor" else self.script(request)
        if isinstance(found, RequestRefused):
            raise found
        return found


class Killed(Exception):
    """A run ends here."""


class UntilScoring(Listener):
    """Ends a run when the pass is over and scoring begins."""

    def scoring(self, rows: int, rows_missing: int, bytes_missing: int) -> None:
        raise Killed


def prune(source: Path, out: Path, llm: Scripted, listener: Listener | None = None, model: Path | None = None, **settings: object) -> Path:
    chosen = asking_settings(**{"coarse": "select", "ratio": 0.5, **settings})  # type: ignore[arg-type]
    scorer = load_scorer(f"hf:{model or model_folder()}", device="cpu")
    prune_into(out, Source([str(source)]), InProcess(Asap(scorer, chosen, asks=False)), llm=llm, listener=listener)
    return out


def same_rows(one: Path, other: Path) -> None:
    for name in set(COMPARED) - {"README.md"}:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def one_unusable(request: Request) -> Generation:
    return Generation("no", "stop", 1, 1) if "What is 3?" in request.messages[-1]["content"] else KEPT


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(6)])


class Dying(Listener):
    """Ends the process when the pass is over and scoring begins."""

    def scoring(self, rows: int, rows_missing: int, bytes_missing: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def prune_and_die(source: Path, out: Path, model: Path) -> None:
    prune(source, out, Scripted(one_unusable), Dying(), model)


def test_a_run_killed_between_the_pass_and_scoring_asks_and_reads_nothing_again(source: Path, tmp_path: Path) -> None:
    """The process dies for real; then no LLM answers and no reply is left to be read."""
    out = tmp_path / "killed"
    process = fork(prune_and_die, source, out, model_folder())
    process.join()
    assert process.exitcode == -signal.SIGKILL
    for file in out.glob(f"{REPLIES_FILE}*"):
        file.unlink()
    llm = Scripted(one_unusable)
    same_rows(prune(source, out, llm), prune(source, tmp_path / "whole", Scripted(one_unusable)))
    assert llm.requests == []
    by = [json.loads(line)["coarse"] for line in (out / "decisions.jsonl").read_text().splitlines()]
    assert [found["by"] for found in by] == ["align" if number == 3 else "select" for number in range(6)]
    assert by[3] == {"by": "align", "attempts": 5, "failures": ["not_a_list"] * 5}


def test_a_pass_that_stops_half_way_goes_on_with_the_rows_that_are_missing(source: Path, tmp_path: Path) -> None:
    class UntilThird(Listener):
        def asked(self, asked: object) -> None:
            if len(llm.requests) >= 6:
                raise Killed

    out, llm = tmp_path / "out", Scripted(lambda request: KEPT)
    with pytest.raises(Killed):
        prune(source, out, llm, UntilThird())
    before = len(llm.requests)
    with Store.open(out) as store:
        left = [sample.id for sample in store.unselected()]
        assert 0 < len(left) == store.count_unselected() < 6
    same_rows(prune(source, out, llm), prune(source, tmp_path / "whole", Scripted(lambda request: KEPT)))
    assert before < len(llm.requests) == 12


def test_a_folder_with_replies_and_no_selections_goes_on_without_asking(source: Path, tmp_path: Path) -> None:
    """As asap 0.1.0 left it when it was killed before scoring."""
    out, llm = tmp_path / "out", Scripted(one_unusable)
    with pytest.raises(Killed):
        prune(source, out, llm, UntilScoring())
    with closing(sqlite3.connect(out / "work.sqlite")) as database:
        database.execute("DROP TABLE selections")
        database.commit()
    asked = len(llm.requests)
    same_rows(prune(source, out, llm), prune(source, tmp_path / "whole", Scripted(one_unusable)))
    assert len(llm.requests) == asked


def test_with_other_settings_what_was_selected_is_read_anew(source: Path, tmp_path: Path) -> None:
    """Until something is decided a folder may be claimed by another run, whose replies may be the same and whose checks are not."""
    out, llm = tmp_path / "out", Scripted(lambda request: KEPT)
    with pytest.raises(Killed):
        prune(source, out, llm, UntilScoring())
    asked = len(llm.requests)
    strict = {"max_kept": 0.1, "attempts": 1}
    same_rows(prune(source, out, llm, **strict), prune(source, tmp_path / "whole", Scripted(lambda request: KEPT), **strict))  # type: ignore[arg-type]
    assert len(llm.requests) == asked
    assert '"too_much"' in (out / "decisions.jsonl").read_text()


TRACE = "\n\n".join(f"Step {step} of the way." for step in range(6))
SAMPLES = [Sample(f"r{number}", f"What is {number}?", TRACE, "1") for number in range(3)]
said = st.sampled_from(
    [
        Generation('{"keep": ["1", "4-6"]}', "stop", 9, 9),
        Generation("Keep: 2, 5", "stop", 9, 9),
        Generation("1", "stop", 9, 9),  # the head only
        Generation('{"keep": ["77"]}', "stop", 9, 9),
        Generation("\n\n".join(["Step 0 of the way.", "Step 3 of the way.", "Step 5 of a way."]), "stop", 9, 9),
        Generation("", "stop", 9, 0),
        Generation("1, 2", "length", 9, 9),
        RequestRefused("content_filter", "no"),
        RequestRefused("bad_request", "no"),
    ]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(said, min_size=3, max_size=3), min_size=3, max_size=3), st.sampled_from(["select", "rewrite"]))
def test_what_is_stored_is_what_the_replies_say(replies_of: list[list[Generation | RequestRefused]], coarse: str) -> None:
    def script(request: Request) -> Generation | RequestRefused:
        number = next(number for number in range(3) if f"What is {number}?" in request.messages[-1]["content"])
        return replies_of[number][request.draw]

    chosen, llm = asking_settings(coarse, attempts=3), Scripted(script)
    with TemporaryDirectory() as folder, Store.open(Path(folder)) as store, ReplyCache.open(Path(folder)) as replies:
        with store.new_input() as incoming:
            for position, sample in enumerate(SAMPLES):
                incoming.add_sample(position, "rows", position, sample)
        LlmPass(store, llm, chosen, replies, LlmOptions(SpendingLimit(None)), Listener()).rest()
        assert store.count_unselected() == 0
        stored = [store.selection(sample.digest()) for sample in SAMPLES]
        asked = len(llm.requests)
        assert stored == selections_of([chosen.requests_about(sample) for sample in SAMPLES], llm, replies)
        assert all(isinstance(script(request), RequestRefused) for request in llm.requests[asked:])  # refusals are not stored


def test_deciding_takes_selections_as_data(source: Path) -> None:
    llm, scorer = Scripted(lambda request: KEPT), load_scorer(f"hf:{model_folder()}", device="cpu")
    pruner = Asap(scorer, AsapSettings(coarse="select", ratio=0.5), llm=llm)
    samples = [Sample(**{name: row(number)[name] for name in ("id", "question", "cot", "answer")}) for number in range(3)]
    given_to_it = pruner.decide(samples, [Selection([0, 1, 2, 7], None, 1, [])] * 3)
    assert llm.requests == []
    assert pruner.decide(samples) == given_to_it
    assert len(llm.requests) == 6


def test_one_sample_is_pruned_inside_a_running_event_loop_and_asked_about_once() -> None:
    llm, scorer = Scripted(lambda request: KEPT), load_scorer(f"hf:{model_folder()}", device="cpu")
    pruner = Asap(scorer, AsapSettings(coarse="select", ratio=0.5), llm=llm)
    sample = Sample("r1", row(1)["question"], row(1)["cot"], row(1)["answer"])

    async def cell() -> str:
        return pruner.prune(sample).sample.cot

    assert asyncio.run(cell()) == pruner.prune(sample).sample.cot
    assert [request.kind for request in llm.requests] == ["anchor", "select"]

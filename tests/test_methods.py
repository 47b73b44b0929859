"""The step-level rivals and controls: their scores by hand, in a run, and cut again from what is stored."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asap.cli import run
from asap.errors import InputError, RowError, UsageError
from asap.lm.scorer import LeaveOutRequest, LeftOut, NoModel, Scored, Scorer, ScoreRequest, TokenScores
from asap.lm.specs import load_scorer, load_tokens
from asap.prune.asap import Asap
from asap.prune.coarse.align import Align
from asap.prune.coarse.llm_reply import ReplyRules
from asap.prune.coarse.rewrite import Rewrite
from asap.prune.coarse.select import Select
from asap.prune.methods import METHODS, TOKEN_LEVEL
from asap.prune.methods.llmlingua2 import LLMLingua2
from asap.prune.methods.method import is_one_pass, needs_model, scores_of
from asap.prune.methods.selective_context import SelectiveContext
from asap.prune.methods.spirit import Spirit
from asap.prune.methods.tokenskip import TokenSkip
from asap.prune.settings import OF_METHODS, AsapSettings, flat
from asap.prune.together import together
from asap.prune.trace import Steps, Trace
from asap.sample import Sample
from asap.spans import Span
from run_fixtures import model_folder, prune, prune_words, read_decisions, refusal, row, same_output, write_rows

WITH_MODEL = [name for name, method in METHODS.items() if needs_model(method)]
WITHOUT_MODEL = [name for name, method in METHODS.items() if not needs_model(method)]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_scorer(f"hf:{model_folder()}")


def read(logprobs: list[float], entropies: list[float]) -> TokenScores:
    places = np.arange(len(logprobs))
    return TokenScores(places, places + 1, np.array(logprobs), np.array(entropies))


class Given(NoModel):
    """A scorer that gives these scores, whatever it is asked."""

    def __init__(self, reads: list[TokenScores]) -> None:
        self.reads = reads

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        return [Scored(self.reads, 1) for _ in requests]


def scores(method: str, steps: Steps, reads: list[TokenScores]) -> list[float]:
    [found] = together([scores_of(METHODS[method], steps)], Given(reads))
    assert not isinstance(found, RowError)
    return found


def test_scores_by_hand(scorer: Scorer) -> None:
    reads = [read([-1.0, -3.0], [0.5, 0.25]), read([-2.0], [1.5]), read([], [])]
    texts = ["one two", "three", "   "]
    sample, spans = Sample("a", "q", "\n\n".join(texts), "a"), [Span(0, 7), Span(9, 14), Span(19, 19)]
    steps = Steps(sample, texts, ScoreRequest("q", sample.cot, spans, entropy=True), "", scorer.tokens)
    by_method = {name: scores(name, steps, reads) for name, method in METHODS.items() if is_one_pass(method)}
    assert by_method["asap"] == [1.0, 2.0, 0.0]
    assert by_method["first-token-entropy"] == [0.5, 1.5, 0.0]
    assert by_method["mean-surprisal"] == [2.0, 2.0, 0.0]
    assert by_method["step-entropy"] == [0.75, 1.5, 0.0]
    assert by_method["keep-head"] == [0.0, -1.0, -2.0]
    assert by_method["keep-tail"] == [0.0, 1.0, 2.0]
    assert by_method["longest-first"] == [-float(scorer.tokens.count(text)) for text in texts]
    assert len(set(by_method["random"])) == 3


def test_random_follows_from_seed_and_content_alone(scorer: Scorer) -> None:
    def draws(seed: int, **changes: str) -> list[float]:
        sample = Sample(**{"id": "a", "question": "q", "cot": "x\n\ny\n\nz", "answer": "a", **changes})
        return scores("random", Steps(sample, ["x", "y", "z"], ScoreRequest("", "", []), "", scorer.tokens, seed), [])

    assert draws(0) == draws(0, id="another id")
    assert draws(0) != draws(1)
    assert draws(0) != draws(0, question="another")


def test_entropies_are_those_of_the_whole_distribution(scorer: Any) -> None:
    sample = Sample("a", "What is 42?", "first check the list\n\nthen the sum of two\n\nagain 17", "x")
    decision = Asap(scorer, AsapSettings(method="step-entropy", budget=1000, context="raw")).decide([sample])[0]
    first = Asap(scorer, AsapSettings(method="first-token-entropy", budget=1000, context="raw")).decide([sample])[0]
    context = f"{sample.question}\n<think>\n"
    encoded = scorer.tokens.encode(context + sample.cot)
    bos = scorer.tokens.bos_id
    ids = [*([] if bos is None or encoded.ids[0] == bos else [bos]), *encoded.ids.tolist()]
    shift = len(ids) - len(encoded.ids)
    with torch.inference_mode():
        logits = scorer.model(torch.tensor([ids])).logits[0].double()
    entropies = torch.distributions.Categorical(logits=logits).entropy().tolist()
    for step, of_first in zip(decision.steps, first.steps, strict=True):
        start, end = len(context) + step.start, len(context) + step.end
        tokens = [number for number in range(len(encoded.ids)) if encoded.ends[number] > start and encoded.starts[number] < end]
        expected = [entropies[number + shift - 1] for number in tokens]
        assert step.score == pytest.approx(sum(expected), abs=1e-3)
        assert of_first.score == pytest.approx(expected[0], abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_and_says_who_it_is(method: str, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    out = prune(source, tmp_path / "out", "--method", method)
    decisions = read_decisions(out)
    assert {decision["method"] for decision in decisions} == {method}
    for decision in decisions:
        if method == "original":
            assert decision["tokens_after"] == decision["tokens_before"]
            assert decision["budget"] is None
        else:
            assert decision["tokens_after"] <= decision["budget"] or sum(step["kept"] for step in decision["steps"]) == 1
        gone = [step for step in decision["steps"] if step["removed_by"] == "fine"]
        kept = [step for step in decision["steps"] if step["kept"]]
        assert all(went["score"] <= stayed["score"] for went in gone for stayed in kept)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["settings"]["method"] == method
    assert (manifest["settings"]["scorer"]["model"] == "none") == (method in WITHOUT_MODEL)


def test_head_and_tail_are_what_they_say(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(5)])
    for method, edge in (("keep-head", 0), ("keep-tail", -1)):
        for decision in read_decisions(prune(source, tmp_path / method, "--method", method)):
            kept = [step["kept"] for step in decision["steps"]]
            assert kept[edge]
            assert kept == sorted(kept, reverse=method == "keep-head")


@pytest.mark.parametrize("method", list(METHODS))
def test_a_cut_by_another_method_is_a_fresh_run_of_it(method: str, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(5)])
    whole = prune(source, tmp_path / "whole", "--scores", "every", "--keep-last", "1")
    assert run(["cut", str(whole), "--ratio", "0.4", "--method", method, "--out", str(tmp_path / "cut")]) == 0
    much = [] if method == "original" else ["--ratio", "0.4"]
    words = prune_words(source, tmp_path / "fresh", "--scores", "every", "--keep-last", "1", *much, "--method", method)
    assert run([*words, "--coarse", "none"] if method == "asap" else words) == 0
    if method == "asap":  # the same method: the cut keeps its stage 1
        assert read_decisions(tmp_path / "cut")[0]["coarse"]["by"] == "align"
        return
    for name in ("pruned.jsonl", "decisions.jsonl"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()
    assert run(["cut", str(tmp_path / "cut"), "--ratio", "0.2", "--out", str(tmp_path / "again")]) == 0
    assert run(["cut", str(whole), "--ratio", "0.2", "--method", method, "--out", str(tmp_path / "at once")]) == 0
    same_output(tmp_path / "again", tmp_path / "at once")


@pytest.mark.parametrize("method", ["spirit", "leave-one-out", "cut-after-answer", "coverage"])
def test_what_is_read_for_all_methods_is_what_each_reads_alone(method: str, scorer: Scorer) -> None:
    sample = Sample("a", "What is 42?", "first check the list\n\n\nthen the sum of two\n\nagain 17\n\nso 42", "The answer is 42.")
    [every] = Asap(scorer, AsapSettings(budget=1000, scores="every", coarse=None)).decide([sample])
    [alone] = Asap(scorer, AsapSettings(budget=1000, method=method)).decide([sample])
    assert [step.scores[method] for step in every.steps] == pytest.approx([step.score for step in alone.steps], abs=1e-4)


@pytest.mark.parametrize(("answer", "times"), [("```python\nprint(42)\n```", 1), ("So it is \\boxed{42}.", 2)])
def test_one_text_behind_the_prefixes_is_read_once(answer: str, times: int, scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()
    prefixes = scorer.prefixes
    monkeypatch.setattr(scorer, "prefixes", lambda request: asked.append(request.lead + request.tail) or prefixes(request))
    Asap(scorer, AsapSettings(budget=1000, scores="every")).decide([Sample("a", "What is 42?", "first\n\nthen\n\nso 42", answer)])
    assert len(asked) == len(set(asked)) == times


def test_a_method_may_ask_again_and_change_what_it_got(scorer: Scorer) -> None:
    sample = Sample("a", "What is 42?", "first check the list\n\nthen the sum of two\n\nso 42", "The answer is 42.")

    def asked(steps: Steps, **options: Any) -> LeftOut:
        [found] = together([steps.leave_out(**options)], scorer)
        assert isinstance(found, LeftOut)
        return found

    trace = Trace.of(sample, "fenced", "raw", scorer, scorer.tokens, 0)
    for every in (False, True):
        steps, options = trace.steps(range(3), every=every), ({}, {"answer": True}, {"suffix_tokens": 2})
        first = [asked(steps, **one) for one in options]
        assert len({found.whole.tokens for found in first}) == 2
        assert len({found.without[0].nll for found in first}) == 3
        assert asked(steps, answer=True, suffix_tokens=2) == first[1], "a suffix is not for what is read with the answer"
        for one, found in zip(options, first, strict=True):
            kept = [*found.without]
            found.without.clear()
            assert asked(steps, **one).without == kept
        [tails] = together([steps.prefixes()], scorer)
        assert isinstance(tails, list)
        tails.clear()
        [tails] = together([steps.prefixes()], scorer)
        assert isinstance(tails, list)
        assert len(tails) == 4


@pytest.mark.parametrize("method", [Spirit(), Spirit(20), "leave-one-out", "coverage"])
def test_the_same_is_asked_once(method: Any, scorer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, leave_out = list[LeaveOutRequest](), scorer.leave_out
    monkeypatch.setattr(scorer, "leave_out", lambda request: asked.append(request) or leave_out(request)._replace(steps=None))
    settings = AsapSettings(budget=1000, scores="every", method=method, rescore=2)
    Asap(scorer, settings).decide([Sample("a", "What is 42?", "first\n\nthen\n\nso 42", "42")])
    whole = [request for request in asked if len(request.steps) == 3]
    assert len(whole) == 2, "one with the answer, one without"
    assert [request.steps_too for request in whole if request.tail] == [method != Spirit(20)], "what nobody uses is not scored"


def test_controls_need_no_stored_scores_and_others_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    out = prune(source, tmp_path / "out", "--scores", "own")
    for method in WITHOUT_MODEL:
        assert run(["cut", str(out), "--ratio", "0.5", "--method", method, "--out", str(tmp_path / method)]) == 0
    words = ["cut", str(out), "--ratio", "0.5", "--method", "step-entropy", "--out", str(tmp_path / "x")]
    assert "--scores one-pass" in refusal(capsys, *words)
    assert "unknown method" in refusal(capsys, *words[:5], "nonsense", *words[6:])


def test_a_run_goes_on_in_the_folder_of_a_cut(tmp_path: Path) -> None:
    """The decisions there were cut to another budget; what is written follows the settings."""
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(5)])
    whole = prune(source, tmp_path / "whole", "--ratio", "0.9")
    assert run(["cut", str(whole), "--ratio", "0.4", "--out", str(tmp_path / "cut")]) == 0
    before = (tmp_path / "cut" / "pruned.jsonl").read_bytes()
    prune(source, tmp_path / "cut", "--ratio", "0.4")
    assert (tmp_path / "cut" / "pruned.jsonl").read_bytes() == before
    assert run(["cut", str(whole), "--ratio", "0.4", "--method", "random", "--out", str(tmp_path / "random")]) == 0
    before = (tmp_path / "random" / "pruned.jsonl").read_bytes()
    assert before != (tmp_path / "cut" / "pruned.jsonl").read_bytes()


def test_a_run_that_reads_all_stores_what_one_pass_gives(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    for number, (stage, method) in enumerate((("align", "step-entropy"), ("none", "mean-surprisal"), ("none", "asap"))):
        out = prune(source, tmp_path / f"out{number}", "--coarse", stage)
        assert run(["cut", str(out), "--ratio", "0.5", "--method", method, "--out", str(tmp_path / f"cut{number}")]) == 0
    assert AsapSettings(coarse="select").stored_scores == AsapSettings(method="spirit").stored_scores == "own"
    assert not AsapSettings(method="random").needs_scorer


def test_scores_of_others_change_no_decision(scorer: Scorer) -> None:
    sample = Sample("a", "q", "\n\n".join(row(3, steps=20)["cot"].split("\n\n")), "It is 3.")
    for coarse in ("align", "none"):
        one, other = (
            Asap(scorer, AsapSettings(ratio=0.5, coarse=coarse, scores=scores)).prune(sample)  # type: ignore[arg-type]
            for scores in ("own", "one-pass")
        )
        assert one.sample == other.sample
        pairs = zip(one.decision.steps, other.decision.steps, strict=True)
        assert all(a == pytest.approx(b, abs=1e-4) for x, y in pairs for a, b in ((x.alignment, y.alignment), (x.score, y.score)))


def test_settings_of_methods() -> None:
    assert AsapSettings(method="random").stage_1 == "none"
    assert AsapSettings().stage_1 == "align"
    for wrong in ({"method": "nonsense"}, {"method": "random", "coarse": "select"}, {"method": "random", "coarse_only": True}):
        with pytest.raises(UsageError):
            AsapSettings(**wrong)  # type: ignore[arg-type]
    for wrong in (
        {"method": 3},
        {"method": None},
        {"method": Spirit},
        {"coarse": 3},
        {"coarse": Rewrite},
        {"coarse": Spirit()},
    ):
        with pytest.raises(UsageError, match=r"unknown (method|coarse)"):
            AsapSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--method random --unit token", "unit is for selective-context, not for random; leave it out"),
        ("--phrases regex", "phrases is for selective-context, not for asap"),
        ("--method keep-tail --suffix-tokens 5", "suffix_tokens is for spirit, not for keep-tail; leave it out"),
        ("--method leave-one-out --suffix-tokens 5", "suffix_tokens is for spirit, not for leave-one-out; leave it out"),
        ("--suffix-tokens 5 --scores one-pass", "suffix_tokens is for spirit, not for asap with coarse align; leave it out"),
        (
            "--method random --coarse-share 0.9",
            "coarse_share is for coarse align, coarse select and coarse rewrite, not for random; leave it out",
        ),
        ("--coarse none --coarse-share 0.9", "not for asap with coarse none; leave it out"),
        ("--tau 0.7", "--tau is about the LLM of stage 1, and there is none: add --llm"),
        ("--coarse select --llm bundled --tau 0.7", "tau is for coarse rewrite, not for asap with coarse select; leave it out"),
        ("--min-kept 0.2", "--min-kept is about the LLM of stage 1, and there is none: add --llm"),
        ("--method spirit --attempts 2", "--attempts is about the LLM of stage 1, and there is none: add --llm"),
        ("--method spirit --llm bundled", "method 'spirit' has no stage 1; leave coarse and coarse_only out"),
        ("--method longest-first --rescore 2", "rescore has a model read again, and longest-first needs none; leave it out"),
        ("--method selective-context --gammas 0.5", "gammas is for tokenskip, not for selective-context; leave it out"),
        ("--method llmlingua2 --marker none", "marker is for tokenskip, not for llmlingua2; leave it out"),
        ("--method tokenskip --unit token", "unit is for selective-context, not for tokenskip; leave it out"),
        (
            "--method selective-context --keep-digits",
            "keep_digits is for llmlingua2 and tokenskip, not for selective-context; leave it out",
        ),
        ("--method step-entropy --keep-digits", "keep_digits is for llmlingua2 and tokenskip, not for step-entropy; leave it out"),
        ("--method original --ratio 0.5", "method 'original' removes nothing; leave budget and ratio out"),
        ("--method original --budget 100", "method 'original' removes nothing; leave budget and ratio out"),
    ],
)
def test_what_is_of_another_method_is_refused(options: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in refusal(capsys, "prune", str(tmp_path / "none.jsonl"), "--out", str(tmp_path / "out"), *options.split())


def test_the_default_of_another_method_does_no_harm_in_a_configuration(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(0)])
    (tmp_path / "asap.yaml").write_text("method: random\ncoarse-share: 0.25\ntau: 0.6\n")
    assert run(prune_words(source, tmp_path / "out", "--config", str(tmp_path / "asap.yaml"))) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"scores": "every"},
        {"method": Spirit(suffix_tokens=5), "rescore": 2},
        {"coarse": Rewrite(tau=0.7, rules=ReplyRules(attempts=2), fallback=Align(0.5))},
        {"coarse": Select(ReplyRules(temperature=0.5, thinking_tokens=9, min_reach=0.2))},
        {"method": TokenSkip(LLMLingua2("x", keep_digits=True), gammas=[0.5])},
        {"method": SelectiveContext(unit="token", phrases="regex")},
        {"method": "random", "seed": 3},
        *({"method": name} for name in (*METHODS, *TOKEN_LEVEL)),
    ],
)
def test_settings_can_be_made_again_from_themselves(options: dict[str, Any]) -> None:
    made = AsapSettings(**options)
    assert replace(made) == made == AsapSettings(**options)
    assert json.loads(json.dumps(made.stored())) == made.stored()


def test_an_option_of_another_method_is_refused_before_anything_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, said in (
        (["--method", "random", "--classifier", "x"], "classifier is for llmlingua2 and tokenskip, not for random; leave it out"),
        (["--method", "spirit", "--unit", "token"], "unit is for selective-context, not for spirit; leave it out"),
        (["--method", "original", "--ratio", "0.5"], "method 'original' removes nothing; leave budget and ratio out"),
    ):
        assert refusal(capsys, *prune_words(tmp_path / "none.jsonl", tmp_path / "out", *options)) == said
    (tmp_path / "asap.yaml").write_text("method: random\ncoarse-share: 0.9\n")
    said = refusal(capsys, *prune_words(tmp_path / "none.jsonl", tmp_path / "out", "--config", str(tmp_path / "asap.yaml")))
    assert said == "coarse_share is for coarse align, coarse select and coarse rewrite, not for random; leave it out"


def test_no_model_scores_nothing(scorer: Scorer) -> None:
    with pytest.raises(UsageError, match="needs a model"):
        NoModel(scorer.tokens).score([ScoreRequest("", "text", [Span(0, 4)])])
    sample = Sample("a", "q", "first\n\nsecond one", "x")
    decision = Asap(NoModel(load_tokens(f"hf:{model_folder()}")), AsapSettings(method="keep-tail", budget=3)).prune(sample).decision
    assert [step.kept for step in decision.steps] == [False, True]


def test_stored_scores_must_be_there_for_reordering(scorer: Scorer) -> None:
    from asap.prune.settle import reordered

    sample = Sample("a", "q", "first\n\nsecond one", "x")
    decision = Asap(scorer, AsapSettings(budget=100, scores="own")).prune(sample).decision
    with pytest.raises(InputError, match="--scores one-pass"):
        reordered(decision, sample, "mean-surprisal", scorer.tokens)


def test_alignment_is_what_stage_1_stores(scorer: Scorer) -> None:
    sample = Sample("a", "What is 42?", "first check the list\n\n\nthen the sum of two\n\nagain 17", "The answer is 42.")
    stored = Asap(scorer, AsapSettings(budget=1000)).decide([sample])[0].steps
    alone = Asap(scorer, AsapSettings(method="alignment", budget=1000)).decide([sample])[0].steps
    assert [step.score for step in alone] == [step.alignment for step in stored]
    assert len({step.score for step in alone}) == 3


def test_the_help_names_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prune", "--help"]) == 0
    said = capsys.readouterr().out
    assert [name for name in (*METHODS, *TOKEN_LEVEL) if name not in said] == []


def test_every_setting_of_a_method_is_an_option_and_is_left_behind_by_a_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prune", "--help"]) == 0
    said = capsys.readouterr().out
    for method in (*METHODS.values(), *TOKEN_LEVEL.values()):
        for name, _ in flat(method):
            assert f"--{name.replace('_', '-')} " in said
            assert name in OF_METHODS

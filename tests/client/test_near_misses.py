"""What a caller in Python gets slightly wrong ends in one sentence that says what is right, in Python's words."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asap
from run_fixtures import model_folder

ROW: dict[str, Any] = {"question": "q", "response": "<think>one\n\ntwo</think>three"}
SAMPLE = asap.Sample("a", "q", "one two three\n\nthen 42 x\n\nso the sum\n\nlast one", "the answer")


@cache
def tokens() -> asap.TokenCounter:
    return asap.load_tokens(f"hf:{model_folder()}")


def even(context: str, text: str) -> np.ndarray:
    return np.full(len(tokens().encode(text).ids), -1.0)


def pruner(**settings: Any) -> asap.Asap:
    return asap.Asap(asap.OwnScorer(even, tokens(), "even"), {"ratio": 0.5, "coarse": "none", **settings})


class Silent(asap.OwnScorer):
    """A scorer that returns what it should not."""

    returned: Any = None

    def score(self, requests: Any) -> Any:
        return type(self).returned


def answered(value: Any) -> None:
    kind = type("Mine", (Silent,), {"returned": value})
    asap.Asap(kind(even, tokens(), "mine"), {"ratio": 0.5, "coarse": "none"}).prune(SAMPLE)


def raising(context: str, text: str) -> list[float]:
    raise ZeroDivisionError("no model here")


def read(*sources: Any, **options: Any) -> None:
    list(asap.read_samples(*sources, **options))


MISSES: dict[str, tuple[Callable[[], object], str]] = {
    "a model of the Hub without its kind": (lambda: asap.load_scorer("Qwen/Qwen2.5-0.5B"), "did you mean hf:Qwen/Qwen2.5-0.5B? write"),
    "a model's name with a slip": (lambda: asap.Asap("bundlde"), "unknown model 'bundlde'; write"),
    "a path for a model": (
        lambda: asap.load_scorer(Path("m.gguf")),
        "a model is named by a text such as 'bundled' or 'hf:<hub id or folder>'",
    ),  # type: ignore[arg-type]
    "no name of a tokenizer": (lambda: asap.load_tokens(None), "a model is named by a text such as"),  # type: ignore[arg-type]
    "a class for a scorer": (lambda: asap.Asap(asap.OwnScorer), "is the class itself; make an instance of it, OwnScorer(...)"),  # type: ignore[arg-type]
    "a function for a scorer": (lambda: asap.Asap(even), "the scorer, a function, has no tokens"),  # type: ignore[arg-type]
    "a scorer without tokens": (
        lambda: asap.Asap(type("Mine", (), {"score": None})()),
        "the scorer, a Mine, has no tokens, context_tokens, batch_tokens, gives_entropies, identity, causal_lm, leave_out, prefixes, which",
    ),
    "a scorer that answers nothing": (lambda: answered(None), "the scorer, a Mine, returned a NoneType to 1 requests"),
    "a scorer that answers too little": (lambda: answered([]), "the scorer, a Mine, returned 0 answers to 1 requests"),
    "a scorer that answers numbers": (lambda: answered([0.5]), "about 4 spans with a float; an asap.Scored with each is expected"),
    "a scorer that answers less": (lambda: answered([asap.Scored([], 1)]), "about 4 spans with 0 spans"),
    "a function that fails": (
        lambda: asap.Asap(asap.OwnScorer(raising, tokens(), "mine"), {"ratio": 0.5, "coarse": "none"}).prune(SAMPLE),
        "bad_scores: scorer mine raised ZeroDivisionError: no model here",
    ),
    "a setting with a slip": (lambda: pruner(ratoi=0.5), "there is no setting 'ratoi'; did you mean ratio?"),
    "a method's setting": (lambda: pruner(suffix_tokens=8), "there is no setting 'suffix_tokens'; there are budget, ratio"),
    "a list of settings": (lambda: asap.Asap("bundled", [0.5]), "settings is a list; AsapSettings(ratio=0.5) or {'ratio': 0.5}"),  # type: ignore[arg-type]
    "a share for a budget": (lambda: asap.AsapSettings(0.5), "budget is 0.5; a whole number of tokens"),  # type: ignore[arg-type]
    "per cent for a ratio": (lambda: asap.AsapSettings(ratio=50), "ratio is 50; a number above 0 and at most 1 is expected"),
    "a text for a ratio": (lambda: asap.AsapSettings(ratio="0.5"), "ratio is '0.5'; a number above 0"),  # type: ignore[arg-type]
    "both": (lambda: asap.AsapSettings(budget=9, ratio=0.5), "were both given; choose one"),
    "both, as texts": (lambda: asap.AsapSettings(budget="9", ratio="0.5"), "were both given; choose one"),  # type: ignore[arg-type]
    "a text for a floor": (lambda: asap.AsapSettings(support_floor="low"), "support_floor is 'low'; a number of nats"),  # type: ignore[arg-type]
    "a method's class": (lambda: asap.AsapSettings(method=asap.Spirit), "write a name, or a record such as Spirit()"),  # type: ignore[arg-type]
    "a stage's settings as a dict": (lambda: asap.AsapSettings(coarse={"tau": 0.7}), "unknown coarse {'tau': 0.7}; choose from"),  # type: ignore[arg-type]
    "a stage's class": (lambda: asap.AsapSettings(coarse=asap.Rewrite), "choose from align, select, rewrite, none"),  # type: ignore[arg-type]
    "an LLM stage without an LLM": (lambda: pruner(coarse="select"), "coarse 'select' needs an LLM"),
    "a row for a sample": (lambda: pruner().prune(ROW), "a dict was given for a sample; make one of a row with asap.to_sample(row).sample"),  # type: ignore[arg-type]
    "a text for a sample": (lambda: pruner().prune("one\n\ntwo"), "a str was given for a sample; make one"),  # type: ignore[arg-type]
    "a shaped row": (lambda: pruner().prune(asap.to_sample(ROW)), "a Shaped was given for a sample; give its attribute sample"),  # type: ignore[arg-type]
    "a list of texts": (lambda: pruner().decide(["one", "two"]), "a str was given for a sample; make one"),  # type: ignore[list-item]
    "one sample for several": (lambda: pruner().decide(SAMPLE), "decide takes a list of samples, not a Sample; prune takes one"),  # type: ignore[arg-type]
    "several for one": (lambda: pruner().prune([SAMPLE]), "a list was given for a sample"),  # type: ignore[arg-type]
    "steps for a trace": (
        lambda: pruner().prune(asap.Sample("a", "q", ["one", "two"], "x")),  # type: ignore[arg-type]
        "cot of a sample is a list; a text is expected",
    ),
    "a method that counts wrong": (lambda: pruner(method=lambda steps: [1.0]).prune(SAMPLE), "gave 1 score for 4 steps"),
    "a method that returns an order by index": (
        lambda: pruner(method=lambda steps: {0: 1.0}).prune(SAMPLE),
        "gave a dict; a list of numbers is expected",
    ),
    "a method without a number for a step": (lambda: pruner(method=lambda steps: [None] * 4).prune(SAMPLE), "gave the score None"),
    "a method that fails": (lambda: pruner(method=lambda steps: steps.text).prune(SAMPLE), "raised AttributeError"),
    "a splitter that loses words": (lambda: pruner(step_split=lambda text: [(0, 7)]).prune(SAMPLE), "leaves out 'three"),
    "a splitter of texts": (lambda: pruner(step_split=str.split).prune(SAMPLE), "bad_steps: step_split"),
    "a way to split that is none": (lambda: asap.split_steps("a b", "words"), "unknown step_split 'words'; choose from fenced, paper"),  # type: ignore[arg-type]
    "a text for a row": (lambda: asap.to_sample("<think>a</think>b"), "the row is a str; a dict of its columns is expected"),  # type: ignore[arg-type]
    "a text for columns": (lambda: asap.to_sample(ROW, "question"), "columns is a str; a dict is expected, such as {'question': 'prompt'"),  # type: ignore[arg-type]
    "a column key that is none": (
        lambda: asap.to_sample(ROW, {"prompt": "question"}),
        "there is no column key 'prompt'; allowed in columns: id,",
    ),
    "a dict for rules": (lambda: asap.to_sample(ROW, rules={"drop_system": True}), "rules is a dict; asap.RowRules(each_generation=True)"),  # type: ignore[arg-type]
    "sources in a list": (lambda: read(["a.jsonl"]), "a source is a list; each file, folder or Hub id is an argument"),
    "a file that is not there": (lambda: read(Path("not_there.jsonl")), "not_there.jsonl: there is no such file or folder"),
    "pruned rows to write": (
        lambda: asap.write_samples("x.jsonl", [pruner().prune(SAMPLE)]),
        "a Pruned was given for a sample; give its attr",
    ),  # type: ignore[list-item]
    "a pruned row to cut": (lambda: asap.cut(pruner().prune(SAMPLE), ratio=0.3), "cut takes a decision; give the attribute decision"),  # type: ignore[arg-type]
    "a sample to cut": (
        lambda: asap.cut(SAMPLE, ratio=0.3),
        "cut takes a decision, such as that of Asap(...).prune(sample), and not a Sample",
    ),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", MISSES)
def test_a_near_miss_gets_one_sentence(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong, said = MISSES[name]
    with pytest.raises(asap.AsapError, match=re.escape(said)) as caught:
        wrong()
    assert "\n" not in str(caught.value)
    assert "--" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


TRACE, ANSWER = "One and one.\n\nYes, two.", "Two."
WHOLE = f"<think>\n{TRACE}\n</think>\n\n{ANSWER}"


@pytest.mark.parametrize(
    ("row", "said", "columns"),
    [
        ({"q": "?", "text": WHOLE}, "columns={'question': '...', 'response': 'text'}", {"question": "q", "response": "text"}),
        ({"q": "?", "r": "x"}, "name the columns with columns={'question': '...', 'response': '...'}", None),
        (
            {"question": "?", "solution": TRACE, "answer": ANSWER},
            "for example columns={'question': 'question', 'cot': 'solution', 'answer': 'answer'}",
            {"question": "question", "cot": "solution", "answer": "answer"},
        ),
        (
            {"problem": "?", "query": "Other?", "answer": WHOLE},
            "columns={'question': 'problem', 'response': 'answer'}, or columns={'question': 'query', 'response': 'answer'}",
            {"question": "problem", "response": "answer"},
        ),
        (
            {"messages": [{"role": role, "content": said} for role, said in [("user", "?"), ("assistant", WHOLE)] * 2]},
            "multi_turn: the row is a conversation with 2 turns that think; asap.read_samples, which reads files, has each",
            None,
        ),
        ({"question": "?", "generations": [WHOLE, WHOLE + "!"]}, "rules=asap.RowRules(each_generation=True)", None),
    ],
)
def test_the_advice_of_a_row_is_what_one_writes_in_python(row: dict[str, Any], said: str, columns: dict[str, str] | None) -> None:
    with pytest.raises(asap.RowError, match=re.escape(said)) as caught:
        asap.to_sample(row)
    assert "--" not in str(caught.value)
    if columns:
        sample = asap.to_sample(row, columns).sample
        assert (sample.cot, sample.answer) == (TRACE, ANSWER)


def test_a_source_says_the_same_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"q": "?", "r": "x"}\n')
    with pytest.raises(asap.RowError, match=r"rows\.jsonl, line 1: .* columns=\{"):
        read(tmp_path / "rows.jsonl")
    rejected = list[asap.Rejected]()
    read(str(tmp_path / "rows.jsonl"), on_reject=rejected.append)
    assert "--" not in rejected[0].detail


def test_rules_of_a_row_are_kept_in_what_is_raised() -> None:
    from asap.sample import Unthinking

    with pytest.raises(Unthinking) as caught:
        asap.to_sample({"question": "?", "response": "no thinking"}, rules=asap.RowRules(pass_through=True))
    assert caught.value.whole.id

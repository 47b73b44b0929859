"""`--method package.module:function`: the examples of docs/methods.md and the remedies of experiments/ run, and what is wrong is said."""

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from asap.cli import run
from asap.errors import UsageError
from asap.lm.scorer import NoModel, Scored, ScoreRequest, TokenScores
from asap.lm.specs import load_tokens
from asap.prune.asap import Asap
from asap.prune.methods import method_named
from asap.prune.methods.method import needs_model, scores_of
from asap.prune.settings import AsapSettings
from asap.prune.together import together
from asap.prune.trace import Steps
from asap.sample import Sample
from asap.spans import Span
from run_fixtures import model_folder, prune, prune_words, read_decisions, read_rows, refusal, row, same_output, write_rows

ROOT = Path(__file__).parents[1]
EXAMPLES = ["examples.own_method:fewest_digits", "examples.own_method:last_token_surprisal"]
REMEDIES = [f"experiments.remedies:{name}" for name in ("local_surprisal", "past_fence_surprisal", "aligned_surprisal")]


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def test_the_page_shows_the_example() -> None:
    shown = re.findall(r"```python\n(def .*?)```", (ROOT / "docs" / "methods.md").read_text("utf-8"), re.DOTALL)
    code = (ROOT / "examples" / "own_method.py").read_text("utf-8")
    assert len(shown) == 2
    assert all(block.strip() in code for block in shown)


@pytest.mark.parametrize("method", [*EXAMPLES, *REMEDIES])
def test_a_method_of_ones_own_runs_like_any_other(method: str, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    out = prune(source, tmp_path / "out", "--method", method, "--ratio", "0.5")
    for decision in read_decisions(out):
        assert decision["method"] == method
        gone = [step["score"] for step in decision["steps"] if step["removed_by"] == "fine"]
        assert all(went <= step["score"] for went in gone for step in decision["steps"] if step["kept"])
    settings = json.loads((out / "manifest.json").read_text())["settings"]
    assert settings["method"] == method
    assert (settings["scorer"]["model"] == "none") == (method == EXAMPLES[0])
    assert run(["cut", str(out), "--ratio", "0.3", "--out", str(tmp_path / "cut")]) == 0
    same_output(tmp_path / "cut", prune(source, tmp_path / "fresh", "--method", method, "--ratio", "0.3"))


def test_it_is_compared_like_any_other(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    words = ["compare", str(source), "--out", str(tmp_path / "out"), "--scorer", f"hf:{model_folder()}", "--ratios", "0.5"]
    assert run([*words, "--methods", f"asap,{EXAMPLES[0]},random"]) == 0
    assert {one["method"] for one in read_rows(tmp_path / "out" / "judged.jsonl")} == {"asap", EXAMPLES[0], "random"}


def test_other_code_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(0)])
    monkeypatch.syspath_prepend(str(tmp_path))
    for number, code in enumerate(("len(text)", "-len(text)")):
        (tmp_path / f"mine{number}.py").write_text(f"def by_length(steps):\n    return [{code} for text in steps.texts]\n")
    prune(source, tmp_path / "out", "--method", "mine0:by_length")
    before = (tmp_path / "mine0.py").read_text()
    import mine0  # type: ignore[import-not-found]

    (tmp_path / "mine0.py").write_text(before + "# changed\n")
    assert mine0.by_length is not None
    said = refusal(capsys, *prune_words(source, tmp_path / "out", "--method", "mine0:by_length"))
    assert "method_code is" in said


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("nonsense", "unknown method 'nonsense'; choose from asap, .*, or write package.module:function"),
        ("no.such.module:f", "method 'no.such.module:f' cannot be loaded (No module named 'no'); write package.module:function"),
        ("examples.own_method:nothing", "cannot be loaded (module 'examples.own_method' has no attribute 'nothing')"),
        ("examples.own_method:", "cannot be loaded"),
        (":f", "cannot be loaded"),
        ("asap:__version__", "method 'asap:__version__' is no function"),
    ],
)
def test_a_method_that_is_none_is_refused(method: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said).replace(r"\.\*", ".*")):
        AsapSettings(method=method)


@pytest.mark.parametrize("code", ["def f(:", "1 / 0", "no_such_name", "raise SystemExit(5)"])
def test_a_module_that_fails_is_said_in_one_line(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = f"failing{abs(hash(code))}"
    (tmp_path / f"{module}.py").write_text(code + "\n")
    with pytest.raises(UsageError, match=f"method '{module}:f' cannot be loaded \\((Syntax|ZeroDivision|Name|SystemExit)"):
        AsapSettings(method=f"{module}:f")


def test_a_relative_name_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be loaded"):
        AsapSettings(method=".mine:f")


def test_one_row_that_makes_a_method_fail_is_rejected_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    code = "def f(steps):\n    read = yield from steps.read(1)\n    return [1.0 / (steps.sample.id != 'r1') for _ in read]\n"
    (tmp_path / "picky.py").write_text(code)
    out = prune(write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)]), tmp_path / "out", "--method", "picky:f")
    [rejected] = read_rows(out / "rejected.jsonl")
    assert (rejected["id"], rejected["reason"]) == ("r1", "bad_scores")
    assert rejected["detail"] == "method picky:f raised ZeroDivisionError: float division by zero"


def test_numbers_of_any_kind_are_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    returned = ("[1, 3, 2]", "(1, 3.0, 2)", "np.array([1, 3, 2])", "[np.float32(1), np.float32(3), np.int64(2)]")
    functions = [f"def f{number}(steps):\n    return {code}\n" for number, code in enumerate(returned)]
    (tmp_path / "kinds.py").write_text("import numpy as np\n" + "\n".join(functions))
    for number in range(len(returned)):
        pruner = Asap(NoModel(load_tokens(f"hf:{model_folder()}")), AsapSettings(method=f"kinds:f{number}", ratio=0.7))
        scores = [step.score for step in pruner.prune(Sample("a", "q", "a\n\nb\n\nc", "x")).decision.steps]
        assert json.dumps(scores) == "[1.0, 3.0, 2.0]"
        assert pickle.loads(pickle.dumps(pruner.settings)) == pruner.settings


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("[1.0]", "1 score for 6 steps"),
        ("[float('nan')] * 6", "nan"),
        ("['a'] * 6", "'a'"),
        ("[10 ** 400] * 6", "a finite number is expected"),
        ("None", "gave a NoneType"),
        ("dict.fromkeys(range(6), 1.0)", "gave a dict"),
        ("(1.0 for _ in range(6))", "it yields 1.0"),
        ("__import__('sys').exit(3)", "raised SystemExit: 3"),
    ],
)
def test_scores_that_are_none_reject_the_row(returned: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = f"wrong{abs(hash(returned))}"
    (tmp_path / f"{module}.py").write_text(f"def scores(steps):\n    return {returned}\n")
    source = write_rows(tmp_path / "rows.jsonl", [row(0, steps=6)])
    run(prune_words(source, tmp_path / "out", "--method", f"{module}:scores"))
    [rejected] = read_rows(tmp_path / "out" / "rejected.jsonl")
    assert rejected["reason"] == "bad_scores"
    assert said in rejected["detail"]


def test_from_python() -> None:
    sample = Sample("a", "q", "7 7 7\n\nno digit\n\n1", "x")
    pruner = Asap(NoModel(load_tokens(f"hf:{model_folder()}")), AsapSettings(method=EXAMPLES[0], ratio=0.7))
    assert [step.score for step in pruner.prune(sample).decision.steps] == [3.0, 0.0, 1.0]
    assert not needs_model(method_named(EXAMPLES[0]))
    assert needs_model(method_named(EXAMPLES[1]))


# the remedies of experiments/, by hand


class Given(NoModel):
    """A scorer that gives these scores, whatever it is asked."""

    def __init__(self, reads: list[TokenScores]) -> None:
        self.reads = reads

    def score(self, requests: object) -> list[Scored]:
        return [Scored(self.reads, 1) for _ in requests]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["```", "python", "\n", "def", " f", "():", "\n", "```"], 4.0),
        (["~~~~\n", "  ", "x", " = 1", "\n~~~~"], 3.0),
        (["```\n\n", "x", "\n```"], 2.0),
        (["```", "\nx", "\n```"], 2.0),
        (["```", "python\n", "```"], 3.0),
        (["```", "python", "\n"], 1.0),
        (["```", " `code` `", "\n", "x"], 1.0),  # code in a line, for the splitter as well
        (["`", "code", "`"], 1.0),
        (["So", "\n", "```\n", "x", "\n```"], 1.0),
        ([], 0.0),
    ],
)
def test_a_step_that_opens_a_fence_is_scored_by_what_is_in_it(pieces: list[str], expected: float) -> None:
    text, start = "".join(pieces), 100  # the step is in the middle of a trace
    edges = start + np.cumsum([0, *map(len, pieces)])
    tokens = TokenScores(edges[:-1], edges[1:], -np.arange(1.0, len(pieces) + 1), np.zeros(len(pieces)))
    request = ScoreRequest("q", "…", [Span(start, start + len(text))])
    steps = Steps(Sample("a", "q", text, "a"), [f"  {text}"], request, "", load_tokens(f"hf:{model_folder()}"))
    assert together([scores_of(method_named(REMEDIES[1]), steps)], Given([tokens])) == [[expected]]


def test_what_is_made_of_other_scores_by_hand() -> None:
    from experiments.remedies import against_neighbours, ranks_added

    assert against_neighbours([9.0, 1.0, 2.0, 3.0, 4.0, 5.0]) == [6.0, -2.5, -1.5, -0.5, 0.5, 2.0]
    assert ranks_added([0.5, 3.0, 2.0], [0.0, -1.0, 4.0]) == [0.0 + 1.0, 2.0 + 0.0, 1.0 + 2.0]
    assert against_neighbours([]) == ranks_added([], []) == []

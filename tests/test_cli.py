"""The command line: help, the configuration file, exit codes and what is printed."""

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import asap
from asap.cli import COMMANDS as SUMMARIES
from asap.cli import run
from asap.cli.cut import cut
from asap.cli.doctor import doctor
from asap.cli.prune import prune
from asap.store.work import Store
from run_fixtures import FILES, model_folder, prune_words, read_decisions, read_rows, refusal, row, write_rows


def options_of(command: Callable[..., int]) -> Iterator[tuple[str, bool]]:
    """The names of a command's parameters and whether each is an option; those that stand for a group of options are opened."""
    for parameter in inspect.signature(command).parameters.values():
        if is_dataclass(parameter.default):
            yield from ((field.name, True) for field in fields(parameter.default))
        else:
            yield parameter.name, parameter.kind is not parameter.POSITIONAL_ONLY


COMMANDS = {"prune": prune, "cut": cut, "doctor": doctor}
HEAVY = ("torch", "transformers", "tokenizers", "numpy", "pyarrow", "datasets", "rapidfuzz")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [*(row(number) for number in range(3)), "no JSON", {"id": "no columns"}])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_every_option_with_an_explanation(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    said = capsys.readouterr().out
    for parameter_name, is_option in options_of(COMMANDS[name]):
        option = f"--{parameter_name.replace('_', '-')}" if is_option else parameter_name.upper()
        assert re.search(rf"{option}( --\w+)?( [A-Z]+(\.\.\.)?)? {{2,}}[A-Za-z`]", said), option


def test_help_starts_with_the_choice_of_a_model_and_says_defaults_of_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prune", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert said.index("--llm STR") < said.index("--attempts INT")
    assert said.index("--scorer STR") < said.index("--context CHOICE")
    for text in ("Steps at the start that always stay.", "for an LLM that thinks before it answers.", "functional-first and tokenskip."):
        assert f"{text} [default: 0]" in said


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_names_every_command_and_the_options_of_all(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in (*COMMANDS, "--version", "--config", "--debug"))


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"asap {asap.__version__}\n"


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    for words, loaded in (
        (["--help"], []),
        (["cut", "--help"], []),
        (["prune", "--help"], ["numpy", "rapidfuzz"]),
    ):  # help of the records' fields
        code = f"import sys; from asap.cli import run; code = run({words}); print(code, [m for m in {HEAVY} if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == f"0 {loaded}"


def test_the_list_of_commands_says_what_each_one_says_of_itself() -> None:
    for name, summary in SUMMARIES.items():
        module = name.replace("-", "_")
        docstring = inspect.getdoc(getattr(import_module(f"asap.cli.{module}"), module))
        assert docstring is not None
        assert docstring.partition("\n")[0] == summary


def test_options_come_from_a_file_and_typed_ones_win(tmp_path: Path, source: Path) -> None:
    config = tmp_path / "asap.yaml"
    much = "budget: 30\nkeep_first: 2\ncoarse: align\ncoarse-share: 0.5\nbackfill: true\nformat: [trl, axolotl]\n"
    config.write_text(f"scorer: hf:{model_folder()}\n{much}")
    assert run(["prune", str(source), "--out", str(tmp_path / "out"), "--config", str(config), "--keep-first", "1"]) == 0
    settings = settings_of(tmp_path / "out")
    expected = {"budget": 30, "keep_first": 1, "coarse": "align", "backfill": True, "coarse_share": 0.5}
    assert {name: settings[name] for name in expected} == expected
    assert {"trl.jsonl", "axolotl.jsonl"} < {path.name for path in (tmp_path / "out").iterdir()}
    assert run([f"--config={config}", "prune", str(source), "--out", str(tmp_path / "out2"), "--ratio", "0.5"]) == 0
    assert (settings_of(tmp_path / "out2")["budget"], settings_of(tmp_path / "out2")["ratio"]) == (None, 0.5)


def test_a_file_for_one_run_is_forgotten_by_the_next(tmp_path: Path, source: Path) -> None:
    (tmp_path / "asap.yaml").write_text("keep-last: 3\n")
    assert run(prune_words(source, tmp_path / "out", "--config", str(tmp_path / "asap.yaml"), "--ratio", "0.5")) == 0
    assert run(prune_words(source, tmp_path / "out2", "--ratio", "0.5")) == 0
    assert (settings_of(tmp_path / "out")["keep_last"], settings_of(tmp_path / "out2")["keep_last"]) == (3, 0)


def test_an_empty_file_of_options_changes_nothing(tmp_path: Path, source: Path) -> None:
    (tmp_path / "asap.yaml").write_text("# all by default\n")
    assert run(prune_words(source, tmp_path / "out", "--config", str(tmp_path / "asap.yaml"))) == 0


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("bugdet: 5\n", ["asap.yaml names bugdet, which is no option of asap prune; did you mean budget"]),
        ("budget: [5\n", ["asap.yaml", "is not valid YAML"]),
        ("just words\n", ["asap.yaml", "holds no mapping"]),
        ("- budget\n", ["asap.yaml", "holds no mapping"]),
        ("budget: lots\n", ["budget", "'lots' is not a whole number"]),
        ("budget: 1.5\n", ["budget", "'1.5' is not a whole number"]),
        ("budget: 0\n", ["budget is 0"]),
        ("coarse: some\n", ["coarse", "some", "align", "none"]),
        ("budget: 5\nratio: 0.5\n", ["budget 5 and ratio 0.5 were both given"]),
        ("a: \x00\n", ["asap.yaml", "is not valid YAML"]),
    ],
)
def test_a_wrong_file_of_options_is_refused(
    text: str, named: list[str], tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "asap.yaml").write_text(text)
    message = refusal(capsys, *prune_words(source, tmp_path / "out", "--config", str(tmp_path / "asap.yaml")))
    assert all(name in message for name in named), message
    assert not (tmp_path / "out").exists()


def test_a_missing_file_of_options_is_refused(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = prune_words(source, tmp_path / "out")
    assert refusal(capsys, *words, "--config", "no.yaml") == "--config no.yaml cannot be read (No such file or directory)"
    assert "cannot be read (Is a directory)" in refusal(capsys, *words, "--config", str(tmp_path))
    for nothing in (["--config"], ["--config="]):
        assert refusal(capsys, *words, *nothing) == "--config needs a file, for example --config asap.yaml"
    (tmp_path / "latin1.yaml").write_bytes(b"scorer: caf\xe9\n")
    assert "not UTF-8" in refusal(capsys, *words, "--config", str(tmp_path / "latin1.yaml"))


def test_a_dry_run_counts_and_writes_nothing(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(tmp_path.iterdir())
    assert run(prune_words(source, tmp_path / "out", "--dry-run")) == 0
    dry = capsys.readouterr().out.splitlines()
    assert sorted(tmp_path.iterdir()) == before
    assert dry[:3] == ["5 rows read: 3 usable, 2 rejected", "  bad_json: 1", "  unknown_shape: 1"]
    assert run(prune_words(source, tmp_path / "out")) == 0
    tokens = [decision["tokens_before"] for decision in read_decisions(tmp_path / "out")]
    assert f"{sum(tokens):,} tokens of traces (longest {max(tokens):,})" in dry[3]
    assert re.search(r"\); the scorer would read them about 3\.\d times, [\d,]+ tokens\. Nothing was written\.$", dry[3])
    assert dry[4:6] == [
        "stage 1: align removes none to 6 of 24 steps, also from traces within their budget; how many is known once the scorer has read "
        "them: --pilot N shows it on the first N rows",
        "stage 2: 3 of 3 traces are over their budget; stage 2 cuts these to it, and leaves the others as stage 1 left them",
    ]
    half = sum(count // 2 for count in tokens)
    assert f", --ratio 0.5 leaves {half:,} tokens ({half / sum(tokens):.0%}), --ratio 0.25 " in dry[6]
    assert dry[6].startswith("shorter: --ratio 0.75 leaves ")
    assert dry[7:] == [] or dry[7].startswith("time: ")  # few tokens are not measured
    steps = [decision["steps"] for decision in read_decisions(tmp_path / "out")]
    assert 0 < sum(step["removed_by"] == "coarse" for trace in steps for step in trace) <= 6
    capsys.readouterr()
    dry_words = ["prune", str(source), "--dry-run", "--scorer", f"hf:{model_folder()}"]  # no --out is needed
    for method, told in (
        ("random", "no model would read them"),
        ("step-entropy", f"the scorer would read them about 1.0 times, {sum(tokens):,} tokens"),
        ("tokenskip", f"the token classifier would read them about 1.0 times, {sum(tokens):,} tokens"),
    ):
        assert run([*dry_words, "--method", method]) == 0
        assert f"; {told}. Nothing was written." in capsys.readouterr().out


def test_too_many_rejected_rows_end_with_one_but_all_files_are_there(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(prune_words(source, tmp_path / "out", "--max-rejected", "2")) == 0
    capsys.readouterr()
    assert run(prune_words(source, tmp_path / "out", "--max-rejected", "1")) == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == (
        f"asap: rows rejected: 2, more than --max-rejected 1 allows; see {tmp_path / 'out'}/rejected.jsonl"
    )
    assert "rows     5 = 3 pruned + 0 unchanged + 2 rejected" in said.out
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert len(read_rows(tmp_path / "out" / "pruned.jsonl")) == 3


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "asap", "cut", str(tmp_path / "none"), "--budget", "5", "--out", str(tmp_path / "out")]
    done = subprocess.run([*words, "--debug"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "asap.errors.InputError: " in done.stderr
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("asap: ")
    assert done.stderr.count("\n") == 1


def test_the_summary_says_what_happened_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = [row(1), {**row(2), "id": "r1"}, {**row(3), "cot": "one two three four five six seven"}, "no JSON"]
    out = tmp_path / "[bold]a folder[/nothing]"
    assert run(prune_words(write_rows(tmp_path / "rows.jsonl", taken), out, "--budget", "1")) == 0
    said = capsys.readouterr().out.splitlines()
    patterns = [
        r"rows     4 = 2 pruned \+ 1 unchanged \+ 1 rejected",
        r"         rejected: bad_json 1",
        r"steps    [\d,]+: \d+ removed by stage 1, \d+ by stage 2",
        r"tokens   [\d,]+ before, [\d,]+ after stage 1, [\d,]+ after stage 2",
        r"kept     [\d.]+% of the tokens",
        r"note     rows whose id was taken: 1; #2, #3, … was appended",
        r"note     traces that stay over the budget: \d; the steps that must stay are longer",
        r"seconds  read [\d.]+, score [\d.]+",
        rf"written  {re.escape(str(out))}/pruned.jsonl, decisions.jsonl, rejected.jsonl, manifest.json, README.md",
    ]
    assert len(said) == len(patterns)
    assert [pattern for pattern, line in zip(patterns, said, strict=True) if not re.fullmatch(pattern, line)] == []


def test_the_first_row_is_shown_with_its_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(
        tmp_path / "rows.jsonl", ["no JSON", {"prompt": "The question", "generation": "<think>\na\n\nb\n</think>\nThe answer"}]
    )
    assert run(prune_words(source, tmp_path / "out", "-v")) == 0
    said = capsys.readouterr().err
    assert "shape: prompt+generation\n" in said
    assert "The question" in said
    assert "The answer" in said


def test_named_columns_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"name": "x", "q": "Why?", "r": "<think>\na\n\nb b b\n</think>\nc"}])
    assert run(prune_words(source, tmp_path / "out", "--columns", " question = q, response=r,id=name")) == 0
    [pruned] = read_rows(tmp_path / "out" / "pruned.jsonl")
    assert (pruned["id"], pruned["question"], pruned["answer"]) == ("x", "Why?", "c")


def test_a_terminal_that_cannot_show_a_sign_does_not_end_the_run(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "r\u00f6ws\udce9.jsonl", [row(1), {**row(2), "id": "r1"}])
    code = "import json, sys; from asap.cli import run; print([run(words) for words in json.loads(sys.argv[1])])"
    commands = [
        prune_words("r\u00f6ws\udce9.jsonl", "a\u2026b", "--dry-run"),
        ["cut", "a\u2026\udce9", "--budget", "1", "--out", "b"],
    ]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)], cwd=source.parent, capture_output=True, env=environment, check=True
    )
    assert done.stdout.splitlines()[-1] == b"[0, 2]", done.stderr
    assert done.stderr.splitlines()[-1].startswith(b"asap: there is no folder a\\u2026\\udce9; ")


def test_doctor_can_be_asked_about_data(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["doctor", str(source), "--scorer", f"hf:{model_folder()}"])
    assert code in (0, 2)
    assert "internal error" not in capsys.readouterr().err
    assert "--limit is 0" in refusal(capsys, "doctor", str(source), "--limit", "0")


def settings_of(folder: Path) -> dict[str, object]:
    import json

    settings: dict[str, object] = json.loads((folder / "manifest.json").read_text("utf-8"))["settings"]
    return settings


def test_a_run_can_end_with_its_page(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run([*prune_words(source, out), "--review"]) == 0
    assert f"{out}/review.html: open it" in capsys.readouterr().out
    assert (out / "review.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with Store.open(out) as store:  # how long each trace took, for the page
        assert all((store.seconds_of(store.digest_of(decided["id"]) or "") or 0) > 0 for decided in read_decisions(out))
    assert run(["cut", str(out), "--ratio", "0.5", "--out", str(tmp_path / "cut")]) == 0  # the page is in nobody's way
    with Store.open(tmp_path / "cut") as store:
        assert all(store.seconds_of(digest) is None for digest, _ in store.row_keys())
    assert run([*prune_words(source, out), "--review"]) == 0


def test_a_dry_run_of_rows_that_do_not_fit_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"text": "a"}, {"text": "b"}, {"id": "x", "question": "q", "response": "no thinking"}])
    assert run(["prune", str(source), "--dry-run", "--scorer", f"hf:{model_folder()}"]) == 2
    said = capsys.readouterr().err
    assert f"no usable row in {source}: 3 rejected (no_think 1, unknown_shape 2); unknown_shape, first {source}:1: the row has the" in said
    assert f"no_think, first {source}:3: the response has no think part" in said


@pytest.mark.parametrize(
    "row", [{"response": None}, {"response": ""}, {"cot": "", "reasoning": "So.\n\nThen."}, {"cot": None, "answer": " "}]
)
def test_an_empty_column_hides_no_full_one(row: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chat = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>\na\n\nb\n</think>\n\nc"}]
    other = {"question": "q", "answer": "c"} if "reasoning" in row else {"question": "q", "messages": chat}
    source = write_rows(tmp_path / "rows.jsonl", [{**other, **row}])
    assert run(["prune", str(source), "--dry-run", "--scorer", f"hf:{model_folder()}"]) == 0
    assert "1 row read: 1 usable, 0 rejected" in capsys.readouterr().out


def test_a_dry_run_counts_rows_that_pass_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"question": "q", "cot": "a\n\nb", "answer": "c"}, {"question": "q", "response": "no thinking"}]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    assert run(["prune", str(source), "--dry-run", "--pass-through", "--scorer", f"hf:{model_folder()}"]) == 0
    assert capsys.readouterr().out.startswith("2 rows read: 1 usable, 1 pass through, 0 rejected\n  no_think: 1\n")


def test_a_dry_run_of_traces_of_one_step_says_that_none_is_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"question": "q", "cot": "a", "answer": "b"}] * 2)
    assert run(["prune", str(source), "--dry-run", "--scorer", f"hf:{model_folder()}"]) == 0
    assert "\nstage 1: align removes none of 2 steps: no trace has more than one\n" in capsys.readouterr().out


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8])
def test_no_run_removes_more_steps_than_its_dry_run_and_doctor_say(steps: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number, steps=steps) for number in range(6)])
    words = ["prune", str(source), "--scorer", f"hf:{model_folder()}", "--device", "cpu"]
    assert run([*words, "--dry-run"]) == 0
    said = re.search(r"align removes none (?:to (\d+) )?of (\d+) steps", capsys.readouterr().out)
    assert said is not None
    assert run(["doctor", str(source), "--scorer", f"hf:{model_folder()}", "--json"]) == 0
    [told] = [found["advice"] for found in json.loads(capsys.readouterr().out)["findings"] if found["name"] == "budget"]
    assert f"stage 1 (align) may remove up to {said[1] or 0} of the {said[2]} steps of all traces" in told
    assert run([*words, "--out", str(tmp_path / "out")]) == 0
    counts = json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))["counts"]
    assert counts["steps"] == int(said[2])
    assert counts["steps_coarse"] <= int(said[1] or 0)


def test_a_pilot_says_what_the_first_rows_lose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    words = [str(source), "--scorer", f"hf:{model_folder()}", "--device", "cpu", "--budget", "4096"]
    assert run(["prune", *words, "--pilot", "2"]) == 0
    said = capsys.readouterr().out
    assert run(["prune", *words, "--limit", "2", "--out", str(tmp_path / "out")]) == 0
    counts = json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))["counts"]
    assert counts["steps_coarse"] > 0
    tokens = " -> ".join(str(counts[f"tokens_{stage}"]) for stage in ("before", "coarse", "after"))
    assert f"stage 1: of the first 2 rows it removed {counts['steps_coarse']} of 16 steps, stage 2 0: {tokens} tokens" in said
    assert re.search(r"^time: \d+ s (to \d+ s )?of scoring by hf:\S+ on cpu, since [\d,]+ tokens of these rows took ", said, re.MULTILINE)
    assert run(["prune", *words, "--pilot", "2", "--out", str(tmp_path / "other")]) == 0
    assert not (tmp_path / "other").exists()

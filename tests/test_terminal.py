"""What came from outside is shown escaped by every command, and a stream that takes no text changes neither result nor exit code."""

import io
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.cli import COMMANDS, run
from asap.cli.terminal import Screen, console_for, screens
from asap.revealed import revealed
from lm.scripted_server import ScriptedServer, error
from run_fixtures import FILES, model_folder, prune_words, row, write_rows

HOSTILE = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\u202egnp.exe\u2066\u200b\u2060\ufeff\U000e0041\u2028\rasap: all is well\x00"
IN_A_NAME = HOSTILE.replace("\x00", "")
QUICK = ("--method", "keep-tail")
VISIBLE_FORMATS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # signs of scripts, such as ۝


def hidden(text: str) -> set[str]:
    """The characters of a text that nobody sees, or that steer what shows it."""
    kinds = {character: unicodedata.category(character) for character in set(text) - {"\n", "\t"}}
    return {character for character, kind in kinds.items() if kind in ("Cc", "Cf", "Cs", "Zl", "Zp")}


def test_all_that_steers_or_hides_is_escaped() -> None:
    kinds = {point: unicodedata.category(chr(point)) for point in range(sys.maxunicode + 1)}
    for point, kind in kinds.items():
        character = chr(point)
        shown = revealed(character)
        steers = kind in ("Cc", "Cs", "Zl", "Zp") and character not in "\n\t"
        if steers or (kind == "Cf" and not 0x13430 <= point <= 0x1343F and character not in VISIBLE_FORMATS):
            assert re.fullmatch(r"\\[xuUrnt][0-9a-f]*", shown), hex(point)
        elif kind[0] in "LNPS" and point not in (0x115F, 0x1160, 0x3164, 0xFFA0):
            assert shown == character, hex(point)


@given(st.text(st.characters(exclude_categories=[])))
def test_what_is_visible_stays_so(text: str) -> None:
    shown = revealed(text, keep="")
    assert not hidden(shown)
    assert revealed(shown, keep="") == shown
    assert [character for character in shown if character not in text and not character.isascii()] == []


def test_an_escape_tells_which_character_it_was() -> None:
    assert revealed("a\x1bb\u202ec\U000e0041d\udcff\n\te") == "a\\x1bb\\u202ec\\U000e0041d\\udcff\n\te"
    assert revealed("a\n\tb", keep="") == "a\\n\\tb"


def commands(tmp_path: Path) -> dict[str, list[str]]:
    """Each command with hostile names wherever it takes one."""
    bad, model = str(tmp_path / IN_A_NAME), f"hf:{model_folder()}"
    out = ["--out", f"{bad}-out"]
    return {
        "prune": [*prune_words(bad, f"{bad}-out", *QUICK)],
        "merge": ["merge", bad, *out],
        "cut": ["cut", bad, "--budget", "5", *out],
        "review": ["review", bad, "--out", f"{bad}.html"],
        "compare": ["compare", bad, "--scorer", model, "--methods", "random", *out],
        "evaluate": ["evaluate", "--model", model, "--benchmark", f"humaneval:{bad}", "--max-new-tokens", "9", *out],
        "score": ["score", bad, "--benchmark", f"traces:{bad}", *out],
        "compare-runs": ["compare-runs", bad, bad],
        "diff-runs": ["diff-runs", bad, bad],
        "certify": ["certify", "--full", bad, "--pruned", bad, "--margin", "2"],
        "train": ["train", bad, "--model", model, *out],
        "report": ["report", bad],
        "push": ["push", bad, "me/data", "--license", "mit", "--dry-run"],
        "completion": ["completion", "schema", bad],
        "reproduce": ["reproduce", f"{bad}.yaml", *out],
        "doctor": ["doctor", bad, "--scorer", model],
    }


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_shows_a_hostile_name_as_it_is(command: str, debug: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = commands(tmp_path)[command]
    run([*words, *(["--debug"] if debug else [])])
    run([*words, HOSTILE, f"--{HOSTILE}", HOSTILE])
    said = capsys.readouterr()
    assert "\\x1b]52" in said.out + said.err
    assert not hidden(said.out + said.err)
    assert not any(line.startswith("asap: all is well") for line in (said.out + said.err).splitlines())


def test_rows_columns_and_outputs_with_hostile_names_are_shown_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole run over files, ids, columns and texts that are hostile, and what can be made of it."""
    source, out = tmp_path / f"{IN_A_NAME}.jsonl", tmp_path / f"{IN_A_NAME}-pruned"
    evil = {
        "id": f"r{HOSTILE}",
        "question": f"q{HOSTILE}",
        "cot": f"{row(1)['cot']}\n\n{HOSTILE}",
        "answer": f"a{HOSTILE}",
        HOSTILE: HOSTILE,
    }
    write_rows(source, [evil, *map(row, range(3)), {"id": HOSTILE, HOSTILE: 1}, IN_A_NAME])
    model = f"hf:{model_folder()}"
    for words in (
        prune_words(source, out, *QUICK, "--review"),
        prune_words(source, out, *QUICK, "--budget", "9"),
        prune_words(source, tmp_path / "dry", *QUICK, "--dry-run"),
        ["cut", str(out), "--ratio", "0.3", "--out", f"{out}-cut"],
        ["review", str(out), "--out", f"{out}.html"],
        ["doctor", str(source), "--scorer", model],
        ["compare", str(source), "--scorer", model, "--methods", "random", "--ratios", "0.5", "--out", f"{out}-compared"],
        ["train", str(source), "--model", model, "--emit-config", "trl", "--out", f"{out}-trl"],
    ):
        run(words)
    said = capsys.readouterr()
    assert "\\x1b]52" in said.out
    assert "\\u202e" in said.err
    assert not hidden(said.out + said.err)
    card = (out / "README.md").read_text()
    assert "\\\\x1b" in card or "\\x1b" in card
    assert not hidden(card)


def test_a_source_with_markup_in_its_name_leaves_the_card_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["<img src=x onerror=alert(1)>.jsonl", "[c](javascript:alert(1)).jsonl", "a | b `c` ![d](e) {{7*7}}\n---\nlicense: mit\n.jsonl"]
    for number, name in enumerate(names):
        write_rows(tmp_path / name.replace("/", "_"), [row(number)])
    out = tmp_path / "out"
    assert run(["prune", *names, "--out", str(out), "--scorer", f"hf:{model_folder()}", *QUICK, "--ratio", "0.5"]) == 0
    card = (out / "README.md").read_text()
    assert r"\<img" in card
    assert r"\[c\](javascript" in card
    assert r"a \| b \`c\` !\[d\](e) {{7\*7}} --- license: mit .jsonl" in card
    assert card.split("---\n")[1].count("license:") == 1


@pytest.mark.parametrize("debug", [False, True])
def test_the_words_of_a_server_are_shown_escaped(
    debug: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    source = write_rows(tmp_path / "rows.jsonl", [row(1)])
    for status in (400, 401, 404, 429):
        with ScriptedServer([error(status, f"insufficient quota {HOSTILE}")]) as server:
            words = prune_words(source, tmp_path / f"out-{status}", "--llm", "openai:scripted", "--base-url", server.base_url)
            run([*words, "--debug"] if debug else words)
    said = capsys.readouterr()
    assert "\\x1b]52" in said.err
    assert not hidden(said.out + said.err)


def test_values_of_a_configuration_are_shown_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, words = tmp_path / f"{IN_A_NAME}.yaml", prune_words("x.jsonl", tmp_path / "out", "--config")
    for values in ({"method": HOSTILE}, {"budget": HOSTILE}, {HOSTILE: 1}, {"columns": HOSTILE}, {"format": [HOSTILE]}):
        config.write_text(json.dumps(values))
        assert run([*words, str(config)]) == 2
    config.write_text("a: \x07\x1b")
    assert run([*words, str(config)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 6
    assert not hidden(said)


def test_a_name_that_is_not_utf_8_is_shown_in_any_locale(tmp_path: Path) -> None:
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = [sys.executable.encode(), b"-m", b"asap", b"prune", b"no\xff\x9b\xe2\x80\xae.jsonl", b"--out", os.fsencode(tmp_path / "out")]
    for environment in (dict(os.environ), plain):
        done = subprocess.run(words, env=environment, capture_output=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith(b"asap: no\\udcff\\udc9b")
        assert not hidden(done.stderr.decode("utf-8", "surrogateescape"))


def test_markup_of_the_terminal_library_means_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with screens():
        console_for().print("[bold red]x[/] [link=http://e]y[/link] :skull: [/nothing]", soft_wrap=True)
    assert capsys.readouterr().out == "[bold red]x[/] [link=http://e]y[/link] :skull: [/nothing]\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_steered_by_our_own_bars_only() -> None:
    screen = Screen(terminal := Terminal(), is_stdout=False)
    screen.write("\r 5%|#\r\x1b[2J")
    screen.write("\x1b[A\x1b[A")
    screen.write("a\rb")
    assert terminal.getvalue() == "\r 5%|#\\r\\x1b[2J\x1b[A\x1b[Aa\\rb"
    screen = Screen(log := io.StringIO(), is_stdout=False)
    screen.write("\r 5%|#")
    screen.write("\n\x1b[A")
    assert log.getvalue() == "\n 5%|#\n"


def test_a_stream_that_fails_ends_silently() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    screen = Screen(Full(), is_stdout=True)
    for text in ("a", "b"):
        assert screen.write(text) == 1
    screen.flush()
    assert cast(OSError, screen.failure).errno == 28
    closed = io.StringIO()
    closed.close()
    Screen(closed, is_stdout=True).write("\ra")


def shell(line: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command with its streams as a shell line says; its exit code is the last line of stdout's place, a file of its own."""
    command = ["bash", "-c", f'{line}; exit "${{PIPESTATUS[0]}}"', "bash", sys.executable, "-m", "asap", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


STREAMS = {
    "stdout to a pipe that nobody reads": '"$@" | true',
    "stderr to a pipe that nobody reads": '"$@" 2>&1 >/dev/null | true',
    "both to head": '"$@" 2>&1 | head -1',
    "stdout on a full disk": '"$@" >/dev/full',
    "stderr on a full disk": '"$@" 2>/dev/full',
    "both on a full disk": '"$@" >/dev/full 2>&1',
    "stdout closed": '"$@" >&-',
    "stderr closed": '"$@" 2>&-',
    "all closed": '"$@" <&- >&- 2>&-',
}


@pytest.mark.parametrize("streams", STREAMS)
def test_a_broken_stream_changes_neither_result_nor_exit_code(streams: str, tmp_path: Path) -> None:
    source, out = write_rows(tmp_path / "rows.jsonl", [row(1), "no JSON"]), tmp_path / "out"
    done = shell(STREAMS[streams], *prune_words(source, out, *QUICK, "--review", "--max-rejected", "0"))
    assert done.returncode == 1, done
    assert {path.name for path in out.iterdir()} == FILES | {"review.html"}
    assert "Traceback" not in done.stdout + done.stderr
    assert "internal error" not in done.stdout + done.stderr
    assert "Exception ignored" not in done.stderr
    if streams == "stdout on a full disk":
        assert done.stderr.endswith("asap: what was printed could not be written (No space left on device); the files are\n")


def test_a_result_that_is_only_printed_and_cannot_be_is_no_success(tmp_path: Path) -> None:
    source = str(write_rows(tmp_path / "rows.jsonl", [row(1)]))
    words = ["doctor", source, "--scorer", f"hf:{model_folder()}"]
    assert shell('"$@" | true', *words).returncode == 0
    done = shell('"$@" >/dev/full', *words)
    assert done.returncode == 2
    assert "could not be written (No space left on device)" in done.stderr


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """Else what a library prints would go into it."""
    code = (
        "import os, sys; from asap.__main__ import _fill_standard_streams; _fill_standard_streams(); "
        "sys.exit(os.open('/dev/null', os.O_RDONLY) < 3)"
    )
    command = 'exec "$@" <&- >&- 2>&-'
    assert subprocess.run(["bash", "-c", command, "bash", sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def configured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str], tuple[int, str]]:
    def with_config(text: str) -> tuple[int, str]:
        (tmp_path / "asap.yaml").write_text(text)
        source = write_rows(tmp_path / "rows.jsonl", [row(1)])
        code = run([*prune_words(source, tmp_path / "out", *QUICK, "--config", str(tmp_path / "asap.yaml"))])
        return code, capsys.readouterr().err.splitlines()[-1]

    return with_config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prune:\n  budget: 100\n", "has other keys below prune"),
        ("prune: 7\n", "names prune, which is no option of asap prune; there are out, budget, ratio,"),
        ("compare: 7\n", "names compare, which is no option of asap prune"),
        ("budget:\n  tokens: 100\n", "has other keys below budget"),
        ("where:\n  devices: cpu\n", "has other keys below where"),
        ("format: [[trl]]\n", "has other keys below format"),
        ("budget:\n", "has no value for budget"),
        ("format: []\n", "has no value for format"),
        ("format: [trl, null]\n", "has no value for format"),
        ("budget: 9\nbudget: 10\n", "'budget' is there twice"),
        ("keep_first: 1\nkeep-first: 2\n", "names keep-first twice"),
        ("Budget: 9\n", "names Budget, which is no option of asap prune; did you mean budget"),
        ("--budget: 9\n", "names --budget, which is no option of asap prune; did you mean budget"),
        ("true: 9\n", "names true, which is no option of asap prune"),
        ("config: other.yaml\n", "names config, which is no option of asap prune"),
        ("unsafe-no-sandbox: true\n", "must be typed each time"),
        ("[" * 9000 + "]" * 9000, "is nested too deeply"),
        ("budget: " + "[" * 9000 + "]" * 9000, "is nested too deeply"),
        ("seed: 2026-13-45\n", "asap.yaml: '2026-13-45' is not a whole number"),
        ("- budget\n", "holds no mapping"),
    ],
)
def test_a_key_that_would_do_nothing_is_an_error(configured: Callable[[str], tuple[int, str]], text: str, said: str) -> None:
    code, line = configured(text)
    assert code == 2
    assert said in line


def test_an_option_that_is_called_like_a_command_is_read(configured: Callable[[str], tuple[int, str]], tmp_path: Path) -> None:
    assert configured("review: true\nbudget: 20\n")[0] == 0
    assert (tmp_path / "out" / "review.html").is_file()
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]["budget"] == 20


def test_two_configurations_are_not_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prune", "x", "--config", "a.yaml", "--config=b.yaml"]) == 2
    assert "--config is given twice (a.yaml and b.yaml)" in capsys.readouterr().err

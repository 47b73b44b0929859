"""docs/data.md: every example does what it shows, and the command for each known data set reads a row with its columns."""

import json
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from asap.cli import run
from asap.dataset.column_names import ANSWERS, CHATS, LESSER_QUESTIONS, QUESTIONS, RESPONSES, SYSTEMS, TRACES
from asap.lm.specs import load_tokens
from dataset.published_rows import PUBLISHED, A, C, Q
from run_fixtures import read_rows, write_rows

PAGE_FILE = Path(__file__).parent.parent / "docs" / "data.md"
PAGE = PAGE_FILE.read_text("utf-8")
EXAMPLES = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
SHAPES_SECTION = PAGE[PAGE.index("### Examples") : PAGE.index("### Two readings")]
KNOWN = re.findall(r"^\| `asap prune (\S+)(.*?)` \|", PAGE, re.MULTILINE)
LOADED_ONCE = cache(load_tokens)
ON_THE_HUB = {"--subset", "--split"}


@pytest.fixture(autouse=True)
def one_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load the bundled tokenizer once: most of the time of these commands."""
    monkeypatch.setattr("asap.lm.specs.load_tokens", LOADED_ONCE)
    monkeypatch.setattr("asap.workers.blueprint.load_tokens", LOADED_ONCE)


def commands_of(example: str) -> list[tuple[str, list[str]]]:
    """The commands of an example, and the lines that stand below each."""
    first, *others = [piece.split("\n") for piece in re.split(r"^\$ ", example, flags=re.MULTILINE)]
    assert first == [""]
    return [(command, [line for line in lines if line.strip()]) for command, *lines in others]


def said_by(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    name, *words = shlex.split(command)
    if name == "cat":
        return Path(words[0]).read_text("utf-8")
    assert name == "asap"
    capsys.readouterr()
    run(words)
    said = capsys.readouterr()
    return said.err + said.out


def missing_in(said: str, lines: list[str]) -> str | None:
    """The first line that a text lacks, searched for behind the one before; in a line … stands for anything."""
    at, text = 0, " ".join(said.split())
    for line in lines:
        pattern = ".*?".join(re.escape(" ".join(piece.split())) for piece in line.split("…"))
        found = re.compile(pattern).search(text, at)
        if found is None:
            return line
        at = found.end()
    return None


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.split("\n")[2][:40])
def test_an_example_does_what_it_shows(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command, lines in commands_of(example):
        name = command.removeprefix("cat ")
        if command == "cat rows.jsonl" or (name.endswith(".jsonl") and not Path(name).exists()):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text("".join(f"{line}\n" for line in lines), "utf-8")
            continue
        said = said_by(command, capsys)
        assert missing_in(said, lines) is None, said
        if example in SHAPES_SECTION:
            answer = next((line for line in lines if line.startswith("answer")), "answer (9 characters)")
            assert missing_in(said, ["question (16 characters)", "trace (29 characters)", answer]) is None, said


def test_the_page_has_an_example_of_every_kind_and_a_row_that_does_not_fit_is_noticed() -> None:
    assert len(EXAMPLES) > 20
    assert missing_in("shape: a\nid: 7\n", ["shape: a", "id: …"]) is None
    assert missing_in("id: 7\nshape: a\n", ["shape: a", "id: …"]) == "id: …"


def test_every_name_on_the_page_is_known() -> None:
    known = {*QUESTIONS, *LESSER_QUESTIONS, *TRACES, *RESPONSES, *ANSWERS, *CHATS, *SYSTEMS}
    rows = PAGE[PAGE.index("| part | names |") : PAGE.index("`asap doctor` counts")]
    named = set(re.findall(r"`(\w+)`", rows))
    assert len(named) > 30
    assert named <= known
    assert {*QUESTIONS, *LESSER_QUESTIONS, *ANSWERS, *SYSTEMS} <= named


def test_at_least_twenty_data_sets_have_a_command_and_a_row_of_our_own() -> None:
    assert len({name for name, _ in KNOWN}) >= 20
    assert {name for name, _ in KNOWN} <= PUBLISHED.keys()


@pytest.mark.parametrize(("name", "options"), KNOWN, ids=[name for name, _ in KNOWN])
def test_the_command_for_a_known_data_set_reads_its_row(name: str, options: str, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [PUBLISHED[name]])
    words = shlex.split(options)
    kept = [word for at, word in enumerate(words) if word not in ON_THE_HUB and (at == 0 or words[at - 1] not in ON_THE_HUB)]
    assert run(["prune", str(source), *kept, "--method", "original", "--out", str(tmp_path / "out")]) == 0
    row = read_rows(tmp_path / "out" / "pruned.jsonl")[0]
    assert (row["question"], row["cot"], row["answer"]) == (Q, C, A)
    others = [name for name in ("generations", "correctness_math_verify") if isinstance(row.get(name), list)]
    assert not others, json.dumps(row)


def test_every_link_on_the_page_leads_somewhere() -> None:
    headings = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)]
    links = re.findall(r"\]\(([\w.#/-]+)\)", PAGE)
    assert len(links) > 5
    assert [link for link in links if link.startswith("#") and link[1:] not in headings] == []
    assert [link for link in links if not link.startswith("#") and not (PAGE_FILE.parent / link.partition("#")[0]).exists()] == []

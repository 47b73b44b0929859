"""What a person sees while a run goes on: a bar in a terminal, plain lines in a log."""

import fcntl
import io
import os
import pty
import re
import select
import struct
import termios
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from asap import progress
from asap.dataset import to_sample
from asap.events import DecidedRows
from asap.progress import Bar, Lines, short, span, watcher
from own_process import begin
from run_fixtures import FILES, prune, prune_words, row, write_rows


def in_terminal(words: list[str], monkeypatch: pytest.MonkeyPatch, *, rows: int = 24, columns: int = 80) -> tuple[int | None, str]:
    """Run the command in a pseudo-terminal of a size; returns its exit code and all that it wrote, colours and all."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    process = begin(words, Path(os.ttyname(follower)))
    written = bytearray()
    while process.is_alive() or select.select([leader], [], [], 0)[0]:
        if select.select([leader], [], [], 0.1)[0]:
            written += os.read(leader, 65536)
    os.close(follower)
    os.close(leader)
    return process.exitcode, written.decode("utf-8")


def test_a_terminal_shows_a_bar_with_tokens_speed_and_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number, steps=12) for number in range(40)])
    code, written = in_terminal(prune_words(source, tmp_path / "out"), monkeypatch)
    assert code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert "the first row, r0, was read as question+cot+answer" in " ".join(shown.split())
    assert "40 traces to score" in shown
    assert re.search(r"pruning .*\d+/40, \d+ (s|min) left, [\d.]+ (rows/s|s a row), tokens [\d.k]+ -> [\d.k]+ \(\d+%\)", shown), shown
    assert "rows     40 = " in shown
    assert "Traceback" not in shown
    assert written.rstrip().endswith("README.md")


def test_a_bar_moves_with_the_bytes_done() -> None:
    screen = io.StringIO()
    with watcher(Console(file=screen, force_terminal=True, width=100)) as bar:
        assert isinstance(bar, Bar)
        for number in range(1, 2001):
            bar.reading(number)
        bar.scoring(4, 2, 100)
        assert bar.progress.tasks[0].total == 100
        bar.decided(DecidedRows(1, 60, 1000, 400))
        assert bar.progress.tasks[0].completed == 60
        bar.writing()
        assert bar.progress.tasks[0].description == "writing"
    assert "2 traces to score (2 of 4 were done before)" in screen.getvalue()


def test_a_log_gets_plain_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    prune(source, tmp_path / "out")
    said = capsys.readouterr().err
    assert "\x1b" not in said
    lines = said.splitlines()
    assert lines[0].startswith("the first row, r0, was read as question+cot+answer; ")
    assert "3 traces to score" in lines
    assert re.fullmatch(r"3/3 traces, 0 s left, [\d.]+ (rows/s|s a row), tokens [\d.k]+ -> [\d.k]+ \(\d+%\)", lines[-1])


def test_lines_come_at_the_first_row_and_at_the_end_and_rarely_between() -> None:
    log = io.StringIO()
    lines = watcher(Console(file=log, width=80))
    assert isinstance(lines, Lines)
    lines.scoring(500, 500, 5000)
    for _ in range(500):
        lines.decided(DecidedRows(1, 10, 1_000_000, 500_000))
    said = log.getvalue().splitlines()
    assert [line.partition(" ")[0] for line in said] == ["500", "1/500", "500/500"]
    assert "tokens 500M -> 250M (50%)" in said[-1]


def test_runs_after_each_other_are_counted_one_by_one() -> None:
    shown = io.StringIO()
    lines = Lines(Console(file=shown, width=200), whole_row=True)
    for _ in range(2):
        lines.first_row(to_sample({"question": "q", "cot": "c", "answer": "a"}))
        lines.scoring(2, 2, 200)
        for _ in range(2):
            lines.decided(DecidedRows(1, 100, 10, 5))
    assert shown.getvalue().count("2/2 traces, 0 s left") == 2
    assert "tokens 20 -> 10 (50%)" in shown.getvalue()
    assert shown.getvalue().count("shape:") == 1


def test_the_first_row_is_shown_whole_and_on_its_own_lines(capsys: pytest.CaptureFixture[str]) -> None:
    log = io.StringIO()
    shaped = to_sample({"question": "[bold]q[/nothing] " + "x" * 150, "response": "<think>\nt\n</think>\na", "id": "i"})
    watcher(Console(file=log, width=80), whole_row=True).first_row(shaped)
    assert log.getvalue().splitlines()[:3] == [
        "shape: question+response",
        "id: i",
        f"question (168 characters): [bold]q[/nothing] {'x' * 150}",
    ]


def test_a_row_cannot_send_commands_to_the_terminal() -> None:
    screen = io.StringIO()
    hostile = "\x1b]0;title\x07\x1b[2J\x9b2J\r\x08 \x7f"
    shaped = to_sample({"question": hostile, "response": f"<think>\n{hostile}\n</think>\na"})
    watcher(Console(file=screen, force_terminal=True, color_system=None), whole_row=True).first_row(shaped)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", screen.getvalue())
    assert "\\x1b]0;title\\x07" in screen.getvalue()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the progress takes for the time: the last of these."""
    times = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: times[-1]))
    return times


def test_the_bar_of_a_great_run_fits_into_eighty_columns(clock: list[float]) -> None:
    screen = io.StringIO()
    with watcher(Console(file=screen, force_terminal=True, width=80)) as bar:
        assert isinstance(bar, Bar)
        bar.scoring(50_000, 50_000, 10**9)
        clock.append(5000)
        bar.decided(DecidedRows(12_345, 3 * 10**8, 123_456_789, 61_728_394))
        bar.progress.refresh()
    assert "12345/50000, 3 h 14 min left, 2.47 rows/s, tokens 123M -> 61.7M (50%)" in screen.getvalue()


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1000, "1k"), (12_345, "12.3k"), (999_499, "999k"), (4_560_000, "4.56M"), (5 * 10**12, "5,000B")],
)
def test_counts_are_written_for_people(count: int, text: str) -> None:
    assert short(count) == text


def test_speed_and_time_left_follow_what_was_done(clock: list[float]) -> None:
    lines = watcher(Console(file=io.StringIO()))
    lines.scoring(10, 4, 400)
    assert lines.state().startswith("? left")
    clock.append(10)
    lines.decided(DecidedRows(2, 100, 50, 50))
    assert lines.rows_per_s == pytest.approx(0.2)
    assert lines.left_s == pytest.approx(30)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(float("nan"), "?"), (0, "0 s"), (89, "89 s"), (90, "2 min"), (5340, "89 min"), (5400, "1 h 30 min"), (12000, "3 h 20 min")],
)
def test_time_spans_are_written_for_people(seconds: float, text: str) -> None:
    assert span(seconds) == text

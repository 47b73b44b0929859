"""What a push must not let out, however it is written: original traces in other columns, and the token, whatever the Hub says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_rows import thinks, user
from asap.cli import run
from run_fixtures import prune, refusal, row, write_rows
from scripted_hub import Hub

REPO = "me/shorter"
LICENSED = ("--license", "mit")
COT = 'First we add.\n\nSo it is "two".\n\nWait, we check {0} again: \\nu is 4.\n\nThen it\'s done.'
COPIES: dict[str, Callable[[str], Any]] = {
    "json": lambda cot: json.dumps([{"role": "assistant", "content": f"<think>{cot}</think>ok"}]),
    "json in ascii": lambda cot: json.dumps({"é": cot + " é"}),
    "python": lambda cot: str([{"text": cot}]),
    "windows": lambda cot: cot.replace("\n", "\r\n"),
    "one line": lambda cot: " ".join(cot.split()),
    "paragraphs": lambda cot: [{"step": step} for step in cot.split("\n\n")],
}


def test_originals_are_found_however_a_column_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {
            "id": n,
            "question": "q",
            "cot": (cot := COT.format(n)),
            "answer": "4",
            "level": [cot[:20]],
            **{k: f(cot) for k, f in COPIES.items()},
        }
        for n in range(2)
    ]
    out = prune(write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "pruned", "--method", "keep-tail", "--ratio", "0.5")
    said = refusal(capsys, "push", str(out), REPO, *LICENSED, "--dry-run")
    assert f"({', '.join(sorted(COPIES))})" in said


def test_originals_beside_conversations_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cots = [COT.format(n) for n in range(2)]
    turns = [message for n, cot in enumerate(cots) for message in (user(f"q{n}"), {"role": "assistant", "content": thinks(cot, f"a{n}")})]
    source = write_rows(tmp_path / "rows.jsonl", [{"id": "c", "messages": turns, "text": f"… {cots[1]} …", "note": "q0"}])
    cut = ("--method", "keep-tail", "--ratio", "0.5")
    said = refusal(capsys, "push", str(prune(source, tmp_path / "pruned", *cut)), REPO, *LICENSED, "--dry-run")
    assert "(text)" in said
    for name, options in (("kept", (*cut, "--keep-columns", "note")), ("whole", ("--method", "original"))):
        assert run(["push", str(prune(source, tmp_path / name, *options)), REPO, *LICENSED, "--dry-run"]) == 0


def test_rows_that_are_not_those_of_the_run_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = prune(write_rows(tmp_path / "rows.jsonl", [row(0), row(1)]), tmp_path / "pruned")
    (out / "pruned.jsonl").write_text(json.dumps({"id": "another", "cot": "x"}) + "\n")
    assert "row 'another': its run has no such row there" in refusal(capsys, "push", str(out), REPO, *LICENSED, "--dry-run")


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_the_token_is_told_nowhere(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], status: int) -> None:
    out = prune(write_rows(tmp_path / "rows.jsonl", [row(1)]), tmp_path / "pruned")
    hub.says = f"Bearer {hub.token} is not allowed:"
    for path in ("/api/datasets/", "/api/repos/create"):
        hub.failures[path] = [status] * 20
        for more in ((), ("--debug",), ("--json",)):
            assert run(["push", str(out), REPO, *LICENSED, *more]) == 2
            said = capsys.readouterr()
            assert hub.token not in said.out + said.err
        hub.failures.clear()


@pytest.mark.parametrize("name", ["me/../you", "me", "/me/x", "me/x/y", "me /x", "me/", "me/x\n", "https://huggingface.co/me/x"])
def test_names_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert "is no name of a repository on the Hub; write OWNER/NAME" in refusal(capsys, "push", str(tmp_path), name, *LICENSED)

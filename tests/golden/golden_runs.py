"""Makes every golden run through the command line, in this process, and returns what it wrote."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

import torch
from golden_cases import COMMANDS, words_of
from golden_files import DEPENDS, NOT_READ, VARIES, data_of, masked, unpacked, without_data
from golden_inputs import write_inputs
from golden_models import write_models
from golden_server import llm_server
from transformers.utils import logging

from asap.prune.methods import phrases

EXPECTED = Path(__file__).parent / "expected"
_SAID = "said.txt"
_ENVIRONMENT = {"COLUMNS": "120", "OPENAI_API_KEY": "sk-golden", "NO_COLOR": "1", "TERM": "dumb", "HF_HUB_OFFLINE": "1"}

Files = dict[str, str]
"""Texts by file name."""


def make_runs(folder: Path) -> dict[str, Files]:
    """Make all runs in a new folder; returns what each one wrote and said, without what varies from one time to the next."""
    folder = folder.resolve()
    write_inputs(folder / "in")
    logging.disable_progress_bar()
    write_models(folder / "models")
    without_spacy = patch.object(phrases, "SPACY_MODELS", ("not_installed",))  # regular expressions find phrases, whatever is installed
    with _surroundings(folder), without_spacy, llm_server() as server:
        return {name: _made(folder, name, server) for name in COMMANDS}


def for_comparison(files: Files) -> Files:
    """The files as `expected` holds them: nothing that depends on the installed packages, and of a page its data and a digest."""
    kept = {}
    for name, text in files.items():
        if name.endswith(("review.html", "report.html")):
            kept[f"{name}.data"] = masked(name, data_of(text), DEPENDS)
            kept[f"{name}.sha256"] = sha256(without_data(text).encode()).hexdigest() + "\n"
        else:
            kept[name] = masked(name, text, DEPENDS)
    return kept


def write_files(folder: Path, runs: dict[str, Files]) -> None:
    """Write the files of each run into a folder of its name."""
    for run, files in runs.items():
        for name, text in files.items():
            (folder / run / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / run / name).write_bytes(text.encode("utf-8", "surrogateescape"))


def read_files(folder: Path) -> Files:
    """The files of a folder that `write_files` wrote."""
    return {str(path.relative_to(folder)): _read(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _made(folder: Path, name: str, server: str) -> Files:
    (folder / name).mkdir()
    said = _said(words_of(name, server))
    paths = [path.relative_to(folder) for path in sorted((folder / name).rglob("*")) if path.is_file()]
    read = [path for path in paths if not any(path.match(pattern) for pattern in NOT_READ)]
    texts = {path.relative_to(name).as_posix(): _read(folder / path) for path in read}
    texts = {file: unpacked(text) if file.endswith(".html") else text for file, text in {**texts, _SAID: said}.items()}
    return {file: masked(f"{name}/{file}", text.replace(str(folder), "FOLDER"), VARIES) for file, text in texts.items()}


@contextlib.contextmanager
def _surroundings(folder: Path) -> Iterator[None]:
    before, threads, here = dict(os.environ), torch.get_num_threads(), Path.cwd()
    os.environ.update(_ENVIRONMENT, ASAP_CACHE=str(folder / "cache"))
    torch.set_num_threads(1)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        torch.set_num_threads(threads)
        os.environ.clear()
        os.environ.update(before)


def _said(words: list[str]) -> str:
    """Run the command line; returns its exit code and what it printed."""
    from asap.__main__ import main

    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["asap", *words]
    code: object = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as left:
        code = left.code
    finally:
        sys.argv = argv
    return f"$ asap {' '.join(words)}\nexit code {code}\n\nstdout:\n{out.getvalue()}\nstderr:\n{err.getvalue()}"

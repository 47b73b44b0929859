"""The nightly job runs, and tells what differs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS / "golden"), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.slow
def test_some_kills() -> None:
    words = [sys.executable, str(TESTS / "nightly/kill9.py"), "--kills", "4", "--commands", "cut,score"]
    done = subprocess.run(words, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " kills in " in done.stdout


DIFFERENCES = """
from kill9 import Fault, differing
for found in ({}, {"a": b"1", "b": b""}, {"a": b"2"}, {"a": b"1"}):
    try:
        differing({"a": b"1"}, found)
        print("equal")
    except Fault as fault:
        print(fault)
"""


@pytest.mark.slow
def test_differences_are_told() -> None:
    folders = os.pathsep.join([str(TESTS / "nightly"), ENVIRONMENT["PYTHONPATH"]])
    environment = {**os.environ, "PYTHONPATH": folders}
    done = subprocess.run([sys.executable, "-c", DIFFERENCES], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["a missing", "b left over", "a differs at byte 0: b'1' and b'2'", "equal"]

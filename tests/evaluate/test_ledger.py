"""What is written is there after kill -9, and only one process writes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from asap.errors import InputError
from asap.evaluate.ledger import EVALUATION_FILE, Ledger
from asap.evaluate.stored import is_written

WRITER = """
import sys
from pathlib import Path
from asap.evaluate.ledger import Ledger
with Ledger.open(Path(sys.argv[1])) as ledger:
    session = ledger.begin_session({})
    for number in range(10**6):
        ledger.put_generated(f"key-{number}", {"text": "x" * 1000}, session, float(number))
        print(number, flush=True)
"""


def test_what_was_put_is_there_and_the_first_value_stays(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.put("a", {"text": "half a pair: \ud83d"})
        ledger.put("a", {"text": "other"})
    with Ledger.open(tmp_path) as ledger:
        assert ledger.found("a", is_written) == {"text": "half a pair: \ud83d"}
        assert ledger.found("b", is_written) is None


def test_sessions_add_up(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        for seconds in (2.0, 3.0):
            session = ledger.begin_session({})
            ledger.put_generated(f"a{session}", {}, session, 1.0)
            ledger.put_generated(f"b{session}", {}, session, seconds)
        assert ledger.sessions([1, 2, 1]) == (5.0, 4)
        assert ledger.sessions([]) == (0.0, 0)


def test_kill_9_loses_nothing_that_was_written(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(20)]
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    with Ledger.open(tmp_path) as ledger:
        assert all(ledger.has(f"key-{int(line)}") for line in said)
        assert ledger.sessions([1])[1] >= 20


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.put("a", {})
        with pytest.raises(InputError, match="another asap process is working in"), Ledger.open(tmp_path):
            pass


def test_folders_and_files_that_are_no_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another --out"), Ledger.open(tmp_path / "file" / "out"):
        pass
    (tmp_path / EVALUATION_FILE).write_bytes(b"this is no database, but it is long enough to be looked at" * 20)
    with pytest.raises(InputError, match="is damaged"), Ledger.open(tmp_path):
        pass

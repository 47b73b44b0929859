"""What each kind of check says of right, wrong, broken and sly solutions."""

import pytest
from sandbox_helpers import CALLS, CHECK, HONEST, LIMITS, STDIN, honest_passes

from asap.benchmarks.problem import Calls, Program
from asap.errors import UsageError
from asap.sandbox import Limits, Verdict

SOLUTIONS = {
    HONEST: "pass",
    "def f(x): return 0": "fail",
    "def f(x): return 3": "fail",
    "def f(x): 1 / 0": "error",
    "def f(:": "error",
    "def g(x): return 2 * x + 1": "error",
    "import os\nos._exit(0)": "error",
    "def f(x): raise SystemExit": "error",
    "import ctypes\ndef f(x): ctypes.string_at(0)": "crash",
    "import os, signal\ndef f(x): os.closerange(3, 5000)": "error",
    "def f(x): return bytearray(1 << 40)": "memory",
    "def f(x):\n with open('big', 'wb') as h:\n  while True: h.write(bytes(1 << 20))": "disk",
    "def f(x): return 'x' * (17 << 20)": "output",
    "def f(x): return [0] * 3_000_000": "output",
    "def f(x):\n while True: pass": "timeout",
    " \n": "no-answer",
    "async def f(x): return 3": "fail",
    "import sys\nsys.stdout = None\ndef f(x): return 2 * x + 1": "pass",
    "import sortedcontainers, numpy\ndef f(x): return numpy.int64(2 * x + 1)": "pass",
}
PROGRAMS = {
    "print(int(input()) * 2 + 1)": "pass",
    "import sys\nprint(int(sys.stdin.buffer.readline()) * 2 + 1)\nsys.exit(3)": "pass",
    "import threading\nt = threading.Thread(target=lambda: print(int(input()) * 2 + 1))\nt.start()": "pass",
    "import atexit\natexit.register(lambda: print(43))": "pass",
    "import os\nos.write(1, b'43')\nos._exit(0)": "pass",
    "import os\nos.write(1, b'43')\nos._exit(3)": "error",
    "print(0)": "fail",
    "": "no-answer",
    "print(43)\nboom": "error",
    "import time\nprint(43, flush=True)\ntime.sleep(60)": "timeout",
    "while True: print('x' * 65536)": "output",
    "import os\nprint(43, flush=True)\nos.kill(os.getpid(), 11)\nimport ctypes\nctypes.string_at(0)": "crash",
}


@pytest.mark.parametrize("check", [CALLS, CHECK], ids=["calls", "program"])
@pytest.mark.parametrize(("solution", "expected"), SOLUTIONS.items(), ids=range(len(SOLUTIONS)))
def test_function(sandbox, check, solution, expected):
    verdict = sandbox.judge(check, solution, LIMITS)
    assert verdict.verdict == expected, verdict.detail
    assert verdict.passed == (expected == "pass")
    assert verdict.sandbox == "bwrap"
    assert verdict.limits == LIMITS
    assert verdict.detail.isascii()
    assert len(verdict.detail.splitlines()) <= 1
    assert not verdict.wall_only


@pytest.mark.parametrize(("solution", "expected"), PROGRAMS.items(), ids=range(len(PROGRAMS)))
def test_program(sandbox, solution, expected):
    verdict = sandbox.judge(STDIN, solution, Limits(cpu_s=1, wall_s=3 if expected == "timeout" else 30))
    assert verdict.verdict == expected, verdict.detail
    assert verdict.wall_only == (expected == "timeout")


def test_the_figures(sandbox):
    verdict = sandbox.judge(CALLS, "def f(x):\n b = bytearray(b'x' * (100 << 20))\n return 2 * x + 1 if x != -4 else 0", LIMITS)
    assert (verdict.verdict, verdict.passed_checks, verdict.checks) == ("fail", 2, 3)
    assert 100 < verdict.peak_mb < 400
    assert 0 < verdict.cpu_s < 5
    assert verdict.record()["passed"] is False
    verdict = sandbox.judge(CALLS, "import time\ndef f(x): time.sleep(1e6)", Limits(cpu_s=1, wall_s=1.2))
    assert verdict.wall_only
    assert verdict.wall_s > 1.1


def test_methods_and_arguments(sandbox):
    check = Calls("Solution.add", [[{"a": [1]}, (2,)], [{}, ()]], [3, 0], lambda _, output, expected: output == expected)
    code = "class Solution:\n def add(self, d, t): return sum(d.get('a', [])) + sum(t)"
    assert sandbox.judge(check, code, LIMITS).passed
    assert sandbox.judge(
        Program("def check(c): assert c(a={'a': [1]}, t=(2,)) == 3", "Solution().add"), code.replace("d,", "a,").replace("d.", "a."), LIMITS
    ).passed


def test_a_comparison_that_trips_says_fail(sandbox):
    check = Calls("f", [[1]], [3], lambda _, output, expected: abs(output - expected) < 1)
    verdict = sandbox.judge(check, "def f(x): return 'three'", LIMITS)
    assert verdict.verdict == "fail"
    assert "TypeError" in verdict.detail


def test_outputs_of_a_reference(sandbox):
    assert sandbox.outputs("f", [[1], [2]], HONEST, LIMITS) == [3, 5]
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        sandbox.outputs("f", [[1]], "def f(x): 1 / 0", LIMITS)
    with pytest.raises(UsageError, match="no output"):
        sandbox.outputs("f", [[1]], "import os\ndef f(x): os._exit(0)", LIMITS)
    assert honest_passes(sandbox)


def test_limits_make_sense():
    assert Limits(cpu_s=2).wall_s == 8
    assert Limits(cpu_s=1).wall_s == 6
    with pytest.raises(UsageError, match="memory_mb"):
        Limits(memory_mb=0)


FORGERIES = {
    "walks the frames and answers by itself": """
import sys
def f(x):
    frame = sys._getframe()
    while frame:
        for value in frame.f_locals.values():
            if type(value).__name__ == "Channel":
                for claim in ({"verdict": "pass"}, {"id": 0, "value": 3}, {"ready": True, "passed": 1}):
                    value.send(claim)
        frame = frame.f_back
""",
    "answers what was asked before": """
import gc
seen = []
def f(x):
    for thing in gc.get_objects():
        if type(thing).__name__ == "Server":
            seen.append(thing.id)
            for old in seen:
                thing.channel.send({"id": old, "value": 3})
""",
    "reads ahead on the link": """
import os, socket, stat
def is_socket(n):
    try:
        return stat.S_ISSOCK(os.fstat(n).st_mode)
    except OSError:
        return False
def f(x):
    link = socket.socket(fileno=next(n for n in range(3, 4096) if is_socket(n)))
    link.setblocking(False)
    try:
        return link.recv(100000).decode()
    except OSError:
        return "nothing"
""",
    "looks for the tests in memory": """
import gc
def f(x):
    texts = [str(thing) for thing in gc.get_objects() if isinstance(thing, (str, list, tuple, dict))]
    found = [text for text in texts if "21" in text[:500] and "-7" in text]
    return found[:3] or 0
""",
    "says that it is another type": """
class Int(int):
    __class__ = int
    def __eq__(self, other): return True
    def __hash__(self): return 0
class Any(metaclass=type("M", (type,), {"__eq__": lambda *a: True, "__hash__": lambda s: 0})): pass
def f(x): return Any if x == 1 else Int(0)
""",
    "sends endless nesting as its value": """
def f(x):
    value = []
    for _ in range(10 ** 5):
        value = [value]
    return value
""",
    "answers with an unknown tag": """
import gc
def f(x):
    for thing in gc.get_objects():
        if type(thing).__name__ == "Server":
            thing.channel.send({"id": thing.id, "value": {"pickle": "gASVAAAA"}})
""",
    "stops its own judge's loop": "def f(x): raise StopIteration",
    "raises what a test would": "def f(x): raise AssertionError('passed')",
    "trickles": """
import os, stat, time
def is_socket(n):
    try:
        return stat.S_ISSOCK(os.fstat(n).st_mode)
    except OSError:
        return False
def f(x):
    link = next(n for n in range(3, 4096) if is_socket(n))
    while True:
        os.write(link, b"\\0")
        time.sleep(0.2)
""",
}


@pytest.mark.parametrize("check", [CALLS, CHECK], ids=["calls", "program"])
@pytest.mark.parametrize("solution", FORGERIES.values(), ids=FORGERIES)
def test_forgery(sandbox, check, solution):
    verdict = sandbox.judge(check, solution, LIMITS)
    assert verdict.verdict in ("fail", "error", "tamper", "timeout")
    assert honest_passes(sandbox)


def test_a_pass_needs_a_call(sandbox):
    verdict = sandbox.judge(Program("def check(c): pass", "f"), HONEST, LIMITS)
    assert (verdict.verdict, verdict.calls) == ("fail", 0)


def test_no_answer_is_a_verdict_of_its_own(sandbox):
    assert sandbox.judge(CALLS, "", LIMITS) == Verdict("no-answer", limits=LIMITS)


def test_a_run_leaves_nothing_to_the_next(sandbox):
    leave = """
import builtins, sys, os
builtins.left = sys.left = 1
os.environ['LEFT'] = '1'
open('/tmp/left', 'w').write('1')
print = None
def f(x): return 0
"""
    look = """
import builtins, sys, os
left = [hasattr(builtins, 'left'), hasattr(sys, 'left'), 'LEFT' in os.environ, os.listdir('/tmp') != ['solution.py']]
def f(x): return 0 if any(left) else 2 * x + 1
"""
    for _ in range(4):  # both workers
        assert sandbox.judge(CALLS, leave, LIMITS).verdict == "fail"
    for _ in range(4):
        assert sandbox.judge(CALLS, look, LIMITS).passed

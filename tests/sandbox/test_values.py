# ruff: noqa: E501
"""What crosses between tests and a solution: as in one process, in both directions, and never as a judgement of the solution's."""

import array
import contextlib
import datetime
import math
import re
import socket
import sys
import textwrap
import threading
import types
from collections import Counter, OrderedDict, UserList, defaultdict, deque
from collections.abc import Iterator
from decimal import Decimal
from pathlib import PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from right_functions import RIGHT
from sandbox_helpers import LIMITS, honest_passes

from asap.benchmarks.problem import Calls, Program
from asap.benchmarks.values import same_value
from asap.sandbox.jail.codec import TRUSTED, BadValue, Channel, Closed, decode
from asap.sandbox.jail.remote import Gone, Remote
from asap.sandbox.jail.server import Server, plain_form


def checking(body: str) -> str:
    return "def check(candidate):\n" + textwrap.indent(body, "    ")


@pytest.fixture
def recursion_limit():
    """Set back afterwards: with a higher one, later tests of this process overflow the stack instead of raising RecursionError."""
    before = sys.getrecursionlimit()
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("recursion_limit")
@pytest.mark.parametrize(("code", "body"), RIGHT.values(), ids=RIGHT)
def test_a_right_function_passes_as_it_does_in_one_process(sandbox, code, body):
    solution: dict = {}
    tests: dict = {}
    exec(code, solution)
    exec(checking(body), tests)
    tests["check"](solution["f"])
    verdict = sandbox.judge(Program(checking(body), "f"), code, LIMITS)
    assert verdict.verdict == "pass", verdict.detail


WRONG = {
    "a class that equals everything": ("class A:\n __eq__=lambda s,o: True\ndef f(x): return A()", "assert candidate(1)==2"),
    "and is unequal to nothing": ("class A:\n __ne__=lambda s,o: False\ndef f(x): return A()", "assert not candidate(1)!=2"),
    "an int that equals everything": ("class A(int):\n __eq__=lambda s,o: True\ndef f(x): return A(0)", "assert candidate(1)==2"),
    "an int without distance": ("class A(int):\n __sub__=lambda s,o: A(0)\ndef f(x): return A(0)", "assert abs(candidate(1)-2)<1e-6"),
    "a float without distance": ("class A(float):\n __rsub__=lambda s,o: 0.0\ndef f(x): return A(0)", "assert abs(2-candidate(1))<1e-6"),
    "a list that equals everything": ("class A(list):\n __eq__=lambda s,o: True\ndef f(x): return A()", "assert candidate(1)==[2]"),
    "a str": ("class A(str):\n __eq__=lambda s,o: True\n __hash__=str.__hash__\ndef f(x): return A()", "assert candidate(1)=='a'"),
    "a metaclass": ("class M(type):\n __eq__=lambda s,o: True\nclass A(metaclass=M): pass\ndef f(x): return A", "assert candidate(1)==2"),
    "ANY": ("from unittest.mock import ANY\ndef f(x): return ANY", "assert candidate(1)==2"),
    "a mock class": ("from unittest.mock import MagicMock\nf=MagicMock", "assert candidate(1)==2"),
    "a distance of nothing": ("class A:\n __sub__=lambda s,o: 0\ndef f(x): return A()", "assert abs(candidate(1)-2)<1e-6"),
    "a namedtuple": (
        "from collections import namedtuple\nclass A(namedtuple('A','a')):\n __eq__=lambda s,o: True\ndef f(x): return A(1)",
        "assert candidate(1)==(2,)",
    ),
    "an array in numpy's clothes": (
        "class A:\n __array_interface__={'shape':(1,),'typestr':'<i8','data':(1,False),'version':3}\n"
        " __array_priority__=1e9\n __array_ufunc__=None\n __req__=lambda s,o: True\ndef f(x): return A()",
        "import numpy as np\nassert np.array_equal(candidate(1), np.array([2]))",
    ),
    "an enumeration": (
        "import enum\nclass E(enum.IntEnum):\n A=1\n __eq__=lambda s,o: True\ndef f(x): return E.A",
        "assert candidate(1)==2",
    ),
    "nearly": ("def f(x): return 2.1", "assert candidate(1)==2"),
    "another type": ("def f(x): return (1,)", "assert candidate(1)==[1]"),
    "an exception that looks like another": (
        "class KeyError(Exception): pass\ndef f(x): raise KeyError()",
        "try: candidate(1)\nexcept KeyError: pass",
    ),
    "an altered argument": ("def f(x): x.append(1)\n", "a=[]\ncandidate(a)\nassert a==[]"),
}


@pytest.mark.parametrize(("code", "body"), WRONG.values(), ids=WRONG)
def test_a_wrong_answer_stays_wrong(sandbox, code, body):
    verdict = sandbox.judge(Program(checking(body), "f"), code, LIMITS)
    assert verdict.verdict in ("fail", "error"), verdict


HONEST = {
    "prints to descriptor 3": "import os\ntry: os.write(3, b'debug')\nexcept OSError: pass",
    "closes what it did not open": "import os\nos.closerange(3, 256)",
    "becomes a daemon, nearly": "import os, resource\nfor n in range(3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]):\n try: os.close(n)\n except OSError: pass",
    "patches json": "import json\njson.dumps = lambda *a, **k: 'patched'\njson.loads = None\njson.JSONEncoder.default = lambda s, o: 0\njson.JSONEncoder.encode = None",
    "patches socket, struct and select": "import socket, struct, select\nsocket.socket.sendall = socket.socket.recv = None\nstruct.pack = struct.Struct = None\nselect.select = select.poll = None",
    "replaces modules": "import sys\nfor n in ('json', 'socket', 'struct', 'numpy'): sys.modules[n] = None",
    "has names of modules": "json = select = socket = sys = 3\ndef len(x): return 0",
    "a high limit of recursion": "import sys\nsys.setrecursionlimit(10**6)",
    "collects garbage by hand": "import gc\ngc.disable()\ngc.set_threshold(1)",
    "prints with flush": "import builtins, functools\nbuiltins.print = functools.partial(print, flush=True)\nprint('x')",
    "a handler of signals": "import signal\nsignal.signal(signal.SIGTERM, lambda *a: None)",
    "a thread": "import threading\nthreading.Thread(target=lambda: None, daemon=True).start()",
}


@pytest.mark.parametrize("code", HONEST.values(), ids=HONEST)
@pytest.mark.parametrize("way", ["calls", "check"])
def test_what_is_odd_but_honest_passes(sandbox, way, code):
    check = Program("def check(c): assert c(1) == [1, 2]", "f") if way == "check" else Calls("f", [[1]], [[1, 2]], same_value)
    verdict = sandbox.judge(check, f"{code}\ndef f(x): return [x, x + 1]", LIMITS)
    assert verdict.verdict == "pass", verdict.detail


TOO_MUCH = {
    "many commas": ("def f(x): return ',' * 7_000_000", "output"),
    "many bytes": ("def f(x): return 'x' * (20 << 20)", "output"),
    "a large array": ("import numpy as np\ndef f(x): return np.zeros(4_000_000)", "output"),
    "a deep tuple": ("def f(x):\n t=()\n for _ in range(5000): t=(t,)\n return t", "error"),
    "keys that collide": ("def f(x): return {i*(2**61-1): 0 for i in range(1, 500)}", "error"),
    "many digits": ("from decimal import Decimal\ndef f(x): return Decimal('1e999999999')", "output"),
    "repr raises": ("class A:\n def __repr__(s): raise ValueError\ndef f(x): return A()", "fail"),
    "getattr raises": ("class A:\n def __getattr__(s,n): raise KeyError(n)\ndef f(x): return A()", "fail"),
    "a class that is odd": (
        "class M(type):\n def __getattribute__(c,n): raise RuntimeError(n)\nclass A(metaclass=M): pass\ndef f(x): return A()",
        "error",
    ),
}


@pytest.mark.parametrize(("code", "expected"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_is_too_much_is_no_tampering(sandbox, code, expected):
    verdict = sandbox.judge(Program("def check(c): assert c(1) == 1", "f"), code, LIMITS)
    assert verdict.verdict == expected, verdict
    assert honest_passes(sandbox)


def test_what_kills_the_tests_is_no_tampering(sandbox):
    verdict = sandbox.judge(Program("import ctypes\ndef check(c):\n    c(1)\n    ctypes.string_at(0)", "f"), "def f(x): return x", LIMITS)
    assert verdict.verdict == "error", verdict
    verdict = sandbox.judge(Program("def check(c):\n    while c(1): pass", "f"), "def f(x): return 1", LIMITS)
    assert verdict.verdict == "timeout", verdict


def test_what_needs_one_process_is_said(sandbox):
    code = "class V:\n def __init__(s, x): s.x = x\n def __eq__(s, o): return s.x == o\n def __sub__(s, o): return s.x - o\ndef f(x): return V(x)"
    verdict = sandbox.judge(Program("def check(c): assert c(1) == 1", "f"), code, LIMITS)
    assert verdict.verdict == "fail"
    assert "__eq__ of a V with a plain value" in verdict.detail
    verdict = sandbox.judge(Program("def check(c): assert c(3) - 1 == 2", "f"), code, LIMITS)
    assert (verdict.verdict, "__sub__ of a V with a plain value" in verdict.detail) == ("fail", True)
    body = "def check(c):\n class W(type(c(1))): pass\n assert W(1).x == 1"
    verdict = sandbox.judge(Program(body, "f"), code, LIMITS)
    assert (verdict.verdict, verdict.detail) == ("infra", "the tests need a subclass of V in the solution's process")


LIKE_LIVECODEBENCH = {
    "a tuple": ("return (1, 2)", [1, 2], True),
    "a namedtuple": ("import collections\n  return collections.namedtuple('P', 'a b')(1, 2)", [1, 2], True),
    "a tuple inside": ("return [(1, 2)]", [[1, 2]], False),
    "numpy's numbers": ("import numpy as np\n  return [np.int64(1), np.float64(2)]", [1, 2], True),
    "numpy's truth": ("import numpy as np\n  return np.bool_(True)", True, True),
    "an array of one": ("import numpy as np\n  return np.array([5])", 5, True),
    "an array of two": ("import numpy as np\n  return np.array([1, 2])", [1, 2], False),
    "a Counter": ("import collections\n  return collections.Counter('aab')", {"a": 2, "b": 1}, True),
    "an OrderedDict": ("import collections\n  return collections.OrderedDict(a=1)", {"a": 1}, True),
    "a deque": ("import collections\n  return collections.deque([1])", [1], False),
    "a set": ("return {1}", [1], False),
    "a generator": ("return (i for i in [1])", [1], False),
    "a Decimal": ("import decimal\n  return decimal.Decimal('1.5')", 1.5, True),
    "a Fraction": ("import fractions\n  return fractions.Fraction(3, 2)", 1.5, True),
    "an IntEnum": ("import enum\n  return enum.IntEnum('C', 'A B').A", 1, True),
    "a list of its own": ("class L(list): pass\n  return L([1])", [1], True),
    "bool for int": ("return True", 1, True),
    "float for int": ("return 2.0", 2, True),
    "a number as text": ("return '1'", 1, False),
    "nothing": ("pass", None, True),
}


@pytest.mark.parametrize(("body", "expected", "right"), LIKE_LIVECODEBENCH.values(), ids=LIKE_LIVECODEBENCH)
@pytest.mark.parametrize("written", ["class Solution:\n def f(self, x):\n  {}", "def f(x):\n  {}"])
def test_outputs_are_compared_as_livecodebench_does(sandbox, written, body, expected, right):
    check = Calls("Solution.f|f", [[1]], [expected], same_value)
    verdict = sandbox.judge(check, written.format(body), LIMITS)
    assert verdict.verdict == ("pass" if right else "fail"), verdict


ZONES = st.one_of(st.none(), st.timedeltas(datetime.timedelta(hours=-23), datetime.timedelta(hours=23)).map(datetime.timezone))
HASHABLE = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), st.complex_numbers(allow_nan=False)),
        *(st.decimals(allow_nan=False), st.fractions(), st.dates(), st.times(timezones=ZONES), st.datetimes(timezones=ZONES)),
        *(st.timedeltas(), st.uuids(), st.text("abc/", min_size=1).map(PurePosixPath), st.just(...), st.just(NotImplemented)),
        *(st.builds(range, st.integers(), st.integers(), st.integers(1, 9)), st.sampled_from([int, list, Decimal, ValueError, np.int64])),
        *(st.integers(-9, 9).map(np.int64), st.floats(allow_nan=False, width=32).map(np.float32), st.ip_addresses()),
    ),
    lambda inner: st.one_of(st.tuples(inner, inner), st.frozensets(inner, max_size=4)),
    max_leaves=5,
)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: st.one_of(
        *(st.lists(inner), st.dictionaries(HASHABLE, inner), st.sets(HASHABLE), st.tuples(inner, inner)),
        *(st.builds(deque, st.lists(inner), st.one_of(st.none(), st.integers(0, 5))), st.lists(st.text()).map(Counter)),
        *(st.dictionaries(HASHABLE, inner).map(OrderedDict), st.dictionaries(HASHABLE, inner).map(lambda d: defaultdict(list, d))),
        *(
            st.binary().map(bytearray),
            st.lists(st.integers(0, 255)).map(lambda items: array.array("i", items)),
            st.lists(inner).map(UserList),
        ),
        *(
            st.lists(st.integers(-9, 9)).map(np.array),
            st.dictionaries(st.text("ab", min_size=1), inner).map(lambda d: types.SimpleNamespace(**d)),
        ),
    ),
    max_leaves=15,
)


class Ends:
    """Both ends of a link: a solution of one function, in a thread."""

    def __init__(self, solution: str) -> None:
        ours, theirs = socket.socketpair()
        module = types.ModuleType("solution")
        exec(solution, vars(module))
        self.server = Server(Channel(theirs, TRUSTED, TRUSTED), module, vars(module)["f"])
        self.remote = Remote(Channel(ours, TRUSTED, TRUSTED))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        try:
            while True:
                self.server.answer(self.server.channel.receive())
        except Closed:
            pass

    def close(self) -> None:
        self.remote.channel.link.close()
        self.thread.join(10)
        self.server.channel.link.close()


@pytest.fixture(scope="module")
def identity() -> Iterator[Ends]:
    ends = Ends("kept = []\ndef f(x):\n    kept[:] = [x]\n    return x\ndef same(x): return kept[0] is x\n")
    yield ends
    ends.close()


def alike(one, other) -> bool:
    """Equal values of equal types, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple, deque, UserList)):
        return len(one) == len(other) and all(map(alike, one, other)) and getattr(one, "maxlen", 0) == getattr(other, "maxlen", 0)
    if isinstance(one, dict):
        return alike(list(one), list(other)) and alike(list(one.values()), list(other.values()))
    if isinstance(one, types.SimpleNamespace):
        return alike(vars(one), vars(other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())
    if isinstance(one, np.generic):
        return bool(one == other)
    if isinstance(one, float) and one == 0:
        return math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other)


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=3))
def test_a_value_comes_to_the_solution_and_back_as_it_was(identity, values):
    copies = identity.remote.ask("get", name="f")((*values,))
    assert alike(copies, tuple(values))
    holder = [*values]
    assert identity.remote.ask("get", name="f")(holder) is holder
    assert identity.remote.ask("get", name="same")(holder)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.randoms())
@settings(max_examples=100, deadline=None)
def test_shared_and_cyclic_lists_stay_shared_and_cyclic(identity, edges, random):
    lists: list[list] = [[] for _ in edges]
    for at, edge in enumerate(edges):
        lists[at].append(lists[edge % len(lists)])
        random.choice(lists).append(at)
    back = identity.remote.ask("get", name="f")(lists)
    assert back is lists
    for one in lists:
        assert all(any(item is other for other in lists) for item in one if isinstance(item, list))


def test_what_the_solution_keeps_is_not_copied():
    code = """
grid = [[[1], [2]], [[3]]]
row = [4]
def f(kind): return {"all": [grid, row], "tuple": (grid, row), "row": [row, [5]], "plain": grid}[kind]
def change():
    grid[0][0].append(9)
    row.append(9)
"""
    for kind in ("all", "tuple", "row", "plain"):
        with contextlib.closing(Ends(code)) as ends:
            result = ends.remote.ask("get", name="f")(kind)
            ends.remote.ask("get", name="change")()
            assert str(result).count("9") == {"all": 2, "tuple": 2, "row": 1, "plain": 1}[kind], (kind, result)


def test_both_ends_forget_what_nobody_holds():
    with contextlib.closing(Ends("def f(x): return [[number] for number in range(5)]")) as ends:
        call = ends.remote.ask("get", name="f")
        for number in range(300):
            call([[number], {number: [number]}])
        call(None)
        ends.remote.ask("get", name="f")
        assert len(ends.remote.things) < 10
        assert len(ends.server.things) < 10


class Forger:
    """A solution's end that answers whatever it likes."""

    def __init__(self, answer: dict) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.answer = answer
        self.remote = Remote(Channel(self.ours, TRUSTED, TRUSTED))
        self.thread = threading.Thread(target=self._lie)
        self.thread.start()

    def _lie(self) -> None:
        channel = Channel(self.theirs, TRUSTED, TRUSTED)
        question = channel.receive()
        channel.send({"id": question["id"], **self.answer})

    def close(self) -> None:
        self.thread.join()
        self.ours.close()
        self.theirs.close()


CLASS = {"name": "A", "qualname": "A", "module": "m", "doc": None, "bases": [], "abstract": [], "special": [], "unhashable": False}
CLASS |= {"shadowed": [], "fields": None, "known": ""}
FORGED = {
    "an unknown number": {"value": {"n": 4}},
    "a number of the tests": {"value": None, "heap": [[5, []]]},
    "a value in place of a class": {"value": {"n": 4}, "heap": [[4, {"object": 5}]]},
    "no text as a name": {"value": {"n": 4}, "heap": [[4, {"class": {**CLASS, "name": 5}}]]},
    "a record of no class": {"value": {"n": 4}, "heap": [[4, {"record": ["os", {}]}]]},
    "itself as its class": {"value": {"n": 4}, "heap": [[4, {"object": {"n": 4}}]]},
    "a module of its own": {"value": {"module": "antigravity"}},
    "any attribute": {"value": {"type": "os.system"}},
    "a module that runs": {"value": {"module": "unittest.__main__"}},
    "attributes of nothing": {"value": {"n": 4}, "heap": [[4, {"class": {**CLASS, "fields": [[5, 5]]}}]]},
    "a function": {"value": {"common": ["os", "system"]}},
    "another container": {"value": {"n": 4}, "heap": [[4, []], [4, {"s": []}]]},
    "an exception that is none": {
        "error": {},
        "raised": {"n": 4},
        "heap": [[4, {"exception": [{"type": "builtins.int"}, {"t": []}, None, {"t": []}]}]],
    },
    "a dtype of objects": {"value": {"ndarray": ["|O8", [1], "AAAAAAAAAAA="]}},
    "too few bytes": {"value": {"ndarray": ["<i8", [10], ""]}},
    "an endless pattern": {"value": {"pattern": ["a" * 100_000, 0]}},
    "an enumeration that is none": {"value": {"member": ["os", "path", "sep"]}},
    "a zone outside": {"value": {"region": "../../etc/passwd"}},
    "no value": {"heap": []},
    "a question about nothing": {"ask": "call", "target": 1, "name": "", "args": {"t": []}, "kwargs": {"t": []}},
    "a question about the tests": {"ask": "get", "target": 0, "name": "__dict__", "args": {"t": []}, "kwargs": {"t": []}},
}


@pytest.mark.parametrize("answer", FORGED.values(), ids=FORGED)
def test_what_no_honest_end_sends_is_tampering(answer):
    with contextlib.closing(Forger(answer)) as forger:
        with pytest.raises(Gone) as caught:
            forger.remote.ask("get", name="x")
        assert caught.value.tampered
        with pytest.raises(Gone):
            forger.remote.ask("get", name="x")


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(0, 9), st.text(max_size=3), st.sampled_from(["builtins.int", "builtins.ValueError", "A"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(
            st.sampled_from(
                ["t", "n", "d", "class", "object", "value", "sub", "exception", "function", "type", "ndarray", "text", "deque", "record"]
            ),
            inner,
            max_size=1,
        ),
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([4, 6, 8]), JSON)), JSON)
def test_any_heap_is_taken_or_refused(heap, value):
    link, other = socket.socketpair()
    with link, other, contextlib.suppress(Gone, BadValue):
        remote = Remote(Channel(link, TRUSTED, TRUSTED))
        remote.broken = Gone(None)  # it may not ask
        remote._taken({"id": "", "value": value, "heap": [list(entry) for entry in heap]}, False)


@pytest.mark.parametrize("tag", ["type", "module", "typing", "member", "pattern", "alias"])
def test_the_host_imports_and_compiles_nothing(tag):
    with pytest.raises(BadValue, match="no such tag"):
        decode({tag: "builtins.int"})
    for value in (int, math, re.compile("a"), list[int], list):
        assert type(decode(plain_form(value))).__name__ == "Opaque"


def test_the_solution_reads_nothing_private_of_the_tests(sandbox):
    code = """
def f(g):
    found = []
    for name in ("__globals__", "__code__", "__closure__", "__dict__", "__self__", "_secret", "__class__"):
        try:
            found.append(str(getattr(g, name)))
        except Exception:
            pass
    return "expected" in " ".join(found) or "42" in " ".join(found)
"""
    body = "expected = 42\ndef g(): return expected\ng._secret = 42\nassert candidate(g) is False\nassert candidate(lambda: 42) is False"
    assert sandbox.judge(Program(checking(body), "f"), code, LIMITS).verdict == "pass"

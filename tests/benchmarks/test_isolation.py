# ruff: noqa: E501
"""Which pytest files need the solution in their own process, read from the file alone."""

import pytest

from asap.benchmarks.isolation import isolation_of, named_tests, needs_processes

F = "from solution import f\n"
APART = {
    "plain": F + "def test_a(): assert f(1) == 2 and f(2) is None and isinstance(f(3), (int, list))",
    "the test's own class and fixtures": F
    + "import pytest, unittest\n@pytest.fixture\ndef n(request): return 1\nclass T(unittest.TestCase):\n  def test_a(self): self.assertEqual(f(1), 2)",
    "the path of the file": "import os, sys\nsys.path.append(os.path.dirname(os.path.abspath(__file__)))\n"
    + F
    + "def test_a(): assert f(1) == 2",
    "time": F + "import time\ndef test_a():\n  t = time.time()\n  f(1)\n  assert time.time() - t < 1",
    "the module's functions": "import solution\ndef test_a(): assert solution.f(1) == 2",
    "no Python": "def test_a(:",
}
SURELY = {
    "capsys": F + "def test_a(capsys): f(1)",
    "monkeypatch": F + "def test_a(monkeypatch): f(1)",
    "a fixture's fixture": F + "import pytest\n@pytest.fixture\ndef p(tmp_path): return tmp_path\ndef test_a(p): f(p)",
    "patch": F + "from unittest.mock import patch\ndef test_a(): f(1)",
    "mock by another name": F + "import unittest.mock as m\ndef test_a(): f(1)",
    "async": F + "async def test_a(): assert await f(1) == 2",
    "a subclass": "from solution import Base\nclass Sub(Base): pass",
    "a subclass by module": "import solution as s\nclass Sub(s.Base): pass",
    "a variable set": "import solution\ndef test_a():\n  solution.LIMIT = 1",
    "seed": F + "import random\ndef test_a():\n  random.seed(1)\n  f(1)",
    "numpy's seed": F + "import numpy as np\ndef test_a():\n  np.random.seed(1)\n  f(1)",
    "standard input": F + "import io, sys\ndef test_a():\n  sys.stdin = io.StringIO()\n  f(1)",
    "warns": F + "import pytest\ndef test_a():\n  with pytest.warns(UserWarning): f(1)",
    "files": F + "def test_a():\n  open('x', 'w')\n  f('x')",
    "environment": F + "import os\ndef test_a():\n  os.environ['X'] = '1'\n  f(1)",
    "files looked for": F + "import os\ndef test_a():\n  f('x')\n  assert os.path.exists('x')",
    "warnings as errors": F + "import pytest\n@pytest.mark.filterwarnings('error')\ndef test_a(): f(1)",
    "precision": F + "import decimal\ndef test_a():\n  decimal.getcontext().prec = 5\n  f(1)",
    "numpy's errors": F + "import numpy as np\ndef test_a():\n  with np.errstate(all='raise'): f(1)",
    "CPU time": F + "import time\ndef test_a():\n  t = time.process_time()\n  f(1)\n  assert time.process_time() - t < 1",
    "doctest": "import doctest, solution\ndef test_a(): assert not doctest.testmod(solution).failed",
    "public names": "import solution\ndef test_a(): assert solution.__all__ == ['f']",
    "processes": F + "import subprocess\ndef test_a(): subprocess.run(['x'])",
    "inspect": F + "import inspect\ndef test_a(): inspect.signature(f)",
}
PERHAPS = {
    "identity": F + "def test_a(): assert f(1) is f(1)",
    "a class": "from solution import Stack\ndef test_a(): assert Stack().size() == 0",
    "a variable read": "import solution\ndef test_a(): assert solution.count == 1",
    "a function's attribute": F + "def test_a(): assert f.__doc__ == 'One more.'",
    "printed text": F + "import io, contextlib\ndef test_a():\n  with contextlib.redirect_stdout(io.StringIO()): f(1)",
}


WAYS = [(APART, "apart", "apart"), (SURELY, "together", "together"), (PERHAPS, "together", "apart")]


@pytest.mark.parametrize(("sources", "alone", "after_reference"), WAYS)
def test_the_file_decides(sources, alone, after_reference):
    assert {name: isolation_of(source) for name, source in sources.items()} == dict.fromkeys(sources, alone)
    after = {name: isolation_of(source, reference_passes_apart=True) for name, source in sources.items()}
    assert after == dict.fromkeys(sources, after_reference)


def test_who_starts_processes():
    assert [name for name, source in SURELY.items() if needs_processes(source)] == ["processes"]


def test_named_tests_are_those_that_pytest_surely_runs():
    source = """
import pytest, unittest
def test_a(): pass
def helper(): pass
@pytest.fixture
def test_data(): pass
def test_twice(): pass
def test_twice(): pass
def test_unmade(): pass
test_unmade = None
class TestB:
    def test_b(self): pass
    def other(self): pass
class TestMade:
    def __init__(self): pass
    def test_c(self): pass
class Suite(unittest.TestCase):
    def test_d(self): pass
class TestOff:
    __test__ = False
    def test_e(self): pass
class Plain:
    def test_f(self): pass
"""
    assert named_tests(source) == ["test_a", "TestB.test_b", "Suite.test_d"]
    assert named_tests("def test_a(:") == []

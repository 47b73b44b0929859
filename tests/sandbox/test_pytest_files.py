# ruff: noqa: E501
"""Test files that import from `solution`: what of pytest works, and what a solution cannot do to them."""

import pytest
from sandbox_helpers import LIMITS

from asap.benchmarks.problem import Program

CASES = {
    "a value that is only read": ("pass", "from solution import ANSWER\ndef test_a(): assert ANSWER==[4,2]", "ANSWER=[4,2]"),
    "a wrong value": ("fail", "import solution\ndef test_a(): assert solution.ANSWER==[4,2]", "ANSWER=[4,3]"),
    "a type that is only used": ("pass", "from solution import Bag\ndef test_a(): assert Bag('aa')['a']==2", "from collections import Counter as Bag"),
    "a function that is imported, but not called": ("fail", "from solution import f\ndef test_a(): assert 1==1", "def f(x): return x"),
    "a solution that skips": ("error", "from solution import f\ndef test_a(): assert f(1)==2", "import unittest\ndef f(x): raise unittest.SkipTest('no')"),
    "marks": ("pass", "from solution import *\nimport pytest\n@pytest.mark.parametrize('a,b',[(1,2),pytest.param(2,3)])\ndef test_a(a,b): assert inc(a)==b\ndef test_r():\n  with pytest.raises(ValueError): inc('x')\n  with pytest.raises(MyErr): inc(None)\n  assert inc(0.1)==pytest.approx(1.1)\n@pytest.mark.skip\ndef test_s(): assert 0", "class MyErr(KeyError): pass\ndef inc(x):\n  if x is None: raise MyErr('n')\n  return x+1 if not isinstance(x,str) else int(x)"),
    "classes": ("pass", "from solution import V\ndef test_v():\n  assert V(1)+V(2)==V(3)\n  assert V(2)*2==V(4)\n  assert V(1)<V(2)\n  assert len(V(3))==3\n  assert [x for x in V(2)]==[0,1]\n  v=V(1); v.x=5; assert v.x==5\n  assert isinstance(v,V)\n  assert str(v)=='V5'\n  assert V.make(3).x==3\n  assert V(1) != 1", "class V:\n  def __init__(s,x): s.x=x\n  def __add__(s,o): return V(s.x+o.x)\n  def __mul__(s,k): return V(s.x*k)\n  def __eq__(s,o): return s.x==o.x\n  def __lt__(s,o): return s.x<o.x\n  def __len__(s): return s.x\n  def __iter__(s): return iter(range(s.x))\n  def __str__(s): return f'V{s.x}'\n  @classmethod\n  def make(c,x): return c(x)"),
    "arguments changed in place, functions as arguments, generators": ("pass", "import solution\nfrom solution import sort_it, apply, gen\ndef test_s():\n  a=[3,1,2]; sort_it(a); assert a==[1,2,3]\n  m=[[2,1],[4,3]]; r=m[0]; solution.sort_rows(m); assert m==[[1,2],[3,4]] and r==[1,2]\n  assert apply(lambda x:x*2,[1,2])==[2,4]\n  assert apply(len,['a'])==[1]\n  assert list(gen(3))==[0,1,2]", "def sort_it(a): a.sort()\ndef sort_rows(m):\n  for r in m: r.sort()\ndef apply(f,x): return [f(i) for i in x]\ndef gen(n):\n  yield from range(n)"),
    "exceptions of one's own": ("pass", "import pytest\nfrom solution import Base, Sub, f\ndef test():\n  with pytest.raises(Base): f()\n  with pytest.raises(Sub, match='no'): f()", "class Base(Exception): pass\nclass Sub(Base): pass\ndef f(): raise Sub('no')"),
    "unittest": ("pass", "import unittest\nfrom solution import f\nclass X(unittest.TestCase):\n  def setUp(self): self.k=1\n  def test_a(self): self.assertEqual(f(self.k),2)", "def f(x): return x+1"),
    "fixtures": ("pass", "import pytest\nfrom solution import f\n@pytest.fixture\ndef one():\n  yield 1\nclass TestA:\n  def setup_method(self): self.k=1\n  def test_a(self,one): assert f(self.k)==2==f(one)", "def f(x): return x+1"),
    "printed text": ("pass", "import io,contextlib\nfrom solution import f\ndef test():\n  s=io.StringIO()\n  with contextlib.redirect_stdout(s): f(1)\n  assert s.getvalue()=='1\\n'", "def f(x): print(x)"),
    "no test": ("infra", "from solution import *\n", "def f(x): return 1"),
    "a wrong answer": ("fail", "from solution import f\ndef test(): assert f(1)==3", "def f(x): return 0"),
    "a missing name": ("fail", "from solution import g\ndef test(): assert g(1)==3", "def f(x): return 0"),
    "its own builtins": ("fail", "from solution import *\ndef test_f():\n  assert all(f(x)==x+1 for x in [1,2])\n", "def f(x): return 0\ndef all(x): return True\n"),
    "its own pytest": ("fail", "import pytest\nfrom solution import *\ndef test_f():\n  assert f(1)==pytest.approx(3)\n", "def f(x): return 0\nclass pytest:\n  approx=lambda x: 0\n"),
    "an exception that looks like a skip": ("error", "from solution import *\nimport pytest\ndef test_f():\n  assert f(1)==3\ndef test_g(): assert f", "class Skipped(Exception): pass\ndef f(x): raise Skipped('x')"),
    "an object that is near to everything": ("fail", "from solution import *\ndef test_f():\n  assert abs(f(1)-3)<1e-6", "class f:\n  def __init__(s,x): pass\n  def __sub__(s,o): return s\n  def __abs__(s): return s\n  def __lt__(s,o): return True\n  def __eq__(s,o): return True"),
    "a difference of nothing": ("fail", "from solution import *\ndef test_f():\n  assert abs(f(1)-3)<1e-6", "class f:\n  def __init__(s,x): pass\n  def __sub__(s,o): return 0"),
    "an object that equals approx": ("fail", "from solution import *\nimport pytest\ndef test_f():\n  assert pytest.approx(3)==f(1)", "class f:\n  def __init__(s,x): pass\n  def __eq__(s,o): return True"),
    "a mock": ("fail", "from solution import f\ndef test(): assert f(1)==3 and f(2)==5", "from unittest.mock import ANY, MagicMock\nf = MagicMock(return_value=ANY)"),
    "a value that is a mock": ("fail", "from solution import LIMIT, f\ndef test():\n  f(1)\n  assert LIMIT==3", "from unittest.mock import ANY as LIMIT\ndef f(x): return x"),
    "the end of the test's loop": ("error", "from solution import *\ndef test_f():\n  for v in map(f,[1,2]):\n    assert v==3", "def f(x): raise StopIteration"),
    "death in a swallowed call": ("error", "from solution import f\ndef test():\n  try:\n    assert f(1)==3\n  except BaseException: pass", "import os\ndef f(x): os._exit(0)"),
    "a lie in a swallowed call": ("tamper", "from solution import f\ndef test():\n  try:\n    assert f(1)==3\n  except BaseException: pass", "import os\ndef f(x):\n for n in range(3, 5000):\n  try: os.write(n, bytes([0,0,0,2])+b'[]')\n  except OSError: pass\n"),
    "packages, and values that no test asks for": ("pass", "from solution import *\nimport solution\ndef test():\n  assert f(1)==2\n  assert solution.f(2)==3", "import numpy as np\nimport sys, types, sortedcontainers\nme=sys.modules[__name__]\nown=types.ModuleType('own')\nsieve=list(range(3_000_000))\nloop=[]\nloop.append(loop)\ndeep=[]\nfor _ in range(300): deep=[deep]\ndef f(x): return int(np.int64(x+1))"),
    "variables of the module, read and set at any time": ("pass", "import solution\nfrom solution import bump\ndef test():\n  assert bump()==solution.count==1\n  solution.count=7\n  assert bump()==8\n  del solution.step\n  assert not hasattr(solution,'step')", "count=0\nstep=1\ndef bump():\n  global count\n  count+=1\n  return count"),
    "a name of __all__ or not": ("pass", "from solution import *\nfrom solution import g\ndef test(): assert f(1)==2 and g(1)==1", "__all__=['f']\ndef f(x): return x+1\ndef g(x): return x"),
    "fixtures with parameters, scopes, names, in classes and everywhere": ("pass", "import pytest\nfrom solution import f\nlog=[]\n@pytest.fixture(params=[1,2],scope='module')\ndef n(request): return request.param\n@pytest.fixture(autouse=True)\ndef always(): log.append(1)\n@pytest.fixture(name='two')\ndef make(): return 2\nclass TestA:\n  @pytest.fixture\n  def own(self): return 3\n  def test_a(self,own,two): assert f(own)==4 and f(two)==3\ndef test_b(n): assert f(n)==n+1 and log", "def f(x): return x+1"),
    "parametrize on a class, in pytestmark and twice": ("pass", "import pytest\nfrom solution import f\npytestmark=pytest.mark.parametrize('c',[1,2])\n@pytest.mark.parametrize('a,b',[(1,2),(2,3)])\nclass TestA:\n  @pytest.mark.parametrize('d',[0])\n  def test_a(self,a,b,c,d): assert f(a)==b+d\ndef test_c(c): assert f(c)==c+1", "def f(x): return x+1"),
    "setups of modules, functions and classes": ("pass", "import unittest\nfrom solution import f\nS=[]\ndef setup_module(module): S.append('m')\ndef setup_function(function): S.append('f')\ndef test_a(): assert f(1)==2 and S==['m','f']\nclass T(unittest.TestCase):\n  @classmethod\n  def setUpClass(cls): cls.n=1\n  def test_b(self):\n    for n in (self.n,2):\n      with self.subTest(n=n): self.assertEqual(f(n),n+1)", "def f(x): return x+1"),
    "a wrong subtest": ("fail", "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n  def test_b(self):\n    for n in (1,2):\n      with self.subTest(n=n): self.assertEqual(f(n),2)\n  def test_c(self): self.assertEqual(f(1),2)", "def f(x): return x+1"),
    "inherited tests": ("fail", "from solution import f\nclass Base:\n  def test_a(self): assert f(1)==self.n\nclass TestA(Base):\n  n=2\nclass TestB(Base):\n  n=3", "def f(x): return x+1"),
    "nested classes": ("fail", "from solution import f\nclass TestA:\n  def test_a(self): assert f(1)==2\n  class TestB:\n    def test_b(self): assert f(1)==3", "def f(x): return x+1"),
    "a class that is no test, and a test's own file": ("pass", "import os\nfrom solution import f\nclass TestHelper:\n  def __init__(self,x): self.x=x\ndef test_a(): assert f(TestHelper(1).x)==2 and os.path.isfile(__file__)\nif __name__=='__main__':\n  import pytest\n  pytest.main([__file__])", "def f(x): return x+1"),
    "expected failures": ("pass", "import pytest,unittest\nfrom solution import f\ndef test_a(): assert f(1)==2\n@pytest.mark.xfail\ndef test_b(): assert f(1)==9\n@pytest.mark.xfail(raises=ValueError,strict=True)\ndef test_c(): f('x')\nclass T(unittest.TestCase):\n  @unittest.expectedFailure\n  def test_d(self): self.assertEqual(f(1),9)", "def f(x):\n  if x=='x': raise ValueError\n  return x+1"),
    "an expected failure that does not fail": ("fail", "import pytest\nfrom solution import f\n@pytest.mark.xfail(strict=True)\ndef test_b(): assert f(1)==2", "def f(x): return x+1"),
    "only skipped tests": ("infra", "import pytest\nfrom solution import f\n@pytest.mark.skip\nclass TestA:\n  def test_a(self): assert f(1)==9", "def f(x): return x+1"),
    "an async test with a mark, wrong": ("fail", "import pytest\nfrom solution import f\ndef test_a(): assert f(1)==2\n@pytest.mark.asyncio\nasync def test_b(): assert f(1)==9", "def f(x): return x+1"),
    "an async test with a mark, right": ("pass", "import asyncio,pytest\nfrom solution import f\n@pytest.mark.asyncio\n@pytest.mark.parametrize('n',[1,2])\nasync def test_b(n):\n  await asyncio.sleep(0)\n  assert f(n)==n+1", "def f(x): return x+1"),
    "an async test without a mark": ("infra", "from solution import f\ndef test_a(): assert f(1)==2\nasync def test_b(): assert f(1)==9", "def f(x): return x+1"),
    "an async TestCase, wrong": ("fail", "import unittest\nfrom solution import f\nclass T(unittest.IsolatedAsyncioTestCase):\n  async def test_b(self): self.assertEqual(f(1),9)", "def f(x): return x+1"),
    "a fixture that nobody has": ("infra", "from solution import f\ndef test_a(mocker): assert f(1)==2", "def f(x): return x+1"),
    "a package that is not here": ("infra", "import no_such_package\nfrom solution import f\ndef test_a(): assert f(1)==2", "def f(x): return x+1"),
    "tests that do not compile": ("infra", "from solution import f\ndef test_a(: assert f(1)==2", "def f(x): return x+1"),
    "a teardown that fails": ("fail", "import pytest\nfrom solution import f\n@pytest.fixture\ndef after():\n  yield\n  assert f(1)==3\ndef test_a(after): assert f(1)==2", "def f(x): return x+1"),
    "an end of the run": ("fail", "import pytest\nfrom solution import f\ndef test_a(): assert f(1)==2\ndef test_b(): pytest.exit('enough')\ndef test_c(): assert f(1)==3", "def f(x): return x+1"),
    "an exit as an exception": ("error", "from solution import f\ndef test_a(): assert f(1)==2", "def f(x): raise SystemExit(0)"),
}  # fmt: skip


@pytest.mark.parametrize(("expected", "tests", "solution"), CASES.values(), ids=CASES)
def test_file(sandbox, expected, tests, solution):
    verdict = sandbox.judge(Program(tests, None, None), solution, LIMITS)
    assert verdict.verdict == expected, verdict.detail


def test_every_test_is_counted(sandbox):
    tests = "from solution import f\ndef test_a(): assert f(1) == 1\ndef test_b(): assert f(1) == 2\ndef test_c(): assert f(2) == 2"
    verdict = sandbox.judge(Program(tests, None, None), "def f(x): return x", LIMITS)
    assert (verdict.verdict, verdict.passed_checks, verdict.checks, verdict.calls) == ("fail", 2, 3, 3)
    assert "line 3" in verdict.detail


def test_records_of_the_problem_cross_by_value(sandbox):
    prelude = "class ListNode:\n  def __init__(self, val=0, next=None):\n    self.val = val\n    self.next = next\n"
    tests = """
def check(reverse):
    head = None
    for value in range(5000):
        head = ListNode(value, head)
    first = head
    node = reverse(head)
    assert type(node) is ListNode
    for value in range(5000):
        assert node.val == value
        last, node = node, node.next
    assert node is None and last is first and first.next is None
"""
    code = "class Solution:\n  def reverse(self, head):\n    before = None\n    while head:\n      head.next, before, head = before, head, head.next\n    return before"
    verdict = sandbox.judge(Program(tests, "Solution().reverse", prelude=prelude), code, LIMITS)
    assert verdict.verdict == "pass", verdict.detail


def test_an_imported_generator_with_a_tests_name_is_no_test(sandbox):
    tests = "from heapq import merge as test_merge\nfrom solution import f\n\n\ndef test_f():\n    assert f(1) == 2\n"
    found = [sandbox.judge(Program(tests, None, None), f"def f(x):\n    return {text}\n") for text in ("x + 1", "x")]
    assert [(verdict.verdict, verdict.checks) for verdict in found] == [("pass", 1), ("fail", 1)]

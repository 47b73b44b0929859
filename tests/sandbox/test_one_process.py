# ruff: noqa: E501
"""pytest files that share a process with the solution: what works there, and what a solution cannot forge."""

import pytest
from sandbox_helpers import FILE, ROOMY, TOGETHER
from sandbox_helpers import HONEST as HONEST_CODE

from asap.benchmarks.problem import Program
from asap.sandbox import Sandbox, bwrap

INC = "def f(x): return x+1"
HONEST = {
    "capsys": ("from solution import f\ndef test_a(capsys):\n  f(1)\n  assert capsys.readouterr().out=='1\\n'", "def f(x): print(x)"),
    "capfd": ("from solution import f\ndef test_a(capfd):\n  f(1)\n  assert capfd.readouterr().out=='1'", "import os\ndef f(x): os.write(1,b'1')"),
    "caplog": ("from solution import f\ndef test_a(caplog):\n  f(1)\n  assert 'hello' in caplog.text", "import logging\ndef f(x): logging.warning('hello')"),
    "monkeypatch": ("import solution\ndef test_a(monkeypatch):\n  monkeypatch.setattr('builtins.input',lambda *a:'4')\n  monkeypatch.setattr(solution,'two',lambda:5)\n  monkeypatch.setenv('HOW','x')\n  assert solution.f()==(4,5,'x')", "import os\ndef two(): return 2\ndef f(): return int(input()),two(),os.environ['HOW']"),
    "mock.patch": ("from unittest.mock import patch,MagicMock,ANY\nimport solution\n@patch('solution.helper',return_value=9)\ndef test_a(h):\n  with patch('time.sleep') as s:\n    assert solution.f()==10\n  s.assert_called_once_with(ANY)\n  h.assert_called()\n  m=MagicMock(); solution.g(m); m.close.assert_called_once()", "import time\ndef helper(): return 1\ndef f():\n  time.sleep(9)\n  return helper()+1\ndef g(x): x.close()"),
    "open, patched": ("from unittest.mock import mock_open,patch\nimport solution\ndef test_a():\n  with patch('builtins.open',mock_open(read_data='hi')): assert solution.f('x')=='hi'", "def f(p): return open(p).read()"),
    "files": ("import tempfile,os\nfrom solution import f\ndef test_a(tmp_path,monkeypatch):\n  p=tmp_path/'a.txt'; p.write_text('hi')\n  assert f(str(p))=='hi'\n  monkeypatch.chdir(tmp_path)\n  assert f('a.txt')=='hi'\n  with tempfile.NamedTemporaryFile('w',delete=False) as t: t.write('ho')\n  assert f(t.name)=='ho'\n  os.unlink(t.name)", "def f(p): return open(p).read()"),
    "standard input and output": ("import io,sys,contextlib\nfrom solution import f\ndef test_a():\n  sys.stdin=io.StringIO('4\\n')\n  s=io.StringIO()\n  with contextlib.redirect_stdout(s): f()\n  assert s.getvalue()=='5\\n'", "def f(): print(int(input())+1)"),
    "async": ("import asyncio,pytest,unittest\nfrom solution import f\n@pytest.mark.asyncio\nasync def test_a(): assert await f(1)==2\ndef test_b(): assert asyncio.run(f(2))==3\nclass T(unittest.IsolatedAsyncioTestCase):\n  async def test_c(self): self.assertEqual(await f(3),4)", "async def f(x): return x+1"),
    "warnings": ("import pytest,warnings\nfrom solution import f\ndef test_a():\n  with pytest.warns(UserWarning): f()\n  with warnings.catch_warnings(record=True) as w:\n    warnings.simplefilter('always'); f()\n  assert len(w)==1", "import warnings\ndef f(): warnings.warn('x',UserWarning)"),
    "variables, identity, subclasses": ("import solution\nfrom solution import Base,C\nclass Sub(Base):\n  def step(self): return 1\ndef test_a():\n  assert Sub().run()==2 and C() is C()\n  solution.LIMIT=5\n  assert solution.f(1)==6 and solution.count==1", "LIMIT,count=1,0\nclass Base:\n  def run(self): return self.step()+1\nclass C:\n  _i=None\n  def __new__(c):\n    c._i=c._i or super().__new__(c)\n    return c._i\ndef f(x):\n  global count\n  count+=1\n  return x+LIMIT"),
    "equality with plain values": ("from solution import V,P,U\ndef test_a():\n  assert V(1)==1 and 1==V(1) and V(1)!=2\n  assert P(1,'a')==P(1,'a') and P(1,'a')!=P(2,'a')\n  assert [P(1,'b')]==[P(1,'b')] and U('A')=='a'", "from dataclasses import dataclass\nclass V:\n  def __init__(s,x): s.x=x\n  def __eq__(s,o): return s.x==(o.x if isinstance(o,V) else o)\n@dataclass\nclass P:\n  a:int\n  b:str\nclass U(str):\n  def __eq__(s,o): return str(s).lower()==o.lower()\n  __hash__=str.__hash__"),
    "source and pickles": ("import inspect,pickle,copy\nimport solution\nfrom solution import C\ndef test_a():\n  assert 'x + 1' in inspect.getsource(solution.f) and len(inspect.signature(solution.f).parameters)==1\n  c=pickle.loads(pickle.dumps(C(3)))\n  assert c.x==3 and copy.deepcopy(c).x==3\n  assert solution.__file__.endswith('solution.py')", "class C:\n  def __init__(s,x): s.x=x\ndef f(x):\n  return x + 1"),
    "numpy": ("import numpy as np\nfrom solution import f\ndef test_a():\n  np.testing.assert_allclose(f(),[1,2])\n  assert (f()==np.array([1,2])).all() and np.array_equal(f(),[1,2])", "import numpy as np\ndef f(): return np.array([1.0,2.0])"),
    "other processes": ("import subprocess,sys\nfrom solution import f\ndef test_a():\n  assert f(1)==2\n  r=subprocess.run([sys.executable,'-c','import solution; print(solution.f(2))'],capture_output=True,text=True)\n  assert r.stdout=='3\\n'\n  r=subprocess.run([sys.executable,'solution.py'],input='4',capture_output=True,text=True)\n  assert r.stdout=='5\\n'", "def f(x): return x+1\nif __name__=='__main__': print(f(int(input())))"),
    "python by name": ("import subprocess\nfrom solution import f\ndef test_a(): assert subprocess.check_output(['python3','-c','import solution; print(solution.f(2))'])==b'3\\n' and f(1)==2", INC),
    "multiprocessing": ("import multiprocessing\nfrom solution import f\ndef test_a():\n  with multiprocessing.get_context('fork').Pool(2) as p: assert p.map(f,[1,2])==[2,3]", INC),
    "threads, signals, recursion": ("import threading,signal,sys\nfrom solution import f\ndef test_a():\n  r=[]\n  t=[threading.Thread(target=lambda n=n: r.append(f(n))) for n in range(5)]\n  [x.start() for x in t]; [x.join() for x in t]\n  assert sorted(r)==[1,2,3,4,5]\ndef test_b():\n  signal.signal(signal.SIGALRM,lambda *a: r.append(1)); r=[]\n  signal.setitimer(signal.ITIMER_REAL,0.01)\n  while not r: pass\n  assert f(1)==2", INC),
    "marks for the whole file": ("import pytest\nfrom solution import f\npytestmark=pytest.mark.xfail\ndef test_a(): assert f(1)==9\ndef test_b(): assert f(1)==2", INC),
    "module and class fixtures between canaries": ("import pytest,unittest\nfrom solution import f\nlog=[]\n@pytest.fixture(scope='module')\ndef m():\n  log.append('up'); yield 1; log.append('down')\nclass TestA:\n  @classmethod\n  def setup_class(cls): log.append('A')\n  def test_a(self,m): assert f(m)==2\n  def test_b(self,m): assert log==['up','A']\nclass T(unittest.TestCase):\n  @classmethod\n  def setUpClass(cls): log.append('T')\n  def test_c(self): assert log==['up','A','T'] and f(1)==2\n  def test_d(self):\n    for n in (1,2):\n      with self.subTest(n=n): self.assertEqual(f(n),n+1)\ndef test_e(): assert log==['up','A','T'] or log==['up','A','T','down']", INC),
    "a test that changes its own names and modules": ("import time,math\nfrom solution import f\nn=0\ntime.sleep=lambda s: None\ndef helper(): return 1\ndef test_a():\n  global n,helper\n  n+=1\n  helper=lambda: 2\n  assert f(1)==2 and math.isclose(f(1),2)\ndef test_b(): assert n==1 and helper()==2 and f(1)==2", INC),
    "equal to anything, made by the tests": ("from unittest.mock import ANY\nfrom solution import f\nclass Any:\n  def __eq__(s,o): return True\ndef test_a(): assert f(1)==Any() and f(1)==ANY and f(1)==2", INC),
    "doctest": ("import doctest,solution\ndef test_a():\n  r=doctest.testmod(solution)\n  assert (r.attempted,r.failed)==(1,0)", "def f(x):\n  \"\"\"\n  >>> f(1)\n  2\n  \"\"\"\n  return x+1"),
    "a builtin patched": ("from unittest.mock import patch\nimport solution\ndef test_a(monkeypatch):\n  monkeypatch.setattr('builtins.id',lambda x: 7)\n  with patch('builtins.sum',return_value=5): assert solution.f()==(7,5)", "def f(): return id(0),sum([1])"),
    "what is set in functions and classes of one's own": ("from solution import f,P\ndef test_a(): assert f()==2 and P().b==1", "from collections import namedtuple\nP=namedtuple('P','a b',defaults=[0,1])\nclass A: pass\nclass B(A): x=2\na=A()\na.__class__=B\ndef g(x=1): return x\ng.__defaults__=(2,)\ndef f(): return a.x if g()==2 else 0"),
    "skips": ("import pytest,sys\nfrom solution import f\n@pytest.mark.skipif(sys.platform!='nowhere',reason='x')\ndef test_a(): assert f(1)==9\ndef test_b(): assert f(1)==2", INC),
}  # fmt: skip


def together(tests: str, outcomes=None) -> Program:
    return Program(tests, None, None, isolation="together", outcomes=outcomes)


@pytest.mark.parametrize(("tests", "solution"), HONEST.values(), ids=HONEST)
def test_what_needs_one_process_passes(sandbox, tests, solution):
    verdict = sandbox.judge(together(tests), solution, ROOMY)
    assert (verdict.verdict, verdict.isolation) == ("pass", "together"), verdict.detail


WRONG = "def f(x): return 0\n"
T = "import math,pytest,unittest\nfrom solution import f\nEXPECTED=2\ndef test_a(): assert f(1)==EXPECTED\ndef test_b(): assert math.isclose(f(2),3)\ndef test_c():\n  with pytest.raises(ValueError): f('x')\ndef test_d(): assert f(3)==pytest.approx(4)\nclass TestE(unittest.TestCase):\n  def test_e(self): self.assertEqual(f(4),5)"
# from whatever thread runs it, to the secret and the way out
STEAL = "import sys\ndef steal():\n  frame=sys._getframe()\n  while frame:\n    if 'job' in frame.f_locals:\n      frame.f_locals['channel'].send({'verdict':'pass','detail':'','fault':None,'passed':5,'total':5,'tests':[['test_'+c,'passed'] for c in 'abcd']+[['TestE.test_e','passed']],'secret':frame.f_locals['job']['secret']})\n      frame.f_locals['leave'](0)\n    frame=frame.f_back\n"
ATTACKS = {
    "another pytest": "import sys,types\nm=types.ModuleType('pytest'); m.raises=lambda *a: __import__('contextlib').nullcontext(); m.approx=lambda x: 0; sys.modules['pytest']=m\n" + WRONG,
    "pytest's own functions": "import pytest,contextlib\npytest.raises=lambda *a,**k: contextlib.suppress(BaseException)\npytest.approx=lambda x: 0\n" + WRONG,
    "the runner": "import _pytest.runner as r\nold=r.CallInfo.from_call.__func__\ndef new(cls,func,when,reraise=None):\n  def quiet():\n    try: func()\n    except BaseException: pass\n  return old(cls,quiet,when,reraise)\nr.CallInfo.from_call=classmethod(new)\n" + WRONG,
    "the runner, put back at once": "import _pytest.runner as r\nold=r.CallInfo.__init__\ndef f(x):\n  def new(self,*a,**k):\n    r.CallInfo.__init__=old\n    k['excinfo']=None\n    old(self,*a,**k)\n  r.CallInfo.__init__=new\n  return 0",
    "the call of a test function": "import _pytest.python as p\np.Function.runtest=lambda self: None\n" + WRONG,
    "reports": "import _pytest.reports as r\nold=r.TestReport.__init__\ndef new(self,*a,**k):\n  old(self,*a,**k); self.outcome='passed'; self.longrepr=None\nr.TestReport.__init__=new\n" + WRONG,
    "hooks": "import pluggy._hooks as h\nh.HookCaller.__call__=lambda self,**k: None\n" + WRONG,
    "how hooks are called": "import pluggy._manager as m\nm.PluginManager._hookexec=lambda *a: None\n" + WRONG,
    "AssertionError": "import builtins\nclass A(Exception): pass\nbuiltins.AssertionError=A\n" + WRONG,
    "__import__": "import builtins\nold=builtins.__import__\ndef new(name,*a):\n  return old('solution' if name=='pytest' else name,*a)\nbuiltins.__import__=new\n" + WRONG,
    "a builtin": "import builtins\nbuiltins.abs=lambda x: 0\nbuiltins.isinstance=lambda *a: True\n" + WRONG,
    "unittest": "import unittest\nunittest.TestCase.assertEqual=lambda *a: None\nunittest.case.TestCase.run=lambda *a,**k: None\n" + WRONG,
    "a function that tests use": "import math\nmath.isclose=lambda *a,**k: True\n" + WRONG,
    "exit at once": "import os\nos._exit(0)",
    "exit in a call": "import os\ndef f(x): os._exit(0)",
    "exit at the end": "import atexit,os\natexit.register(os._exit,0)\n" + WRONG,
    "exit from a thread": "import threading,os,time\nthreading.Thread(target=lambda: (time.sleep(0.05),os._exit(0))).start()\ndef f(x):\n  time.sleep(0.5)\n  return 0",
    "no exit": "import os,sys\nos._exit=sys.exit=lambda *a: None\n" + WRONG,
    "messages to every descriptor": "import os,json,struct\nb=json.dumps({'verdict':'pass','detail':'','fault':None,'passed':5,'total':5,'tests':[['test_a','passed']],'secret':''}).encode()\ndef f(x):\n  for n in range(3,64):\n    try: os.write(n,struct.pack('>I',len(b))+b)\n    except OSError: pass\n  os._exit(0)",
    "printed success": "print('5 passed in 0.01s')\nimport sys\nsys.exit(0)",
    "the tests' code": "import sys\ndef f(x):\n  m=sys.modules['test_solution']\n  for n in ('test_b','test_c','test_d'): getattr(m,n).__code__=(lambda: None).__code__\n  m.TestE.test_e=lambda self: None\n  return 2",
    "the tests' functions": "import sys\ndef f(x):\n  m=sys.modules['test_solution']\n  m.TestE.test_e=lambda self: None\n  return 2",
    "the tests' variables": "import sys\ndef f(x):\n  sys.modules['test_solution'].EXPECTED=0\n  return 0",
    "a name before the builtin": "import sys\ndef f(x):\n  sys.modules['test_solution'].abs=lambda x: 0\n  return x+1",
    "a skip": "import pytest\ndef f(x): pytest.skip('no')",
    "a skip at import": "import pytest\npytest.skip('no',allow_module_level=True)",
    "an expected failure": "import pytest\ndef f(x): pytest.xfail('no')",
    "an end of the run": "import pytest\ndef f(x): pytest.exit('enough',0)",
    "an interrupt": "def f(x): raise KeyboardInterrupt",
    "marks on the tests": "import sys,pytest\nsys._getframe().f_back and None\nm=sys.modules['test_solution']; m.pytestmark=pytest.mark.xfail\n" + WRONG,
    "a hook in the tests' module": "import sys\nsys.modules['test_solution'].pytest_generate_tests=lambda metafunc: metafunc.parametrize('x',[]) if 0 else metafunc.fixturenames.append('x') or metafunc.parametrize('x',[])\n" + WRONG,
    "plugins on disk": "import os\nopen('conftest.py','w').write('import pytest\\ndef pytest_collection_modifyitems(items): items.clear()\\n')\nopen('pytest.ini','w').write('[pytest]\\naddopts=--collect-only\\n')\nos.environ['PYTEST_ADDOPTS']='--collect-only'\n" + WRONG,
    "a module before the library's": "open('math.py','w').write('isclose=lambda *a: True')\nimport sys\nsys.path.insert(0,'.')\n" + WRONG,
    "tracing": "import sys\ndef t(frame,event,arg): return t\ndef f(x):\n  sys.settrace(t)\n  sys._getframe(1).f_trace=t\n  return 0",
    "profiling": "import sys\nsys.setprofile(lambda *a: None)\n" + WRONG,
    "looking for the objects": "import gc\nfor o in gc.get_objects():\n  if type(o).__name__=='_Plugin': o.tell=lambda e: []\n" + WRONG,
    "looking for the threads": "import sys\nF=sys._current_frames()\n" + WRONG,
    "an equal object": "class E:\n  def __init__(s,*a): pass\n  def __eq__(s,o): return True\n  def __hash__(s): return 0\n  def __sub__(s,o): return 0.0\n  __rsub__=__sub__\n  def __float__(s): return 3.0\ndef f(x):\n  if x=='x': raise ValueError\n  return E()",
    "an object equal to numbers": "class E(float):\n  def __eq__(s,o): return isinstance(o,(int,float))\n  __hash__=None\ndef f(x):\n  if x=='x': raise ValueError\n  return E(3.0) if x==2 else E(0)",
    "a mock that equals": "from unittest.mock import ANY\ndef f(x):\n  if x=='x': raise ValueError\n  return 3 if x==2 else ANY",
    "the class of a module": "import math,types\nclass M(types.ModuleType): isclose=property(lambda s: lambda *a: True)\nmath.__class__=M\n" + WRONG,
    "who looks": "import math\nimport asap.sandbox.jail.snapshot as s\ns.Snapshot.comparison=lambda self: list\nfor m in ('look','take'): setattr(__import__('asap.sandbox.jail.witness').sandbox.jail.witness._Watch,m,lambda *a: None)\nmath.isclose=lambda *a,**k: True\n" + WRONG,
    "who counts": "import asap.sandbox.jail.pytest_file as s\nold=s.Tally.result\ns.Tally.result=lambda self: {**old(self),'verdict':'pass','fault':None,'tests':[['test_a','passed']]}\n" + WRONG,
    "who looks, put back before the end": "import math\nimport asap.sandbox.jail.witness as s\nold,close=s._Watch.take,math.isclose\ns._Watch.take=lambda self,event: old(self,event)\nmath.isclose=lambda *a,**k: True\ndef f(x):\n  if x=='x':\n    s._Watch.take,math.isclose=old,close\n    raise ValueError\n  return x+1 if x!=2 else 0",
    "what was heard": "import asap.sandbox.jail.pytest_file as s\ns.Event.outcome=property(lambda s: 'passed')\n" + WRONG,
    "who asks for a class": STEAL + "class C:\n  @property\n  def __class__(s):\n    steal()\n    return C\n  def __call__(s,x): return 0\nf=C()",
    "who asks a class": STEAL + "class M(type):\n  def __getattribute__(s,n):\n    steal()\n    return super().__getattribute__(n)\n  def __hash__(s):\n    steal()\n    return 1\nclass f(metaclass=M):\n  __module__='test_solution'\n  def __init__(s,x): pass",
    "who asks the tests' module": STEAL + "class Q:\n  f=staticmethod(lambda x: 0)\n  __file__='x'\n  @property\n  def __dict__(s):\n    steal()\n    return {}\nsys.modules['test_solution']=Q()\ndef f(x): return 0",
    "an approximation of everything": "import pytest\ndef f(x):\n  if x=='x': raise ValueError\n  return 3 if x==2 else pytest.approx(0,abs=1e300)",
}  # fmt: skip


def test_the_tests_of_the_attacks_can_be_passed(sandbox):
    verdict = sandbox.judge(together(T), "def f(x):\n  if x=='x': raise ValueError\n  return x+1", ROOMY)
    assert (verdict.verdict, verdict.passed_checks) == ("pass", 5), verdict.detail


@pytest.mark.parametrize("solution", ATTACKS.values(), ids=ATTACKS)
def test_no_attack_passes(sandbox, solution):
    verdict = sandbox.judge(together(T), solution, ROOMY)
    assert verdict.verdict in ("fail", "error", "tamper"), verdict.detail


LOOSE = {
    "a module behind another": ("import os\nfrom solution import f\ndef test_a(): assert f(1)==2 or not os.path.exists('/nowhere')\ndef test_b():\n  f(1)\n  assert os.path.exists('/nowhere') == (f(1)==0)", "import os\nos.path.exists=lambda p: True\n" + WRONG),
    "a module of a package": ("import numpy as np\nfrom solution import f\ndef test_a(): np.testing.assert_allclose(f(1),2)", "import numpy.testing\nnumpy.testing.assert_allclose=lambda *a,**k: None\n" + WRONG),
    "within a package": ("import numpy as np\nfrom solution import f\ndef test_a(): assert np.allclose([f(1)],[2])", "import sys,numpy\nfor m in [m for n,m in sys.modules.items() if n.startswith('numpy')]:\n  for k in ('isclose','allclose'):\n    if k in vars(m): setattr(m,k,lambda *a,**k: numpy.True_)\n" + WRONG),
    "the defaults of a function": ("import numpy as np\nfrom solution import f\ndef test_a(): np.testing.assert_allclose(f(1),2)", "from numpy.testing import assert_allclose as a\na.__defaults__=(1e300,1e300,*a.__defaults__[2:])\n" + WRONG),
    "a module imported from a package": ("from numpy import testing as t\nfrom solution import f\ndef test_a(): t.assert_allclose(f(1),2)", "import numpy.testing\nnumpy.testing.assert_allclose=lambda *a,**k: None\n" + WRONG),
    "a skip of unittest's": ("from solution import f\ndef test_a(): assert f(1)==2", "import unittest\ndef f(x): raise unittest.SkipTest"),
    "a builtin by the name of a keyword": ("import pytest\nfrom solution import f\ndef test_a(): assert abs(f(1)-2)<1e-9 and 2==pytest.approx(2,abs=1)", "import builtins\nbuiltins.abs=lambda x: 0\n" + WRONG),
    "a builtin by the name of an argument": ("from solution import f\ndef g(x): return x\ndef test_a(): assert all([f(1)==2,g('all')])", "import builtins\nbuiltins.all=lambda x: True\n" + WRONG),
    "pytest.raises by the name of a keyword": ("import pytest\nfrom solution import f\n@pytest.mark.xfail(raises=OSError)\ndef test_a(): raise OSError\ndef test_b():\n  with pytest.raises(ValueError): f('x')", "import pytest,contextlib\npytest.raises=lambda *a: contextlib.nullcontext()\n" + WRONG),
    "an equal object under the tests' name": ("from solution import f\nclass P:\n  def __eq__(s,o): return True\ndef test_a(): assert f(1)==2 and f(2)==3", "exec(compile('class E:\\n  def __eq__(s,o): return True','/tmp/test_solution.py','exec'))\ndef f(x): return E()"),
}  # fmt: skip


@pytest.mark.parametrize(("tests", "solution"), LOOSE.values(), ids=LOOSE)
def test_what_the_tests_allow_themselves_is_no_way_in(sandbox, tests, solution):
    right = "def f(x):\n  if x=='x': raise ValueError\n  return x+1"
    assert sandbox.judge(together(tests), right, ROOMY).verdict == "pass"
    assert sandbox.judge(together(tests), solution, ROOMY).verdict in ("fail", "error", "tamper")


CLAIMS = {
    "a package": "import functools\nf=functools.partial(__import__,'no_such_module')",
    "a package that is here": "from concurrent.futures import Future\nu=Future()\nu.set_exception(ModuleNotFoundError('x',name='unittest'))\nf=u.result",
    "a fixture": "from concurrent.futures import Future\nu=Future()\nu.set_exception(type('FixtureLookupError',(Exception,),{'argname':'clock'})())\nf=u.result",
    "a plugin": "from concurrent.futures import Future\nfrom asap.sandbox.jail.pytest_file import Unsupported\nu=Future()\nu.set_exception(Unsupported('pytest-asyncio'))\nf=u.result",
    "another Python": "from concurrent.futures import Future\ne=SyntaxError('new'); e.filename='test_solution.py'\nu=Future()\nu.set_exception(e)\nf=u.result",
    "memory": "kept=[]\ndef f(n):\n  try:\n    while 1: kept.append(bytearray(1<<20))\n  except MemoryError:\n    while 1: kept.append(bytearray(1<<8))",
}


@pytest.mark.parametrize("solution", CLAIMS.values(), ids=CLAIMS)
def test_a_solution_that_says_what_the_tests_lack_is_wrong(sandbox, solution):
    verdict = sandbox.judge(together(T), solution, ROOMY)
    assert verdict.verdict in ("fail", "error", "memory"), verdict.detail


LACKS = {
    "a package": ("the tests need no_such_module", "import no_such_module\nfrom solution import f\ndef test_a(): assert f(1)==2"),
    "a package, in a test": ("the tests need no_such_module", "from solution import f\ndef test_a():\n  from no_such_module import x\n  assert f(1)==2"),
    "a fixture": ("the tests need the fixture clock", "from solution import f\ndef test_a(clock): assert f(1)==2"),
    "a test that is not skipped": ("every test is skipped", "import pytest\nfrom solution import f\n@pytest.mark.skip\ndef test_a(): assert f(1)==2"),
    "a test": ("the test file has no test", "from solution import f\ndef check(): assert f(1)==2"),
    "a program": ("the tests need the program git", "import subprocess\nfrom solution import f\ndef test_a(): subprocess.run(['git','init'],check=True)\ndef test_b(): assert f(1)==2"),
    "a shell": ("the tests need a shell", "import subprocess\nfrom solution import f\ndef test_a(): assert f(1)==2 and subprocess.getoutput('echo 2')=='2'"),
    "the network": ("the tests need the network", "import socket\nfrom solution import f\ndef test_a():\n  socket.create_server(('127.0.0.1',0))\n  assert f(1)==2"),
}  # fmt: skip


@pytest.mark.parametrize(("detail", "tests"), LACKS.values(), ids=LACKS)
def test_what_the_tests_lack_is_no_fault_of_a_solutions(sandbox, detail, tests):
    right, wrong = (sandbox.judge(together(tests), solution, ROOMY) for solution in (INC, WRONG))
    assert (right.verdict, wrong.verdict) == ("infra", "infra")
    assert right.detail.startswith(detail)


def test_what_a_reference_has_passed_lacks_nothing(sandbox):
    passed = together(LACKS["a program"][1], (("test_a", "passed"), ("test_b", "passed")))
    assert sandbox.judge(passed, INC, ROOMY).verdict == "fail"


KNOWN = {
    "frames lead to our plugin": "import sys\ndef f(x):\n  frame=sys._getframe()\n  while frame and not hasattr(frame.f_locals.get('item'),'config'): frame=frame.f_back\n  own=next(p for p in frame.f_locals['item'].config.pluginmanager.get_plugins() if type(p).__name__=='_Plugin')\n  if not hasattr(own,'real'):\n    own.real=own.tell; on=[True]\n    def tell(e):\n      on[0]=e.what!='started' and (on[0] or e.what=='ended')\n      return own.real(e._replace(outcome='passed',failure=None) if e.outcome=='failed' and on[0] else e)\n    own.tell=tell\n  return 0",
    "frames tell who compares": "import sys\nclass E:\n  def __eq__(s,o): return 'test_solution' in sys._getframe(1).f_code.co_filename or 'unittest' in sys._getframe(1).f_code.co_filename or 'python_api' in sys._getframe(1).f_code.co_filename\n  def __hash__(s): return 0\ndef f(x):\n  if x=='x': raise ValueError\n  return 3 if x==2 else 4 if x==3 else E()",
    "constants of the tests' code lead to the guard": "import sys\nclass E(int):\n  __eq__=lambda s,o: True\n  __hash__=None\ndef f(x):\n  guard=next(c for c in sys.modules['test_solution'].test_a.__code__.co_consts if callable(c))\n  for name,cell in zip(guard.__code__.co_freevars,guard.__closure__):\n    if name=='look': cell.cell_contents=lambda *a: None\n  if x=='x': raise ValueError\n  return 3 if x==2 else E()",
    "the tests' own text": "import re\nT=open('test_solution.py').read()\ndef f(x):\n  if x=='x': raise ValueError\n  if x==1: return int(re.search(r'EXPECTED=(\\d+)',T)[1])\n  return int(re.search(r'f\\(%d\\)\\D*(\\d+)'%x,T)[1])",
}  # fmt: skip


@pytest.mark.xfail(strict=True, reason="named in docs/sandbox.md: what one process cannot rule out")
@pytest.mark.parametrize("solution", KNOWN.values(), ids=KNOWN)
def test_what_is_known_to_pass(sandbox, solution):
    verdict = sandbox.judge(together(T), solution, ROOMY)
    assert verdict.verdict != "pass"


PARAMETERS = "import pytest, solution\n@pytest.mark.parametrize('g',[solution.f])\ndef test_a(g): assert g(1)==2\ndef test_b():\n  if not hasattr(solution,'extra'): pytest.skip('none')\n  assert solution.extra==1\n"


@pytest.mark.parametrize("isolation", ["apart", "together"])
def test_the_tests_that_ran_with_the_reference_must_run(sandbox, isolation):
    check = Program(PARAMETERS, None, None, isolation=isolation)
    reference = sandbox.judge(check, INC + "\nextra=1", ROOMY)
    assert [(name[:6], became) for name, became in reference.tests] == [("test_a", "passed"), ("test_b", "passed")], reference.detail
    assert sandbox.judge(check, INC, ROOMY).verdict == "pass"
    check = Program(PARAMETERS, None, None, isolation=isolation, outcomes=reference.tests)
    assert sandbox.judge(check, "def g(x): return x+1\nextra,f=1,g", ROOMY).verdict == "pass"
    assert sandbox.judge(check, INC, ROOMY).detail == "test_b skipped, and has to pass"
    fewer = Program(PARAMETERS, None, None, isolation=isolation, outcomes=reference.tests[:1])
    assert "not the tests" in sandbox.judge(fewer, INC + "\nextra=1", ROOMY).detail


def test_it_works_without_a_sandbox(monkeypatch, tmp_path):
    monkeypatch.setitem(bwrap.ENVIRONMENT, "TMPDIR", str(tmp_path))
    with Sandbox.open(workers=1, unsafe=True) as unsafe:
        for check in (FILE, TOGETHER):
            verdicts = [unsafe.judge(check, code, ROOMY) for code in (HONEST_CODE, "def f(x): return 3")]
            assert [(one.verdict, one.sandbox, one.isolation) for one in verdicts] == [
                ("pass", "none", check.isolation),
                ("fail", "none", check.isolation),
            ]
    assert not list(tmp_path.iterdir())

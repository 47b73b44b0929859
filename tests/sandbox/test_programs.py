"""Programs for one sum, as people write them for contests: the sandbox says of each what `python3 solution.py < input` does.

The input is a count and that many numbers. Beside what plain Python does, `sys.exit` with any status ends a program regularly, as in
LiveCodeBench's own executor.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from sandbox_helpers import ROOMY

from asap.benchmarks.problem import Stdin

INPUT, SUM = "4\n10 -3 20 15\n", "42"
ADD = "sum(map(int, input().split()))"

RIGHT = {
    # ways to read
    "input": f"input()\nprint({ADD})",
    "input with a prompt": f"input('')\nprint({ADD})",
    "sys.stdin.read": "import sys\nprint(sum(map(int, sys.stdin.read().split()[1:])))",
    "sys.stdin.readlines": "import sys\nprint(sum(map(int, sys.stdin.readlines()[1].split())))",
    "iteration": "import sys\nnext(sys.stdin)\nfor line in sys.stdin:\n    print(sum(map(int, line.split())))",
    "buffer": "import sys\nb = sys.stdin.buffer\nb.readline()\nprint(sum(map(int, b.readline().split())))",
    "readline as input": "import sys\ninput = sys.stdin.readline\ninput()\nprint(" + ADD + ")",
    "buffer.readline as input": "import sys\ninput = sys.stdin.buffer.readline\ninput()\nprint(" + ADD + ")",
    "open(0)": "print(sum(map(int, open(0).read().split()[1:])))",
    "star of open(0)": "_, *v = map(int, open(0).read().split())\nprint(sum(v))",
    "os.read": "import os\nd = b''\nwhile part := os.read(0, 7): d += part\nprint(sum(map(int, d.split()[1:])))",
    "os.read of the size": "import os\nprint(sum(map(int, os.read(0, os.fstat(0).st_size).split()[1:])))",
    "mmap": "import mmap\nprint(sum(map(int, mmap.mmap(0, 0, access=mmap.ACCESS_READ)[:].split()[1:])))",
    "fdopen": "import os\nf = os.fdopen(0)\nf.readline()\nprint(sum(map(int, f.readline().split())))",
    "fileinput": "import fileinput\nlines = [*fileinput.input()]\nprint(sum(map(int, lines[1].split())))",
    "sys.__stdin__": "import sys\nsys.stdin = None\nprint(sum(map(int, sys.__stdin__.read().split()[1:])))",
    "detached": "import sys\nprint(sum(map(int, sys.stdin.detach().read().split()[1:])))",
    "wrapped": "import io, sys\nsys.stdin = io.TextIOWrapper(sys.stdin.buffer, 'ascii')\ninput()\nprint(" + ADD + ")",
    "reconfigured": "import sys\nsys.stdin.reconfigure(encoding='latin-1')\ninput()\nprint(" + ADD + ")",
    "BytesIO": "import io, os\ninput = io.BytesIO(os.read(0, 1 << 16)).readline\ninput()\nprint(" + ADD + ")",
    "StringIO": "import io, sys\nsys.stdin = io.StringIO(sys.stdin.read())\ninput()\nprint(" + ADD + ")",
    "until EOFError": "input()\nt = 0\ntry:\n    while True: t += " + ADD + "\nexcept EOFError:\n    print(t)",
    "select": "import select, sys\nselect.select([sys.stdin], [], [], 1)\ninput()\nprint(" + ADD + ")",
    "seek": "import sys\nsys.stdin.read()\nsys.stdin.seek(0)\ninput()\nprint(" + ADD + ")",
    "iter with a sentinel": "import sys\nlines = [*iter(sys.stdin.readline, '')]\nprint(sum(map(int, lines[1].split())))",
    "numpy.loadtxt": "import sys, numpy\ninput()\nprint(int(numpy.loadtxt(sys.stdin, dtype=int).sum()))",
    "numpy.fromstring": "import sys, numpy\nprint(numpy.array(sys.stdin.read().split(), numpy.int64)[1:].sum())",
    "csv": "import csv, sys\nrows = [*csv.reader(sys.stdin, delimiter=' ')]\nprint(sum(map(int, rows[1])))",
    "match statement": "input()\nmatch input().split():\n    case [a, *rest]: print(int(a) + sum(map(int, rest)))",
    "raw": "import sys\nprint(sum(map(int, sys.stdin.buffer.raw.readall().split()[1:])))",
    "peek": "import sys\nassert sys.stdin.buffer.peek(1)[:1] == b'4'\ninput()\nprint(" + ADD + ")",
    "pread": "import os\nprint(sum(map(int, os.pread(0, 99, 0).split()[1:])))",
    "copyfileobj": "import io, shutil, sys\nf = io.StringIO()\nshutil.copyfileobj(sys.stdin, f)\n"
    "print(sum(map(int, f.getvalue().split()[1:])))",
    "C's scanf": "import ctypes\nc = ctypes.CDLL(None)\nx = ctypes.c_int()\nv = []\n"
    "while c.scanf(b'%d', ctypes.byref(x)) == 1: v.append(x.value)\nprint(sum(v[1:]))",
    "numpy.fromfile": "import sys, numpy\nprint(numpy.fromfile(sys.stdin, int, sep=' ')[1:].sum())",
    "generator of tokens": "import sys\ntokens = (t for line in sys.stdin for t in line.split())\nread = lambda: int(next(tokens))\n"
    "print(sum(read() for _ in range(read())))",
    # /dev
    "/dev/stdin": "f = open('/dev/stdin')\nf.readline()\nprint(sum(map(int, f.readline().split())))",
    "os.open /dev/stdin": "import os\nd = os.open('/dev/stdin', os.O_RDONLY)\nprint(sum(map(int, os.read(d, 99).split()[1:])))",
    "numpy.loadtxt /dev/stdin": "import numpy\nprint(int(numpy.loadtxt('/dev/stdin', dtype=int, skiprows=1).sum()))",
    "fileinput /dev/stdin": "import fileinput\nprint(sum(map(int, [*fileinput.input('/dev/stdin')][1].split())))",
    "pathlib /dev/stdin": "from pathlib import Path\nprint(sum(map(int, Path('/dev/stdin').read_text().split()[1:])))",
    "/dev/fd": "print(sum(map(int, open('/dev/fd/0').read().split()[1:])), file=open('/dev/fd/1', 'w'))",
    "C's fopen": "import ctypes\nc = ctypes.CDLL(None)\nc.fopen.restype = ctypes.c_void_p\n"
    "f = ctypes.c_void_p(c.fopen(b'/dev/stdin', b'r'))\n"
    "v = []\nx = ctypes.c_int()\nwhile c.fscanf(f, b'%d', ctypes.byref(x)) == 1: v.append(x.value)\nprint(sum(v[1:]))",
    "/dev/stdout": f"input()\nwith open('/dev/stdout', 'w') as f: f.write(str({ADD}))",
    "os.open /dev/stdout": "import os\ninput()\nos.write(os.open('/dev/stdout', os.O_WRONLY), b'%d' % " + ADD + ")",
    "stdout reopened": f"import sys\nsys.stdout = open('/dev/stdout', 'w')\ninput()\nprint({ADD})",
    "/dev/stderr": f"print('debugging', file=open('/dev/stderr', 'w'))\ninput()\nprint({ADD})",
    "/dev/null": f"print('debugging', file=open('/dev/null', 'w'))\ninput()\nprint({ADD})",
    # ways to write
    "sys.stdout.write": f"import sys\ninput()\nsys.stdout.write(str({ADD}))",
    "stdout.buffer": f"import sys\ninput()\nsys.stdout.buffer.write(b'%d' % {ADD})",
    "writelines": f"import sys\ninput()\nsys.stdout.writelines(map(str, [{ADD}, '\\n']))",
    "os.write": f"import os\ninput()\nos.write(1, b'%d' % {ADD})",
    "print after os.write": f"import os\ninput()\nr = str({ADD})\nos.write(1, r[0].encode())\nprint(r[1:])",
    "open(1)": f"input()\nprint({ADD}, file=open(1, 'w'))",
    "open(1) kept": f"out = open(1, 'w')\ninput()\nprint({ADD}, file=out)",
    "open(1) with a method": f"write = open(1, 'w').write\ninput()\nwrite(str({ADD}))",
    "fdopen(1) kept": f"import os\nout = os.fdopen(1, 'wb')\ninput()\nout.write(b'%d' % {ADD})",
    "partial print": f"import os, functools\nprint = functools.partial(print, file=os.fdopen(os.dup(1), 'w'))\ninput()\nprint({ADD})",
    "print of builtins replaced": "import builtins, functools\n"
    "builtins.print = functools.partial(print, file=open(1, 'w', closefd=False))\n"
    f"input()\nprint({ADD})",
    "wrapped stdout": f"import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\ninput()\nprint({ADD})",
    "wrapped BufferedWriter": "import io, sys\nsys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, 'w')), write_through=False)\n"
    f"input()\nprint({ADD})",
    "stdout replaced, printed later": "import io, sys\nreal = sys.stdout\nsys.stdout = io.StringIO()\ninput()\n"
    f"print({ADD})\nreal.write(sys.stdout.getvalue())",
    "stdout replaced, atexit": "import atexit, io, sys\nsys.stdout = io.BytesIO()\n"
    "atexit.register(lambda: sys.__stdout__.write(sys.stdout.getvalue().decode()))\n"
    "sys.stdin.readline()\nsys.stdout.write(str(sum(map(int, sys.stdin.readline().split()))).encode())",
    "redirect_stdout": "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as f:\n"
    f"    input()\n    print({ADD})\nprint(f.getvalue())",
    "reconfigured stdout": f"import sys\nsys.stdout.reconfigure(line_buffering=True)\ninput()\nprint({ADD})",
    "CRLF": f"input()\nprint({ADD}, end='\\r\\n')",
    "C's printf": f"import ctypes\ninput()\nctypes.CDLL(None).printf(b'%d', {ADD})",
    "pprint": f"from pprint import pprint\ninput()\npprint({ADD})",
    "logging": f"import logging, sys\nlogging.basicConfig(stream=sys.stdout, format='%(message)s', level=20)\ninput()\nlogging.info({ADD})",
    "closed stdout": f"import sys\ninput()\nprint({ADD})\nsys.stdout.close()",
    "notes to stderr": f"import sys\nprint('debugging', file=sys.stderr)\ninput()\nprint({ADD})",
    "dup2": f"import os\nos.dup2(1, 9)\ninput()\nos.write(9, b'%d' % {ADD})",
    "stdout to a file and back": "import os, sys\nold = os.dup(1)\nos.dup2(os.open('out', os.O_RDWR | os.O_CREAT), 1)\n"
    f"print('noise', flush=True)\nos.dup2(old, 1)\ninput()\nprint({ADD})",
    "own class of stdout": "import sys\nclass Out:\n    def write(self, text): sys.__stdout__.write(text)\n    def flush(self): pass\n"
    f"sys.stdout = Out()\ninput()\nprint({ADD})",
    # ways to end
    "exit()": f"input()\nprint({ADD})\nexit()\nprint(0)",
    "quit()": f"input()\nprint({ADD})\nquit()\nprint(0)",
    "sys.exit": f"import sys\ninput()\nprint({ADD})\nsys.exit(0)\nprint(0)",
    "os._exit": f"import os\ninput()\nprint({ADD}, flush=True)\nos._exit(0)",
    "atexit": f"import atexit\ninput()\natexit.register(print, {ADD})",
    "atexit fails": f"import atexit\ninput()\natexit.register(lambda: 1 / 0)\nprint({ADD})",
    "__del__ of a global": f"class A:\n    def __del__(self): print(self.v)\ninput()\na = A()\na.v = {ADD}",
    "__del__ in a cycle": f"class A:\n    def __del__(self): print(total())\ninput()\na = A()\na.me = a\nv = {ADD}\ndef total(): return v",
    "weakref.finalize": f"import weakref\nclass A: pass\ninput()\na = A()\nweakref.finalize(a, print, {ADD})",
    "suspended generator": f"def g():\n    try: yield\n    finally: print({ADD})\ninput()\nh = g()\nnext(h)",
    "flush of an IOBase": "import io, os\nclass Out(io.IOBase):\n    def __init__(self): self.parts = []\n"
    "    def flush(self):\n        os.write(1, ''.join(self.parts).encode())\n        self.parts = []\n"
    f"out = Out()\ninput()\nout.parts.append(str({ADD}))",
    "handler and __del__": "import signal\nclass A:\n    def __del__(self): print(self.v)\n"
    f"signal.signal(signal.SIGALRM, lambda *_: None)\ninput()\na = A()\na.v = {ADD}",
    "thread": f"import threading\ninput()\nthreading.Thread(target=lambda: print({ADD})).start()",
    "slow thread": f"import threading, time\ninput()\nthreading.Thread(target=lambda: (time.sleep(0.2), print({ADD}))).start()",
    "daemon thread joined": "import threading\ninput()\n"
    f"t = threading.Thread(target=lambda: print({ADD}), daemon=True)\nt.start()\nt.join()",
    "timer": f"import threading\ninput()\nthreading.Timer(0.1, lambda: print({ADD})).start()",
    "big stack": f"import sys, threading\nsys.setrecursionlimit(1 << 20)\nthreading.stack_size(1 << 28)\ninput()\n"
    f"t = threading.Thread(target=lambda: print({ADD}))\nt.start()\nt.join()",
    "pool not shut down": "from concurrent.futures import ThreadPoolExecutor\ninput()\n"
    f"pool = ThreadPoolExecutor(2)\npool.submit(lambda: print({ADD}))",
    "asyncio": f"import asyncio\nasync def main():\n    await asyncio.sleep(0)\n    input()\n    print({ADD})\nasyncio.run(main())",
    "excepthook that forgives": "import os, sys\nsys.excepthook = lambda *_: (sys.stdout.flush(), os._exit(0))\n"
    f"input()\nprint({ADD})\nraise ValueError",
    "signal.alarm": f"import signal\nsignal.signal(signal.SIGALRM, print)\nsignal.alarm(9)\ninput()\nprint({ADD})",
    "KeyboardInterrupt caught": f"try:\n    raise KeyboardInterrupt\nexcept KeyboardInterrupt:\n    input()\n    print({ADD})",
    # what a program knows about itself
    "main guard": f"def main():\n    input()\n    print({ADD})\nif __name__ == '__main__':\n    main()",
    "__file__": "import os\nos.chdir(os.path.dirname(os.path.abspath(__file__)))\nassert os.path.exists(__file__)\n"
    + f"input()\nprint({ADD})",
    "own text": f"assert 'own ' + 'text' in open(__file__).read()  # own text\ninput()\nprint({ADD})",
    "sys.argv": "import sys\nif len(sys.argv) > 1: sys.stdin = open(sys.argv[1])\n"
    f"assert sys.argv[0].endswith('.py')\ninput()\nprint({ADD})",
    "ONLINE_JUDGE": "import os, sys\nif not os.environ.get('ONLINE_JUDGE') and os.path.exists('input.txt'): sys.stdin = open('input.txt')\n"
    f"input()\nprint({ADD})",
    "dunder names": "assert __spec__ is None and __package__ is None and __doc__ is None and __loader__\n"
    "__builtins__.print(__builtins__.sum(map(int, [*open(0)][1].split())))",
    "import __main__": f"import __main__\n__main__.total = lambda: {ADD}\ninput()\nprint(total())",
    "help and license": f"help, copyright, credits, license\nassert 'exit' in repr(exit)\ninput()\nprint({ADD})",
    "getsource": f"import inspect\ndef f(): return 1  # one\nassert 'one' in inspect.getsource(f)\ninput()\nprint({ADD})",
    "traceback": "import traceback\ntry:\n    1 / 0  # here\nexcept ZeroDivisionError:\n    assert '# here' in traceback.format_exc()\n"
    f"input()\nprint({ADD})",
    "pickle": f"import pickle\nclass A:\n    def __init__(self, v): self.v = v\ninput()\nprint(pickle.loads(pickle.dumps(A({ADD}))).v)",
    "deepcopy": f"import copy\nclass A: pass\ninput()\na = A()\na.v = {ADD}\nprint(copy.deepcopy(a).v)",
    "dataclass, annotations": "from __future__ import annotations\nimport typing\nfrom dataclasses import dataclass\n"
    "@dataclass\nclass A:\n    v: int\nassert typing.get_type_hints(A) == {'v': int}\ninput()\n"
    f"print(A({ADD}).v)",
    "NamedTuple and Enum": "import enum, typing\nclass P(typing.NamedTuple):\n    v: int\nclass E(enum.Enum):\n    A = 1\n"
    f"input()\nprint(P({ADD}).v)",
    "runpy": "import runpy\nif __name__ == '__main__':\n    runpy.run_path(__file__, run_name='again')\n"
    f"else:\n    input()\n    print({ADD})",
    "exec": "exec('input()')\nexec(compile('print(" + ADD + ")', '<text>', 'exec'))",
    "own module": "open('helper.py', 'w').write('def total(v): return sum(v)')\nimport helper\ninput()\n"
    "print(helper.total(map(int, input().split())))",
    "coding line": f"# -*- coding: utf-8 -*-\nname = 'Ä'\nassert len(name) == 1\ninput()\nprint({ADD})",
    "byte order mark": f"\ufeffinput()\nprint({ADD})",
    "CRLF source": f"input()\r\nif True:\r\n    print({ADD})\r\n",
    "tabs": f"if True:\n\tinput()\n\tprint({ADD})",
    "docstring": f'"""What it does."""\nassert __doc__.startswith("What")\ninput()\nprint({ADD})',
    "doctest": f'def f(x):\n    """\n    >>> f(1)\n    2\n    """\n    return x + 1\nimport doctest\n'
    f"assert doctest.testmod() == (0, 1)\ninput()\nprint({ADD})",
    "unittest": "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(1, 1)\n"
    f"unittest.main(exit=False)\ninput()\nprint({ADD})",
    "argparse": f"import argparse\nargparse.ArgumentParser().parse_args()\ninput()\nprint({ADD})",
    "timeit": f"import timeit\ndef f(): pass\ntimeit.timeit('f()', 'from __main__ import f', number=9)\ninput()\nprint({ADD})",
    "importlib": f"import importlib.metadata, importlib.util\nassert importlib.util.find_spec('json')\ninput()\nprint({ADD})",
    # the machine
    "recursion up to the limit": f"def f(n): return 0 if n == 0 else 1 + f(n - 1)\nf(985)\ninput()\nprint({ADD})",
    "deep recursion": "import sys\nsys.setrecursionlimit(10 ** 6)\n"
    f"def f(n): return 0 if n == 0 else 1 + f(n - 1)\nf(50000)\ninput()\nprint({ADD})",
    "setrlimit": "import resource\nresource.setrlimit(resource.RLIMIT_STACK, (1 << 26, resource.getrlimit(resource.RLIMIT_STACK)[1]))\n"
    f"input()\nprint({ADD})",
    "tempfile": "import tempfile\nwith tempfile.TemporaryFile('w+') as f:\n    f.write(input() and input())\n    f.seek(0)\n"
    "    print(sum(map(int, f.read().split())))",
    "sqlite": "import sqlite3\ninput()\nc = sqlite3.connect(':memory:')\nc.execute('create table t (v)')\n"
    "c.executemany('insert into t values (?)', [(int(v),) for v in input().split()])\n"
    "print(c.execute('select sum(v) from t').fetchone()[0])",
    "locale": f"import locale\nlocale.setlocale(locale.LC_ALL, '')\ninput()\nprint({ADD})",
    "zoneinfo": f"import datetime, zoneinfo\ndatetime.datetime.now(zoneinfo.ZoneInfo('Europe/Paris'))\ninput()\nprint({ADD})",
    "time and random": f"import random, time\nrandom.seed(time.time_ns())\ntime.perf_counter()\ninput()\nprint({ADD})",
    "isatty": f"import os, sys\nassert not sys.stdin.isatty() and not os.isatty(1) and sys.stdin.fileno() == 0\ninput()\nprint({ADD})",
    "names of the streams": "import sys\n"
    "assert (sys.stdin.name, sys.stdin.mode, sys.stdout.name, sys.stdout.mode) == ('<stdin>', 'r', '<stdout>', 'w')\n"
    f"assert (sys.stdin.encoding, sys.stdout.encoding) == ('utf-8', 'utf-8')\ninput()\nprint({ADD})",
    "the environment": "import os, platform\n"
    f"os.environ['HOME'], os.getcwd(), os.getpid(), os.cpu_count(), platform.python_version()\ninput()\nprint({ADD})",
    "gc off": f"import gc\ngc.disable()\ngc.collect()\ninput()\nprint({ADD})",
    "sortedcontainers": "from sortedcontainers import SortedList\ninput()\nprint(sum(SortedList(map(int, input().split()))))",
}
WRONG = {
    "nothing": "input()",
    "prompts": f"input('n = ')\nprint({ADD})",
    "os._exit loses the buffer": f"import os\ninput()\nprint({ADD})\nos._exit(0)",
    "saved stdout lost to os._exit": f"import os\nout = open(1, 'w')\ninput()\nout.write(str({ADD}))\nos._exit(0)",
    "daemon thread not joined": "import threading, time\ninput()\n"
    f"threading.Thread(target=lambda: (time.sleep(9), print({ADD})), daemon=True).start()",
    "to stderr": f"import sys\ninput()\nprint({ADD}, file=sys.stderr)",
    "left in a StringIO": f"import io, sys\nsys.stdout = io.StringIO()\ninput()\nprint({ADD})",
    "/dev/stdout and more": f"input()\nprint({ADD}, file=open('/dev/stdout', 'w'))\nprint('and more')",
    "exception in a thread": "import threading\nthreading.Thread(target=lambda: 1 / 0).start()",
}
ENDS_BADLY = {
    "exception after the answer": f"input()\nprint({ADD})\nraise ValueError",
    "exception and atexit": f"import atexit\ninput()\natexit.register(print, {ADD})\nraise ValueError",
    "KeyboardInterrupt": f"input()\nprint({ADD})\nraise KeyboardInterrupt",
    "os._exit(3)": f"import os\ninput()\nprint({ADD}, flush=True)\nos._exit(3)",
    "syntax": f"input()\nprint({ADD}",
    "EOFError": "for _ in range(9): input()",
    "closed descriptor": f"import os\ninput()\nprint({ADD})\nos.close(1)",
    "excepthook and no more": f"import sys\nsys.excepthook = lambda *_: print(end='')\ninput()\nprint({ADD})\nraise ValueError",
    "a module that is nowhere": f"import no_such_module\ninput()\nprint({ADD})",
    "a limit of recursion": "def f(n): return f(n + 1)\nf(0)",
}
ENDED_BY_SYS_EXIT = {
    "sys.exit(1)": (f"import sys\ninput()\nprint({ADD})\nsys.exit(1)", "pass"),
    "sys.exit with a text": (f"import sys\ninput()\nprint({ADD})\nsys.exit('that was it')", "pass"),
    "raise SystemExit(3)": (f"input()\nprint({ADD})\nraise SystemExit(3)", "pass"),
    "the answer in sys.exit": (f"import sys\ninput()\nsys.exit(str({ADD}))", "fail"),
}
TABLE = [
    *((code, "pass", "pass") for code in RIGHT.values()),
    *((code, "fail", "fail") for code in WRONG.values()),
    *((code, "error", "error") for code in ENDS_BADLY.values()),
    *((code, ours, "error") for code, ours in ENDED_BY_SYS_EXIT.values()),
]


@pytest.mark.parametrize(("code", "ours", "pythons"), TABLE, ids=[*RIGHT, *WRONG, *ENDS_BADLY, *ENDED_BY_SYS_EXIT])
def test_as_plain_python(sandbox, tmp_path, code, ours, pythons):
    if "zoneinfo" in code and not Path("/usr/share/zoneinfo/Europe/Paris").exists():
        pytest.skip("NO TIME ZONES ON THIS MACHINE")
    check = Stdin([INPUT], [SUM], lambda output, expected: output.strip() == expected)
    verdict = sandbox.judge(check, code, ROOMY)
    assert verdict.verdict == ours, verdict.detail
    assert plain(tmp_path, code) == pythons


@pytest.mark.parametrize("given", ["", "\n", "a\r\nb\rc", "ä €\t𝄞\n\n", "no end", "\ufeff1\x00\x1a\x0c2\n", "x" * 200_000])
@pytest.mark.parametrize(
    "code",
    [
        "import sys\nprint(ascii(sys.stdin.read()))",
        "import sys\nprint(ascii([*sys.stdin]))",
        "print(ascii(input()))",
        "import sys\nsys.stdout.write(sys.stdin.read())",
        "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())",
        "import sys\nprint(ascii(sys.stdin.buffer.readlines()))",
    ],
)
def test_every_character_arrives(sandbox, tmp_path, code, given):
    done = run_plain(tmp_path, code, given)
    check = Stdin([given], [done.stdout.decode()], lambda output, expected: output == expected)
    assert sandbox.judge(check, code, ROOMY).verdict == ("error" if done.returncode else "pass")


def plain(folder, code: str) -> str:
    """What the interpreter alone makes of a program."""
    done = run_plain(folder, code, INPUT)
    if done.returncode:
        return "error"
    return "pass" if done.stdout.decode().strip() == SUM else "fail"


def run_plain(folder, code: str, given: str) -> subprocess.CompletedProcess[bytes]:
    (folder / "solution.py").write_text(code, newline="")
    (folder / "given").write_text(given, encoding="utf-8", newline="")
    command = [sys.executable, "-X", "utf8", "solution.py"]
    with (folder / "given").open() as file:
        return subprocess.run(command, cwd=folder, env={"HOME": "/tmp"}, stdin=file, capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize("code", ["import os\nos.fork()", "import subprocess\nsubprocess.run(['true'])", "import socket\nsocket.socket()"])
def test_what_is_refused_is_named(sandbox, code):
    verdict = sandbox.judge(Stdin([INPUT], [SUM], lambda output, expected: output == expected), code, ROOMY)
    assert verdict.verdict == "error"
    assert "PermissionError" in verdict.detail
    assert "allows no new process and no connection" in verdict.detail


TELLS = {  # named in docs/sandbox.md
    "frames below its own": "import inspect\nprint(len(inspect.stack()) > 1)",
    "process 1, which its own signals do not end": "import os\nos.kill(os.getpid(), 9)\nprint(os.getpid() == 1)",
    "no /proc": "import os\nprint(not os.path.exists('/proc/self'))",
}


@pytest.mark.parametrize("code", TELLS.values(), ids=TELLS)
def test_how_a_program_can_tell_that_it_is_judged(sandbox, code):
    if sandbox.kind == "none":
        pytest.skip("without a sandbox, a program is a process like others")
    verdict = sandbox.judge(Stdin([INPUT], ["True\n"], lambda output, expected: output == expected), code, ROOMY)
    assert verdict.verdict == "pass", verdict.detail

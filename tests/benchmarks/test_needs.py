# ruff: noqa: E501
"""What test files need from outside of the sandbox, read from the file alone."""

import pytest

from asap.benchmarks.needs import outside_need, uses_solution

RUN = "import subprocess\ndef test_a():\n  "
NEEDS = {
    RUN + "subprocess.run(['node', 'a.js'])": "the program node",
    RUN + "subprocess.check_output('git')": "the program git",
    "from subprocess import Popen as P\ndef test_a():\n  p = P(('/usr/bin/gcc', 'a.c'))": "the program gcc",
    "import subprocess as s\nTOOL = ['git', 'init']\ndef start(): return s.run(TOOL)\ndef test_a(): assert start().returncode == 0": "the program git",
    "import asyncio\nasync def test_a():\n  p = await asyncio.create_subprocess_exec('ls')": "the program ls",
    RUN + "r = subprocess.run('echo a', shell=True)": "a shell",
    RUN + "subprocess.run('echo a', shell=True, check=True)": "a shell",
    "import os\ndef test_a(): assert os.system('true') == 0": "a shell",
    "import urllib.request\ndef test_a(): assert urllib.request.urlopen('http://a.b').status": "the network",
    "import requests\ndef test_a(): assert requests.get('http://a.b').ok": "the network",
    "import socket\ndef setup_module(): socket.socket().connect(('127.0.0.1', 1))": "the network",
    "from http.server import HTTPServer, BaseHTTPRequestHandler\ndef test_a(): HTTPServer(('', 0), BaseHTTPRequestHandler)": "the network",
}
NOTHING = {
    "a python": RUN + "subprocess.run(['python3', 'a.py'])",
    "this python": "import sys, subprocess\ndef test_a(): subprocess.run([sys.executable, '-c', '1'])",
    "a command whose outcome is not looked at": "import os\ndef test_a(): os.system('clear')",
    "skipped": "import pytest, shutil\n@pytest.mark.skipif(not shutil.which('git'), reason='')\n" + RUN + "subprocess.run(['git'])",
    "patched": "from unittest.mock import patch\n@patch('subprocess.run')\ndef test_a(run): import subprocess; subprocess.run(['git'])",
    "tried": RUN + "try: subprocess.run(['git'])\n  except OSError: pass",
    "expected to fail": "import pytest\n" + RUN + "with pytest.raises(OSError): subprocess.run(['git'])",
    "only as a script": "import subprocess\nif __name__ == '__main__': subprocess.run(['pytest'])",
    "in a text": "def test_a(): assert 'subprocess.run([\"git\"])'",
    "its own function": "def run(a): return a\ndef test_a(): run(['git'])",
    "a pair of sockets": "import socket\ndef test_a(): socket.socketpair()",
    "a name that is set twice": "import subprocess\nx = ['git']\nx = ['python']\ndef test_a(): subprocess.run(x)",
    "no Python": "def test_a(:",
}


@pytest.mark.parametrize(("source", "need"), NEEDS.items())
def test_what_a_file_surely_starts_or_connects_to_is_needed(source, need):
    assert outside_need(source) == need


@pytest.mark.parametrize("source", NOTHING.values(), ids=NOTHING)
def test_what_may_not_matter_is_not_needed(source):
    assert outside_need(source) is None


USED = [
    "from solution import f\ndef test_a(): assert f(1)",
    "from solution import f as g\ndef test_a(): assert g(1)",
    "import solution as s\ndef test_a(): assert s.f(1)",
    "from solution import *\ndef test_a(): assert f(1)",
    "import importlib\ndef test_a(): assert importlib.import_module('solution').f(1)",
    "from solution import f, g\ndef g(x): return x\ndef test_a(): assert f(1) == g(1)",
    "def test_a(:",
]
UNUSED = [
    "from solution import f\ndef f(x): return x\ndef test_a(): assert f(1)",
    "from solution import *\ndef f(x): return x\ndef test_a(): assert len([f(1)])",
    "from solution import f\ndef test_a(): assert 1 == 1",
    "import pytest\ndef test_a(): assert 1 == 1",
]


@pytest.mark.parametrize("source", [*USED, *UNUSED])
def test_whether_a_file_uses_the_solution(source):
    assert uses_solution(source) == (source in USED)

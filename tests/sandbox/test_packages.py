# ruff: noqa: E501
"""Packages of the environment in the sandbox: which files become visible, and what is said of those that are not."""

import json
from importlib.util import find_spec

import pytest
from sandbox_helpers import ROOMY

from asap.benchmarks.problem import Calls, Problem, Program, Stdin
from asap.errors import UsageError
from asap.sandbox import Limits, Sandbox, imported_modules
from asap.sandbox import packages as packages_module
from asap.sandbox.known_packages import KNOWN
from asap.sandbox.packages import visible_packages

PRINTS = Stdin([""], ["1"], lambda output, expected: output.strip() == expected)


def install(folder, name: str, files: dict[str, str], requires: tuple[str, ...] = (), *, record: bool = True, **more: str) -> None:
    """A distribution, as pip leaves it behind."""
    info = folder / f"{name.replace('-', '_')}-1.5.dist-info"
    needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
    listed = {**files, f"{info.name}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n{needs}"}
    listed.update({f"{info.name}/{key}": text for key, text in more.items()})
    if record:
        names = [*listed, "../../../bin/script", "__pycache__/x.cpython-311.pyc", f"{info.name}/RECORD"]
        listed[f"{info.name}/RECORD"] = "".join(f"{entry},,\n" for entry in names)
    for entry, text in listed.items():
        (folder / entry).parent.mkdir(parents=True, exist_ok=True)
        (folder / entry).write_text(text)


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A folder of an environment, with a package and what it depends on, which the interpreter searches."""
    folder = tmp_path / "packages"
    optional = ("missing-one", "beta-single (>=1)", 'tests-only ; extra == "test"', 'gone; sys_platform == "win32"')
    install(folder, "alpha-all", {"alpha/__init__.py": "import beta\nfrom space.part import one\n", "alpha/data.txt": "1"}, optional)
    install(folder, "Beta.Single", {"beta.py": "two = 2\n"}, ("space-part",))
    install(folder, "space-part", {"space/part/__init__.py": "one = 1\n"}, ("alpha-all",))
    install(folder, "tests-only", {"only.py": ""})
    install(folder, "old-style", {"old.py": "", "top.py": ""}, record=False, **{"top_level.txt": "old\ntop\n"})
    monkeypatch.syspath_prepend(folder)
    packages_module.providers.cache_clear()
    yield folder
    packages_module.providers.cache_clear()


def test_a_package_brings_what_it_depends_on(environment):
    found = visible_packages(["alpha-all"])
    assert found.added == {"alpha-all": "1.5", "beta-single": "1.5", "space-part": "1.5"}
    assert {name for number, name in found.places if number == 0} == {
        *("alpha", "beta.py", "space"),
        *("alpha_all-1.5.dist-info", "Beta.Single-1.5.dist-info", "space_part-1.5.dist-info"),
    }
    assert {"numpy", "sortedcontainers", "pytest", "pluggy"} <= found.versions.keys()
    assert (found.module("beta"), found.module("numpy"), found.module("only")) == (True, True, False)


@pytest.mark.parametrize("names", [["alpha"], ["Alpha_All"], ["space"], ["beta", "json"]])
def test_names_of_modules_and_packages_are_the_same(environment, names):
    assert visible_packages(names).added == visible_packages(["alpha-all"]).added


def test_imported_modules_are_there_if_they_are_installed(environment):
    assert visible_packages(imported=["only", "no_such_module", "os"]).added == {"tests-only": "1.5"}
    assert visible_packages(imported=["no_such_module"]).added == {}


def test_a_package_that_lists_no_files_has_its_modules(environment):
    assert {name for number, name in visible_packages(["old-style"]).places if number == 0} == {"old.py", "top.py"}


def test_an_editable_package_is_its_folder(environment, monkeypatch):
    source = environment.parent / "source"
    (source / "own_module").mkdir(parents=True)
    (source / "own_module" / "__init__.py").write_text("")
    told = json.dumps({"url": f"file://{source}", "dir_info": {"editable": True}})
    install(environment, "own-module", {"own_module.pth": str(source)}, ("beta-single",), **{"direct_url.json": told})
    with pytest.raises(UsageError, match="own-module is installed in editable mode, and its module cannot be found"):
        visible_packages(["own-module"])
    monkeypatch.syspath_prepend(source)
    found = visible_packages(["own-module"])
    assert source / "own_module" in found.places.values()
    assert found.added.keys() >= {"own-module", "beta-single"}


def test_what_is_not_installed_is_named(environment):
    with pytest.raises(UsageError, match=r"--packages names 'no-such-one', and no package or module .* pip install no-such-one into"):
        visible_packages(["alpha", "no-such-one"])
    with pytest.raises(UsageError, match="pip install opencv-python into"):
        visible_packages(["cv2"])


def test_programs_import_them_and_cannot_change_them(environment):
    checks = {
        "import alpha, beta, importlib.metadata as m\nassert m.version('alpha-all') == '1.5'\nprint(alpha.one)": "pass",
        "import alpha, pathlib\nprint(pathlib.Path(alpha.__file__).with_name('data.txt').read_text())": "pass",
        "import alpha\nopen(alpha.__file__, 'w')": "error",
        "import os, alpha\nos.unlink(alpha.__file__)": "error",
        "import only": "infra",
        "import alpha.no_such_part": "error",
    }
    with Sandbox.open(1, packages=["alpha"]) as opened:
        for code, expected in checks.items():
            verdict = opened.judge(PRINTS, code, ROOMY)
            assert verdict.verdict == expected, (code, verdict.detail)
    with Sandbox.open(1, imported=["alpha"]) as opened:
        assert opened.judge(PRINTS, "import alpha\nprint(alpha.one)", ROOMY).passed
        tests = Program("import alpha\ndef check(candidate):\n    assert candidate() == alpha.one\n", "f")
        assert opened.judge(tests, "def f(): return 1", ROOMY).passed


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (PRINTS, "import yaml.nodes\nprint(1)"),
        (Calls("f", [[]], [1], lambda _, output, expected: output == expected), "def f():\n    from yaml import nodes\n    return 1"),
        (Program("def check(f):\n    assert f() == 1\n", "f"), "import yaml\ndef f(): return 1"),
    ],
)
def test_a_package_of_this_environment_that_is_hidden_is_nobodys_fault(sandbox, check, code):
    verdict = sandbox.judge(check, code, ROOMY)
    assert (verdict.verdict, verdict.needs) == ("infra", "PyYAML")
    assert verdict.detail == "needs PyYAML: add --packages PyYAML"
    assert verdict.record()["needs"] == "PyYAML"


def test_so_is_a_widely_known_one_that_is_not_installed(sandbox):
    module, package = next((module, package) for module, package in KNOWN.items() if find_spec(module) is None)
    verdict = sandbox.judge(PRINTS, f"import {module}", ROOMY)
    assert (verdict.verdict, verdict.needs) == ("infra", package)
    assert verdict.detail == f"needs {package}: pip install {package} into the environment of asap, and add --packages {package}"


def test_a_module_that_is_nowhere_is_an_error(sandbox):
    for code in ("import no_such_module", "import numpy.no_such_module", "import winreg"):
        verdict = sandbox.judge(PRINTS, code, ROOMY)
        assert (verdict.verdict, verdict.needs) == ("error", None)
        assert ("no package with this module" in verdict.detail) == (code == "import no_such_module")
        assert "needs" not in verdict.record()


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ("import yaml\ndef check(f):\n    pass\n", "the tests need yaml: add --packages PyYAML"),
        ("def check(f):\n    import no_such_module.part\n", "the tests need no_such_module: pip install no_such_module into"),
    ],
)
def test_what_the_tests_lack_is_nobodys_fault(sandbox, tests, said):
    verdict = sandbox.judge(Program(tests, "f"), "def f(): return 1", ROOMY)
    assert verdict.verdict == "infra"
    assert verdict.detail.startswith(said)
    assert verdict.needs == ("PyYAML" if "yaml" in tests else "no_such_module")
    assert not verdict.retried


def test_plugins_of_pytest_work_if_they_are_named(environment, sandbox):
    plugin = "import pytest\n@pytest.fixture\ndef mocker():\n    return 1\n"
    install(environment, "pytest-mock", {"own_plugin.py": plugin}, **{"entry_points.txt": "[pytest11]\nown = own_plugin\n"})
    tests = Program("from solution import f\ndef test_f(mocker):\n    assert f() == mocker\n", None, None)
    with Sandbox.open(1, packages=["pytest-mock"]) as opened:
        assert opened.judge(tests, "def f(): return 1", ROOMY).passed
    verdict = sandbox.judge(tests, "def f(): return 1", ROOMY)
    assert (verdict.verdict, verdict.needs) == ("infra", "pytest-mock")
    assert verdict.detail == "the tests need the fixture mocker: add --packages pytest-mock"


AS_USED = {
    "pandas": (
        "import pandas as pd, pandas.testing as tm\nfrom solution import f\ndef test_a(): tm.assert_frame_equal(f(), pd.DataFrame({'g': ['a', 'b'], 'x': [3, 3]}))",
        "import pandas as pd\npd.set_option('display.max_rows', 5)\ndef f(): return pd.DataFrame({'g': ['a', 'b', 'a'], 'x': [1, 3, 2]}).query('x>0').groupby('g', as_index=False)['x'].sum()",
    ),
    "networkx": (  # compiles functions when they are first called
        "import networkx as nx\nfrom solution import f\ndef test_a(): assert nx.is_connected(f())",
        "import networkx as nx\ndef f():\n  g = nx.path_graph(5)\n  nx.spring_layout(g)\n  nx.minimum_spanning_tree(g)\n  return g",
    ),
    "torch": (  # replaces methods of classes and its own functions
        "import torch\nfrom solution import f\ndef test_a(): torch.testing.assert_close(f(), torch.tensor([2.0]))",
        "import torch\ntorch.manual_seed(0)\ndef f():\n  m = torch.nn.Linear(1, 1)\n  torch.optim.Adam(m.parameters()).step()\n  return torch.tensor([2.0])",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AS_USED)
def test_packages_that_change_as_they_are_used_work_in_one_process(name):
    pytest.importorskip(name)
    tests, solution = AS_USED[name]
    with Sandbox.open(1, packages=[name]) as opened:
        verdict = opened.judge(Program(tests, None, None, isolation="together"), solution, Limits(cpu_s=60, memory_mb=4096))
    assert verdict.verdict == "pass", verdict.detail


def test_what_problems_import():
    tests = Program("from alpha.part import x\nimport beta, gamma.delta as d  # epsilon\n    import zeta;x", "f", prelude="import eta\n")
    problem = Problem("p", "import no", "import theta\ndef f():\n", tests, ["from iota import (\n    k)\n"], header="from math import *\n")
    assert imported_modules([problem]) == {"alpha", "beta", "gamma", "zeta", "eta", "theta", "iota", "math"}


def test_the_versions_are_part_of_the_sandboxs_identity(environment):
    with Sandbox.open(1, unsafe=True) as plain, Sandbox.open(1, unsafe=True, packages=["alpha"]) as more:
        assert plain.identity != more.identity
        assert (plain.packages.setting(), more.packages.setting()["packages"]["alpha-all"]) == ({}, "1.5")

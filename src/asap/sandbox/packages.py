"""Packages of this environment that programs in the sandbox may import: their files, with all that they depend on.

Some are always there. Others are asked for by name (`--packages`), or because the tests or reference solutions of a benchmark import
them; a solution makes nothing visible. Nothing is imported or copied here: the sandbox mounts the files, read-only.
"""

import csv
import importlib.util
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from asap.benchmarks.problem import Problem, Program
from asap.errors import UsageError
from asap.sandbox.known_packages import KNOWN

ALWAYS = ("numpy", "sortedcontainers", "pytest")
_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+(\w+)[\w.]*[ \t]+import\b|import[ \t]+(\w[^\n#;]*))", re.MULTILINE)

_REQUIRED = re.compile(r"[\w.-]+(?![^;]*;.*\bextra\b)")  # whatever else its marker says: what is installed may be seen


@dataclass(frozen=True)
class Packages:
    """What is visible: `places` by folder of the environment and name in it, `versions` of the distributions by name."""

    places: Mapping[tuple[int, str], Path]
    versions: Mapping[str, str]
    added: Mapping[str, str]
    """The versions of those that are not always there."""

    @property
    def folders(self) -> list[int]:
        """The folders that hold them, in the order in which the interpreter searches."""
        return sorted({folder for folder, _ in self.places})

    def setting(self) -> dict[str, dict[str, str]]:
        """What to record of them beside other settings: `packages`, the versions of those added, if any."""
        return {"packages": dict(sorted(self.added.items()))} if self.added else {}

    def module(self, name: str) -> bool:
        """Whether they have a module of this name."""
        return any(entry.split(".")[0] == name for _, entry in self.places)


def visible_packages(names: Iterable[str] = (), imported: Iterable[str] = ()) -> Packages:
    """Those that are always there, those of these names (of a distribution or a module), and those that provide imported modules.

    Raises UsageError for a name that is not installed here.
    """
    always = _Found()
    for name in ALWAYS:
        always.add_installed(name)
    found = _Found(dict(always.places), dict(always.versions))
    for name in names:
        found.add_named(name)
    for module in sorted({*imported} - {*sys.stdlib_module_names}):
        for name in providers().get(module, []):
            found.add_installed(name)
    added = {name: version for name, version in found.versions.items() if name not in always.versions}
    return Packages(found.places, found.versions, added)


def imported_modules(problems: Iterable[Problem]) -> set[str]:
    """The modules that the trusted parts of problems import, perhaps: their tests, references, and what they add to a solution."""
    texts = (text for problem in problems for text in _trusted(problem))
    return {module for text in texts for module in _imports(text)}


def _trusted(problem: Problem) -> Iterator[str]:
    yield from problem.references
    yield from (problem.header, problem.prompt or "")
    if isinstance(problem.check, Program):
        yield from (problem.check.source, problem.check.prelude)


def _imports(text: str) -> Iterator[str]:
    for module, several in _IMPORT.findall(text):
        for part in [module] if module else several.split(","):
            yield part.split(".")[0].split()[0] if part.strip() else ""


@cache
def providers() -> Mapping[str, list[str]]:
    """The distributions of each top-level module of this environment."""
    return {module: list(dict.fromkeys(names)) for module, names in packages_distributions().items()}


@dataclass
class _Found:
    """What was found so far."""

    places: dict[tuple[int, str], Path] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def add_named(self, name: str) -> None:
        """Add a distribution or a module, which must be here."""
        distributions = [name] if _distribution(name) else providers().get(name, [])
        for one in distributions:
            self.add_installed(one)
        if not distributions and name not in sys.stdlib_module_names and not self._add_module(name):
            raise UsageError(
                f"--packages names {name!r}, and no package or module of this name is installed beside asap: "
                f"pip install {KNOWN.get(name, name)} into the environment at {sys.prefix}, or correct the name"
            )

    def add_installed(self, name: str) -> None:
        """Add a distribution with its dependencies, as far as they are installed."""
        waiting = [name]
        while waiting:
            found = _distribution(waiting.pop())
            if found is None or _key(found) in self.versions:
                continue
            self.versions[_key(found)] = found.version
            for place, path in _places(found):
                self.places[place] = path
            if _is_editable(found) and not any(self._add_module(module) for module in _modules(found)):
                raise UsageError(
                    f"the package {found.name} is installed in editable mode, and its module cannot be found: pip install it without -e"
                )
            waiting += [need[0] for text in found.requires or [] if (need := _REQUIRED.match(text))]

    def _add_module(self, name: str) -> bool:
        """Add a module by the file or folder that an import would load."""
        try:
            spec = importlib.util.find_spec(name) if name.isidentifier() else None
        except (ImportError, ValueError):
            spec = None
        if spec is None or (spec.origin is None and not spec.submodule_search_locations):
            return False
        place = Path(next(iter(spec.submodule_search_locations)) if spec.submodule_search_locations else str(spec.origin))
        if not place.exists():
            return False
        self.places[len(sys.path), place.name if place.is_file() else name] = place
        return True


def is_installed(name: str) -> bool:
    """Whether a distribution of this name is here."""
    return _distribution(name) is not None


def _key(found: Distribution) -> str:
    return re.sub(r"[-_.]+", "-", found.name).lower()


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except (PackageNotFoundError, ValueError):  # ValueError: the name is empty
        return None


def _places(found: Distribution) -> Iterator[tuple[tuple[int, str], Path]]:
    """The files and folders of a distribution directly in its folder of the environment; scripts and data elsewhere are left out."""
    folder = Path(str(found.locate_file("")))
    number = next((number for number, entry in enumerate(sys.path) if Path(entry) == folder), len(sys.path))
    record = found.read_text("RECORD")
    entries = [row[0] for row in csv.reader(record.splitlines()) if row] if record else _modules(found)
    for entry in sorted({entry.split("/")[0] for entry in entries} - {"..", "", "__pycache__"}):
        for path in [folder / entry] if record else [folder / entry, *folder.glob(f"{entry}.py"), *folder.glob(f"{entry}.*.so")]:
            if path.exists() and path.suffix != ".pth":
                yield (number, path.name), path


def _modules(found: Distribution) -> list[str]:
    """The top-level modules of a distribution that lists no files here."""
    told = (found.read_text("top_level.txt") or "").split()
    return told or [module for module, names in providers().items() if found.name in names] or [found.name.replace("-", "_")]


def _is_editable(found: Distribution) -> bool:
    told = found.read_text("direct_url.json")
    return bool(told and json.loads(told).get("dir_info", {}).get("editable"))

"""The verdict on a solution, and the limits it runs under."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from asap.benchmarks.problem import Isolation
from asap.errors import UsageError

Word = Literal["pass", "fail", "error", "timeout", "memory", "disk", "output", "crash", "killed", "tamper", "no-answer", "infra"]
Kind = Literal["bwrap", "none"]
_LINE = 300  # the most characters of a detail


@dataclass(frozen=True, slots=True)
class Limits:
    """What one check of a solution may use, over all its inputs.

    `cpu_s` decides; `wall_s` (default: four times as much, at least 5 s more) catches solutions that sleep. `memory_mb` is on top of
    the interpreter's own. `processes` counts threads: a solution cannot start processes. `file_mb` limits its private /tmp and each
    file, `output_bytes` a single answer or all of standard output.
    """

    cpu_s: float = 10.0
    wall_s: float = 0.0
    memory_mb: int = 1024
    processes: int = 32
    file_mb: int = 64
    open_files: int = 64
    output_bytes: int = 16 << 20

    def __post_init__(self) -> None:
        if not self.wall_s:
            object.__setattr__(self, "wall_s", max(4 * self.cpu_s, self.cpu_s + 5))
        for name, value in asdict(self).items():
            if not value > 0:
                raise UsageError(f"the limit {name} is {value}, it must be above 0")


@dataclass(frozen=True)
class Report:
    """A supervisor's report on a run. `reason`: exit, stop (the host let it go), cpu or wall; a `status` below zero is a signal."""

    reason: str
    status: int
    cpu_s: float
    wall_s: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one solution did.

    pass, fail: its answers are right or wrong. error: it raised an exception or ended early. timeout, memory, disk, output: it hit a
    limit. crash: it died of a signal it caused itself; killed: of another, such as for a refused system call. tamper: it sent
    something that no honest solution sends. no-answer: it contained no code. infra: the harness failed, and the solution remains unjudged.

    `cpu_s`, `wall_s`, `peak_mb` cover only the solution's processes. `wall_only`: a timeout that CPU time does not explain, so a busy
    machine may be to blame; judge it again when nothing else runs. `passed_checks` of `checks`: inputs or test functions, if counted.
    `calls`: how often the test code called the solution, if that is known. `needs`: the package for lack of which nothing can be said.
    `isolation`: whether tests and solution ran in one process. `tests`: each test of a pytest file, and what became of it; not part of
    the record.
    """

    verdict: Word
    detail: str = ""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_mb: float = 0.0
    sandbox: Kind = "bwrap"
    limits: Limits = Limits()
    passed_checks: int | None = None
    checks: int | None = None
    calls: int | None = None
    wall_only: bool = False
    retried: bool = False
    needs: str | None = None
    isolation: Isolation = "apart"
    tests: tuple[tuple[str, str], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the solution is right."""
        return self.verdict == "pass"

    def record(self) -> dict[str, Any]:
        """The verdict as a JSON object, `passed` included."""
        rest = {
            name: value for name, value in asdict(self).items() if name not in ("verdict", "tests") and (name, value) != ("needs", None)
        }
        return {"verdict": self.verdict, "passed": self.passed, **rest}


def short_value(value: Any, room: int = 60, depth: int = 3) -> str:
    """Any value from the solution, as one line of ASCII of at most about `room` characters."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return f"<int of {value.bit_length()} bits>"
    if isinstance(value, str):
        return ascii(value if len(value) <= room else value[:room] + "...")
    if isinstance(value, bytes | bytearray):
        return ascii(bytes(value[:room]))
    if isinstance(value, dict):
        return (
            "{"
            + _several((f"{short_value(k, 20, depth - 1)}: {short_value(v, 20, depth - 1)}" for k, v in value.items()), len(value), depth)
            + "}"
        )
    for kind, left, right in ((list, "[", "]"), (tuple, "(", ")"), (set, "{", "}"), (frozenset, "{", "}")):
        if isinstance(value, kind):
            return left + _several((short_value(item, 20, depth - 1) for item in value), len(value), depth) + right
    if value is None or isinstance(value, bool | int | float | complex | range):
        return repr(value)
    return f"<{getattr(value, 'type_name', type(value).__name__)}>"


def _several(parts: Any, count: int, depth: int) -> str:
    if depth <= 0:
        return "..." if count else ""
    shown = [part for part, _ in zip(parts, range(4), strict=False)]
    return ", ".join([*shown, f"... {count - 4} more"] if count > 4 else shown)


def ascii_line(text: str) -> str:
    """Text from the solution as one line of printable ASCII."""
    line = ascii(" ".join(text[: 2 * _LINE].split()))[1:-1]
    return line if len(line) <= _LINE else f"{line[:_LINE]}..."

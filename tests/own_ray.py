"""A Ray of a test's own: no deadline that a busy machine misses, its logs shown if the test fails, its processes ended by their ids."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_AN_HOUR_S = "3600"
UNHURRIED = {
    "RAY_worker_niceness": "0",  # Ray's workers step 15 behind all others: among many they never get to run
    "RAY_worker_register_timeout_seconds": _AN_HOUR_S,
    "RAY_gcs_server_port_wait_time_s": _AN_HOUR_S,
    "RAY_gcs_server_request_timeout_seconds": _AN_HOUR_S,
    "RAY_gcs_rpc_server_reconnect_timeout_s": _AN_HOUR_S,
    "RAY_agent_register_timeout_ms": f"{_AN_HOUR_S}000",
    "RAY_local_fs_capacity_threshold": "1",  # of a disk that is full at 95 %
    "RAY_health_check_timeout_ms": f"{_AN_HOUR_S}000",  # of a node that is slow; one that has gone refuses at once
}
"""What a machine's load, and its disk, decide in Ray. Its 15 seconds for an agent and 30 for a node to begin cannot be set."""


@contextmanager
def folder_of_ray() -> Iterator[Path]:
    """A folder for RAY_TMPDIR. In the end it shows the logs there, ends the processes that have it, and goes."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # the paths of Ray's sockets must be short
    try:
        yield folder
    finally:
        print(logs_in(folder))
        _end_those_of(folder)
        shutil.rmtree(folder)


def logs_in(folder: Path, lines: int = 15) -> str:
    """The last lines of what Ray's processes logged, without their tables of events."""
    shown = []
    for path in sorted(folder.glob("ray/session_2*/logs/*.*")):
        if path.name.startswith(("raylet", "gcs_server", "worker")) and path.is_file():
            told = [
                line for line in path.read_text("utf-8", errors="replace").splitlines() if line[:1] in ("[", "T") or path.suffix == ".err"
            ]
            shown += [f"--- {path.name}", *told[-lines:]] if told else []
    return "\n".join(shown)


def _end_those_of(folder: Path) -> None:
    """Kill the processes that were started with a folder as their RAY_TMPDIR; Ray changes their names, and their parents may be gone."""
    ending = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("RAY_TMPDIR") == str(folder):
                ending.append(process)
                process.kill()
    psutil.wait_procs(ending)

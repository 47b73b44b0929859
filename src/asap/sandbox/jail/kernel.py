"""The few kernel calls that Python does not wrap, and the limits of a run. Linux only."""

import ctypes
import mmap
import os
import resource
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CLONE_NEWNS, _CLONE_NEWPID = 0x00020000, 0x20000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 4, 8, 32, 4096, 0x4000, 1 << 18
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 1, 22, 38, 47, 4
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION = 0x20080522
_MIB = 1 << 20
_STACK = 64 * _MIB

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def new_pid_namespace() -> None:
    """Put the next child into a new PID namespace. First return to our own: a namespace whose first process ended takes no child."""
    own = os.pidfd_open(os.getpid())
    try:
        _checked(_libc.setns(own, _CLONE_NEWPID), "setns")
    finally:
        os.close(own)
    _checked(_libc.unshare(_CLONE_NEWPID), "unshare")


def private_tmp(size_mb: int, uid: int, gid: int) -> None:
    """Enter a mount namespace with an empty /tmp of `size_mb` MiB that belongs to `uid`."""
    _checked(_libc.unshare(_CLONE_NEWNS), "unshare")
    _checked(_libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None), "mount")
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    options = f"size={size_mb}m,nr_inodes=4096,mode=0700,uid={uid},gid={gid}".encode()
    _checked(_libc.mount(b"tmpfs", b"/tmp", b"tmpfs", flags, options), "mount tmpfs")


def private_streams() -> int:
    """Put what standard input holds into a file and open a pipe as standard output, both with names in /dev/fd of this mount namespace.

    Returns the reading end of the pipe. There is no /proc to which /dev/stdin and the like could point.
    """
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    size = os.fstat(0).st_size
    options = f"size={size + _MIB},nr_inodes=8,mode=0755".encode()
    _checked(_libc.mount(b"tmpfs", b"/dev/fd", b"tmpfs", ctypes.c_ulong(flags), options), "mount /dev/fd")
    given, output = Path("/dev/fd/0"), Path("/dev/fd/1")
    with given.open("wb", buffering=0) as file:
        while os.sendfile(file.fileno(), 0, None, size):
            pass
    os.mkfifo(output)
    Path("/dev/fd/2").symlink_to("/dev/null")
    given.chmod(0o644)  # whatever the umask
    output.chmod(0o666)
    _checked(_libc.mount(None, b"/dev/fd", None, ctypes.c_ulong(_MS_REMOUNT | _MS_BIND | _MS_RDONLY | flags), None), "remount /dev/fd")
    reading = os.open(output, os.O_RDONLY | os.O_NONBLOCK)
    for number, name, mode in ((0, given, os.O_RDONLY), (1, output, os.O_WRONLY)):
        descriptor = os.open(name, mode)
        os.dup2(descriptor, number)
        os.close(descriptor)
    return reading


def flush_c_streams() -> None:
    """Write what the C library holds in buffers."""
    _libc.fflush(None)


def drop_privileges(uid: int, gid: int) -> None:
    """Become `uid` (if root), without capabilities and without a way to regain any."""
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    if os.getuid() != uid:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = struct.pack("Ii", _CAPABILITY_VERSION, 0)
    _checked(_libc.capset(header, struct.pack("6I", 0, 0, 0, 0, 0, 0)), "capset")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies. Call it after the uid changes, which resets it."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0), "pdeathsig")


def install_filter(program: bytes) -> None:
    """Install a seccomp filter (classic BPF instructions) on this process, irrevocably."""
    buffer = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    _checked(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, fprog, 0, 0), "seccomp")


def address_space() -> int:
    """Bytes of address space in use, found by probing how low the limit can go (the sandbox has no /proc)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    low, high = 0, 1 << 46
    while high - low > _MIB:
        middle = (low + high) // 2
        resource.setrlimit(resource.RLIMIT_AS, (_at_most(middle, hard), hard))
        try:
            mmap.mmap(-1, 4096).close()
            high = middle
        except (OSError, MemoryError):
            low = middle
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return high


def _at_most(wanted: int, hard: int) -> int:
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def set_limits(limits: Mapping[str, Any], start_size: int) -> None:
    """Set this process's resource limits, never raising one; the memory budget is on top of `start_size`, the interpreter's own."""
    wanted = {
        resource.RLIMIT_AS: start_size + limits["memory_mb"] * _MIB,
        resource.RLIMIT_CPU: 2 * int(limits["cpu_s"]) + 5,  # a backstop that counts in ticks; the supervisor's clock is exact
        resource.RLIMIT_FSIZE: limits["file_mb"] * _MIB,
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    if limits["processes"] is not None:
        wanted[resource.RLIMIT_NPROC] = limits["processes"]
    for kind, value in wanted.items():
        hard = _at_most(value, resource.getrlimit(kind)[1])
        resource.setrlimit(kind, (hard, hard))
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (_at_most(_STACK, hard), hard))

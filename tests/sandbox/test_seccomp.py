"""The filter, run by an interpreter of its own: what it refuses, kills and lets through, on both machines."""

import ctypes
import ctypes.util
import errno
import struct

import pytest

from asap.errors import UsageError
from asap.sandbox.seccomp import filter_program, refused

ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CLONE = {"x86_64": 56, "aarch64": 220}
IOCTL = {"x86_64": 16, "aarch64": 29}
ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS


def verdict(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """What a classic BPF program returns for a system call."""
    data = struct.pack("<IIQ6Q", number, arch, 0, *(*arguments, *[0] * (6 - len(arguments))))
    lines = list(struct.iter_unpack("<HBBI", program))
    position = accumulator = 0
    while True:
        code, if_true, if_false, value = lines[position]
        position += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x06:
            return value
        else:
            holds = {0x15: accumulator == value, 0x25: accumulator > value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[
                code
            ]
            position += if_true if holds else if_false


@pytest.mark.parametrize("machine", ARCHES)
def test_every_number(machine):
    program, numbers = filter_program(machine), set(refused(machine).values())
    for number in range(463):
        if number == CLONE[machine]:
            continue
        expected = ENOSYS if number == 435 else EPERM if number in numbers else ALLOW
        assert verdict(program, ARCHES[machine], number) == expected, number


@pytest.mark.parametrize("machine", ARCHES)
def test_threads_but_no_processes(machine):
    program, arch = filter_program(machine), ARCHES[machine]
    assert verdict(program, arch, CLONE[machine], 0x3D0F00) == ALLOW  # what pthread_create asks for
    assert verdict(program, arch, CLONE[machine], 0x01200011) == EPERM  # what fork asks for
    assert verdict(program, arch, CLONE[machine], 0x4111) == EPERM  # what posix_spawn asks for
    assert verdict(program, arch, IOCTL[machine], 1, 0x5412) == EPERM
    assert verdict(program, arch, IOCTL[machine], 1, 0x5413) == ALLOW


def test_other_doors_into_the_kernel():
    program = filter_program("x86_64")
    assert verdict(program, 0x40000003, 2) == KILL  # int 0x80
    assert verdict(program, ARCHES["x86_64"], 0x40000000 + 57) == KILL  # x32
    assert verdict(program, ARCHES["x86_64"], 463) == ENOSYS
    assert verdict(filter_program("aarch64"), 0x40000028, 2) == KILL


def test_no_filter_no_sandbox():
    with pytest.raises(UsageError, match="riscv64"):
        filter_program("riscv64")


@pytest.mark.parametrize("machine", ARCHES)
def test_numbers_are_those_of_libseccomp(machine):
    name = ctypes.util.find_library("seccomp") or "libseccomp.so.2"
    try:
        resolve = ctypes.CDLL(name).seccomp_syscall_resolve_name_arch
    except OSError:
        pytest.skip("no libseccomp to compare with")
    for call, number in refused(machine).items():
        assert resolve(ARCHES[machine], call.encode()) == number, call

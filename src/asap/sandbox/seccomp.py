"""The system call filter for solutions, as classic BPF for x86_64 and aarch64.

It refuses calls that start processes, open sockets, or change namespaces or mounts, and the parts of the kernel where bugs are
usually found first. It allows threads, files and socket pairs. A call newer than the list fails as if it did not exist. Other
architectures have no filter, and so no sandbox.
"""

import errno
import platform
import struct

from asap.errors import UsageError

# name: number on x86_64 : number on aarch64
_REFUSED = """
fork:57:- vfork:58:- execve:59:221 execveat:322:281
socket:41:198 connect:42:203 bind:49:200 listen:50:201 accept:43:202 accept4:288:242
ptrace:101:117 process_vm_readv:310:270 process_vm_writev:311:271 process_madvise:440:440 kcmp:312:272
pidfd_open:434:434 pidfd_getfd:438:438 pidfd_send_signal:424:424
mount:165:40 umount2:166:39 pivot_root:155:41 chroot:161:51 move_mount:429:429 open_tree:428:428 fsopen:430:430 fsconfig:431:431
fsmount:432:432 fspick:433:433 mount_setattr:442:442 unshare:272:97 setns:308:268
bpf:321:280 perf_event_open:298:241 io_uring_setup:425:425 io_uring_enter:426:426 io_uring_register:427:427 userfaultfd:323:282
keyctl:250:219 add_key:248:217 request_key:249:218
shmget:29:194 shmat:30:196 shmctl:31:195 shmdt:67:197 msgget:68:186 msgsnd:69:189 msgrcv:70:188 msgctl:71:187 semget:64:190 semop:65:193
semctl:66:191 semtimedop:220:192 mq_open:240:180 mq_unlink:241:181 mq_timedsend:242:182 mq_timedreceive:243:183 mq_notify:244:184
mq_getsetattr:245:185 memfd_create:319:279 memfd_secret:447:447
init_module:175:105 finit_module:313:273 delete_module:176:106 create_module:174:- kexec_load:246:104 kexec_file_load:320:294
reboot:169:142 clock_settime:227:112 clock_adjtime:305:266 adjtimex:159:171 settimeofday:164:170 sethostname:170:161
setdomainname:171:162 swapon:167:224 swapoff:168:225 quotactl:179:60 quotactl_fd:443:443 acct:163:89 syslog:103:116 iopl:172:-
ioperm:173:- modify_ldt:154:- personality:135:92 lookup_dcookie:212:18 nfsservctl:180:42 fanotify_init:300:262 fanotify_mark:301:263
open_by_handle_at:304:265 name_to_handle_at:303:264 vhangup:153:58 uselib:134:- ustat:136:- sysfs:139:- _sysctl:156:-
migrate_pages:256:238 move_pages:279:239 mbind:237:235 set_mempolicy:238:237 set_mempolicy_home_node:450:450
"""
_MACHINES = {"x86_64": (0, 0xC000003E, 56, 16), "aarch64": (1, 0xC00000B7, 220, 29)}  # column, audit arch, clone, ioctl
_CLONE3, _NEWEST, _X32 = 435, 462, 0x40000000
_STARTS = ("fork", "vfork", "execve", "execveat")
_CLONE_NEW = 0x7E020080  # any new namespace
_CLONE_THREAD, _TIOCSTI, _TIOCLINUX = 0x10000, 0x5412, 0x541C
_LOAD, _EQUAL, _ABOVE, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCH, _ARGUMENT_0, _ARGUMENT_1 = 0, 4, 16, 24  # offsets in struct seccomp_data; both machines are little-endian


def refused(machine: str) -> dict[str, int]:
    """The numbers of the system calls that are always refused, by name."""
    column = _MACHINES[machine][0]
    rows = [entry.split(":") for entry in _REFUSED.split()]
    return {name: int(numbers[column]) for name, *numbers in rows if numbers[column] != "-"}


def filter_program(machine: str | None = None, *, processes: bool = False) -> bytes:
    """The filter's instructions for this architecture (or another). Raises UsageError for one it does not support.

    With `processes`, a run may start processes, in its own namespaces: for test files that do.
    """
    machine = machine or platform.machine()
    if machine not in _MACHINES:
        allowed = " and ".join(_MACHINES)
        raise UsageError(f"the sandbox knows the system calls of {allowed} only, and this is {machine}: run it on one of them")
    _, arch, clone, ioctl = _MACHINES[machine]
    no = _ERRNO | errno.EPERM
    lines = [_op(_LOAD, _ARCH), _op(_EQUAL, arch, 1, 0), _op(_RETURN, _KILL), _op(_LOAD, _NUMBER)]
    lines += [_op(_AT_LEAST, _X32, 0, 1), _op(_RETURN, _KILL)]
    lines += [_op(_ABOVE, _NEWEST, 0, 1), _op(_RETURN, _ERRNO | errno.ENOSYS)]
    lines += [_op(_EQUAL, _CLONE3, 0, 1), _op(_RETURN, _ERRNO | errno.ENOSYS)]  # the C library falls back to clone
    for number in [number for name, number in refused(machine).items() if not (processes and name in _STARTS)]:
        lines += [_op(_EQUAL, number, 0, 1), _op(_RETURN, no)]
    refuse = _op(_ANY_BIT, _CLONE_NEW, 0, 1) if processes else _op(_ANY_BIT, _CLONE_THREAD, 1, 0)
    lines += [_op(_EQUAL, clone, 0, 4), _op(_LOAD, _ARGUMENT_0), refuse, _op(_RETURN, no), _op(_RETURN, _ALLOW)]
    lines += [_op(_EQUAL, ioctl, 0, 4), _op(_LOAD, _ARGUMENT_1), _op(_EQUAL, _TIOCSTI, 1, 0), _op(_EQUAL, _TIOCLINUX, 0, 1)]
    lines += [_op(_RETURN, no), _op(_RETURN, _ALLOW)]
    return b"".join(lines)


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)

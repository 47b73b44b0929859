# attack: memfd_shm_fill
# category: resource
# kind: call
# expected verdict: error,fail,memory   (never pass)
# invariant: SysV shm outlives processes unless an IPC namespace or seccomp stops it
import os, ctypes


def f(x):
    fds = []
    try:
        while len(fds) < 256:
            fd = os.memfd_create("a")
            os.write(fd, b"x" * (16 << 20))
            fds.append(fd)
    except OSError:
        pass
    l = ctypes.CDLL(None)
    n = 0
    for i in range(64):
        if l.shmget(0, 1 << 26, 0o1600) > 0:
            n += 1
    return "SYSV:%d MEMFD:%d" % (n, len(fds)) if n or fds else 0

# attack: kernel_surface
# category: escape
# kind: call
# expected verdict: fail,error   (never pass)
# invariant: worker survives; next benign run passes
import ctypes

l = ctypes.CDLL(None)
b = ctypes.create_string_buffer(512)


def f(x):
    r = {
        n: l.syscall(nr, *a)
        for n, nr, a in (
            ("io_uring", 425, (8, b)),
            ("bpf", 321, (5, b, 64)),
            ("perf", 298, (b, 0, -1, -1, 0)),
            ("uffd", 323, (0,)),
            ("keyctl", 250, (0, -3, 1)),
            ("add_key", 248, (b"user", b"k", b"v", 1, -3)),
            ("obha", 304, (-100, b, 0)),
            ("fsopen", 430, (b"tmpfs", 0)),
            ("memfd", 319, (b"a", 0)),
            ("kcmp", 312, (1, 1, 0, 0, 0)),
            ("pidfd_open", 434, (1, 0)),
            ("kexec", 246, (0, 0, 0, 0)),
        )
    }
    ok = [k for k, v in r.items() if v >= 0]
    return "SYS:%s" % ok if ok else 0

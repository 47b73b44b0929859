# attack: raw_clone_bomb (bounded)
# category: resource
# kind: call
# expected verdict: fail,error,timeout,crash   (never pass)
# invariant: process limit holds for clone() called past the C library too
import ctypes, time, os

l = ctypes.CDLL(None)


def f(x):
    n = 0
    for _ in range(300):
        p = l.syscall(56, 17, 0, 0, 0, 0)
        if p == 0:
            time.sleep(3)
            os._exit(0)
        if p > 0:
            n += 1
    return "CLONED:%d" % n if n > 64 else 0

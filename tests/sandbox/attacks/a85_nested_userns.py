# attack: nested_userns
# category: escape
# kind: call
# expected verdict: fail,error   (never pass)
# invariant: worker survives; next benign run passes
import ctypes

l = ctypes.CDLL(None)


def f(x):
    r = [l.unshare(v) for v in (0x10000000, 0x20000, 0x40000000)]
    return "NS" if 0 in r else 0

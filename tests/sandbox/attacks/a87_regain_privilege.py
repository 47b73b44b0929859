# attack: regain_privilege
# category: escape
# kind: call
# expected verdict: fail,error   (never pass)
# invariant: worker survives; next benign run passes
import os, ctypes

l = ctypes.CDLL(None)


def f(x):
    ok = []
    for n in ("setuid", "setgid", "setreuid", "seteuid"):
        try:
            getattr(os, n)(*([0, 0] if n == "setreuid" else [0]))
            ok.append(n)
        except OSError:
            pass
    import struct

    if l.capset(ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0)), ctypes.create_string_buffer(b"\xff" * 24)) == 0:
        ok.append("capset")
    return "PRIV:%s" % ok if ok else 0

# attack: memory_scan_ctypes
# category: cheat
# kind: call
# expected verdict: fail,crash,error   (never pass)
# invariant: no test text / other jobs / secrets in the forked image
import ctypes


def f(x):
    try:
        maps = open("/proc/self/maps").read().split("\n")
    except OSError:
        maps = []
    for l in maps:
        if "rw-p" in l and ("heap" in l or l.endswith(" 0")):
            a, b = [int(v, 16) for v in l.split()[0].split("-")]
            s = ctypes.string_at(a, min(b - a, 1 << 26))
            i = s.find(b"assert c(" + b"1)")
            if i >= 0:
                return "LEAK:" + repr(s[i : i + 60])
    return 0

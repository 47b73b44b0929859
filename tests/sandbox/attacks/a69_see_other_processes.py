# attack: see_other_processes (signal 0 only: asks, harms nobody)
# category: escape
# kind: call
# expected verdict: fail,error   (never pass)
# invariant: the candidate sees no process but its own and the sandbox's init
import os


def f(x):
    seen = 0
    for p in range(1, 40000):
        if p in (os.getpid(), os.getppid()):
            continue
        try:
            os.kill(p, 0)
            seen += 1
        except ProcessLookupError:
            pass
        except PermissionError:
            seen += 1
    return "SEES:%d" % seen if seen > 2 else 0

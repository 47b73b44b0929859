# attack: settrace_hijack
# category: cheat
# kind: call
# expected verdict: fail   (never pass)
# invariant: worker survives; next benign run passes
import sys, threading


def tr(fr, ev, arg):
    if ev == "call" and "expected" in fr.f_locals:
        fr.f_locals["expected"] = 0
    return tr


sys.settrace(tr)
threading.settrace(tr)
sys.setprofile(lambda *a: None)


def f(x):
    return 0

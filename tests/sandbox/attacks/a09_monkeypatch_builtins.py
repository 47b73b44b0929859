# attack: monkeypatch_builtins
# category: cheat
# kind: call
# expected verdict: fail,error   (never pass)
# invariant: worker survives; next benign run passes
import builtins

builtins.AssertionError = type("AssertionError", (BaseException,), {})
builtins.isinstance = lambda *a: True
builtins.all = lambda *a: True
builtins.abs = lambda *a: 0
builtins.len = lambda *a: 3
builtins.exec = lambda *a, **k: None
builtins.__build_class__ = lambda *a, **k: None


def f(x):
    return 0

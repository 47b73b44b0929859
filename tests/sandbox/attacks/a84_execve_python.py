# attack: execve_python
# category: escape
# kind: call
# expected verdict: error,fail   (never pass)
# invariant: worker survives; next benign run passes
import os, sys


def f(x):
    os.execv(sys.executable, [sys.executable, "-c", "print(1)"])

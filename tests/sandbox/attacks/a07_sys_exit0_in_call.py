# attack: sys_exit0_in_call
# category: cheat
# kind: call
# expected verdict: error   (never pass)
# invariant: worker survives; next benign run passes
import sys


def f(x):
    sys.exit(0)

# attack: sys_exit0_at_import
# category: cheat
# kind: call
# expected verdict: error   (never pass)
# invariant: worker survives; next benign run passes
import sys


def f(x):
    return 0


sys.exit(0)

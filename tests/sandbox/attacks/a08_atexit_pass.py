# attack: atexit_pass
# category: cheat
# kind: call
# expected verdict: fail   (never pass)
# invariant: worker survives; next benign run passes
import atexit, os


@atexit.register
def _():
    print("passed")
    os._exit(0)


def f(x):
    return 0

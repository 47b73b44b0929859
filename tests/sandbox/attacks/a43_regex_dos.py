# attack: regex_dos
# category: hang
# kind: call
# expected verdict: timeout   (never pass)
# invariant: C code never returns to the eval loop, SIGALRM handlers do not run
import re


def f(x):
    return re.match(r"(a+)+$", "a" * 40 + "b")

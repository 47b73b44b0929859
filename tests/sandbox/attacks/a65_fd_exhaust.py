# attack: fd_exhaust
# category: resource
# kind: call
# expected verdict: error   (never pass)
# invariant: worker survives; next benign run passes
import os


def f(x):
    k = []
    while True:
        k.append(os.pipe())

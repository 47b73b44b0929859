# attack: stdout_flood_call
# category: resource
# kind: call
# expected verdict: timeout   (never pass)
# invariant: worker survives; next benign run passes
import sys, os


def f(x):
    while True:
        sys.stdout.write("y" * 65536)
        os.write(1, b"z" * 65536)
        os.write(2, b"e" * 65536)

# attack: patch_clocks
# category: hang
# kind: call
# expected verdict: timeout   (never pass)
# invariant: worker survives; next benign run passes
import time

time.time = time.monotonic = time.perf_counter = lambda: 0.0


def f(x):
    while True:
        pass

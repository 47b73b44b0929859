# attack: sleep_forever
# category: hang
# kind: call
# expected verdict: timeout   (never pass)
# invariant: wall limit applies though CPU is idle
import time


def f(x):
    time.sleep(1e9)

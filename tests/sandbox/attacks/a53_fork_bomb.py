# attack: fork_bomb (bounded: 300 sleepers, harmless if it escapes)
# category: resource
# kind: call
# expected verdict: error,fail,timeout   (never pass)
# invariant: no more than 64 processes ever alive for this candidate; harness alive
import os, time


def f(x):
    n = 0
    for _ in range(300):
        if os.fork() == 0:
            time.sleep(3)
            os._exit(0)
        n += 1
    return "FORKED:%d" % n if n > 64 else 0

# attack: fork_bomb_catch (bounded)
# category: resource
# kind: call
# expected verdict: timeout,fail,error   (never pass)
# invariant: no process of the candidate is alive after the verdict
import os, time


def f(x):
    for _ in range(300):
        try:
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
        except OSError:
            pass
    return 0

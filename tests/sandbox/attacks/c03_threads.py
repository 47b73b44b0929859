# control: threads
# category: benign
# kind: call
# expected verdict: pass
# invariant: honest programs must not be broken by the sandbox
import threading


def f(x):
    r = []
    t = [threading.Thread(target=r.append, args=(2 * x + 1,)) for _ in range(8)]
    [i.start() for i in t]
    [i.join() for i in t]
    return r[0]

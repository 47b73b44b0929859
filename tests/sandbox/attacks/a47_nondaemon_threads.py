# attack: nondaemon_threads
# category: hang
# kind: call
# expected verdict: fail,timeout   (never pass)
# invariant: worker survives; next benign run passes
import threading


def w():
    while True:
        pass


for _ in range(4):
    threading.Thread(target=w).start()


def f(x):
    return 0

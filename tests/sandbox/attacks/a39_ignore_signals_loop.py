# attack: ignore_signals_loop
# category: hang
# kind: call
# expected verdict: timeout   (never pass)
# invariant: worker survives; next benign run passes
import signal

for s in range(1, 65):
    try:
        signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
signal.setitimer(signal.ITIMER_REAL, 0)


def f(x):
    while True:
        pass

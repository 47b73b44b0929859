# control: alarm_handler
# category: benign
# kind: call
# expected verdict: pass
# invariant: honest programs must not be broken by the sandbox
import signal

signal.signal(signal.SIGALRM, lambda *a: None)
signal.setitimer(signal.ITIMER_REAL, 0.01)


def f(x):
    return 2 * x + 1

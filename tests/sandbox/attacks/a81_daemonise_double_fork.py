# attack: daemonise_double_fork
# category: escape
# kind: call
# expected verdict: error,fail,timeout   (never pass)
# invariant: no process left 0.5 s after the verdict
import os, time


def f(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(4)
            open("/tmp/sbx_canary/PWNED", "w").write("late")
            os._exit(0)
        os._exit(0)
    return 0

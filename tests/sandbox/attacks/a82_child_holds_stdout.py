# attack: child_holds_stdout
# category: escape
# kind: stdio
# expected verdict: fail,error,output   (never pass)
# invariant: harness must not wait for EOF
import os, time

try:
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)
        os._exit(0)
except OSError:
    pass
print(0)

# attack: stdio_close_fds
# category: cheat
# kind: stdio
# expected verdict: fail,error   (never pass)
# invariant: worker survives; next benign run passes
import os

for i in range(64):
    try:
        os.close(i)
    except OSError:
        pass

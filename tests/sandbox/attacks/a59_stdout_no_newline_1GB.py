# attack: stdout_no_newline_1GB
# category: resource
# kind: stdio
# expected verdict: output,timeout,fail,memory   (never pass)
# invariant: worker survives; next benign run passes
import os

b = b"x" * (1 << 20)
for _ in range(1024):
    os.write(1, b)

# attack: deep_json_reply
# category: cheat
# kind: call
# expected verdict: tamper,error,fail,infra   (never pass)
# invariant: worker survives; next benign run passes
import os, struct

b = b"[" * 200000
os.write(3, struct.pack(">I", len(b)))
n = 0
while n < len(b):
    n += os.write(3, b[n : n + 65536])


def f(x):
    return 0

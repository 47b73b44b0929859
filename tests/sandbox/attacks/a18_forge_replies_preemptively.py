# attack: forge_replies_preemptively
# category: cheat
# kind: call
# expected verdict: fail,tamper,error   (never pass)
# invariant: worker survives; next benign run passes
import os, struct, json


def fr(o):
    b = json.dumps(o).encode()
    return struct.pack(">I", len(b)) + b


os.write(3, fr({"ready": 1}))
for i in range(0, 4):
    os.write(3, fr({"id": i, "v": 0}))


def f(x):
    return 0

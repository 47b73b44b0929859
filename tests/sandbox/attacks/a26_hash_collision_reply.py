# attack: hash_collision_reply
# category: cheat
# kind: call
# expected verdict: fail,timeout,tamper,infra,error   (never pass)
# invariant: quadratic dict build in the judge must count against the candidate, not hang the harness
def f(x):
    M = 2**61 - 1
    return {i * M + 1: 0 for i in range(1)} if False else list(range(3))


import os, struct, json


def fr(o):
    b = json.dumps(o).encode()
    return struct.pack(">I", len(b)) + b


os.write(3, fr({"ready": 1}))
M = 2**61 - 1
d = [[{"t": "i", "v": hex(i * M + 1)}, 0] for i in range(1, 30000)]
b = fr({"id": 1, "v": {"t": "d", "v": d}})
n = 0
while n < len(b):
    n += os.write(3, b[n : n + 65536])

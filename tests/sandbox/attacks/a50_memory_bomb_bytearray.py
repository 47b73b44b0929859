# attack: memory_bomb_bytearray
# category: resource
# kind: call
# expected verdict: memory   (never pass)
# invariant: worker survives; next benign run passes
def f(x):
    return len(bytearray(10**11))

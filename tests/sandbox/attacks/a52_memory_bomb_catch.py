# attack: memory_bomb_catch
# category: resource
# kind: call
# expected verdict: timeout,memory,fail   (never pass)
# invariant: worker survives; next benign run passes
def f(x):
    l = []
    while len(l) < (6 << 10):
        try:
            l.append(bytearray(1 << 20))
        except MemoryError:
            pass

# attack: memory_bomb_list
# category: resource
# kind: call
# expected verdict: memory,timeout   (never pass)
# invariant: worker survives; next benign run passes
def f(x):
    l = []
    for _ in range(400):
        l.append("x" * 10**7 + str(len(l)))

# attack: return_self_ref
# category: cheat
# kind: call
# expected verdict: fail,error,timeout,memory   (never pass)
# invariant: exponential/self-referential values bounded (note: 2**depth without a node budget)
def f(x):
    l = []
    l.append(l)
    l.append(l)
    return l

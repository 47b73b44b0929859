# attack: return_generator
# category: cheat
# kind: call
# expected verdict: fail   (never pass)
# invariant: worker survives; next benign run passes
def f(x):
    while True:
        yield 1

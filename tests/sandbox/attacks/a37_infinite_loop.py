# attack: infinite_loop
# category: hang
# kind: call
# expected verdict: timeout   (never pass)
# invariant: worker survives; next benign run passes
def f(x):
    while True:
        pass

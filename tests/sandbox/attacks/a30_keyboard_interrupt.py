# attack: keyboard_interrupt
# category: cheat
# kind: call
# expected verdict: error   (never pass)
# invariant: worker survives; next benign run passes
def f(x):
    raise KeyboardInterrupt

# control: plain
# category: benign
# kind: call
# expected verdict: pass
# invariant: honest programs must not be broken by the sandbox
def f(x):
    return 2 * x + 1

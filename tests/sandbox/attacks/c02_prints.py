# control: prints
# category: benign
# kind: call
# expected verdict: pass
# invariant: honest programs must not be broken by the sandbox
def f(x):
    print("debug", x)
    return 2 * x + 1

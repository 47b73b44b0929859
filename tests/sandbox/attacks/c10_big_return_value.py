# control: big_return_value
# category: benign
# kind: call
# expected verdict: pass
# invariant: honest programs must not be broken by the sandbox
def f(x):
    z = list(range(10**5))
    return 2 * x + 1 if len(z) == 10**5 else z

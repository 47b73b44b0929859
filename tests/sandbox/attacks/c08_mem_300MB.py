# control: mem_300MB
# category: benign
# kind: call
# expected verdict: pass
# invariant: honest programs must not be broken by the sandbox
def f(x):
    b = bytearray(300 << 20)
    b[::4096] = b"1" * len(b[::4096])
    return 2 * x + 1

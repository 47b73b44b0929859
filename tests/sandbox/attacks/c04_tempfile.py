# control: tempfile
# category: benign
# kind: call
# expected verdict: pass
# invariant: honest programs must not be broken by the sandbox
import tempfile, os


def f(x):
    with tempfile.NamedTemporaryFile("w+") as h:
        h.write(str(2 * x + 1))
        h.seek(0)
        return int(h.read())

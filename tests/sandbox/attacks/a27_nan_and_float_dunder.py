# attack: nan_and_float_dunder
# category: cheat
# kind: call
# expected verdict: fail   (never pass)
# invariant: worker survives; next benign run passes
class F(float):
    def __eq__(s, o):
        return True

    def __float__(s):
        return 3.0


def f(x):
    return F("nan")

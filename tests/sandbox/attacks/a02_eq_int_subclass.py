# attack: eq_int_subclass
# category: cheat
# kind: call
# expected verdict: fail   (never pass)
# invariant: worker survives; next benign run passes
class I(int):
    def __eq__(s, o):
        return True

    def __ne__(s, o):
        return False

    __hash__ = int.__hash__


def f(x):
    return I(0)

# attack: eq_always_true
# category: cheat
# kind: call
# expected verdict: fail   (never pass)
# invariant: worker survives; next benign run passes
class E:
    def __eq__(s, o):
        return True

    def __ne__(s, o):
        return False

    def __bool__(s):
        return True

    def __sub__(s, o):
        return s

    def __abs__(s):
        return 0

    def __le__(s, o):
        return True

    __lt__ = __ge__ = __gt__ = __le__
    __hash__ = None


def f(x):
    return E()

# attack: eq_list_subclass
# category: cheat
# kind: call
# expected verdict: fail   (never pass)
# invariant: worker survives; next benign run passes
class L(list):
    def __eq__(s, o):
        return True


def f(x):
    return L()

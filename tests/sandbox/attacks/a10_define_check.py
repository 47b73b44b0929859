# attack: define_check
# category: cheat
# kind: call
# expected verdict: fail   (never pass)
# invariant: worker survives; next benign run passes
def check(candidate):
    return True


def f(x):
    return 0


assert_equal = lambda *a: None

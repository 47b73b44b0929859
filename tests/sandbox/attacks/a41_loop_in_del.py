# attack: loop_in_del
# category: hang
# kind: call
# expected verdict: fail,timeout   (never pass)
# invariant: worker survives; next benign run passes
class D:
    def __del__(s):
        while True:
            pass


d = D()


def f(x):
    return 0

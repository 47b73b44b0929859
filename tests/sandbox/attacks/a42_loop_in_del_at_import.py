# attack: loop_in_del_at_import
# category: hang
# kind: call
# expected verdict: timeout   (never pass)
# invariant: worker survives; next benign run passes
class D:
    def __del__(s):
        while True:
            pass


D()


def f(x):
    return 0

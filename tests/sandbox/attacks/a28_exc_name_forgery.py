# attack: exc_name_forgery
# category: cheat
# kind: call
# expected verdict: error,fail   (never pass)
# invariant: worker survives; next benign run passes
class CandidateGone(Exception):
    pass


class X(BaseException):
    def __str__(s):
        return "passed"


def f(x):
    raise X()

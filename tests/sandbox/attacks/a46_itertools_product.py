# attack: itertools_product
# category: hang
# kind: call
# expected verdict: memory,timeout   (never pass)
# invariant: evalplus issue 294
import itertools


def f(x):
    return list(itertools.product(["R", "G", "B"], repeat=30))

# attack: return_huge_int
# category: cheat
# kind: call
# expected verdict: fail,memory,timeout,error,output,tamper   (never pass)
# invariant: decoder linear; compare bounded
import sys


def f(x):
    return 1 << (8 * 10**7)

# attack: return_surrogates_nulls
# category: cheat
# kind: call
# expected verdict: fail   (never pass)
# invariant: report writer survives lone surrogates and NULs
def f(x):
    return "\ud800\x00\udfff" * 10

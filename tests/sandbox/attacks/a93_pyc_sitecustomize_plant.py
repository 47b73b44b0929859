# attack: pyc_sitecustomize_plant
# category: escape
# kind: call
# expected verdict: fail,error   (never pass)
# invariant: nothing the next run imports is writable
import os, sys, site


def f(x):
    for d in sys.path + [os.path.dirname(os.__file__)]:
        for n in ("sitecustomize.py", "usercustomize.py", "__pycache__/json.cpython-311.pyc", "codec.py"):
            try:
                open(os.path.join(d, n), "a").write("#PWNED")
            except OSError:
                pass
    return 0

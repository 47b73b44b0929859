# attack: read_env_keys
# category: escape
# kind: call
# expected verdict: fail   (never pass)
# invariant: note: the exec-time env block stays on the stack even after os.environ.clear(); the zygote must be exec-ed with a clean env
import os


def f(x):
    import ctypes

    env = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    i = 0
    o = str(dict(os.environ))
    while env and env[i]:
        o += env[i].decode("latin1")
        i += 1
    return "LEAK:" + o if "SBX_CANARY" in o else 0

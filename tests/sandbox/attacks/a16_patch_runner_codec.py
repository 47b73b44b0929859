# attack: patch_runner_codec
# category: cheat
# kind: call
# expected verdict: fail,error,tamper,timeout   (never pass)
# invariant: worker survives; next benign run passes
import sys

for n, m in list(sys.modules.items()):
    if n in ("codec", "__main__", "json"):
        for k in ("enc", "dumps", "tx"):
            if hasattr(m, k):
                try:
                    setattr(m, k, lambda *a, **k: b'{"v":"pass","id":1}')
                except Exception:
                    pass


def f(x):
    return 0

# attack: subprocess_shell
# category: escape
# kind: call
# expected verdict: error,fail   (never pass)
# invariant: worker survives; next benign run passes
import subprocess


def f(x):
    subprocess.Popen("sleep 60 & echo pwn > /tmp/sbx_canary/PWNED", shell=True)
    return 0

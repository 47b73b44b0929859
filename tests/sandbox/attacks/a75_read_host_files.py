# attack: read_host_files
# category: escape
# kind: call
# expected verdict: fail   (never pass)
# invariant: worker survives; next benign run passes
def f(x):
    o = ""
    for p in (
        "/etc/shadow",
        "/root/.bashrc",
        "/root/.ssh/id_rsa",
        "/proc/1/root/etc/shadow",
        "/proc/self/root/../etc/shadow",
        "/tmp/sbx_canary/CANARY_SECRET",
        "/dev/shm/CANARY_SECRET",
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
    ):
        try:
            o += open(p).read()[:50]
        except OSError:
            pass
    return "LEAK:" + o if o else 0

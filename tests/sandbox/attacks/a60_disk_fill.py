# attack: disk_fill
# category: resource
# kind: call
# expected verdict: error,disk,crash   (never pass)
# invariant: tmpfs quota or RLIMIT_FSIZE x files; freed after the run
def f(x):
    i = 0
    while i < 256:
        with open("f%d" % i, "wb") as h:
            h.write(b"\0" * (16 << 20))
        i += 1

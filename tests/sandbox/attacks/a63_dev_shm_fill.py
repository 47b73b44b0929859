# attack: dev_shm_fill
# category: resource
# kind: call
# expected verdict: error,disk,crash   (never pass)
# invariant: host /dev/shm untouched
def f(x):
    i = 0
    while i < 256:
        with open("/dev/shm/x%d" % i, "wb") as h:
            h.write(b"\0" * (16 << 20))
        i += 1

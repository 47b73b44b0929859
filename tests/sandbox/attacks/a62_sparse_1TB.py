# attack: sparse_1TB
# category: resource
# kind: call
# expected verdict: error,disk,fail,crash   (never pass)
# invariant: worker survives; next benign run passes
import os


def f(x):
    fd = os.open("s", os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 1 << 40)
    return 0

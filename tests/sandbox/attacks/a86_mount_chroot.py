# attack: mount_chroot
# category: escape
# kind: call
# expected verdict: fail,error   (never pass)
# invariant: worker survives; next benign run passes
import ctypes, os

l = ctypes.CDLL(None)


def f(x):
    r = [l.mount(b"proc", b"/w", b"proc", 0, None), l.mount(b"/", b"/w", None, 4096, None), l.chroot(b"/w"), l.umount2(b"/w", 2)]
    return "MNT" if 0 in r else 0

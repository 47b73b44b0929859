# attack: tty_and_devices
# category: escape
# kind: call
# expected verdict: fail,error   (never pass)
# invariant: worker survives; next benign run passes
import fcntl, os


def f(x):
    ok = []
    for fd in (0, 1, 2):
        try:
            fcntl.ioctl(fd, 0x5412, b"x")
            ok.append(fd)
        except OSError:
            pass
    for p in ("/dev/tty", "/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sda", "/dev/ptmx", "/dev/fuse", "/dev/kvm", "/dev/nvidia0"):
        try:
            open(p, "rb").close()
            ok.append(p)
        except OSError:
            pass
    try:
        os.mknod("dev", 0o60666, os.makedev(254, 0))
        open("dev", "rb").read(1)
        ok.append("mknod")
    except OSError:
        pass
    return "DEV:%s" % ok if ok else 0

# attack: net_external_dns
# category: escape
# kind: call
# expected verdict: fail,error   (never pass)
# invariant: worker survives; next benign run passes
import socket


def f(x):
    try:
        socket.getaddrinfo("example.com", 80)
    except OSError:
        pass
    try:
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.sendto(b"x", ("8.8.8.8", 53))
        return "NET"
    except OSError:
        return 0

# attack: int80_and_x32
# category: escape
# kind: call
# expected verdict: crash,fail,killed,error   (never pass)
# invariant: filter checks audit arch and the x32 bit
import ctypes, mmap


def f(x):
    try:
        m = mmap.mmap(-1, 4096, prot=7)
    except (OSError, ValueError):
        return 0
    m.write(b"\xb8\x02\x00\x00\x00\xcd\x80\xc3")  # mov eax,2 (i386 fork); int 0x80; ret
    fn = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(m)))
    r = fn()
    return "FORK80" if r >= 0 else 0

# attack: raise_rlimits
# category: escape
# kind: call
# expected verdict: fail,error   (never pass)
# invariant: worker survives; next benign run passes
import resource as R, os


def f(x):
    ok = []
    for r in (R.RLIMIT_AS, R.RLIMIT_CPU, R.RLIMIT_FSIZE, R.RLIMIT_NOFILE, R.RLIMIT_NPROC):
        for t in (0, os.getppid(), 1):
            try:
                R.prlimit(t, r, (R.RLIM_INFINITY, R.RLIM_INFINITY))
                ok.append((r, t))
            except (OSError, ValueError):
                pass
    try:
        if os.getppid() > 0:
            R.prlimit(os.getppid(), R.RLIMIT_CPU, (1, 1))
            ok.append("ppid")
    except (OSError, ValueError):
        pass
    return "RL:%s" % ok if ok else 0

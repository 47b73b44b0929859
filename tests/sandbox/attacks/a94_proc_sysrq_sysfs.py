# attack: proc_sysrq_sysfs
# category: escape
# kind: call
# expected verdict: fail,error   (never pass)
# invariant: worker survives; next benign run passes
def f(x):
    ok = []
    for p in (
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/core_pattern",
        "/sys/kernel/uevent_helper",
        "/sys/fs/cgroup/cgroup.procs",
        "/sys/fs/cgroup/pids/tasks",
        "/proc/self/oom_score_adj",
    ):
        try:
            open(p, "r+").close()
            ok.append(p)
        except OSError:
            pass
    return "PROC:%s" % ok if ok else 0

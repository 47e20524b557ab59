# SPDX-License-Identifier: MIT
"""Counts what pieces of work cost (tests/bench/counts.cu) in a Xen guest, exactly: by the guest's
kernel (system calls, interrupts), the library, the worker, and Xen itself (grants, hypercalls).

Polling is fixed while it is counted: the emulated machine has no meaningful microseconds, so both
sides poll for a second, which is longer than any pause inside a piece of work.
"""
import base64
import gzip
import re
import struct

from xentest import Failed, backd, eventually, mapped_grants

WINDOW_US = 1000000
CONF = "/tmp/counts.conf"
TRACE = "/sys/kernel/tracing"
HIST = TRACE + "/events/raw_syscalls/sys_enter"
SYSCALLS = {0: "read", 1: "write", 7: "poll", 9: "mmap", 10: "mprotect", 11: "munmap", 16: "ioctl",
            24: "sched_yield", 28: "madvise", 35: "nanosleep", 202: "futex", 228: "clock_gettime", 230: "clock_nanosleep",
            232: "epoll_wait", 271: "ppoll", 281: "epoll_pwait", 435: "clone3", 56: "clone"}
HYPERCALLS = {20: "grant_table_op", 32: "event_channel_op"}


class Fixed:
    """gvm-backd with the fixed window; afterwards as it was."""

    def __init__(self, lab):
        self.lab = lab

    def __enter__(self):
        daemon = backd(self.lab)
        daemon.stop()
        self.lab.sh("{ grep -v spin_us /etc/gvm/gvm.conf; echo spin_us = %d; } > %s"
                    % (WINDOW_US, CONF))
        daemon.start(CONF)
        return self

    def __exit__(self, *exc):
        daemon = self.lab.backd
        daemon.stop()
        daemon.start()


def sniff(machine):
    """Lets the kernel of a guest or of dom0 count system calls by thread and number."""
    machine.sh("[ -d %s/events ] || mount -t tracefs tracefs %s; "
               "grep -q ^hist %s/trigger || echo 'hist:keys=common_pid,id:size=4096' > %s/trigger"
               % (TRACE, TRACE, HIST, HIST))


def forget(machine):
    machine.sh("echo 'hist:keys=common_pid,id:size=4096:clear' >> %s/trigger" % HIST)


def system_calls(machine, pid):
    """{name: number} of a process since forget()."""
    out = machine.sh("echo $(ls /proc/%d/task); cat %s/hist" % (pid, HIST), 60)
    head, _, table = out.partition("\n")
    threads, found = set(map(int, head.split())), {}
    for m in re.finditer(r"common_pid: +(\d+), id: +(\d+) \} hitcount: +(\d+)", table):
        if int(m.group(1)) in threads:
            name = SYSCALLS.get(int(m.group(2)), "nr %s" % m.group(2))
            found[name] = found.get(name, 0) + int(m.group(3))
    return found


def interrupts(guest):
    """Events that the guest's kernel took for channels of vgpus."""
    out = guest.sh("cat /proc/interrupts")
    return sum(int(n) for line in out.split("\n") if "vgpu" in line
               for n in re.findall(r"(?<= )\d+(?= )", line.split(":", 1)[1]))


def cpu_ns(machine, pid):
    """Time that a process's threads have run, by the scheduler."""
    out = machine.sh("cat /proc/%d/task/*/schedstat" % pid)
    return sum(int(line.split()[0]) for line in out.strip().split("\n"))


def stats(lab, pid):
    """What gvm-backd counts for a process of a guest."""
    for line in lab.sh("gvm list raw").split("\n"):
        words = dict(w.split("=", 1) for w in line.split()[1:])
        if line.startswith("process ") and int(words["pid"]) == pid:
            return {k: int(v) for k, v in words.items()}
    raise Failed("gvm list raw does not show process %d" % pid)


class Hypercalls:
    """Xen's own trace of hypercalls by PV domains, while it is open."""

    def __init__(self, lab):
        self.lab = lab

    def __enter__(self):
        self.lab.sh("rm -f /tmp/trace")
        # entries of PV domains and the scheduler's switches; big buffers, emptied often
        self.cmd = self.lab.spawn("exec xentrace -D -S 256 -s 20 -e 0x0022f000 /tmp/trace")
        eventually("xentrace writes", lambda: self.lab.dom0("[ -s /tmp/trace ]")[0] == 0, 20)
        return self

    def __exit__(self, *exc):
        self.cmd.kill(2)
        self.cmd.wait(20)

    def counts(self):
        """{domain: {hypercall number: number}}, and how many records were lost."""
        out = self.lab.sh("gzip -c /tmp/trace | base64", 120)
        return decode(gzip.decompress(base64.b64decode(out)))


def decode(data):
    """Records of xentrace (xen/include/public/trace.h): hypercalls of each domain."""
    at, cpu, on, found, lost = 0, 0, {}, {}, 0
    while at + 4 <= len(data):
        head, = struct.unpack_from("<I", data, at)
        event, extra = head & 0x0fffffff, head >> 28 & 7
        at += 12 if head >> 31 else 4
        words = struct.unpack_from("<%dI" % extra, data, at)
        at += 4 * extra
        if event == 0x0001f003:                        # TRC_TRACE_CPU_CHANGE
            cpu = words[0]
        elif event == 0x0001f001:                      # TRC_LOST_RECORDS
            lost += words[0]
        elif event == 0x0002800a:                      # TRC_SCHED_SWITCH: from, vcpu, to, vcpu
            on[cpu] = words[2]
        elif event in (0x0020100d, 0x0020200e) and cpu in on:  # TRC_PV_HYPERCALL_V2, _SUBCALL
            calls = found.setdefault(on[cpu], {})
            number = words[0] & 0xfffff
            calls[number] = calls.get(number, 0) + 1
    return found, lost


class Program:
    """counts in the guest: one piece of work after the other."""

    def __init__(self, lab, guest, pieces, window=True):
        self.lab, self.guest = lab, guest
        env = "GVM_SPIN_US=%d " % WINDOW_US if window else ""
        self.cmd = guest.spawn("exec env %scounts %s" % (env, " ".join(pieces)), stdin=True)

    def piece(self, name, hypercalls=False, pause=None):
        """Everything that was counted while the piece ran; pause(): what to do meanwhile."""
        m = self.cmd.wait_output("^ready %s (\\d+)$" % name, 120)
        pid = int(m.group(1))
        before = stats(self.lab, pid)
        irq = interrupts(self.guest)
        trace = Hypercalls(self.lab) if hypercalls else None
        forget(self.guest)
        if trace:
            trace.__enter__()
        self.cmd.write("\n")
        m = self.cmd.wait_output("^done %s doorbells=(\\d+) sleeps=(\\d+) copied=(\\d+)$" % name, 120)
        if trace:
            trace.__exit__()
        if pause:
            pause(pid, before["worker"])
        calls = system_calls(self.guest, pid)
        after = stats(self.lab, pid)
        found = {k: after[k] - before[k] for k in ("doorbells_in", "doorbells_out", "bytes_in",
                                                   "bytes_out", "calls", "launches")}
        # How the program says that it is done, and waits to be told to go on.
        for own in ("read", "write"):
            calls[own] = calls.get(own, 0) - 1
        found.update(name=name, doorbells=int(m.group(1)), sleeps=int(m.group(2)),
                     copied=int(m.group(3)), pages=after["pages"],
                     grants=mapped_grants(self.lab, self.guest.domid),
                     interrupts=interrupts(self.guest) - irq,
                     system_calls={k: v for k, v in calls.items() if v})
        if trace:
            by_domain, found["lost"] = trace.counts()
            found["guest_hypercalls"] = by_domain.get(self.guest.domid, {})
            found["dom0_hypercalls"] = by_domain.get(0, {})
        self.cmd.write("\n")
        return found

    def end(self):
        rc, out = self.cmd.wait(60)
        if rc or "PASSED" not in out:
            raise Failed("counts: status %d, output:\n%s" % (rc, out))

    def kill(self):
        self.cmd.kill(9)


def other_calls(found):
    """System calls that are no doorbell, in words."""
    calls = dict(found["system_calls"])
    calls["ioctl"] = calls.get("ioctl", 0) - found["doorbells"]
    return {k: v for k, v in calls.items() if v}


def idle(lab, guest, pid, worker, seconds=10):
    """(events either way, ns of dom0's CPU for worker and daemon) while nothing is asked for."""
    daemon = int(lab.sh("pidof gvm-backd").split()[0])

    def asleep():
        a = cpu_ns(lab, worker)
        lab.sh("usleep 300000")
        return cpu_ns(lab, worker) == a
    eventually("the worker sleeps", asleep, 30)
    s, irq, t = stats(lab, pid), interrupts(guest), cpu_ns(lab, worker)
    d = cpu_ns(lab, daemon) # after the question, whose answer costs time
    lab.sh("sleep %d" % seconds, seconds + 30)
    d = cpu_ns(lab, daemon) - d
    t = cpu_ns(lab, worker) - t
    z = stats(lab, pid)
    events = sum(z[k] - s[k] for k in ("doorbells_in", "doorbells_out"))
    return events + interrupts(guest) - irq, t + d


def spin_cost(guest, command, ready, seconds=5):
    """Shares of the guest's one processor: of a program that waits, and of a busy neighbour; of what
    both have had."""
    busy = guest.spawn("echo pid $$; while :; do :; done")
    prog = guest.spawn("echo pid $$; exec " + command)
    try:
        pids = [int(c.wait_output("^pid (\\d+)$", 60).group(1)) for c in (prog, busy)]
        prog.wait_output(ready, 120)
        before = [cpu_ns(guest, p) for p in pids]
        guest.sh("sleep %d" % seconds, seconds * 4 + 30)
        ran = [cpu_ns(guest, p) - b for p, b in zip(pids, before)]
        return [t / sum(ran) for t in ran]
    finally:
        prog.kill(9)
        busy.kill(9)

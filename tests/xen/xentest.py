# SPDX-License-Identifier: MIT
"""What tests inside Xen share: which parts and hosts they need, reused guests, gvm-backd."""
import re
import time

from lab import LabError

BACKEND = ("gvm-backd", "gvm-worker", "gvm")
GUEST = ("xen-vgpufront.ko", "libcudart.so.13", "libcuda.so.1", "conformance programs")
ALL = BACKEND + GUEST
VGPU = "backend=0,device=0,mem=1G"


class Failed(Exception):
    """What a test found not to be so."""


class Skip(Exception):
    """Why a test cannot run."""


def needs(*parts):
    """The test is skipped, and says so, while one of these parts is not built."""
    def mark(fn):
        fn.needs = parts
        return fn
    return mark


def every_host(fn):
    """The test runs in each host configuration, not only in the first."""
    fn.every_host = True
    return fn


def expect(got, want, what):
    if got != want:
        raise Failed("%s: expected %r, got %r" % (what, want, got))


def matches(text, regex, what):
    m = re.search(regex, text, re.M)
    if not m:
        raise Failed("%s: no /%s/ in:\n%s" % (what, regex, text))
    return m


def eventually(what, test, timeout=10, every=0.1):
    """The first true value of test().  For what sends no event: process and grant tables."""
    end = time.monotonic() + timeout
    while True:
        value = test()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed("not within %g s: %s" % (timeout, what))
        time.sleep(every)


class Backd:
    """gvm-backd in dom0; its log is in `log`, and in the lab's dom0.log."""

    def __init__(self, lab):
        self.lab, self.cmd = lab, None

    @property
    def running(self):
        return self.cmd is not None and self.cmd.rc is None

    @property
    def log(self):
        return self.cmd.out if self.cmd else ""

    def start(self, config=None, worker=None):
        if not self.running:
            self.cmd = self.lab.spawn("exec gvm-backd" + (" --config " + config if config else "")
                                      + (" --worker " + worker if worker else ""))
            # its socket is the last thing that it makes
            rc, _ = self.lab.dom0("n=0; until [ -S /run/gvm/backd.sock ]; do n=$((n + 1)); "
                                  "[ $n -lt 200 ] || exit 1; usleep 50000; done", 60)
            if rc or self.cmd.rc is not None:
                raise Failed("gvm-backd did not start:\n" + self.cmd.out)
        return self

    def stop(self, signal="TERM"):
        if self.running:
            # not its process group: workers live on
            self.lab.sh("kill -%s $(pidof gvm-backd)" % signal)
            self.cmd.wait(30)
            if signal == "KILL":
                self.lab.dom0("rm -f /run/gvm/backd.sock")

    def wait_log(self, regex, timeout=30):
        return self.cmd.wait_output(regex, timeout)

    def processes(self, domid):
        """Worker's pid and guest's pid of each process that `gvm list processes` shows."""
        _, out = self.lab.dom0("gvm list processes")
        found, now = [], None
        for line in out.split("\n"):
            head = re.match(r"(\d+) ", line)
            if head:
                now = int(head.group(1))
            m = re.match(r"\s+pid (\d+) .*\bworker (\d+)", line)
            if m and now == domid:
                found.append((int(m.group(2)), int(m.group(1))))
        return found


def backd(lab):
    """gvm-backd of this boot, running."""
    if not hasattr(lab, "backd"):
        lab.backd = Backd(lab)
    return lab.backd.start()


def connected(lab, guest, device=0, timeout=60, back=0):
    """Waits until both ends of a device are in state 4.  back: the backend's domain."""
    lab.wait_xenstore("/local/domain/%d/backend/vgpu/%d/%d/state" % (back, guest.domid, device),
                      "4", timeout)
    lab.wait_xenstore("/local/domain/%d/device/vgpu/%d/state" % (guest.domid, device), "4", timeout)


def shared_guest(lab, kind="pv", number=1):
    """A guest with a connected vgpu that several tests use: made at its first use, and again after
    a test that failed took it along."""
    name = "%s%d" % (kind, number)
    guest = lab.guests.get(name)
    if guest and guest.agent.gone:
        lab.destroy(name)
        guest = None
    backd(lab)
    if not guest:
        guest = lab.create(name, type=kind, vgpu=[VGPU])
    connected(lab, guest)
    return guest


def passes(guest, program, timeout=120):
    """Runs a conformance program; its output."""
    rc, out = guest.run(program, timeout)
    if rc or not re.search(r"PASSED$", out, re.M):
        raise Failed("%s in %s: status %d, output:\n%s" % (program, guest.name, rc, out))
    return out


def mapped_grants(lab, domid):
    """How many grants of a domain somebody has mapped, by Xen's own table."""
    # key g prints, per domain, a line "[ref] domid frame pin ..." for each grant with a mapping
    out = lab.sh("xl dmesg -c > /dev/null; xl debug-keys g; xl dmesg -c")
    count, inside = 0, False
    for line in out.split("\n"):
        m = re.search(r"grant-table for remote d(?:om)?(\d+)", line)
        if m:
            inside = int(m.group(1)) == domid
        elif inside and re.search(r"\[ *(?:0x)?[0-9a-f]+\] ", line):
            count += 1
    return count


__all__ = [n for n in dir() if not n.startswith("_")] + ["LabError"]

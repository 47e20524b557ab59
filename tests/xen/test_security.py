# SPDX-License-Identifier: MIT
"""A worker in which somebody else's code runs, and a guest's process that takes what it can."""
import re

from xentest import (ALL, Failed, backd, connected, eventually, expect, matches, needs, passes,
                     shared_guest)

HOSTILE = "/usr/lib/gvm/bin/gvm-worker-hostile"
PARAMETERS = "/sys/module/xen_vgpufront/parameters/"


@needs("gvm-worker-hostile", *ALL)
def test_compromised_worker(lab):
    """What it tries behind its lock-down is refused, with descriptors of gntdev and evtchn in its
    hands; its guest is served.  The quota of the guest, 1024 MiB, says what is tried."""
    guest = shared_guest(lab, "pv")
    lab.backd.stop()
    # Debian's init would have done it
    lab.sh("[ -e /sys/fs/cgroup/cgroup.procs ] || mount -t cgroup2 none /sys/fs/cgroup")
    lab.backd.start(worker=HOSTILE)
    try:
        connected(lab, guest)
        passes(guest, "vectorAdd")
        log = lab.backd.log
        m = matches(log, r"hostile: (\d+) attempts, (\d+) refused as they must be, (\d+) not; "
                    r"(.*)$", "what the worker tried")
        print("compromised worker in Xen (%s): %s attempts, %s refused" %
              (m.group(4), m.group(1), m.group(2)))
        for group in ("grants", "events", "namespace", "files"):
            lines = re.findall(r"^hostile: %s +(.*)$" % group, log, re.M)
            if len(lines) < 10:
                raise Failed("only %d attempts at %s:\n%s" % (len(lines), group, log))
            print("    %-10s %3d" % (group, len(lines)))
        wrong = re.findall(r"^hostile: .*WRONG.*$", log, re.M)
        if wrong:
            raise Failed("\n".join(wrong))
        expect(m.group(1), m.group(2), "attempts refused")

        def limits():  # of the next warm worker, which comes a while after the last one went
            out = lab.dom0("cd /sys/fs/cgroup/gvm && for w in w*; do "
                           "cat $w/pids.max $w/memory.max $w/cgroup.procs; done")[1].split()
            return len(out) == 3 and out[2].isdigit() and out
        found = eventually("a worker in a cgroup", limits, 60)
        expect(found[:2], ["1024", str((8192 + 1024) << 20)], "pids.max and memory.max of a worker")
    finally:
        lab.backd.stop()
        backd(lab)
        connected(lab, guest)


@needs("vgpu_probe", *ALL)
def test_greedy_process(lab):
    """An ordinary user's process cannot take more than its user's part, whatever it does; others
    are served meanwhile, and what the guest keeps for its disks and network is never touched."""
    guest = shared_guest(lab, "pv")

    def parameter(name, value=None):
        old = int(guest.sh("cat " + PARAMETERS + name))
        if value is not None:
            guest.sh("echo %d > %s%s" % (value, PARAMETERS, name))
        return old

    # as they come: one user leaves room for another, all of them for the rest of the guest
    grants = 64 * 512
    per_uid, channels = parameter("max_pages_per_uid"), parameter("max_channels_per_uid")
    reserve = parameter("reserve_grants") or grants // 4
    if not (per_uid < grants - reserve and channels < parameter("max_channels") <=
            1023 - parameter("reserve_ports")):
        raise Failed("the limits of one user reach those of the guest")
    parameter("max_pages_per_uid", 700)
    parameter("max_channels_per_uid", 2)
    try:
        hog = guest.spawn("exec vgpu_probe hog 1000", stdin=True)
        hog.wait_output(r"hog: (\d+) channels, (\d+) pages: (.*)", 120)
        guest.wait_console(r"vgpu0: uid 1000, pid \d+: .*max_(pages|channels)_per_uid allows", 20)
        text = re.search(r"hog: (\d+) channels, (\d+) pages: (.*)", hog.out)
        print("greedy process: %s channels, %s pages, then %s" % text.groups())
        if int(text.group(1)) > 2 or not 600 < int(text.group(2)) <= 700:
            raise Failed("limits of 2 channels and 700 pages, but: " + text.group(0))
    finally:
        parameter("max_pages_per_uid", per_uid)
        parameter("max_channels_per_uid", channels)
    try:
        passes(guest, "vectorAdd")  # of another user
    finally:
        hog.write("\n")
        expect(hog.wait(20)[0], 0, "status of the greedy process")

# SPDX-License-Identifier: MIT
"""Every point of the life cycle, every kind of fault: faults.py."""
import re

import faults
from lab import LabError
from xentest import Failed, Skip, eventually, expect, needs

PARTS = ("gvm", "gvm-backd with fault points", "xen-vgpufront.ko with fault points", "gvm-fault",
         "vgpu_probe", "vgpu_load")


def bench(lab):
    """Made at its first use; again after a failure, which takes the guests along."""
    b = getattr(lab, "fault_bench", None)
    if b and (b.loop.rc is not None or b.victim.agent.gone):
        b.tool.cmd.kill(9)
        b.backd.kill(9)
        lab.dom0("kill -9 $(pidof gvm-backd) $(pidof gvm-worker); rm -rf /run/gvm")
        for name in list(lab.guests):
            lab.destroy(name)
        b = None
    if not b:
        b = lab.fault_bench = faults.Bench(lab)
    return b


def cell(lab, point, kind):
    """Seconds until all was clean. When dom0's kernel reports that it stood still meanwhile, which is
    the emulated machine's doing, a cell that failed is run once more; how often is printed."""
    while True:
        b = bench(lab)
        failure = took = None
        try:
            took = b.cell(point, kind)
        except (Failed, LabError) as e:
            failure = e
        stalls = lab.stalls()
        for line in stalls:
            print("       %s, %s: dom0 stood still: %s" % (point, kind, line.strip()), flush=True)
        faults.TOTAL["stalls"] += len(stalls)
        if not failure:
            return took
        b.give_up()
        if not stalls or faults.TOTAL["reruns"] >= faults.RERUNS:
            raise failure
        faults.TOTAL["reruns"] += 1
        print("       %s, %s: run again, as dom0 stood still; it was: %s"
              % (point, kind, str(failure).split("\n")[0]), flush=True)


def _point(point):
    @needs(*PARTS)
    def run(lab):
        kinds = [k for k in faults.KINDS if faults.chosen(point, k)]
        wrong, times = [], []
        for kind in kinds:
            try:
                times.append("%s %.1f s" % (kind, cell(lab, point, kind)))
            except (Failed, LabError) as e:
                wrong.append("%s: %s" % (kind, e))
        print("       %s: %s" % (point, ", ".join(times)), flush=True)
        if wrong:
            raise Failed("\n".join(wrong))
    run.__name__ = "test_fault_" + point.replace(".", "_").replace("-", "_")
    run.keep_guests = True
    return run


for _name in faults.POINTS:
    globals()["test_fault_" + _name] = _point(_name)
del _name


def computing(b):
    """A program in the victim that goes round and round."""
    cmd = b.victim.spawn("exec vgpu_load loop 50")
    cmd.wait_output("^n 2$", 60)
    return cmd


def rounds(cmd):
    return len(re.findall("^n ", cmd.out, re.M))


def device_again(b):
    """After the cause is gone: the device works."""
    b.wait_connected(b.victim)
    b.wait_clean("process")
    rc, out = b.victim.run("vgpu_load once", 120)
    expect((rc, "right" in out), (0, True), "vgpu_load once, which printed " + out)


def keep(test):
    test.keep_guests = True
    return needs(*PARTS)(test)


@keep
def test_guest_paused(lab):
    """A guest that stands still holds nobody up, and goes on where it was."""
    b = bench(lab)
    cmd = computing(b)
    lab.sh("xl pause victim")
    steps, before = b.steps(), rounds(cmd)
    lab.agent.wait_for(lambda: b.steps() > steps + 3, 60)
    expect((b.steps() > steps + 3, rounds(cmd) <= before + 1), (True, True),
           "the other guest computes, the paused one does not")
    lab.sh("xl unpause victim")
    b.victim.agent.wait_for(lambda: rounds(cmd) > before + 3 or cmd.rc is not None, 60)
    expect((cmd.rc, rounds(cmd) > before + 3), (None, True), "the program after xl unpause")
    cmd.kill(9)
    cmd.wait(60)
    device_again(b)


@keep
def test_backend_lost(lab):
    """The backend's directories vanish without a word, as when its domain dies: an error, at once."""
    b = bench(lab)
    cmd = computing(b)
    d = b.victim.domid
    lab.sh("xenstore-rm /local/domain/0/backend/vgpu/%d /local/domain/%d/device/vgpu" % (d, d))
    rc, out = cmd.wait(60)
    expect((rc, "cuda " in out), (3, True), "the program, which printed " + out[-200:])
    eventually("no worker of the guest", lambda: len(b.tool.look(d)["workers"]) <= 2, 60)
    lab.sh("gvm attach victim mem=1G", 60)
    device_again(b)


def ends(lab, how):
    b = bench(lab)
    computing(b)
    v = b.victim
    v.spawn(how)
    if "sysrq" in how:  # on_crash is preserve: the operator looks, and then destroys it
        eventually("state c in xl list", lambda: re.search(r"victim .*c-? ", lab.sh("xl list")), 60,
                   0.5)
        lab.sh("xl destroy victim", 60)
    v.agent.wait_for(lambda: v.agent.gone, 60)
    took = b.wait_clean("destroy")
    print("       clean %.1f s after the domain's end" % took)
    lab.guests.pop("victim").close()
    b.new_victim()
    device_again(b)


@keep
def test_guest_crashed(lab):
    if not faults.ALL_CELLS:
        raise Skip("part of make test-full")
    ends(lab, "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger")


@keep
def test_guest_rebooted(lab):
    if not faults.ALL_CELLS:
        raise Skip("part of make test-full")
    ends(lab, "reboot -f")


@needs(*PARTS)
def test_faults_counted(lab):
    b = bench(lab)
    took, where = faults.TOTAL["slowest"]
    have = sum(faults.chosen(p, k) for p in faults.POINTS for k in faults.KINDS)
    print("       %d points, %d kinds of fault, %d cells; of these %s, %d: %d passed; clean %.1f s "
          "later at most (%s), allowed are %d; the other guest computed %d rounds; dom0 stood still "
          "%d times, %d cells were run again for that"
          % (len(faults.POINTS), len(faults.KINDS), len(faults.POINTS) * len(faults.KINDS),
             "all" if faults.ALL_CELLS else "third %s of 3" % faults.CELLS, have,
             faults.TOTAL["cells"], took, where, faults.BOUND, b.steps(), faults.TOTAL["stalls"],
             faults.TOTAL["reruns"]))
    # one more: what the broker before the last one gave it
    expect(b.worker_open() <= b.other_open + 1, True,
           "descriptors of the other guest's worker: %d, at first %d" % (b.worker_open(), b.other_open))

# SPDX-License-Identifier: MIT
"""A guest that owns its kernel against gvm-backd: guest/vgpu_evil.c.

Whatever it does, gvm-backd goes on, the program in the other guest computes on, nothing stays
behind, and each violation is one line in the log.
"""
import os
import re
import time

from test_faults import bench
from xentest import Failed, eventually, expect, needs

PARTS = ("gvm", "gvm-backd with fault points", "xen-vgpufront.ko with fault points", "gvm-fault",
         "vgpu_load", "vgpu_evil", "records.bin")
FULL = os.environ.get("GVM_FAULT_CELLS") == "all"
SECONDS = 120 if FULL else 10
STEP = 1 if FULL else 64  # every STEP-th record


def evil(lab, command, timeout):
    """Runs it in the victim guest, whose driver has gone; what it said, and gvm-backd's new log."""
    b = bench(lab)
    v = b.victim
    v.sh("! grep -q xen_vgpufront /proc/modules || rmmod xen_vgpufront", 60)
    v.sh("grep -q xen_gntalloc /proc/modules || { insmod /lib/modules/xen-evtchn.ko; "
         "insmod /lib/modules/xen-gntalloc.ko limit=8192; }", 60)
    start = time.monotonic()
    before, steps, mark = b.tool.look(v.domid), b.steps(), len(b.backd.out)
    rc, out = v.run("exec vgpu_evil " + command, timeout)
    print("       %s" % out.strip().split("\n")[-1], flush=True)
    log = b.backd.out[mark:]
    if rc:
        raise Failed("vgpu_evil %s: status %d, output:\n%s\ngvm-backd's log:\n%s"
                     % (command, rc, out[-2000:], log[-2000:]))

    def clean():
        s = b.tool.look(v.domid)
        return len(s["workers"]) <= 2 and s["sockets"] <= 2 and s
    after = eventually("no worker left over", clean, 60)
    # two are mapped of every domain: those of its console and its XenStore ring
    expect(b.tool.grants(v.domid), 2, "grants of the guest that somebody has mapped")
    expect(after["backd"], before["backd"], "gvm-backd's pid")
    expect(after["fds"] <= before["fds"] + 2, True,
           "gvm-backd's descriptors: %d, before %d" % (after["fds"], before["fds"]))
    expect(b.other_worker in after["workers"], True, "the other guest's worker lives")
    lab.agent.wait_for(lambda: b.loop.rc is not None or b.steps() > steps + 1, 20)
    if b.loop.rc is not None or b.steps() <= steps:
        raise Failed("the program in the other guest: status %s, %s"
                     % (b.loop.rc, b.loop.out[-200:]))
    most = 100 + 10 * (time.monotonic() - start)  # whatever it does, as often as it likes
    if log.count("\n") > most:
        raise Failed("gvm-backd wrote %d lines, more than %d" % (log.count("\n"), most))
    return out, log


def _evil(name, command, timeout):
    @needs(*PARTS)
    def run(lab):
        evil(lab, command, timeout)
    run.__name__ = "test_hostile_" + name
    run.keep_guests = True
    return run


@needs(*PARTS)
def test_hostile_limits(lab):
    """A program that takes of everything until it is refused; the other guest's is served."""
    b = bench(lab)
    b.wait_connected(b.victim)
    steps = b.steps()
    rc, out = b.victim.run("vgpu_load greed %d" % FULL, 900)
    expect((rc, out.strip().split("\n")[-1]), (0, "right"), "vgpu_load greed, which printed " + out)
    print("       " + "; ".join(re.findall("^.*, then .*$", out, re.M)))
    expect((b.loop.rc, b.steps() > steps), (None, True), "the program in the other guest")


test_hostile_limits.keep_guests = True


@needs(*PARTS)
def test_hostile_once_reported(lab):
    """Three of each: three lines of each, and a reason in them."""
    b = bench(lab)
    _, log = evil(lab, "break 3", 240)
    name = r"d%d\.0" % b.victim.domid
    for what, regex in (("broken record rings", name + r" channel 1 .*protocol violation: "
                         r"cmd_prod out of range; channel closed"),
                        ("broken control rings", name + r": control ring: the request index makes "
                         r"no sense; device closed")):
        expect(len(re.findall(regex, log)), 3, "lines about " + what)


test_hostile_once_reported.keep_guests = True


test_hostile_requests = _evil("requests", "requests", 240)
test_hostile_greed = _evil("greed", "greed", 600)
test_hostile_flood = _evil("flood", "flood %d" % (2000 if FULL else 300), 600)
test_hostile_flap = _evil("flap", "flap %d" % (2000 if FULL else 200), 600)
test_hostile_storm = _evil("storm", "storm 5", 120)
test_hostile_scribble = _evil("scribble", "scribble %d 1 /usr/lib/gvm/records.bin" % SECONDS,
                              SECONDS + 200)
test_hostile_records = _evil("records", "records /usr/lib/gvm/records.bin %d 0" % STEP, 2400)
test_hostile_lies = _evil("lies", "lies %d" % (1 if FULL else 11), 900)

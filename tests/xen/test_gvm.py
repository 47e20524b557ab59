# SPDX-License-Identifier: MIT
"""CUDA programs in Xen guests, and what an operator sees of them."""
import json
import os
import re
import statistics
import sys
import time

from lab import image
from xentest import (ALL, VGPU, Failed, backd, connected, every_host, expect, matches, needs,
                     passes, shared_guest)

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "conformance"))
import transcripts  # noqa: E402

PROGRAMS = "vectorAdd matrixMul reduction blackScholes stencil streams twothreads printf".split()


@every_host
@needs(*ALL)
def test_pv_guest(lab):
    """vgpu= and a plain `xl create`: both ends connect, a program runs."""
    guest = shared_guest(lab, "pv")
    matches(guest.sh("cat /sys/hypervisor/guest_type"), "^PV$", "guest type")
    passes(guest, "vectorAdd")


@every_host
@needs(*ALL)
def test_seen_by_operator(lab):
    """gvm list shows the device connected; gvm check finds the tree as the schema says."""
    guest = shared_guest(lab, "pv")
    matches(lab.sh("gvm list"), r"^%d +%s .*connected" % (guest.domid, guest.name), "gvm list")
    lab.sh("gvm check")
    tree = lab.sh("xenstore-ls /local/domain/0/backend/vgpu/%d/0" % guest.domid)
    matches(tree, r'^mem = "1073741824"', "backend's nodes")
    matches(tree, r'^state = "4"', "backend's nodes")


@needs(*ALL)
def test_diagnosis(lab):
    """gvm doctor finds nothing that is bad in dom0 or in the guest; gvm top shows a program that runs,
    gvm trace its calls, from the first one."""
    guest = shared_guest(lab, "pv")
    rc, out = lab.dom0("gvm doctor")
    expect(rc, 0, "exit status of gvm doctor in dom0: " + out)
    matches(out, r"^ok +vgpu d%d\.0 +%s: connected$" % (guest.domid, guest.name), "gvm doctor")
    rc, out = guest.run("gvm doctor")
    expect(rc, 0, "exit status of gvm doctor in the guest: " + out)
    matches(out, r"^ok +CUDA +cuInit works: ", "gvm doctor in the guest")
    trace = lab.spawn("gvm trace --count 6 %s" % guest.name)
    lab.sh("gvm list > /dev/null")
    spin = guest.spawn("spin")
    spin.wait_output("started", 60)
    out = lab.sh("gvm top --once")
    matches(out, r"^%d +%s +0 +connected " % (guest.domid, guest.name), "gvm top")
    matches(out, r"^ +pid \d+ +uid 0 +worker \d+ ", "gvm top")
    spin.kill(9)
    trace.wait_output(r" d%d\.0/\d+ #\d+ lane 0 MemAlloc .* = 0 dptr=0x" % guest.domid, 60)
    trace.kill(15)


def _program(name):
    @needs(*ALL)
    def run(lab):
        passes(shared_guest(lab, "pv"), "/usr/lib/gvm/bin/" + name)  # printf is the shell's too
    run.__name__ = "test_pv_" + name
    return run


for _name in PROGRAMS[1:]:
    globals()["test_pv_" + _name] = _program(_name)
del _name


@needs(*ALL)
def test_pv_transcripts(lab):
    """What programs print in a guest is what they print natively."""
    guest = shared_guest(lab, "pv")
    differences = transcripts.Differences(
        os.path.join(transcripts.HERE, "differences.txt"))
    sources, results, wrong, took = transcripts.sources(), {}, [], {}
    for name in image.transcripts():
        start = time.monotonic()
        rc, out = guest.run("cd /tmp && exec /usr/lib/gvm/t/" + name, transcripts.LIMIT * 3)
        took[name] = time.monotonic() - start
        if out and not out.endswith("\n"):
            out += "\n"
        verdict, text = transcripts.verdict(name, sources[name], "%sexit status %d\n" % (out, rc),
                                            differences, "xen")
        results[name] = {"verdict": verdict,
                         "source": transcripts.source_digest(sources[name])}
        if verdict != "ok":
            print("       %s %s: %s" % (verdict, name, text))
        if verdict == "FAIL":
            wrong.append(name)
    path = os.path.join(image.BUILD, "conformance", "xen-results.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"xen": results}, f)
    same = sum(r["verdict"] == "ok" for r in results.values())
    print("       %d programs print the same as natively" % same)
    slowest = max(took, key=took.get)
    print("       each took %.1f s (median of %d), at most %.1f s (%s)" %
          (statistics.median(took.values()), len(took), took[slowest], slowest))
    expect(wrong, [], "programs that print something else")


@needs(*ALL)
def test_out_of_bounds_in_guest(lab):
    """A stray write is error 700 for its process; one beside it finishes."""
    guest = shared_guest(lab, "pv")
    other = guest.spawn("matrixMul")
    passes(guest, "oob")
    rc, out = other.wait(120)
    expect((rc, "PASSED" in out), (0, True), "matrixMul beside oob, which printed " + out)


@every_host
@needs(*ALL)
def test_two_processes_in_one_guest(lab):
    guest = shared_guest(lab, "pv")
    both = [guest.spawn("matrixMul"), guest.spawn("reduction")]
    for cmd in both:
        rc, out = cmd.wait(180)
        expect((rc, "PASSED" in out), (0, True), "%s, which printed %s" % (cmd.text, out))


@needs(*ALL)
def test_pvh_guest(lab):
    guest = shared_guest(lab, "pvh")
    matches(guest.sh("cat /sys/hypervisor/guest_type"), "^PVH$", "guest type")
    for program in ("vectorAdd", "matrixMul", "reduction"):
        passes(guest, program)


@needs(*ALL)
def test_two_guests_at_once(lab):
    """Both run a program at the same time; gvm list shows both."""
    one, two = shared_guest(lab, "pv"), shared_guest(lab, "pvh")
    both = [one.spawn("spin"), two.spawn("matrixMul")]
    try:
        both[0].wait_output("^started$", 60)
        rc, out = both[1].wait(180)
        expect((rc, "PASSED" in out), (0, True), "matrixMul beside spin: " + out)
        text = lab.sh("gvm list")
        for guest in (one, two):
            matches(text, r"^%d +%s .*connected" % (guest.domid, guest.name), "gvm list")
        expect(len(lab.backd.processes(one.domid)), 1, "processes of " + one.name)
    finally:
        both[0].kill(9)


@every_host
@needs(*ALL)
def test_hotplug_and_detach(lab):
    """gvm attach gives a running guest a device, gvm detach takes it away; then again."""
    backd(lab)
    guest = lab.create("plug")
    try:
        for _ in range(2):
            lab.sh("gvm attach plug mem=256M")
            connected(lab, guest)
            guest.sh("test -c /dev/vgpu0")
            passes(guest, "vectorAdd")
            lab.sh("gvm detach plug", 60)
            lab.wait_xenstore("/local/domain/0/backend/vgpu/%d/0" % guest.domid, None)
            guest.sh("! test -e /dev/vgpu0")
    finally:
        lab.destroy("plug")


@needs(*ALL)
def test_detach_under_a_program(lab):
    """A program whose device is taken away gets an error and ends; the guest goes on."""
    backd(lab)
    guest = lab.create("unplug", vgpu=[VGPU])
    try:
        connected(lab, guest)
        cmd = guest.spawn("eventspin")
        cmd.wait_output("^started$", 60)
        lab.sh("gvm detach unplug", 60)
        rc, out = cmd.wait(30)
        matches(out, r"^cudaEventQuery: [1-9]\d* cudaError", "eventspin after gvm detach")
        guest.sh("! test -e /dev/vgpu0")
    finally:
        lab.destroy("unplug")


@needs(*ALL)
def test_program_before_device(lab):
    """A program that starts before its device waits a bounded time, then gets cudaErrorNoDevice."""
    backd(lab)
    guest = lab.create("early")
    try:
        rc, out = guest.run("vectorAdd", 60)
        matches(out, r"\b100 cudaErrorNoDevice", "vectorAdd without a device, status %d" % rc)
        lab.sh("gvm attach early mem=256M")
        connected(lab, guest)
        passes(guest, "vectorAdd")
    finally:
        lab.destroy("early")


@needs(*ALL)
def test_bad_vgpu_entries(lab):
    """Refused with the value and what is allowed, and the guest still starts."""
    daemon = backd(lab)
    bad = {"bada": ("colour=red", r"colour.*backend.*device.*mem.*weight"),
           "badb": ("mem=lots", r"lots"), "badc": ("weight=0", r"weight.*1.*65535")}
    for name, (entry, regex) in bad.items():
        guest = lab.create(name, vgpu=[entry], cmdline="lab.nofront", wait=False)
        daemon.wait_log(r"domain %d '%s': vgpu entry '%s' is not used: .*%s"
                        % (guest.domid, name, re.escape(entry), regex))
        expect(lab.xenstore("/local/domain/%d/device/vgpu/0/state" % guest.domid), None,
               "device of " + name)
        if name == "bada":
            guest.wait_ready(60)
        lab.destroy(name)
    rc, out = lab.dom0("gvm attach Domain-0 mem=lots")
    if rc == 0 or "lots" not in out:
        raise Failed("gvm attach with a bad value: status %d, %s" % (rc, out))


@needs(*ALL)
def test_two_files_for_one_name(lab):
    """Which one is meant cannot be known: one log line names both, no device."""
    daemon = backd(lab)
    text = lab.config("twin", vgpu=[VGPU], cmdline="lab.nofront")
    lab.put("/etc/xen/auto/twin-too.cfg", text)
    try:
        guest = lab.create("twin", text, wait=False)
        daemon.wait_log(r"domain %d 'twin': no vgpu: 2 files have this name: .*twin.*twin"
                        % guest.domid)
        expect(lab.xenstore("/local/domain/%d/device/vgpu/0/state" % guest.domid), None, "device")
        lab.destroy("twin")
    finally:
        lab.sh("rm -f /etc/xen/auto/twin-too.cfg")


@needs(*ALL)
def test_entry_kept_for_reboot(lab):
    """The accepted entry is used again at a reboot, even if its file is gone by then."""
    daemon = backd(lab)
    text = lab.config("again", vgpu=["mem=128M"], cmdline="lab.nofront").replace(
        'on_reboot = "destroy"', 'on_reboot = "restart"')
    guest = lab.create("again", text)
    lab.wait_xenstore("/local/domain/0/backend/vgpu/%d/0/state" % guest.domid, "2")
    lab.sh("rm /etc/xen/again.cfg")
    old = guest.domid
    guest.spawn("reboot -f")
    guest.agent.wait_for(lambda: guest.agent.gone, 60)
    guest.close()
    del lab.guests["again"]
    m = daemon.wait_log(r"domain (?!%d )(\d+) 'again': vgpu 0: .*mem 134217728" % old, 60)
    lab.wait_xenstore("/local/domain/0/backend/vgpu/%s/0/state" % m.group(1), "2")
    lab.destroy("again")

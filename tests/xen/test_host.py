# SPDX-License-Identifier: MIT
"""The lab itself: what the other tests stand on.  Needs nothing of GVM."""
from xentest import Failed, every_host, expect, matches


@every_host
def test_host_is_xen(lab):
    matches(lab.sh("xl info"), r"^xen_version +: 4\.17", "xl info")
    rc, _ = lab.dom0("exit 7")
    expect(rc, 7, "exit status from dom0")


@every_host
def test_xenstored_variant(lab):
    """The daemon that this host configuration asks for is the one that runs."""
    running = lab.sh("ps").split()
    want, other = "xenstored", "oxenstored"
    if lab.xenstored == "oxenstored":
        want, other = other, want
    expect((want in running, other in running), (True, False), "%s runs, %s does not"
           % (want, other))


def boots(lab, kind):
    guest = lab.create("plain-" + kind, type=kind, cmdline="lab.nofront")
    expect(guest.sh("cat /sys/hypervisor/type").strip(), "xen", "/sys/hypervisor/type")
    mode = guest.sh("cat /sys/hypervisor/guest_type").strip()
    expect(mode, kind.upper(), "guest_type")
    expect(guest.run("echo out; echo err >&2; exit 5"), (5, "out\nerr\n"), "command in the guest")
    return guest


def gone(lab, name):
    lab.destroy(name)
    listed = lab.sh("xl list")
    if name in listed or "(null)" in listed:
        raise Failed("xl list after xl destroy:\n" + listed)


@every_host
def test_pv_guest_boots(lab):
    boots(lab, "pv")
    gone(lab, "plain-pv")


def test_pvh_guest_boots(lab):
    boots(lab, "pvh")
    gone(lab, "plain-pvh")

# SPDX-License-Identifier: MIT
"""Guests whose state stays in their workers, as on a real GPU: the software device pretends that."""
import re

from xentest import ALL, Failed, backd, connected, eventually, expect, matches, needs

from test_suspend import IMAGE, ends, files, restore, save, start, uuid

CONFIG = "/tmp/held.conf"


def held(lab):
    """gvm-backd with the device that pretends."""
    b = backd(lab)
    b.stop()
    lab.sh("printf 'device_kind = ptx-held\\nsuspend_wait_s = 2\\n' > " + CONFIG)
    return b.start(CONFIG)


def unheld(lab):
    backd(lab).stop()
    backd(lab)


def suspended(lab):
    """(uuid, guest's pid, worker's pid) of what is suspended."""
    return re.findall(r"^suspended (\S+) vgpu 0 pid (\d+) in worker (\d+)", lab.sh("gvm list"), re.M)


def reserved(lab):
    return int(re.search(r"^device .*\breserved=(\d+)", lab.sh("gvm list raw"), re.M).group(1))


@needs(*ALL)
def test_held(lab):
    """The worker outlives its guest's domain, and gvm-backd; the restored one has it again."""
    b = held(lab)
    guest = start(lab, "held", "loop 100 50")
    worker = b.processes(guest.domid)[0][0]
    name = uuid(lab, guest)
    save(lab, "held")
    expect([x[0::2] for x in suspended(lab)], [(name, str(worker))], "what is suspended")
    expect([x for x in files(lab) if x.startswith(name + ".")], [], "states in files")
    eventually("the domain is gone", lambda: "held" not in lab.sh("xl list"), 20)
    b.stop("KILL")
    b.start(CONFIG)
    expect([x[0::2] for x in suspended(lab)], [(name, str(worker))], "after a restart")
    guest = restore(lab, "held")
    connected(lab, guest)
    ends(lab, guest, "PASS 100")
    expect((suspended(lab), reserved(lab)), ([], 0), "after the restore")
    lab.destroy("held")
    unheld(lab)


@needs(*ALL)
def test_held_twice(lab):
    """A worker is there for one restore; the second domain's program gets errors."""
    b = held(lab)
    guest = start(lab, "twice", "loop 100 50")
    save(lab, "twice")
    guest = restore(lab, "twice")
    connected(lab, guest)
    ends(lab, guest, "PASS 100")
    lab.destroy("twice")
    guest = restore(lab, "twice")
    b.wait_log(r"no saved state: its worker is gone: it was restored already", 60)
    eventually("the program ends", lambda: re.search(r"^status [1-9]", guest.sh("cat /tmp/out"), re.M),
               60)
    lab.destroy("twice")
    unheld(lab)


@needs(*ALL)
def test_held_dropped(lab):
    """An operator gives up what is never restored: the worker ends. And no other host has one."""
    b = held(lab)
    guest = start(lab, "dropped", "hold 32", "ready")
    name, worker = uuid(lab, guest), b.processes(guest.domid)[0][0]
    save(lab, "dropped")
    expect([x[0] for x in suspended(lab)], [name], "what is suspended")
    matches(lab.sh("gvm saved"), "^%s vgpu 0: pid [0-9]+ in worker %d, " % (name, worker), "gvm saved")
    rc, out = lab.dom0("gvm saved remove 00000000-0000-0000-0000-000000000000")
    expect((rc, out.strip()), (1, "0 removed"), "what is not there")
    matches(lab.sh("gvm saved remove " + name), "^1 removed", "gvm saved remove")
    eventually("the worker has ended", lambda: lab.dom0("kill -0 %d" % worker)[0] != 0, 20)
    expect(suspended(lab), [], "after that")
    # as if this were another host
    lab.sh("echo other > /tmp/boot_id; mount -o bind /tmp/boot_id /proc/sys/kernel/random/boot_id")
    restore(lab, "dropped")
    b.wait_log("no saved state: the state of a real GPU cannot move to another host", 60)
    lab.sh("umount /proc/sys/kernel/random/boot_id")
    lab.destroy("dropped")
    unheld(lab)


@needs(*ALL)
def test_held_goes_on(lab):
    """xl save -c: the guest goes on with its worker."""
    b = held(lab)
    guest = start(lab, "goes", "loop 150 100")
    save(lab, "goes", "-c")
    ends(lab, guest, "PASS 150")
    expect((suspended(lab), reserved(lab)), ([], 0), "after the save")
    lab.destroy("goes")
    unheld(lab)


@needs(*ALL)
def test_held_without_memory(lab):
    """There is no room in this domain for what is on the GPU: refused before anything is done."""
    b = held(lab)
    # The software device has half of this domain's memory, 445 MiB; some 750 are free before.
    guest = start(lab, "large", "hold 420", "ready")
    rc, out = lab.dom0("rm -f %s; xl save large %s" % (IMAGE, IMAGE), 200)
    if rc == 0:
        raise Failed("the save was not refused: " + out)
    b.wait_log("not suspended: this domain has [0-9]+ MiB of memory left, and what is on the GPU "
               "needs 4[0-9][0-9]")
    expect(reserved(lab), 0, "reserved")
    guest.sh("echo go > /tmp/in")
    ends(lab, guest, "PASS 420")
    lab.destroy("large")
    unheld(lab)

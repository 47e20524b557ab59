# SPDX-License-Identifier: MIT
"""xl save and xl restore of guests in which CUDA programs run."""
import re

from lab.lab import Guest
from xentest import ALL, VGPU, Failed, backd, connected, eventually, expect, needs

PROGRAM = "/usr/lib/gvm/bin/parked"
IMAGE = "/tmp/save.img"


def start(lab, name, args="", word="progress 3"):
    """A guest with a program in the middle of its work; its output goes to a file in the guest."""
    if name in lab.guests:
        lab.destroy(name)
    backd(lab)
    guest = lab.create(name, type="pv", vgpu=[VGPU], memory=128)
    connected(lab, guest)
    guest.sh("mkfifo /tmp/in; (sleep 100000 > /tmp/in &) ; "
             "(setsid %s %s < /tmp/in > /tmp/out 2>&1; echo status $? >> /tmp/out) & :"
             % (PROGRAM, args))
    eventually("the program is at work", lambda: word in guest.sh("cat /tmp/out"), 60)
    return guest


def again(lab, name):
    """The same guest on its new console."""
    old = lab.guests.pop(name, None)
    if old:
        old.close()
    guest = Guest(lab, name)
    guest.agent.ready = True  # it said so before it was saved
    lab.guests[name] = guest
    return guest


def ends(lab, guest, last, timeout=120):
    """The program ends well."""
    out = eventually("the program ends", lambda: re.search(
        r"(?s).*^status \d+$", guest.sh("cat /tmp/out"), re.M), timeout, 0.5).group(0)
    expect(out.strip().split("\n")[-2:], [last, "status 0"], "end of the program:\n" + out[-1500:])


def save(lab, name, options=""):
    rc, out = lab.dom0("rm -f %s; xl save %s %s %s" % (IMAGE, options, name, IMAGE), 200)
    if rc:
        raise Failed("xl save %s: status %d\n%s" % (options, rc, out))


def restore(lab, name):
    rc, out = lab.dom0("xl restore " + IMAGE, 200)
    if rc:
        raise Failed("xl restore: status %d\n%s" % (rc, out))
    return again(lab, name)


def uuid(lab, guest):
    return lab.sh("xenstore-read /local/domain/%d/vm" % guest.domid).strip()[len("/vm/"):]


def files(lab):
    return lab.sh("ls /var/lib/gvm").split()


@needs(*ALL)
def test_save_and_restore(lab):
    """A program that is in the middle of its launches goes on in the restored domain."""
    start(lab, "saved", "loop 100 50")
    save(lab, "saved")
    expect([x.split(".")[1:] for x in files(lab) if "." in x], [["0", "1"]], "saved states")
    guest = restore(lab, "saved")
    connected(lab, guest)
    ends(lab, guest, "PASS 100")
    expect([x for x in files(lab) if "." in x], [], "states after the restore")
    lab.destroy("saved")

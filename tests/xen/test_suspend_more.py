# SPDX-License-Identifier: MIT
"""More of xl save and xl restore: images of running guests, saves that fail, saves that are refused."""
from xentest import ALL, Failed, backd, connected, expect, matches, needs

from test_suspend import IMAGE, ends, files, restore, save, start, uuid


@needs(*ALL)
def test_save_and_restore_everything(lab):
    """All kinds of objects are as they were."""
    start(lab, "all", "everything", "ready 0")
    save(lab, "all")
    guest = restore(lab, "all")
    connected(lab, guest)
    guest.sh("echo go > /tmp/in")
    ends(lab, guest, "PASS 0")
    lab.destroy("all")


@needs(*ALL)
def test_restore_twice(lab):
    """A state is good once: the second domain's program gets errors, and one line says why."""
    start(lab, "twice", "loop 100 50")
    save(lab, "twice")
    guest = restore(lab, "twice")
    connected(lab, guest)
    ends(lab, guest, "PASS 100")
    lab.destroy("twice")
    lab.guests.pop("twice", None)
    rc, out = lab.dom0("xl restore " + IMAGE, 200)
    expect(rc, 0, "second restore: " + out)
    backd(lab).wait_log(r"no saved state: there is none here: it was restored already", 60)
    lab.sh("xl destroy twice")


@needs(*ALL)
def test_image_of_a_running_guest(lab):
    """xl save -c: the program goes on, and so does the one in the image later."""
    guest = start(lab, "kept", "loop 150 100")
    save(lab, "kept", "-c")
    ends(lab, guest, "PASS 150")
    lab.destroy("kept")
    guest = restore(lab, "kept")
    connected(lab, guest)
    ends(lab, guest, "PASS 150")
    expect([x for x in files(lab) if "." in x], [], "states after the restore")
    lab.destroy("kept")


@needs(*ALL)
def test_save_that_fails(lab):
    """No room for the image: the toolstack lets the domain go on, and its programs do."""
    guest = start(lab, "failed", "loop 150 100")
    lab.sh("mkdir -p /tmp/small && mount -t tmpfs -o size=16m small /tmp/small")
    rc, out = lab.dom0("xl save failed /tmp/small/image", 200)
    lab.sh("umount /tmp/small")
    if rc == 0:
        raise Failed("a save of 128 MiB into 16 MiB: " + out)
    ends(lab, guest, "PASS 150")
    # nobody can know that the image is of no use
    name = uuid(lab, guest)
    matches(lab.sh("gvm saved"), "^%s vgpu 0: 1 program, " % name, "gvm saved")
    matches(lab.sh("gvm saved remove " + name), "^1 removed", "gvm saved remove")
    expect([x for x in files(lab) if x.startswith(name + ".")], [], "states that were given up")
    lab.destroy("failed")


@needs(*ALL)
def test_save_refused(lab):
    """A function of the program is under way: the save is refused before anything has changed, one
    line says why, and the program goes on."""
    guest = start(lab, "refused", "callback 90000", "progress 0")
    rc, out = lab.dom0("rm -f %s; xl save refused %s" % (IMAGE, IMAGE), 200)
    if rc == 0:
        raise Failed("the save was not refused: " + out)
    why = "a function of the program"
    backd(lab).wait_log("not suspended: guest pid [0-9]+: " + why)
    matches(lab.sh("xenstore-read /local/domain/0/backend/vgpu/%d/0/error" % guest.domid), why,
            "the node error")
    guest.wait_console("suspend refused: the backend cannot save", 10)
    expect([x for x in files(lab) if x.startswith(uuid(lab, guest) + ".")], [],
           "states of a refused save")
    ends(lab, guest, "PASS 1", 200)
    lab.destroy("refused")

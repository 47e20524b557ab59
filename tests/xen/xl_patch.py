#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""xl_patch.py FOLDER - vgpu as a device of xl and libxl: packaging/xen/vgpu.patch, as built in FOLDER
(packaging/xen/build.sh), with the agent of gvm-backd switched off. Ends with `N passed, ...`."""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import test_driver  # noqa: E402
import test_suspend  # noqa: E402
from lab import Lab, LabError, image  # noqa: E402
from lab.lab import Guest  # noqa: E402
from lab.paths import XEN  # noqa: E402
from xentest import Failed, backd, connected, expect, matches, passes  # noqa: E402

BACK = "/local/domain/0/backend/vgpu/%d/%d"


class PatchedLab(Lab):
    """The usual lab with another xl."""

    def __init__(self, built, **options):
        super().__init__("xl", **options)
        self.built = built

    def _images(self, agent):
        guest = os.path.join(XEN, "guest.img")
        image.guest_image(self.packages, agent, self.parts).write(guest)
        driver = os.path.join(XEN, "driver.img")
        image.driver_image(self.packages, self.parts).write(driver)
        config = self._config() + "\nagent = 0\nprofile small = mem=96M, weight=128, cap=30\n"
        img = image.dom0_image(self.packages, agent, self.parts, guest, config, driver)
        for program in ("xl", "xen-init-dom0"):
            img.file("usr/lib/xen-4.17/bin/" + program, os.path.join(self.built, program), 0o755)
        for lib in ("libxenlight.so.4.17", "libxlutil.so.4.17"):
            img.file(image.LIB + lib, os.path.join(self.built, lib), 0o755)
        img.link("usr/lib/xen", "xen-4.17")  # where this build looks for libxl-save-helper
        self.initrd = os.path.join(XEN, "dom0-xl.img")
        img.write(self.initrd)


def keys(lab, domid, number, **want):
    for key, value in want.items():
        expect(lab.xenstore((BACK % (domid, number)) + "/" + key), value, key)


def refused(lab, command, regex):
    """Ends with a status other than 0, and one line says why."""
    rc, out = lab.dom0(command, 60)
    if rc == 0:
        raise Failed("%s succeeded:\n%s" % (command, out))
    matches(out, regex, command)


def test_create(lab):
    """Two devices, by xl alone; a program runs; XenStore is as the schema says."""
    text = lab.config("one", vgpu=["device=0,mem=1G,weight=512,cap=50,processes=4",
                                   "profile=small, cap=20"])
    guest = lab.create("one", text.replace('on_reboot = "destroy"', 'on_reboot = "restart"'))
    for n in range(2):
        connected(lab, guest, n)
        if not lab.xenstore("/libxl/%d/device/vgpu/%d/backend" % (guest.domid, n)):
            raise Failed("libxl does not know device %d" % n)
    keys(lab, guest.domid, 0, mem=str(1 << 30), weight="512", cap="50", processes="4", device="0")
    keys(lab, guest.domid, 1, mem=str(96 << 20), weight="128", cap="20", profile="small")
    matches(lab.sh("gvm check"), r"\b0 violations$", "gvm check")
    passes(guest, "vectorAdd")
    matches(lab.sh("xl list -l one"), r'"vgpus": \[', "xl list -l")


def test_attach_and_detach(lab):
    """Of a running guest; what is not allowed is refused with one line."""
    guest = lab.guests["one"]
    lab.sh("xl vgpu-attach one mem=64M weight=300,cap=5")
    connected(lab, guest, 2)
    keys(lab, guest.domid, 2, mem=str(64 << 20), weight="300", cap="5")
    out = lab.sh("xl vgpu-list one")
    matches(out, r"^0 +0 +4 +0 +1073741824 +512 +50 +4 +/local/domain/0/backend/vgpu/%d/0$"
            % guest.domid, "xl vgpu-list")
    matches(out, r"^2 +0 +4 +0 +67108864 +300 +5 +0 ", "xl vgpu-list")
    guest.sh("test -c /dev/vgpu2")
    lab.sh("xl vgpu-detach one 2")
    lab.wait_xenstore(BACK % (guest.domid, 2), None)
    guest.sh("! test -e /dev/vgpu2")
    refused(lab, "xl vgpu-attach one weight=0", r"weight=0.*1\.\.65535")
    refused(lab, "xl vgpu-attach one backend=nobody,mem=1M", r"nobody")
    refused(lab, "xl vgpu-attach one profile=huge", r"profile='huge' is not in gvm\.conf.* small")
    refused(lab, "xl vgpu-detach one 7", r"domain one has no device 7")
    refused(lab, "xl vgpu-detach one x", r"`x' is no device number")
    expect(len(lab.sh("xl vgpu-list one").strip().split("\n")), 3, "lines of xl vgpu-list")
    passes(guest, "vectorAdd")


def test_reboot(lab):
    """The domain's next life has both devices."""
    old = lab.guests.pop("one")
    old.spawn("reboot -f")
    old.agent.wait_for(lambda: old.agent.gone, 60)
    old.close()
    lab.sh("n=0; until d=$(xl domid one 2>/dev/null) && [ $d != %d ] && "
           "xenstore-exists /local/domain/$d/console/tty; do n=$((n + 1)); "
           "[ $n -lt 300 ] || exit 1; sleep 0.2; done" % old.domid, 90)
    guest = Guest(lab, "one")
    lab.guests["one"] = guest
    guest.wait_ready(120)
    for n in range(2):
        connected(lab, guest, n)
    keys(lab, guest.domid, 0, mem=str(1 << 30), weight="512", cap="50", processes="4")
    keys(lab, guest.domid, 1, mem=str(96 << 20), weight="128", cap="20")
    passes(guest, "vectorAdd")


def test_destroy(lab):
    """libxl closes the devices before the domain goes, and leaves nothing."""
    guest = lab.guests["one"]
    domid = guest.domid
    lab.destroy("one")
    lab.wait_xenstore("/local/domain/0/backend/vgpu/%d" % domid, None)
    rc, _ = lab.dom0("xenstore-exists /libxl/%d" % domid)
    expect(rc, 1, "xenstore-exists /libxl/%d" % domid)
    for n in range(2):
        lab.backd.wait_log(r"d%d\.%d: removed" % (domid, n))


def test_bad_entry(lab):
    """Refused before there is a domain, with the value and what is allowed."""
    for entry, regex in (("weight=0", r"weight=0.*1\.\.65535"), ("mem=lots", "mem=lots.*K, M, G"),
                         ("mem=9999999999G", "mem=9999999999G"), ("device=64", r"device=64.*0\.\.63"),
                         ("cap=101", r"cap=101.*0\.\.100"), ("processes=0", r"processes=0.*1\.\.256"),
                         ("profile=a b", "profile=a b.*profile"),
                         ("colour=red", "colour=red.*backend, device, mem")):
        lab.put("/etc/xen/bad.cfg", lab.config("bad", vgpu=[entry]))
        refused(lab, "xl create /etc/xen/bad.cfg", regex)
    expect(lab.dom0("xl domid bad")[0] != 0, True, "no domain bad")


def test_save_and_restore(lab):
    """A program in the middle of its work goes on in the restored domain."""
    test_suspend.start(lab, "saved", "loop 100 50")
    test_suspend.save(lab, "saved")
    guest = test_suspend.restore(lab, "saved")
    connected(lab, guest)
    test_suspend.ends(lab, guest, "PASS 100")
    lab.destroy("saved")


def test_driver_domain(lab):
    """backend= a domain by its name: it removes its half of the device, for which libxl waits."""
    driver = test_driver.start(lab)
    guest = lab.create("far", vgpu=["backend=%s,profile=small" % test_driver.NAME])
    connected(lab, guest, back=driver.domid)
    passes(guest, "vectorAdd")
    matches(lab.sh("xl vgpu-list far"), r"^0 +%d +4 +0 +67108864 +128 " % driver.domid,
            "xl vgpu-list")
    out = lab.sh("xl vgpu-detach far 0 2>&1")
    expect(out.strip(), "", "what xl vgpu-detach says")
    lab.wait_xenstore(test_driver.back(driver, guest), None)
    guest.sh("! test -e /dev/vgpu0")
    lab.sh("xl vgpu-attach far backend=%s mem=64M" % test_driver.NAME)
    connected(lab, guest, back=driver.domid)
    lab.destroy("far")
    lab.wait_xenstore(test_driver.back(driver, guest), None)
    lab.destroy(test_driver.NAME)


TESTS = [v for k, v in list(globals().items()) if k.startswith("test_") and callable(v)]


def main():
    passed = failed = 0
    with PatchedLab(os.path.abspath(sys.argv[1]), say=lambda text: print(text, flush=True)) as lab:
        try:
            lab.boot()
            backd(lab)
            for test in TESTS:
                start = time.monotonic()
                test(lab)
                passed += 1
                print("ok   %s (%.1f s)" % (test.__name__, time.monotonic() - start), flush=True)
        except (Failed, LabError) as e:
            failed = 1
            print("FAIL %s: %s" % (TESTS[passed].__name__, e), flush=True)
            if lab.proc and not lab.agent.gone:
                lab.collect()
    print("%d passed, %d failed, %d skipped" % (passed, failed, len(TESTS) - passed - failed))
    return failed


if __name__ == "__main__":
    sys.exit(main())

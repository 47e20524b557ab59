# SPDX-License-Identifier: MIT
"""The guest's kernel module against a backend that also misbehaves: frontend.py, test by test."""
import frontend
from xentest import needs

PARTS = ("xen-vgpufront.ko", "vgpu-testback", "vgpu_probe")


def bench(lab):
    """The guest and test backend that all tests of this file share.  gvm-backd must not run: it
    would serve the same device."""
    if not hasattr(lab, "frontend_bench"):
        for name in list(lab.guests):
            lab.destroy(name)
        if hasattr(lab, "backd"):
            lab.backd.stop()
        guest = lab.create("frontend", cmdline="lab.nofront", vcpus=2)
        lab.frontend_bench = frontend.Bench(lab, guest)
    return lab.frontend_bench


def wrap(test):
    @needs(*PARTS)
    def run(lab):
        b = bench(lab)
        # the first test loads the module; when it was not chosen, something must
        if test is not frontend.TESTS[0] and not getattr(b, "loaded", False):
            b.back.do("attach", "offer")
            b.guest.sh("insmod " + frontend.MODULE, 60)
            b.connected()
        b.loaded = True
        test(b)
        b.back.check()
    run.__name__ = "test_frontend_" + test.__name__
    run.keep_guests = True
    return run


for _test in frontend.TESTS:
    globals()["test_frontend_" + _test.__name__] = wrap(_test)
del _test


@needs(*PARTS)
def test_frontend_over(lab):
    """The guest goes, and nothing of it stays."""
    b = bench(lab)
    b.back.cmd.kill(15)
    b.back.cmd.wait(20)
    lab.destroy("frontend")
    lab.sh("xenstore-rm /local/domain/0/backend/vgpu; ! xl list | grep '(null)'")

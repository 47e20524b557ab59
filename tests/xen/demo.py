#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""demo.py - make demo: CUDA programs in a guest of a real Xen host, and what an operator sees.

Ends with status 0 only if everything that it is to show was seen.
"""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from lab import Lab, LabError  # noqa: E402
from xentest import Failed, backd, connected, matches, passes  # noqa: E402

PROGRAMS = ("vectorAdd", "matrixMul", "reduction")
NEEDS = ("gvm", "gvm-backd", "gvm-worker", "xen-vgpufront.ko", "libcuda.so.1", "libcudart.so.13",
         "conformance programs")
VGPU = "backend=0,device=0,mem=1G"


def title(text):
    print("\n=== %s ===" % text, flush=True)


def show(lab):
    missing = [p for p in NEEDS if not lab.parts[p]]
    if missing:
        raise Failed("not built, see the messages of make: " + ", ".join(missing))
    title("Xen")
    info = lab.sh("xl info | grep -E '^(host|release|xen_version|xen_caps|nr_cpus) '")
    print(info, end="")
    matches(info, r"^xen_version +: 4\.", "xl info")
    backd(lab)
    config = lab.config("demo", vgpu=[VGPU])
    title("xl create /etc/xen/demo.cfg, which holds: vgpu = [ '%s' ]" % VGPU)
    guest = lab.create("demo", config)
    print(guest.create_output, end="")
    connected(lab, guest)
    title("xl list")
    listed = lab.sh("xl list")
    print(listed, end="")
    matches(listed, r"^demo ", "xl list")
    title("in the guest")
    for program in PROGRAMS:
        print("guest# " + program, flush=True)
        out = passes(guest, program, 100)
        print(out, end="", flush=True)
    title("gvm list, while a program runs in the guest")
    spin = guest.spawn("spin")
    spin.wait_output("started", 60)
    out = lab.sh("gvm list")
    print(out, end="")
    matches(out, r"\bdemo\b", "gvm list")
    spin.kill(9)
    title("xenstore-ls: both ends of the device, in state 4")
    for path in ("/local/domain/0/backend/vgpu/%d/0", "/local/domain/%d/device/vgpu/0"):
        path = path % guest.domid
        out = lab.sh("xenstore-ls " + path)
        print(path + "\n" + "".join("  %s\n" % x for x in out.splitlines()), end="")
        matches(out, r'^state = "4"$', path)


def main():
    start = time.monotonic()
    with Lab("demo", say=lambda text: print(text, flush=True)) as lab:
        try:
            print("Booting Xen under QEMU ...", flush=True)
            lab.boot(pvh=False)
            show(lab)
        except (Failed, LabError) as e:
            print("\ndemo: FAILED: %s\nlogs: %s" % (e, lab.logs), file=sys.stderr)
            return 1
    print("\ndemo: all of it PASSED in %.0f s" % (time.monotonic() - start))
    return 0


if __name__ == "__main__":
    sys.exit(main())

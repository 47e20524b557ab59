# SPDX-License-Identifier: MIT
"""A driver domain: gvm-backd in a PVH domain of its own, the agent in dom0."""
from xentest import (ALL, Failed, backd, connected, eventually, every_host, expect, mapped_grants,
                     matches, needs, passes)

NAME = "drv"


def start(lab):
    """The driver domain, with its gvm-backd.  Its memory holds a worker and what guests ask for."""
    lab.sh("cat /boot/guest.img /boot/driver.img > /tmp/driver.img")
    text = lab.config(NAME, type="pvh", memory=384, cmdline="lab.nofront",
                      extra="driver_domain = 1").replace("/boot/guest.img", "/tmp/driver.img")
    domain = lab.create(NAME, text)
    lab.sh("rm /tmp/driver.img")
    matches(domain.sh("cat /sys/hypervisor/guest_type"), "^PVH$", "the driver domain's type")
    domain.daemon = domain.spawn("exec driver-domain")
    domain.daemon.wait_output("a driver domain: vgpu= entries are the agent's in dom0", 60)
    return domain


def gone(lab, path):
    rc, _ = lab.dom0("xenstore-exists " + path)
    expect(rc, 1, "xenstore-exists " + path)


def back(driver, guest):
    return "/local/domain/%d/backend/vgpu/%d" % (driver.domid, guest.domid)


def serves(lab, driver, guest):
    """A program runs, and the driver domain's gvm shows who runs it."""
    connected(lab, guest, back=driver.domid)
    passes(guest, "vectorAdd")
    program = guest.spawn("eventspin")
    program.wait_output("^started$", 60)
    out = driver.sh("LD_LIBRARY_PATH= gvm list processes")
    matches(out, r"^%d +%s +0 +%d .*connected" % (guest.domid, guest.name, driver.domid),
            "gvm list in the driver domain")
    matches(out, r"^ +pid \d+ .*\bworker \d+", "gvm list processes in the driver domain")
    return program


@every_host
@needs(*ALL)
def test_driver_domain(lab):
    """The guest is there before its backend, which serves it, ends under a program, and is replaced."""
    agent = backd(lab)
    guest = lab.create("served", vgpu=["backend=%s,mem=64M" % NAME])
    wanted = "/local/domain/0/gvm/vgpu/%d" % guest.domid
    try:
        agent.wait_log(r"domain %d 'served': vgpu 0: waits for backend domain drv" % guest.domid)
        others = mapped_grants(lab, guest.domid)  # console and XenStore
        driver = start(lab)
        program = serves(lab, driver, guest)
        matches(lab.sh("gvm check"), r"\b0 violations$", "gvm check")
        matches(lab.sh("gvm list"), r"^%d +served +0 +%d .*connected" % (guest.domid, driver.domid),
                "gvm list in dom0")
        lab.destroy(NAME)
        rc, out = program.wait(30)
        matches(out, r"^cudaEventQuery: [1-9]\d* cudaError", "eventspin when its backend has gone")
        lab.wait_xenstore("/local/domain/%d/device/vgpu" % guest.domid, None)
        gone(lab, "/local/domain/%d" % driver.domid)
        guest.sh("! test -e /dev/vgpu0")
        expect(mapped_grants(lab, guest.domid), others, "grants that are still mapped")
        matches(guest.run("vectorAdd", 60)[1], r"\b100 cudaErrorNoDevice", "without a backend")

        driver = start(lab)
        agent.wait_log(r"domain %d: vgpu 0: backend domain drv is there" % guest.domid)
        serves(lab, driver, guest).kill(9)
        lab.sh("gvm set served mem=32M")
        matches(lab.xenstore(wanted + "/0/entry"), r"mem=33554432", "what is remembered")
        lab.sh("gvm detach served")
        lab.wait_xenstore(back(driver, guest), None)
        gone(lab, wanted)
        lab.sh("gvm attach served backend=%s,mem=64M" % NAME)
        serves(lab, driver, guest)
        lab.destroy("served")
        lab.wait_xenstore(back(driver, guest), None)
        gone(lab, wanted)
        eventually("the driver domain's grants are given back",
                   lambda: "(null)" not in lab.sh("xl list"))
        out = driver.sh("LD_LIBRARY_PATH= gvm list")
        if "served" in out or "connected" in out:
            raise Failed("gvm list in the driver domain after the guest's end:\n" + out)
    finally:
        for name in ("served", NAME):
            if name in lab.guests:
                lab.destroy(name)

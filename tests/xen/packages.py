#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""packages.py - the Debian packages on a Xen host and in a guest that run Debian with systemd.

From the built packages alone: install, xl create, a program, changes of its quota and share, an
upgrade under a running program, save and restore in the middle of a program (with an upgrade of the
daemon in between, cancelled, of a guest that goes on, twice from one file), xl destroy, reboot,
purge. Each step goes on where the one before it ended, so the first failure ends it. When dom0's
kernel says that it stood still, the lab's fault, that is printed and counted. Ends with
`N passed, N failed, N skipped`. Needs root.
"""
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from lab import LabError, image  # noqa: E402
from lab.disk import DiskLab  # noqa: E402
from lab.lab import Guest  # noqa: E402
from lab.paths import BUILD, TREE  # noqa: E402
from xentest import Failed, connected, eventually, expect, matches  # noqa: E402

NAME = "web"
IMAGE = "/var/tmp/web.save"
LEFT = ("find / -xdev '(' -name '*gvm*' -o -name '*vgpu*' ')' -not -path '/root/*' "
        "-not -path '/proc/*' -not -path '/sys/*' -not -path '/var/lib/dpkg/*' "
        "-not -path '/usr/src/linux-headers*'; ls -d /run/gvm* /sys/fs/cgroup/gvm* 2>/dev/null; "
        "getent group gvm; "
        "getent passwd | grep gvm; grep -l '^CUDA\\|gvm' /etc/ld.so.conf.d/* 2>/dev/null; :")
STATE = ("xl list; xenstore-ls -f /local/domain/0/backend; tail -n 40 /var/log/xen/xl-*.log; "
         "journalctl -b --no-pager | tail -n 60")
SLOW = 600  # seconds: systemd boots twenty times slower in an emulated machine
HOLDON = "LD_LIBRARY_PATH= holdon "


def one_round(guest):
    rc, out = guest.run(HOLDON + "/tmp", 120)
    expect((rc, out.split("\n")[-2:-1]), (0, ["PASSED"]), "holdon, which printed " + out)


def journal(lab, regex):
    text = lab.sh("journalctl -u gvm-backd --no-pager -o cat", 120)
    matches(text, regex, "journal of gvm-backd")


def main_pid(lab):
    return int(lab.sh("systemctl show -p MainPID --value gvm-backd"))


def workers(lab):
    return lab.sh("pgrep -x gvm-worker || :").split()


def back(guest, key):
    return "/local/domain/0/backend/vgpu/%d/0/%s" % (guest.domid, key)


def step_install_dom0(lab):
    lab.sh("dpkg -i /root/debs/*.deb", SLOW)
    expect(lab.sh("systemctl is-active gvm-backd").strip(), "active", "service")
    expect(lab.sh("systemctl is-enabled gvm-backd").strip(), "enabled", "service")
    expect(lab.sh("dpkg --audit"), "", "dpkg --audit")
    lab.sh("echo 'profile small = mem=256M, weight=128, cap=50' >>/etc/gvm/gvm.conf")
    lab.sh("systemctl restart gvm-backd", 120)


def step_create(lab):
    """The device of the file is there when the guest is; its profile is that of gvm.conf."""
    guest = lab.create(NAME, memory=320, timeout=SLOW,
                       vgpu=["device=0,profile=small,mem=512M"])
    connected(lab, guest, timeout=SLOW)
    for key, want in (("mem", str(512 << 20)), ("weight", "128"), ("cap", "50")):
        expect(lab.xenstore(back(guest, key)), want, key)
    expect(lab.sh("gvm check").split()[-2:], ["0", "violations"], "gvm check")


def step_install_guest(lab):
    """The module was loaded by its alias; the library and the group come with gvm-guest."""
    guest = lab.guests[NAME]
    matches(guest.sh("lsmod"), r"^xen_vgpufront\b", "lsmod")
    guest.sh("dpkg -i /root/gvm-guest_*.deb", SLOW)
    expect(guest.sh("stat -c '%U %G %a' /dev/vgpu0").strip(), "root gvm 660", "/dev/vgpu0")
    guest.sh("gvm-guest enable", 120)
    rc, out = guest.run("gvm-guest status", 120)
    expect(rc, 0, "gvm-guest status, which printed " + out)
    matches(out, "^  LD_PRELOAD=/usr/lib/x86_64-linux-gnu/gvm/libcudart.so.13 PROGRAM$", "status")


def step_run(lab):
    """A member of the group may, another user may not."""
    guest = lab.guests[NAME]
    one_round(guest)
    guest.sh("adduser --quiet --disabled-password --gecos '' alice && adduser --quiet alice gvm && "
             "adduser --quiet --disabled-password --gecos '' eve", SLOW)
    for user, want in (("alice", 0), ("eve", 1)):
        rc, out = guest.run("su %s -c 'holdon /tmp'" % user, 120)
        expect(rc, want, "holdon as %s, which printed %s" % (user, out))


def step_set(lab):
    """gvm set under a running program: XenStore, the broker, the limit of processes."""
    guest = lab.guests[NAME]
    program = guest.spawn(HOLDON + "/tmp/stop")
    program.wait_output("^started$", 120)
    out = lab.sh("gvm set %s cap=25,weight=512,processes=1" % NAME)
    matches(out, r"vgpu 0: mem 536870912, weight 512, cap 25, processes 1$", "gvm set")
    for key, want in (("weight", "512"), ("cap", "25"), ("processes", "1")):
        expect(lab.xenstore(back(guest, key)), want, key)
    rc, out = guest.run(HOLDON + "/tmp", 120)
    expect(rc, 1, "a second program, which printed " + out)
    journal(lab, r"^.*d%d\.0: now mem 536870912, weight 512, cap 25, processes 1$" % guest.domid)
    lab.sh("gvm set %s processes=8" % NAME)
    one_round(guest)
    for bad, regex in (("cap=200", r"0\.\.100"), ("device=1", "detach and attach"),
                       ("profile=none", "small")):
        rc, out = lab.dom0("gvm set %s %s" % (NAME, bad))
        expect(rc, 1, "gvm set " + bad)
        matches(out, regex, "gvm set " + bad)
    guest.sh("touch /tmp/stop")
    rc, out = program.wait(120)
    expect((rc, out.split("\n")[-2:-1]), (0, ["PASSED"]), "the first program: " + out)
    guest.sh("rm /tmp/stop")


def step_upgrade(lab):
    """Both ends, under a running program, whose worker stays the same one."""
    guest = lab.guests[NAME]
    program = guest.spawn(HOLDON + "/tmp/stop")
    program.wait_output("^started$", 120)
    before, served = main_pid(lab), set(workers(lab))
    lab.sh("dpkg --force-confold -i /root/next/*.deb", SLOW)
    expect(lab.sh("systemctl is-active gvm-backd").strip(), "active", "service")
    if main_pid(lab) == before:
        raise Failed("gvm-backd was not restarted by its upgrade")
    journal(lab, r"d%d\.0: connected again, 1 channels go on" % guest.domid)
    expect(bool(served & set(workers(lab))), True, "a worker of before the upgrade is left")
    guest.sh("dpkg -i /root/next/*.deb", SLOW)
    expect(program.rc, None, "the program after the upgrades")
    one_round(guest)
    guest.sh("touch /tmp/stop")
    rc, out = program.wait(120)
    expect((rc, out.split("\n")[-2:-1]), (0, ["PASSED"]), "the program: " + out)
    guest.sh("rm /tmp/stop")


def arrives(lab, ready=False):
    """The guest on the console of its new domain."""
    old = lab.guests.pop(NAME, None)
    if old:
        old.close()

    def new_domain():
        rc, out = lab.dom0("d=$(xl domid %s) && xenstore-exists /local/domain/$d/console/tty && "
                           "echo $d" % NAME, 120)
        return rc == 0 and int(out) != (old.domid if old else 0)
    eventually("the new domain has a console", new_domain, SLOW, 2)
    guest = Guest(lab, NAME)
    guest.agent.ready = ready  # it said so before it was saved
    lab.guests[NAME] = guest
    guest.wait_ready(SLOW)
    return guest


def begin(guest, rounds):
    """A program of kernels in the middle of its work; what it prints goes to a file."""
    guest.sh("rm -f /run/out; (setsid parked loop %d 50 </dev/null >/run/out 2>&1; "
             "echo status $? >>/run/out) & :" % rounds)
    eventually("the program is at work",
               lambda: guest.run("grep -q 'progress 3' /run/out", 120)[0] == 0, 120)


def end_of(guest):
    """The last two lines of the program, whose second is its status."""
    out = eventually("the program ends", lambda: re.search(
        r"^.*\nstatus \d+$", guest.sh("tail -n 2 /run/out", 120), re.M), 300, 1).group(0)
    return out.split("\n")


def ends(guest, rounds):
    expect(end_of(guest), ["PASS %d" % rounds, "status 0"], "end of the program")


def states(lab):
    """Programs whose state is kept for a restore."""
    return [x for x in lab.sh("ls /var/lib/gvm").split() if "." in x]


def save(lab, options=""):
    lab.sh("rm -f %s; xl save %s %s %s" % (IMAGE, options, NAME, IMAGE), SLOW)
    expect(len(states(lab)), 1, "programs that were saved in the middle of their work")
    matches(lab.sh("gvm saved"), r" vgpu 0: 1 program, \S+ MiB, saved \S+ \S+, kept until ",
            "gvm saved")


def restore(lab):
    lab.sh("xl restore " + IMAGE, SLOW)
    guest = arrives(lab, ready=True)
    connected(lab, guest, timeout=SLOW)
    return guest


def step_save_upgrade_restore(lab):
    """In the middle of a program, which ends well; the daemon is upgraded in between."""
    guest = lab.guests[NAME]
    begin(guest, 200)
    save(lab)
    before = main_pid(lab)
    lab.sh("dpkg --force-confold -i /root/next/gvm-backd_*.deb", SLOW)
    if main_pid(lab) == before:
        raise Failed("gvm-backd was not restarted by its upgrade")
    expect(len(states(lab)), 1, "programs that are kept through the upgrade")
    guest = restore(lab)
    # as gvm set left it, which the file does not say and this daemon has not seen
    for key, want in (("weight", "512"), ("cap", "25")):
        expect(lab.xenstore(back(guest, key)), want, key)
    ends(guest, 200)
    expect(states(lab), [], "states after the restore")
    one_round(guest)


def step_save_cancelled(lab):
    """No room for the image: the toolstack lets the domain go on, and its program does."""
    guest = lab.guests[NAME]
    begin(guest, 100)
    lab.sh("mkdir -p /run/small && mount -t tmpfs -o size=16m small /run/small")
    rc, out = lab.dom0("xl save %s /run/small/image" % NAME, SLOW)
    lab.sh("umount /run/small")
    if rc == 0:
        raise Failed("a save into 16 MiB: " + out)
    ends(guest, 100)
    one_round(guest)


def step_save_of_a_running_guest(lab):
    """xl save -c: the program goes on and ends well, and so does the one in the image later. The
    guest's disk stays as it is in the image, because its file system is frozen."""
    guest = lab.guests[NAME]
    guest.sh("journalctl --relinquish-var; echo 0 >/proc/sys/kernel/hung_task_timeout_secs")
    begin(guest, 200)
    guest.sh("sync; fsfreeze -f /")
    save(lab, "-c")
    ends(guest, 200)
    expect(len(states(lab)), 1, "states: the image's")
    lab.destroy(NAME)
    guest = restore(lab)
    ends(guest, 200)
    expect(states(lab), [], "states after the restore")


def step_destroy(lab):
    """Under a running program: nothing of the domain is left."""
    guest = lab.guests[NAME]
    begin(guest, 10000)
    lab.destroy(NAME)
    lab.wait_xenstore("/local/domain/0/backend/vgpu/%d" % guest.domid, None, 120)
    listed = lab.sh("xl list")
    expect(NAME in listed or "(null)" in listed, False, "a domain left in:\n" + listed)
    journal(lab, r"d%d\.0: removed$" % guest.domid)


def step_restore_again(lab):
    """From the same file: its program gets an error, one line says why, and the guest serves."""
    guest = restore(lab)
    why = "no saved state: there is none here: it was restored already"
    journal(lab, r"d%d\.0: channel \d+ \(guest pid \d+\): %s" % (guest.domid, why))
    matches(lab.xenstore(back(guest, "error")) or "", why, "the node error")
    matches("\n".join(end_of(guest)), r"^FAIL .*\nstatus 1$", "the program")
    guest.sh("fsfreeze -u /")
    one_round(guest)


def step_reboot(lab):
    """The guest has its device again, as gvm set left it."""
    old = lab.guests[NAME]
    lab.sh("gvm set %s cap=75,weight=300" % NAME)
    old.spawn("systemctl reboot")
    old.agent.wait_for(lambda: old.agent.gone, SLOW)
    guest = arrives(lab)
    connected(lab, guest, timeout=SLOW)
    for key, want in (("mem", str(512 << 20)), ("weight", "300"), ("cap", "75")):
        expect(lab.xenstore(back(guest, key)), want, key)
    expect(lab.sh("xenstore-ls /local/domain/0/backend/vgpu").count("frontend-id"), 1, "devices")
    one_round(guest)


def step_purge(lab):
    """With the guest up and a program in it: the program gets an error, nothing is left."""
    guest = lab.guests[NAME]
    begin(guest, 10000)
    lab.sh("dpkg --purge gvm-backd gvm-tools", SLOW)
    matches("\n".join(end_of(guest)), r"^FAIL .*\nstatus 1$", "the program")
    expect(workers(lab), [], "workers")
    expect(lab.sh(LEFT, SLOW), "", "left in dom0")
    guest.sh("! test -e /dev/vgpu0")
    guest.sh("dpkg --purge gvm-guest xen-vgpufront-dkms", SLOW)
    expect(guest.sh(LEFT, SLOW), "", "left in the guest")
    guest.sh("! lsmod | grep -q xen_vgpufront")
    expect(lab.sh("xenstore-ls -f | grep vgpu || :"), "", "left in XenStore")


def step_end(lab):
    """Without us the guest still ends as it did."""
    lab.destroy(NAME)
    listed = lab.sh("xl list")
    expect(NAME in listed or "(null)" in listed, False, "a domain left in:\n" + listed)


STEPS = [v for k, v in list(globals().items()) if k.startswith("step_")]


def main():
    count, done, stalls = {"ok": 0, "FAIL": 0}, 0, 0
    if os.getuid() != 0:
        print("skip: the disks of the lab are made by root")
        print("0 passed, 0 failed, %d skipped" % len(STEPS))
        return 0
    debs = os.path.join(BUILD, "deb")
    version = re.match(r"\S+ \((.*)\)",
                       open(os.path.join(TREE, "packaging/debian/changelog")).readline()).group(1)
    subprocess.run([os.path.join(TREE, "packaging/make-deb.sh"), version + "+next",
                    os.path.join(debs, "next")], check=True, stdout=subprocess.DEVNULL, cwd=TREE,
                   env=dict(os.environ, BUILD=BUILD))
    programs = os.path.join(debs, "programs")
    os.makedirs(programs, exist_ok=True)
    subprocess.run(["gcc", "-O1", "-o", os.path.join(programs, "holdon"),
                    os.path.join(TREE, "tests/deb/holdon.c"), "-L" + os.path.join(BUILD, "lib"),
                    "-l:libcudart.so.13", "-Wl,--allow-shlib-undefined"], check=True)
    parked = os.path.join(BUILD, "conformance/parked")
    with DiskLab("packages", debs, [os.path.join(programs, "holdon"), parked],
                 say=lambda text: print(text, flush=True)) as lab:
        try:
            lab.boot(pvh=False, timeout=SLOW)
            lab.sh("systemctl start xen.service", SLOW)
            print("packages: dom0 up in %.0f s" % lab.boot_seconds, flush=True)
            for step in STEPS:
                start = time.monotonic()
                step(lab)
                for line in lab.stalls():
                    stalls += 1
                    print("stall of the emulated dom0: " + line, flush=True)
                trouble = lab.trouble()
                if trouble:
                    raise Failed("kernel trouble:\n" + "\n".join(trouble))
                print("ok   %s (%.1f s)" % (step.__name__, time.monotonic() - start), flush=True)
                count["ok"] += 1
                done += 1
        except (Failed, LabError, image.ImageError) as e:
            name = STEPS[done].__name__ if lab.proc else "boot"
            print("FAIL %s: %s" % (name, e), flush=True)
            count["FAIL"] += 1
            if lab.proc and not lab.agent.gone:
                lab.collect()
                print(lab.dom0(STATE, 120)[1], flush=True)
    if stalls:
        print("packages: the emulated dom0 stood still %d times" % stalls)
    print("%d passed, %d failed, %d skipped" % (
        count["ok"], count["FAIL"], len(STEPS) - count["ok"] - count["FAIL"]))
    return 1 if count["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""The fault matrix: at every point of the life cycle, five kinds of fault.

A cell is a point and a kind. The victim guest does something that passes the point; who reaches it
stops there (dom0-backend/common/fault.h, domU-frontend/vgpufront_fault.h); the fault happens; the
one that stopped, if it still lives, goes on. Then, within BOUND seconds, nothing may be left over:
no zombie domain, no mapped grant, no worker, no node; and the device works again. All the while a
program computes in a second guest, and must not notice.
"""
import os
import re
import time

from lab.lab import Guest
from xentest import VGPU, Failed, eventually, expect

BACKD = "/usr/lib/gvm/faults/gvm-backd"
PAGE = "/run/gvm-faults"
SAVED = "/var/lib/victim.save"
MODULE = "/lib/modules/faults/xen-vgpufront.ko"
PARAMETERS = "/sys/module/xen_vgpufront/parameters/"
BOUND = 20      # s: the 5 s that are allowed, times four: everything here is emulated
LOOKS = 20      # and at least so many looks: on a machine that is busy with other things all is slow
ENDS = 60       # s until a program that was hit has ended
KINDS = ("process", "destroy", "worker", "broker", "cut")

# point: what the victim does to pass it
LOAD, CHURN, RELOAD, ATTACH, RESTART = "load", "churn", "reload", "attach", "restart"
POINTS = {
    "broker.found": ATTACH, "broker.offer": RELOAD, "broker.offered": RELOAD,
    "broker.connect": RELOAD, "broker.ring-mapped": RELOAD, "broker.connected": RELOAD,
    "broker.close": RELOAD, "broker.remove": ATTACH, "broker.request": CHURN,
    "broker.assign": CHURN, "broker.created": CHURN, "broker.added": CHURN,
    "broker.dropped": CHURN, "broker.answer": CHURN, "broker.adopt": RESTART,
    "worker.ready": CHURN, "worker.locked": CHURN, "worker.drop": CHURN, "worker.quit": CHURN,
    "worker.copy-in": LOAD, "worker.launch": LOAD, "worker.reply": LOAD,
    "front.probe": RELOAD, "front.published": RELOAD, "front.connect": RELOAD,
    "front.remove": RELOAD, "front.create": CHURN, "front.created": CHURN, "front.add": CHURN,
    "front.closed": CHURN,
    "broker.connecting": RELOAD, "broker.closed": RELOAD, "broker.create": CHURN,
    "broker.assigned": CHURN, "broker.add": CHURN, "broker.destroy": CHURN,
    "broker.death": CHURN, "worker.start": CHURN, "worker.mapped": CHURN, "worker.add": CHURN,
    "worker.module": LOAD, "worker.launched": LOAD, "worker.copy-out": LOAD,
    "worker.replied": LOAD, "front.publish": RELOAD, "front.connected": RELOAD,
    "front.removed": RELOAD, "front.lost": ATTACH, "front.added": CHURN, "front.dropped": CHURN,
    "front.close": CHURN,
}
# make test runs the first third of the cells, always the same; 2 and 3 are the others
CELLS = os.environ.get("GVM_FAULT_CELLS", "1")
if CELLS not in ("all", "1", "2", "3"):
    raise SystemExit("GVM_FAULT_CELLS=%s: allowed are all, 1, 2, 3" % CELLS)
ALL_CELLS = CELLS == "all"


def chosen(point, kind):
    """Does this run have the cell?  In each third, each point and each kind has some."""
    return ALL_CELLS or (list(POINTS).index(point) * 2 + KINDS.index(kind)) % 3 == int(CELLS) - 1


RERUNS = 3      # cells that are run again in one run because the machine stood still
TOTAL = {"cells": 0, "slowest": (0, "none"), "stalls": 0, "reruns": 0}


class Tool:
    """gvm-fault in dom0."""

    def __init__(self, lab):
        self.cmd = lab.spawn("exec gvm-fault " + PAGE, stdin=True)
        self.at = 0
        self.answer("ready")

    def answer(self, regex, timeout=30):
        pattern = re.compile("^%s$" % regex, re.M)
        self.cmd.agent.wait_for(
            lambda: pattern.search(self.cmd.out, self.at) or self.cmd.rc is not None, timeout)
        m = pattern.search(self.cmd.out, self.at)
        if not m:
            raise Failed("gvm-fault did not say /%s/ within %g s; it said:\n%s"
                         % (regex, timeout, self.cmd.out[-1500:]))
        self.at = m.end()
        return m

    def do(self, command, regex):
        self.cmd.write(command + "\n")
        return self.answer(regex)

    def look(self, domid):
        m = self.do("look %d" % domid, "look (.*)")
        found = dict(x.split("=") for x in m.group(1).split())
        workers = found.pop("workers")
        found = {k: int(v) for k, v in found.items()}
        found["workers"] = set() if workers == "none" else {int(x) for x in workers.split(",")}
        return found

    def grants(self, domid):
        return int(self.do("grants %d" % domid, r"grants (\d+)").group(1))


class Bench:
    """The two guests, gvm-backd with its supervisor, and what was there before any fault."""

    def __init__(self, lab):
        self.lab = lab
        self.tool = Tool(lab)
        lab.sh("mkdir -p /run/gvm && for p in $(pidof gvm-backd); do kill $p; done")
        # as systemd would: started again, whatever it ended with
        self.backd = lab.spawn("export GVM_FAULT_FILE=%s; while :; do %s; echo \"backd ended $?\"; "
                               "usleep 50000; done" % (PAGE, BACKD))
        self.made = 0
        self.victim = None
        self.other = self.guest("bystander", vgpu=[VGPU])
        self.wait_connected(self.other)
        self.loop = self.other.spawn("exec vgpu_load loop 500")
        self.loop.wait_output("^n 2$", 180)
        self.other_worker = self.serving(self.other)
        self.other_open = self.worker_open()
        self.new_victim()

    def guest(self, name, **options):
        g = self.lab.create(name, cmdline="lab.nofront", timeout=240, **options)
        g.sh("insmod " + MODULE, 120)
        return g

    def new_victim(self):
        """A guest with its module loaded, out of a saved image: that is quicker than to boot."""
        if not self.made:
            self.guest("victim", memory=128)
            self.lab.guests.pop("victim").close()
            self.lab.sh("xl save victim " + SAVED, 240)
        self.made += 1
        # what the agent keeps for this domain would be there before the guest can see it come
        self.lab.sh("rm -f /var/lib/gvm/*; xl restore " + SAVED, 240)
        self.victim = self.lab.guests["victim"] = Guest(self.lab, "victim")
        self.lab.sh("gvm attach victim mem=1G", 60)
        self.wait_connected(self.victim)
        self.before = self.settled()

    def wait_connected(self, g, timeout=120):
        def look():
            s = self.tool.look(g.domid)
            return s["back"] == s["front"] == 4
        eventually("device of %s connected" % g.name, look, timeout)

    def settled(self):
        """What the tool sees with the victim idle: one warm worker, nothing of the victim's."""
        def look():
            s = self.tool.look(self.victim.domid)
            return s if len(s["workers"]) == s["sockets"] == 2 else None
        s = eventually("one worker and a warm one", look, 120)
        s["grants"] = self.tool.grants(self.victim.domid)
        return s

    def serving(self, g):
        def look():
            _, out = self.lab.dom0("gvm list processes")
            found = re.findall(r"^\s+pid \d+ .*\bworker (\d+)", out, re.M)
            return int(found[0]) if len(found) == 1 else None
        return eventually("one process in gvm list", look, 30)

    def worker_open(self):
        """How many descriptors the other guest's worker has."""
        return len(self.lab.sh("ls /proc/%d/fd" % self.other_worker).split())

    # --- a cell ---

    def steps(self):
        return int((re.findall(r"^n (\d+)$", self.loop.out, re.M) or ["0"])[-1])

    def start(self, what, point):
        """Arms the point and sets off what passes it; the command that a fault may kill."""
        v, front = self.victim, point.startswith("front.")
        name = point.split(".")[1]
        if what == RESTART:
            cmd = v.spawn("exec vgpu_load loop 50")
            cmd.wait_output("^n 1$", 60)
        if not front:
            self.tool.do("arm %s %d" % (point, v.domid), "armed")
        if what == RESTART:
            self.lab.sh("kill -9 %d" % self.tool.look(v.domid)["backd"])
            return cmd
        arm = "printf %s > %sfault; " % (name, PARAMETERS) if front else ""
        early = front and name in ("probe", "publish", "published", "connect", "connected")
        if what == RELOAD:
            return v.spawn("%s rmmod xen_vgpufront; exec insmod %s%s" % (
                "" if early else arm, MODULE, " fault=" + name if early else ""))
        if what == ATTACH:
            if arm:
                v.sh(arm)
            return self.lab.spawn("gvm detach victim; exec gvm attach victim mem=1G")
        if what == CHURN:
            return v.spawn(arm + "exec vgpu_probe churn 2")
        return v.spawn(arm + "exec vgpu_load once 512")

    def wait_hit(self, point, mark):
        if point.startswith("front."):
            self.victim.wait_console("fault point " + point.split(".")[1], 60, mark)
        else:
            self.tool.answer(r"hit %s (\d+)" % re.escape(point), 60)

    def inflict(self, kind, cmd):
        if kind == "process":
            cmd.kill(9)
        elif kind == "destroy":
            self.lab.sh("xl destroy " + self.victim.name, 60)
        elif kind == "worker":
            pids = self.tool.look(self.victim.domid)["workers"] - {self.other_worker}
            if pids:
                self.lab.dom0("kill -9 %s" % " ".join(map(str, pids)))
        elif kind == "broker":
            self.lab.sh("kill -9 %d" % self.tool.look(self.victim.domid)["backd"])
        else:
            n = int(self.tool.do("cut", r"cut (\d+)").group(1))
            expect(n > 0, True, "connections that were cut")

    def what_is_wrong(self, kind):
        """None when everything is as it was; otherwise the first thing that is not."""
        s, b = self.tool.look(self.victim.domid), self.before
        if self.other_worker not in s["workers"]:
            return "the other guest's worker is gone"
        if len(s["workers"]) > 2 or s["sockets"] > 2:
            return "%d workers, %d sockets of workers" % (len(s["workers"]), s["sockets"])
        if not s["backd"]:
            return "no gvm-backd"
        if kind == "destroy":
            for key in ("domain", "nodes", "files"):  # a domain that is gone has no grant mapped
                if s[key]:
                    return "%s=%d of a destroyed domain" % (key, s[key])
            return None
        for key in ("back", "front", "nodes", "files"):
            if s[key] != b[key]:
                return "%s=%d, was %d" % (key, s[key], b[key])
        grants = self.tool.grants(self.victim.domid)
        return None if grants == b["grants"] else "grants=%d, was %d" % (grants, b["grants"])

    def wait_clean(self, kind):
        """Seconds from now on until nothing is wrong."""
        start, looks = time.monotonic(), 0
        while True:
            wrong, took = self.what_is_wrong(kind), time.monotonic() - start
            looks += 1
            if wrong is None:
                return took
            if took > BOUND and looks >= LOOKS:
                raise Failed("not clean after %.0f s and %d looks: %s" % (took, looks, wrong))
            time.sleep(0.05)

    def heal_attach(self):
        """The toolstack's half was killed, or its daemon: what an operator does then."""
        s = self.tool.look(self.victim.domid)
        if not s["back"] == s["front"] == 4:
            self.lab.dom0("gvm detach %s" % self.victim.name, 60)
            self.lab.dom0("gvm attach %s mem=1G" % self.victim.name, 60)

    def cell(self, point, kind):
        what, v, mark = POINTS[point], self.victim, self.victim.mark()
        steps = self.steps()
        cmd = self.start(what, point)
        self.wait_hit(point, mark)
        self.inflict(kind, cmd)
        self.tool.do("go", "gone")
        if kind == "destroy" and what == ATTACH:
            cmd.wait(ENDS)  # or it would attach to the next guest of this name
        if kind != "destroy":
            if point.startswith("front."):
                v.sh("echo 1 > %sfault_go" % PARAMETERS)
            if what == RESTART and kind != "process":
                steps_victim = len(re.findall("^n ", cmd.out, re.M))
                v.agent.wait_for(lambda: cmd.rc is not None or
                                 len(re.findall("^n ", cmd.out, re.M)) > steps_victim + 1, ENDS)
                if kind != "worker" and cmd.rc is not None:
                    raise Failed("the program ended with status %d: %s" % (cmd.rc, cmd.out[-300:]))
                cmd.kill(9)
            rc, out = cmd.wait(ENDS)
            self.judge(what, kind, rc, out)
            if what == RELOAD and kind == "process":
                v.run("rmmod xen_vgpufront; insmod " + MODULE, 60)
            if what == ATTACH:
                self.heal_attach()
        took = self.wait_clean(kind)
        TOTAL["slowest"] = max(TOTAL["slowest"], (took, "%s, %s" % (point, kind)))
        self.lab.agent.wait_for(lambda: self.loop.rc is not None or self.steps() > steps + 1, BOUND)
        if self.loop.rc is not None or self.steps() <= steps:
            raise Failed("the program in the other guest: status %s, %s"
                         % (self.loop.rc, self.loop.out[-200:]))
        TOTAL["cells"] += 1
        if kind == "destroy":
            g = self.lab.guests.pop(v.name)
            g.close()
            self.new_victim()
        return took

    def give_up(self):
        """After a cell that failed: whoever sleeps goes on, and there is a new victim."""
        self.tool.do("go", "gone")
        self.lab.dom0("xl destroy " + self.victim.name, 60)
        self.victim.close()
        self.lab.guests.pop(self.victim.name, None)
        eventually("no worker of the failed cell",
                   lambda: len(self.tool.look(0)["workers"]) <= 2, BOUND)
        self.new_victim()

    @staticmethod
    def judge(what, kind, rc, out):
        """A program may fail, but never be wrong; and a broker's end is no reason to fail."""
        if "WRONG" in out or rc == 4:
            raise Failed("a wrong result: status %d, %s" % (rc, out[-300:]))
        if what in (LOAD, CHURN) and kind in ("broker", "cut") and rc != 0:
            raise Failed("the program ended with status %d: %s" % (rc, out[-500:]))
        if what == LOAD and rc not in (0, 3, 137):
            raise Failed("the program ended with status %d: %s" % (rc, out[-500:]))

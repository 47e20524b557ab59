# SPDX-License-Identifier: MIT
"""Guests start, compute and die at random, for GVM_SOAK_MINUTES: nothing grows in dom0."""
import os
import random
import re
import time

from test_faults import PARTS, bench
from xentest import Failed, eventually, needs

MINUTES = float(os.environ.get("GVM_SOAK_MINUTES", "3"))
ROUND = 20  # s that one guest lives
# what may change between the first look and the last: each is taken with a new guest idle
MAY_GROW = {"descriptors of gvm-backd": 0, "memory of gvm-backd (KiB)": 512,
            "event channels of dom0": 0, "XenStore nodes": 0, "grants mapped": 0,
            "workers": 0, "memory of dom0 in use (KiB)": 16384}


def figures(lab, b):
    """Of an idle moment: a victim that has a device and does nothing."""
    s = b.settled()
    used, ports, nodes, logs = (int(x) for x in lab.sh(
        "awk '/MemTotal/ {t = $2} /MemAvailable/ {a = $2} END {print t - a}' /proc/meminfo; "
        "lsevtchn 0 | wc -l; xenstore-ls -f | wc -l; du -sk /var/log | cut -f 1").split())
    return dict(zip(MAY_GROW, (s["fds"], s["anon"], ports, nodes, s["grants"], len(s["workers"]),
                               used - logs)))  # the root file system is memory, and logs are files


class Soak:
    def __init__(self, lab, seed):
        self.lab, self.b = lab, bench(lab)
        self.rng = random.Random(seed)
        self.running = []
        self.count = dict.fromkeys(("programs", "right", "killed", "lost", "workers killed",
                                    "guests"), 0)

    def command(self):
        n = self.rng.randrange(1 << 20)
        return self.rng.choice(("exec vgpu_load storm %d" % n,
                                "exec vgpu_load once %d" % (64 + n % 2000),
                                "exec vgpu_load once 256",
                                "exec vgpu_probe churn 2"))

    def reap(self):
        """Looks at what has ended by itself."""
        for cmd in [c for c in self.running if c.rc is not None]:
            self.running.remove(cmd)
            if "WRONG" in cmd.out or cmd.rc == 4:
                raise Failed("a wrong result: %s" % cmd.out[-300:])
            self.count["right" if cmd.rc == 0 else "lost"] += 1

    def step(self):
        dice = self.rng.random()
        if len(self.running) < 3 and dice < 0.6:
            self.running.append(self.b.victim.spawn(self.command()))
            self.count["programs"] += 1
        elif self.running and dice < 0.9:
            cmd = self.rng.choice(self.running)
            cmd.kill(9)
            cmd.wait(60)
            self.running.remove(cmd)
            self.count["killed"] += 1
        elif dice > 0.97:
            pids = self.b.tool.look(self.b.victim.domid)["workers"] - {self.b.other_worker}
            if pids:
                self.lab.dom0("kill -9 %d" % self.rng.choice(sorted(pids)))
                self.count["workers killed"] += 1
        self.reap()
        time.sleep(self.rng.uniform(0.1, 0.8))  # they compute meanwhile

    def next_guest(self):
        """This one dies with whatever it is doing."""
        b, v = self.b, self.b.victim
        self.lab.sh("xl destroy " + v.name, 60)
        self.running.clear()

        def clean():
            s = b.tool.look(v.domid)
            return not (s["domain"] or s["nodes"] or s["files"])
        eventually("nothing is left of domain %d" % v.domid, clean, 20)
        self.lab.guests.pop(v.name).close()
        b.new_victim()  # looks at grants, too
        self.count["guests"] += 1


@needs(*PARTS)
def test_soak(lab):
    s = Soak(lab, 20261)
    s.step()
    s.next_guest()  # the first of everything has been made by now
    first, last = figures(lab, s.b), None
    end = time.monotonic() + 60 * MINUTES
    while time.monotonic() < end or not last:
        stop = time.monotonic() + ROUND
        while time.monotonic() < stop:
            s.step()
        s.next_guest()
        last = figures(lab, s.b)
    if s.b.loop.rc is not None:
        raise Failed("the program in the other guest ended: %s" % s.b.loop.out[-300:])
    print("       %g minutes: %s; the other guest computed %d rounds" % (
        MINUTES, ", ".join("%s %d" % (k, v) for k, v in s.count.items()), s.b.steps()))
    wrong = []
    for name, most in MAY_GROW.items():
        print("       %-30s %8d at first, %8d at last" % (name, first[name], last[name]))
        if last[name] > first[name] + most:
            wrong.append("%s grew from %d to %d" % (name, first[name], last[name]))
    problems = re.findall(r"^backd ended.*", s.b.backd.out, re.M)
    if wrong or problems:
        raise Failed("; ".join(wrong + problems))

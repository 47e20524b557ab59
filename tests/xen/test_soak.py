# SPDX-License-Identifier: MIT
"""Guests start, compute and die at random, for GVM_SOAK_MINUTES: nothing grows in dom0.

Two guests at a time beside the bystander of the fault matrix, which computes all the while. Each
lives for some seconds, has up to three programs, of which some are killed, some lose their worker,
and ends while they compute: destroyed, shut down, rebooted or crashed. Every ROUND seconds the
programs of both are ended, and what dom0 holds is looked at.
"""
import collections
import os
import random
import re
import time

from lab import LabError
from lab.lab import Guest
from test_faults import PARTS, bench
from xentest import Failed, eventually, needs

import faults

MINUTES = float(os.environ.get("GVM_SOAK_MINUTES", "3"))
SEED = int(os.environ.get("GVM_SOAK_SEED", "20261"))
ROUND = 20  # s between two looks
CLEAN = 20  # s until a look must have found things as they were: faults.BOUND
UUIDS = {"victim": "5f0a5a5a-0000-4000-8000-000000000001",
         "second": "5f0a5a5a-0000-4000-8000-000000000002"}
# What is counted must be at the last look what it was at the first, or less. Memory may be more:
# allocators and the kernel's caches keep some. Seen in 30 minutes: gvm-backd's goes up by 100 KiB, with
# 94 guests and with 119; dom0's up and down by 3 MiB, Xen's not at all. What each guest leaves must be
# less than 2 and 70 KiB for that. Medians of the first and of the last three looks are compared.
EXACT = ("domains", "workers", "grants mapped", "pages by gvm doctor", "event channels",
         "XenStore nodes", "gvm-backd's descriptors", "dom0's descriptors")
MEMORY = {"gvm-backd's memory KiB": 256, "dom0's memory KiB": 8192, "Xen's memory MiB": 1}
ENDS = ("xl destroy",) * 5 + ("poweroff -f",) * 2 + ("reboot -f",) * 2 + ("crash",)


def median(values):
    return sorted(values)[len(values) // 2]


class Soak:
    def __init__(self, lab, seed):
        self.lab, self.b = lab, bench(lab)
        self.rng = random.Random(seed)
        self.guests = {}  # name: guest
        self.running = []  # (guest, command)
        self.excused = set()  # commands that may have lost their worker
        self.looks, self.holders = [], []  # figures; descriptors of each program then
        self.mark = len(self.b.backd.out)
        self.count = dict.fromkeys(("guests", "programs", "right", "killed", "lost with a worker",
                                    "workers killed"), 0)
        lab.sh("xl destroy victim", 60)
        lab.guests.pop("victim").close()
        for name, uuid in UUIDS.items():
            lab.put("/etc/xen/soak-%s.cfg" % name, lab.config(
                name, memory=128, cmdline="lab.nofront", extra='uuid = "%s"' % uuid))
            self.start(name)

    def start(self, name):
        # what the agent keeps for this domain would be there before the guest can see it come
        self.lab.sh("rm -f /var/lib/gvm/%s*; xl restore /etc/xen/soak-%s.cfg %s"
                    % (UUIDS[name], name, faults.SAVED), 240)
        g = self.guests[name] = self.lab.guests[name] = Guest(self.lab, name)
        self.lab.sh("gvm attach %s mem=1G" % name, 60)
        self.b.wait_connected(g)
        if name == "victim":
            self.b.victim = g

    def end(self, name, how):
        """This one dies with whatever it is doing."""
        g = self.guests.pop(name)
        if how == "crash":  # on_crash is preserve: the operator looks, and then destroys it
            g.spawn("echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger")
            eventually("%s in state c" % name,
                       lambda: re.search(r"^%s .*-c? " % name, self.lab.sh("xl list"), re.M), 60)
        if how in ("crash", "xl destroy"):
            self.lab.sh("xl destroy " + name, 60)
        else:
            g.spawn(how)
            g.agent.wait_for(lambda: g.agent.gone, 60)

        def clean():
            s = self.b.tool.look(g.domid)
            return not (s["domain"] or s["nodes"] or s["files"])
        eventually("nothing is left of domain %d (%s)" % (g.domid, how), clean, CLEAN)
        self.running = [(x, c) for x, c in self.running if x is not g]
        self.lab.guests.pop(name).close()
        self.count["guests"] += 1

    def command(self):
        n = self.rng.randrange(1 << 20)
        return self.rng.choice(("exec vgpu_load storm %d" % n,
                                "exec vgpu_load once %d" % (64 + n % 2000),
                                "exec vgpu_load once 256",
                                "exec vgpu_probe churn 2"))

    def reap(self):
        """Looks at what has ended by itself."""
        for pair in [p for p in self.running if p[1].rc is not None]:
            self.running.remove(pair)
            cmd = pair[1]
            if "WRONG" in cmd.out or cmd.rc == 4:
                raise Failed("a wrong result: %s" % cmd.out[-300:])
            if cmd.rc and cmd not in self.excused:
                raise Failed("%r ended with status %d: %s" % (cmd.text, cmd.rc, cmd.out[-300:]))
            self.count["lost with a worker" if cmd.rc else "right"] += 1

    def kill(self, pair):
        self.running.remove(pair)
        pair[1].kill(9)
        try:
            pair[1].wait(60)
        except LabError as e:  # where does it hang?
            _, out = pair[0].run("ps; for p in /proc/[0-9]*; do echo $p; cat $p/stack; done", 30)
            raise Failed("%s\n%s" % (e, out)) from None
        self.count["killed"] += 1

    def step(self):
        g = self.rng.choice(list(self.guests.values()))
        mine = [p for p in self.running if p[0] is g]
        dice = self.rng.random()
        if dice < 0.1:
            name = g.name
            self.end(name, self.rng.choice(ENDS))
            self.start(name)
        elif dice < 0.13:
            pids = self.b.tool.look(g.domid)["workers"] - {self.b.other_worker}
            if pids:
                self.excused.update(c for _, c in self.running)
                self.lab.dom0("kill -9 %d" % self.rng.choice(sorted(pids)))
                self.count["workers killed"] += 1
        elif len(mine) < 3 and dice < 0.65:
            self.running.append((g, g.spawn(self.command())))
            self.count["programs"] += 1
        elif mine:
            self.kill(self.rng.choice(mine))
        self.reap()
        time.sleep(self.rng.uniform(0.1, 0.8))  # they compute meanwhile

    def figures(self):
        b = self.b
        s = b.settled()
        v = [int(x) for x in self.lab.sh(
            "lsevtchn 0 | wc -l; xenstore-ls -f | wc -l; "
            "awk '/MemTotal/ {t = $2} /MemAvailable/ {a = $2} END {print t - a}' /proc/meminfo; "
            "du -sk /var/log | cut -f 1; "
            "xl info | awk '/^total_memory/ {t = $3} /^free_memory/ {f = $3} END {print t - f}'"
        ).split()]
        self.open = self.descriptors()
        pages = re.search(r"mapped pages +(\d+) of \d+ are in use", self.lab.sh("gvm doctor"))
        grants = sum(b.tool.grants(g.domid) for g in (b.other, *self.guests.values()))
        return dict(zip(EXACT + tuple(MEMORY), (
            s["domains"], len(s["workers"]), grants, int(pages.group(1)), v[0], v[1], s["fds"],
            sum(self.open.values()), s["anon"],
            v[2] - v[3],  # the root file system is memory, and logs are files
            v[4])))

    def descriptors(self):
        """{program: how many descriptors its processes have} in dom0, without the lab's agent."""
        out = self.lab.sh("{ grep . /proc/[0-9]*/comm; ls -d /proc/[0-9]*/fd/*; } 2>/dev/null; true")
        names = dict(re.findall(r"^/proc/(\d+)/comm:(.*)$", out, re.M))
        found = collections.Counter(names.get(pid, "gone")
                                    for pid in re.findall(r"^/proc/(\d+)/fd/", out, re.M))
        del found["labagent"]
        return found

    def look(self):
        """With both guests idle. What is counted has CLEAN seconds to be as it was."""
        self.reap()
        for pair in list(self.running):
            self.kill(pair)
        end, f, before = time.monotonic() + CLEAN, self.figures(), None
        while time.monotonic() < end:
            # the first look is that at which nothing changes any more
            if self.looks and all(f[name] <= self.looks[0][name] for name in EXACT):
                break
            if not self.looks and before and all(f[name] == before[name] for name in EXACT):
                break
            before, f = f, self.figures()
        self.looks.append(f)
        self.holders.append(self.open)

    def grown(self):
        """One text for each figure that grew."""
        first, last = self.looks[0], self.looks[-1]
        wrong = ["%s grew: %d, was %d" % (n, last[n], first[n])
                 for n in EXACT if last[n] > first[n]]
        more = self.holders[-1] - self.holders[0]
        if wrong and more:
            wrong.append("descriptors more than at first: %s" % dict(more))
        for name, most in MEMORY.items():
            v = [f[name] for f in self.looks]
            if median(v[-3:]) > median(v[:3]) + most:
                wrong.append("%s grew: %d, was %d, more may be %d"
                             % (name, median(v[-3:]), median(v[:3]), most))
        return wrong


@needs(*PARTS)
def test_soak(lab):
    s = Soak(lab, SEED)
    for name in UUIDS:  # the first of everything has been made by now
        s.step()
        s.end(name, "xl destroy")
        s.start(name)
    s.look()
    start, steps = time.monotonic(), s.b.steps()
    while time.monotonic() < start + 60 * MINUTES:
        stop = time.monotonic() + ROUND
        while time.monotonic() < stop:
            s.step()
        s.look()
        if s.b.loop.rc is not None:
            raise Failed("the program in the other guest ended: %s" % s.b.loop.out[-300:])
    for line in lab.stalls():  # the emulated machine's doing; it makes all slow and nothing grow
        print("       dom0 stood still: %s" % line.strip())
    print("       soak of %.1f minutes, seed %d: %s; the other guest computed %d rounds; %d looks, "
          "first/last/most: %s"
          % ((time.monotonic() - start) / 60, SEED,
             ", ".join("%s %d" % (k, v) for k, v in s.count.items()), s.b.steps() - steps,
             len(s.looks), ", ".join(
                 "%s %d/%d/%d" % (n, s.looks[0][n], s.looks[-1][n], max(f[n] for f in s.looks))
                 for n in s.looks[0])), flush=True)
    if os.environ.get("GVM_SOAK_VERBOSE"):
        for f in s.looks:
            print("       " + " ".join(str(v) for v in f.values()))
        print("       %s\n       %s" % (dict(s.holders[0]), dict(s.holders[-1])))
    wrong = s.grown()
    wrong += re.findall(r"^backd ended.*", s.b.backd.out[s.mark:], re.M)
    if wrong:
        raise Failed("; ".join(wrong))

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""bench_counts.py [--json FILE] - what pieces of work cost in a Xen guest, in exact numbers, one
table.  Times are left out: the machine is emulated."""
import argparse
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from counts import Fixed, Program, idle, other_calls, sniff, spin_cost  # noqa: E402
from lab import Lab, LabError  # noqa: E402
from test_counts import MIB, PARTS, check_copy, check_launches  # noqa: E402
from xentest import VGPU, Failed, backd, connected  # noqa: E402

# name in counts.cu, what it is, octets of payload
PIECES = [
    ("launch", "10,000 launches", 0),
    ("launch_sync", "100 x launch + synchronize", 0),
    ("event_record", "100 x event record", 0),
    ("malloc_free", "100 x cudaMalloc + cudaFree, 1 MiB", 0),
    ("h2d_4B", "100 x 4 B to the device", 400),
    ("d2h_4B", "100 x 4 B back", 400),
    ("h2d_64M", "64 MiB pageable to the device", 64 * MIB),
    ("d2h_64M", "64 MiB pageable back", 64 * MIB),
    ("h2d_pinned_32M", "32 MiB pinned to the device", 32 * MIB),
    ("d2h_pinned_32M", "32 MiB pinned back", 32 * MIB),
]
HEAD = ("piece of work", "to dom0", "to guest", "other system calls of the guest's process", "evtchn",
        "grant", "dom0 grant", "mapped", "copies")
LINE = "%-36s %8s %8s %-42s %7s %6s %11s %7s %7s"

ABOUT = """
Polling is fixed at one second on both sides.  Doorbells as gvm-worker counted them; system calls of
all threads of the guest's process, doorbells left out, by the guest's kernel; hypercalls by Xen's
trace: event_channel_op of the guest (less what its console takes, as seen with a piece that does
nothing) and grant_table_op of both sides; pages mapped at the end, by Xen's grant table; copies: how
often CPUs moved each octet, the software device's own copy among them.
"""


def words(calls):
    return " ".join("%s:%d" % x for x in sorted(calls.items())) or "none"


def row(found, title, payload, base):
    moved = found["copied"] + found["bytes_in"] + found["bytes_out"]
    guest, dom0 = found["guest_hypercalls"], found["dom0_hypercalls"]
    print(LINE % (title, found["doorbells_in"], found["doorbells_out"], words(other_calls(found)),
                  guest.get(32, 0) - base.get(32, 0), guest.get(20, 0), dom0.get(20, 0),
                  found["grants"], "%.2f" % (moved / payload) if payload else "-")
          + (" (%d records lost)" % found["lost"] if found["lost"] else ""), flush=True)


def pieces(lab, guest, wrong):
    rows = []
    with Fixed(lab):
        p = Program(lab, guest, ["idle"] + [n for n, _, _ in PIECES])
        try:
            base = p.piece("idle", hypercalls=True)["guest_hypercalls"]
            for name, title, payload in PIECES:
                found = p.piece(name, hypercalls=True)
                rows.append(found)
                row(found, title, payload, base)
                try:
                    if name == "launch":
                        check_launches(found)
                    elif payload == 64 * MIB:
                        check_copy(found, payload)
                except Failed as e:
                    wrong.append(str(e))
            p.end()
        finally:
            p.kill()
    return rows


def nothing(lab, guest, wrong):
    p = Program(lab, guest, ["idle"], window=False)
    seen = []
    try:
        p.piece("idle", pause=lambda pid, worker: seen.append(idle(lab, guest, pid, worker)))
        p.end()
    finally:
        p.kill()
    print("idle for 10 s: %d events, %d ns of CPU time of worker and gvm-backd" % seen[0])
    if seen[0] != (0, 0):
        wrong.append("an idle guest costs something: %r" % (seen[0],))
    return {"events": seen[0][0], "dom0_cpu_ns": seen[0][1]}


def spins(guest):
    """Shares of one virtual CPU: a program beside a neighbour that computes."""
    found = {}
    for title, command, ready in (
            ("waits for a long kernel", "spin", "^started$"),
            ("the same, GVM_SPIN_US=1000", "env GVM_SPIN_US=1000 spin", "^started$"),
            ("launch + synchronize all the time", "counts poll", "^ready poll"),
            ("the same, GVM_SPIN_US=50", "env GVM_SPIN_US=50 counts poll", "^ready poll")):
        own, other = spin_cost(guest, command, ready, 8)
        print("one vCPU, %-34s %5.1f %% of it, its neighbour %5.1f %%"
              % (title + ":", own * 100, other * 100), flush=True)
        found[title] = {"own": own, "neighbour": other}
    return found


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--json", help="file for the numbers")
    args = p.parse_args()
    wrong = []
    name = "counts-%s-%d" % (time.strftime("%Y%m%d-%H%M%S"), os.getpid())
    with Lab(name, say=lambda text: print(text, flush=True)) as lab:
        try:
            lab.boot()
            missing = [x for x in PARTS if not lab.parts.get(x)]
            if missing:
                print("not built: %s" % ", ".join(missing))
                return 1
            backd(lab)
            guest = lab.create("counts", vgpu=[VGPU], memory=640)
            connected(lab, guest)
            sniff(guest)
            print(ABOUT)
            print(LINE % HEAD)
            result = {"pieces": pieces(lab, guest, wrong)}
            print()
            result["idle"] = nothing(lab, guest, wrong)
            result["spin"] = spins(guest)
        except (LabError, Failed) as e:
            print("%s\nlogs: %s" % (e, lab.logs))
            return 1
    if args.json:
        with open(args.json, "w") as f:
            json.dump(result, f, indent=1, sort_keys=True)
            f.write("\n")
    for text in wrong:
        print("NOT MET: " + text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

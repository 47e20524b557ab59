# SPDX-License-Identifier: MIT
"""What work costs in a Xen guest, in exact numbers.  `make bench-counts` shows all of them."""
from counts import Fixed, Program, idle, other_calls, sniff, spin_cost
from xentest import ALL, Failed, expect, needs, shared_guest

PARTS = ALL + ("counts",)
MIB = 1 << 20


def check_launches(found):
    """10,000 launches: 20 doorbells each way at most, and no other system call of the program."""
    for n in ("doorbells_in", "doorbells_out", "interrupts", "doorbells"):
        if found[n] > 20:
            raise Failed("10,000 launches: %d %s, at most 20" % (found[n], n))
    expect(other_calls(found), {}, "system calls of 10,000 launches that are no doorbells")
    expect(found["launches"], 10000, "launches executed")


def check_copy(found, n):
    """The library's threads and the worker's (the software device is the CPU too) together."""
    moved = found["copied"] + found["bytes_in"] + found["bytes_out"]
    if moved > 2 * n or found["bytes_in"] + found["bytes_out"] < n:
        raise Failed("%s: %d octets were moved by CPUs: %r" % (found["name"], moved, found))


@needs(*PARTS)
def test_counts_of_work(lab):
    """Launches cost few doorbells and no other system call, copies move each octet twice at most."""
    guest = shared_guest(lab, "pv")
    sniff(guest)
    with Fixed(lab):
        p = Program(lab, guest, ["launch", "h2d_64M", "d2h_64M"])
        try:
            check_launches(p.piece("launch"))
            check_copy(p.piece("h2d_64M"), 64 * MIB)
            check_copy(p.piece("d2h_64M"), 64 * MIB)
            p.end()
        finally:
            p.kill()


@needs(*PARTS)
def test_idle_costs_nothing(lab):
    """An attached guest whose process has nothing to do: no event, no CPU time of dom0."""
    guest = shared_guest(lab, "pv")
    sniff(guest)
    p = Program(lab, guest, ["idle"], window=False)
    seen = []
    try:
        found = p.piece("idle", pause=lambda pid, worker: seen.append(idle(lab, guest, pid, worker, 5)))
        expect(seen, [(0, 0)], "events, and nanoseconds of dom0's CPU, in 5 s")
        expect(other_calls(found), {}, "system calls of an idle program")
        p.end()
    finally:
        p.kill()


@needs(*PARTS)
def test_waiting_leaves_the_processor(lab):
    """On one virtual CPU a program that waits for the device takes nearly nothing from others,
    whatever window it was told to poll for."""
    guest = shared_guest(lab, "pv")
    expect(guest.sh("nproc").strip(), "1", "processors of the guest")
    for command in ("spin", "env GVM_SPIN_US=1000 spin"):
        own, other = spin_cost(guest, command, "^started$", 3)
        print("       %-22s waits with %.1f %% of the processor, its neighbour has %.1f %%"
              % (command, own * 100, other * 100))
        if own > 0.10:
            raise Failed("%s takes %.1f %% of the processor while it waits" % (command, own * 100))

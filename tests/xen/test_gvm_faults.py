# SPDX-License-Identifier: MIT
"""What breaks, and what must not break with it."""
import time

from xentest import (ALL, VGPU, Failed, backd, connected, eventually, every_host, expect,
                     mapped_grants, matches, needs, passes, shared_guest)


def alive(lab, pid):
    return lab.dom0("[ -d /proc/%d ]" % pid)[0] == 0


def worker_end(lab, pid):
    """A command in dom0 that ends when the worker has."""
    return lab.spawn("while [ -d /proc/%d ]; do usleep 20000; done" % pid)


def worker_of(lab, guest, count=1):
    """Pids of the guest's workers, when there are `count`."""
    def look():
        found = lab.backd.processes(guest.domid)
        return found if len(found) == count else None
    return [w for w, _ in eventually("%d processes in gvm list" % count, look)]


@every_host
@needs(*ALL)
def test_kill_9_mid_kernel(lab):
    """Worker gone and grants unmapped within 2 s; the other process is not disturbed."""
    guest = shared_guest(lab, "pv")
    before = mapped_grants(lab, guest.domid)
    one = guest.spawn("exec spin")
    one.wait_output("^started$", 60)
    first, = worker_of(lab, guest)
    each = mapped_grants(lab, guest.domid) - before
    if each <= 0:
        raise Failed("a process with a channel maps no grants")
    other = guest.spawn("exec eventspin")
    other.wait_output("^started$", 60)
    second, = [w for w in worker_of(lab, guest, 2) if w != first]
    end = worker_end(lab, first)
    start = time.monotonic()
    one.kill(9)
    end.wait(10)
    took = time.monotonic() - start
    # a worker is reaped after its memory is gone: its grants are unmapped by now
    left = mapped_grants(lab, guest.domid)
    if took > 2:
        raise Failed("the worker ended %.1f s after its program" % took)
    if not before < left <= before + each:
        raise Failed("%d grants are mapped after one of two processes was killed; %d before both, "
                     "%d for each" % (left, before, each))
    expect(one.wait(10)[0], 137, "status of the killed program")
    expect((alive(lab, second), other.rc), (True, None), "the other process and its worker")
    other.kill(9)
    worker_end(lab, second).wait(10)
    expect(mapped_grants(lab, guest.domid), before, "grants mapped after both")
    passes(guest, "vectorAdd")


@needs(*ALL)
def test_worker_killed_while_program_spins(lab):
    """cudaEventQuery returns an error at once, and the next program works."""
    guest = shared_guest(lab, "pv")
    cmd = guest.spawn("exec eventspin")
    cmd.wait_output("^started$", 60)
    worker, = worker_of(lab, guest)
    lab.sh("kill -9 %d" % worker)
    _, out = cmd.wait(5)
    matches(out, r"^cudaEventQuery: [1-9]\d* cudaError", "eventspin after its worker's death")
    passes(guest, "vectorAdd")


@every_host
@needs(*ALL)
def test_destroy_mid_kernel(lab):
    """No domain without a name stays behind, no node and no worker."""
    backd(lab)
    guest = lab.create("doomed", vgpu=[VGPU])
    connected(lab, guest)
    guest.spawn("spin").wait_output("^started$", 60)
    worker, = worker_of(lab, guest)
    lab.destroy("doomed")
    worker_end(lab, worker).wait(5)
    eventually("no (null) domain in xl list", lambda: "(null)" not in lab.sh("xl list"), 10)
    lab.wait_xenstore("/local/domain/0/backend/vgpu/%d" % guest.domid, None)


def restart(lab, signal):
    """A program runs on through gvm-backd's end; devices stay in state 4."""
    guest = shared_guest(lab, "pv")
    cmd = guest.spawn("exec eventspin")
    cmd.wait_output("^started$", 60)
    worker, = worker_of(lab, guest)
    lab.backd.stop(signal)
    expect(lab.xenstore("/local/domain/0/backend/vgpu/%d/0/state" % guest.domid), "4",
           "backend's state without gvm-backd")
    lab.backd.start()
    expect(worker_of(lab, guest), [worker], "workers after the restart")
    expect((alive(lab, worker), cmd.rc), (True, None), "the program and its worker")
    passes(guest, "vectorAdd")
    cmd.kill(9)
    worker_end(lab, worker).wait(5)
    passes(guest, "vectorAdd")


@every_host
@needs(*ALL)
def test_backd_restarted(lab):
    restart(lab, "TERM")


@needs(*ALL)
def test_backd_killed(lab):
    restart(lab, "KILL")


@needs(*ALL)
def test_frontend_unloaded_and_loaded(lab):
    guest = shared_guest(lab, "pv")
    for _ in range(2):
        guest.sh("rmmod xen_vgpufront", 30)
        guest.sh("! test -e /dev/vgpu0")
        guest.sh("insmod /lib/modules/xen-vgpufront.ko", 40)
        connected(lab, guest)
        passes(guest, "vectorAdd")


@needs(*ALL)
def test_frontend_without_backend(lab):
    """Loaded while gvm-backd is not there: one clear kernel line, and no hang past 30 s."""
    guest = shared_guest(lab, "pv")
    guest.sh("rmmod xen_vgpufront", 30)
    lab.wait_xenstore("/local/domain/0/backend/vgpu/%d/0/state" % guest.domid, "6")
    lab.backd.stop()
    try:
        lab.sh("xenstore-write /local/domain/0/backend/vgpu/%d/0/state 1 "
               "/local/domain/%d/device/vgpu/0/state 1" % (guest.domid, guest.domid))
        mark = guest.mark()
        start = time.monotonic()
        guest.sh("insmod /lib/modules/xen-vgpufront.ko", 60)
        took = time.monotonic() - start
        if took > 40:  # the emulated machine's clock and ours differ a little
            raise Failed("insmod took %.0f s" % took)
        guest.wait_console("no backend", 30, mark)
        lines = [x for x in guest.console[mark:] if "no backend" in x]
        expect(len(lines), 1, "kernel lines about the missing backend")
    finally:
        lab.backd.start()
    connected(lab, guest)
    passes(guest, "vectorAdd")

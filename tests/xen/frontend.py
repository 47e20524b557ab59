# SPDX-License-Identifier: MIT
"""Tests of the guest's kernel module against vgpu-testback, a backend that can also misbehave.

Each test is a function of a Bench; run() runs them all in one guest.  The guest's image must hold
vgpu_probe and the module (not loaded: lab.nofront), dom0's vgpu-testback.
"""
import re
import time

MODULE = "/lib/modules/xen-vgpufront.ko"


class Failed(Exception):
    pass


def expect(got, want, what):
    if got != want:
        raise Failed("%s: expected %r, got %r" % (what, want, got))


def matches(text, regex, what):
    m = re.search(regex, text, re.M)
    if not m:
        raise Failed("%s: no /%s/ in:\n%s" % (what, regex, text))
    return m


class Back:
    """vgpu-testback for one device."""

    def __init__(self, lab, domid, device=0):
        self.cmd = lab.spawn("vgpu-testback %d %d" % (domid, device), stdin=True)
        self.at = 0
        self.wait("ready")

    def wait(self, regex, timeout=30):
        """The match of a whole line after the last one waited for."""
        pattern = re.compile("^(?:%s)$" % regex, re.M)

        def look():
            return pattern.search(self.cmd.out, self.at) or self.cmd.rc is not None
        self.cmd.agent.wait_for(look, timeout)
        m = pattern.search(self.cmd.out, self.at)
        if not m:
            raise Failed("the test backend did not print /%s/ within %g s; it printed:\n%s"
                         % (regex, timeout, self.cmd.out[-2000:]))
        self.at = m.end()
        return m

    def do(self, *commands):
        for c in commands:
            self.cmd.write(c + "\n")
            self.wait("done " + c.split()[0])

    def check(self):
        bad = [x for x in self.cmd.out.split("\n") if x.startswith("FAIL")]
        if bad:
            raise Failed("the test backend complains:\n" + "\n".join(bad))


class Bench:
    def __init__(self, lab, guest):
        self.lab, self.guest = lab, guest
        self.back = Back(lab, guest.domid)
        self.front = "/local/domain/%d/device/vgpu/0" % guest.domid

    def state(self, want, timeout=30):
        self.lab.wait_xenstore(self.front + "/state", str(want), timeout)

    def connected(self):
        self.state(4)
        self.guest.sh("test -c /dev/vgpu0")

    def reconnect(self):
        """Through Closing and Closed, as after a failure."""
        self.back.do("close")
        self.back.wait("state 6")
        self.back.wait("state 4")
        self.connected()

    def probe(self, args, want=0, timeout=60):
        rc, out = self.guest.run("vgpu_probe " + args, timeout)
        expect(rc, want, "vgpu_probe %s, which printed %s" % (args, out))
        return out


def nothing_left(b):
    """The caps count nothing that is not there: what is allowed to the page can be had."""
    path = "/sys/module/xen_vgpufront/parameters/max_pages"
    b.guest.sh("echo %d > %s" % (38 + 100, path))
    matches(b.probe("add 100 < /dev/null"), "POOL_ADD: 0", "all pages that max_pages allows")
    b.guest.sh("echo 0 > " + path)
    b.back.wait("destroy 1")


def no_backend(b):
    """Loaded with a device but no backend: insmod ends after 5 s, one clear line after 10 s."""
    b.back.do("attach")
    start = time.monotonic()
    b.guest.sh("insmod " + MODULE, 60)
    took = time.monotonic() - start
    if took > 20:  # the emulated machine's clock and ours differ a little
        raise Failed("insmod took %.0f s" % took)
    b.guest.wait_console("no backend after")
    lines = [x for x in b.guest.console if "no backend after" in x]
    expect(len(lines), 1, "lines about the missing backend")
    matches(lines[0], r"vgpu0: no backend after 10 s: /local/domain/0/backend/vgpu/\d+/0 is in "
                      r"state Initialising; is gvm-backd running in domain 0", "line")
    b.back.do("offer")
    b.back.wait("state 4")
    b.connected()
    b.guest.wait_console(r"vgpu0: connected to domain 0, version 1, max-channels 4, "
                         r"max-pages 65536")


def rules(b):
    """All rules of vgpu_ioctl.h that one process can check."""
    out = b.probe("rules", timeout=120)
    matches(out, r"rules: \d+ passed, 0 failed", "vgpu_probe rules")
    for _ in range(3):
        b.back.wait("destroy [12]")


def killed(b):
    """kill -9 of a process with mappings: the channel is destroyed, its number used again."""
    for _ in range(3):
        p = b.guest.spawn("exec vgpu_probe hold 2000")
        p.wait_output("holding channel 1")
        p.kill(9)
        p.wait(10)
        b.back.wait("destroy 1")


def forked_child(b):
    """A child that inherited the file does not keep its dead parent's channel."""
    p = b.guest.spawn("sh -c 'exec 3<>/dev/vgpu0; sleep 1000 & exec vgpu_probe hold 1'")
    p.wait_output("holding channel 1")
    b.guest.sh("kill -9 $(pidof vgpu_probe)")
    b.back.wait("destroy 1")
    b.guest.sh("kill -9 $(pidof sleep)")


def events(b):
    """Doorbells and events."""
    p = b.guest.spawn("exec vgpu_probe wait")
    p.wait_output("waiting on channel 1")
    for _ in range(3):
        seen = len(re.findall("^event", p.out, re.M))
        b.back.do("ring")
        b.guest.agent.wait_for(lambda: len(re.findall("^event", p.out, re.M)) > seen, 10)
        if len(re.findall("^event", p.out, re.M)) <= seen:
            raise Failed("no event arrived; the guest printed:\n" + p.out)
    p.kill(9)
    p.wait(10)
    b.back.wait("destroy 1")


def backend_lost(b):
    """The backend closes under a live channel: errors at once, memory stays, and it comes back."""
    p = b.guest.spawn("exec vgpu_probe wait")
    p.wait_output("waiting on channel 1")
    b.back.do("close")
    rc, out = p.wait(20)
    expect(rc, 0, "exit status of the waiting process, which printed " + out)
    matches(out, r"WAIT: Broken pipe\nNOTIFY: Broken pipe\nPOOL_ADD: Broken pipe\n"
                 r"open: (No such file or directory|No such device)", "waiting process")
    b.guest.wait_console(r"vgpu0: the backend has closed the device; 1 CUDA process's channel has "
                         r"ended")
    b.back.wait("state 4")
    b.connected()
    b.probe("connect")
    b.back.wait("destroy 1")


def killed_while_connecting(b):
    """Killed before the backend answers: the channel is made, and destroyed afterwards."""
    b.back.do("hold")
    p = b.guest.spawn("exec vgpu_probe connect")
    b.back.wait("held op 16 channel 1")
    p.kill(9)
    rc, _ = p.wait(10)
    expect(rc, 137, "status of the killed process")
    b.back.do("answer")
    b.back.wait("destroy 1")
    b.probe("connect")
    b.back.wait("destroy 1")


def killed_while_adding(b):
    """The same for a chunk: the answers to ADD_CHUNK and to the DESTROY after it come late."""
    p = b.guest.spawn("exec vgpu_probe add 3000", stdin=True)
    p.wait_output("channel 1")
    b.back.do("hold")
    p.write("\n")
    b.back.wait("held op 18 channel 1")
    p.kill(9)
    p.wait(10)
    b.back.wait("held op 17 channel 1")
    b.back.do("answer")
    b.back.cmd.wait_output("add 1.0 pages 3000\ndestroy 1")
    nothing_left(b)


def lost_while_adding(b):
    """The backend closes before it answers: the process gets an error at once."""
    p = b.guest.spawn("exec vgpu_probe add 3000", stdin=True)
    p.wait_output("channel 1")
    b.back.do("hold")
    p.write("\n")
    b.back.wait("held op 18 channel 1")
    b.reconnect()
    rc, out = p.wait(10)
    matches(out, "POOL_ADD: (Broken pipe|No such device)", "process in POOL_ADD")
    b.back.do("answer")
    nothing_left(b)


def lost_notification(b):
    """A backend that misses an event, or closes its port and binds it again, as at a restart."""
    b.back.do("miss")
    p = b.guest.spawn("exec vgpu_probe connect")
    b.back.wait("missed")
    rc, out = p.wait(10)
    expect(rc, 0, "connecting process, which printed " + out)
    b.back.wait("destroy 1")
    b.back.do("hold")
    p = b.guest.spawn("exec vgpu_probe connect")
    b.back.wait("held op 16 channel 1")
    b.back.do("deaf", "answer")
    rc, out = p.wait(10)
    expect(rc, 0, "connecting process, which printed " + out)
    b.back.wait("destroy 1")


def no_answer(b):
    """30 s without an answer: ETIMEDOUT and a line; what comes later is undone."""
    b.back.do("hold")
    mark = b.guest.mark()
    out = b.probe("connect", 1, 60)
    matches(out, "CONNECT: Connection timed out", "connecting process")
    b.guest.wait_console("vgpu0: channel 1, pid .*: no answer from the backend to request 16 in "
                         "30 s", since=mark)
    b.back.do("answer")
    b.back.wait("destroy 1")


def refused(b):
    """What the backend refuses, and windows that cannot be, are one channel's affair."""
    b.back.do("bad refuse")
    matches(b.probe("connect", 1), "CONNECT: No space left on device", "refused CONNECT")
    b.back.do("bad window")
    matches(b.probe("connect", 1), "CONNECT: Protocol error", "CONNECT with a bad window")
    b.back.wait("destroy 1")
    b.probe("connect")
    b.back.wait("destroy 1")


VIOLATIONS = {
    "prod": "moved rsp_prod",
    "id": "answers no request",
    "op": "is of another kind",
    "status": "has a status that is no error number",
    "channel": "names another channel",
    "reserved": "has reserved fields",
}


def violations(b):
    """A backend that breaks the control ring: one line, errors, nothing worse; then a new start."""
    for what, text in VIOLATIONS.items():
        p = b.guest.spawn("exec vgpu_probe hold 3")
        p.wait_output("holding channel 1")
        b.back.do("bad " + what)
        mark = b.guest.mark()
        matches(b.probe("connect", 1), "CONNECT: Input/output error", "CONNECT after " + what)
        b.guest.wait_console("vgpu0: the backend.*%s.*control ring disabled" % text, since=mark)
        matches(b.probe("connect", 1), "CONNECT: Input/output error", "second CONNECT")
        p.kill(9)
        p.wait(10)
        b.reconnect()
        b.probe("connect")
        b.back.wait("destroy 1")


def caps(b):
    """Limits of the backend and of the module, each with its line."""
    mark = b.guest.mark()
    matches(b.probe("many 6"), "connected 4: No space left", "more than max-channels")
    b.guest.wait_console(r"one channel more than the backend's max-channels \(4\)", since=mark)
    for _ in range(4):
        b.back.wait("destroy [1234]")
    for name, value, args, text, back in (
            ("max_channels", 2, "many 3", "connected 2: No space left", 2),
            ("max_channels_per_uid", 1, "many 3", "connected 1: No space left", 1),
            ("reserve_ports", 1022, "many 3", "connected 1: No space left", 1),
            ("max_pages_per_open", 100, "add 100", "POOL_ADD: No space left", 1),
            ("max_pages_per_uid", 100, "add 100", "POOL_ADD: No space left", 1),
            ("max_pages", 100, "add 100", "POOL_ADD: No space left", 1),
            ("reserve_grants", 32700, "add 100", "POOL_ADD: No space left", 1)):
        path = "/sys/module/xen_vgpufront/parameters/" + name
        old = b.guest.sh("cat " + path).strip()
        b.guest.sh("echo %d > %s" % (value, path))
        mark = b.guest.mark()
        _, out = b.guest.run("vgpu_probe " + args)
        matches(out, text, "%s=%d" % (name, value))
        b.guest.wait_console("vgpu0: uid 0, pid .*(channel more than|pages more than).*%s" % name,
                             since=mark)
        b.guest.sh("echo %s > %s" % (old, path))
        for _ in range(back):
            b.back.wait("destroy [1234]")


def churn(b):
    """Many short-lived channels leave nothing behind."""
    ports = b.lab.sh("lsevtchn %d | wc -l" % b.guest.domid)
    b.probe("churn 40", timeout=120)
    for _ in range(40):
        b.back.wait("destroy [1234]")
    nothing_left(b)
    expect(b.lab.sh("lsevtchn %d | wc -l" % b.guest.domid), ports, "ports in use")


def detach(b):
    """The device is taken away under a process that holds mappings, and given back."""
    p = b.guest.spawn("exec vgpu_probe hold 1000")
    p.wait_output("holding channel 1")
    b.back.do("online 0", "close")
    b.back.wait("state 6")
    b.back.do("remove")
    b.lab.wait_xenstore(b.front, None)
    b.guest.sh("while [ -e /sys/bus/xen/devices/vgpu-0 ]; do :; done", 20)
    expect(b.guest.run("ls /dev/vgpu0")[0], 1, "status of ls /dev/vgpu0")
    b.back.do("attach", "offer")
    b.back.wait("state 4")
    b.connected()
    b.probe("connect")
    b.back.wait("destroy 1")
    expect(p.rc, None, "the process that holds the old mappings")
    p.kill(9)
    p.wait(10)


def removed_at_once(b):
    """The directories vanish without a word, as when a driver domain dies."""
    p = b.guest.spawn("exec vgpu_probe wait")
    p.wait_output("waiting on channel 1")
    b.back.do("remove")
    rc, out = p.wait(20)
    matches(out, "WAIT: Broken pipe", "waiting process")
    b.guest.sh("while [ -e /sys/bus/xen/devices/vgpu-0 ]; do :; done", 20)
    b.back.do("attach", "offer")
    b.back.wait("state 4")
    b.connected()


def unload(b):
    """The module cannot go under an open file, goes when there is none, and comes back."""
    p = b.guest.spawn("exec vgpu_probe hold 10")
    p.wait_output("holding channel 1")
    expect(b.guest.run("rmmod xen_vgpufront")[0] != 0, True, "rmmod under an open file fails")
    p.kill(9)
    p.wait(10)
    b.back.wait("destroy 1")
    for _ in range(5):
        b.guest.sh("rmmod xen_vgpufront", 30)
        b.back.wait("state 6")
        b.guest.sh("insmod " + MODULE, 40)
        b.back.wait("state 4")
        b.connected()
        b.probe("connect")
        b.back.wait("destroy 1")


def unbind(b):
    """The driver is taken off its device under a process that holds mappings."""
    p = b.guest.spawn("exec vgpu_probe wait")
    p.wait_output("waiting on channel 1")
    b.guest.sh("echo vgpu-0 > /sys/bus/xen/drivers/vgpu/unbind", 30)
    rc, out = p.wait(20)
    matches(out, "WAIT: Broken pipe", "waiting process")
    b.back.wait("state 6")
    b.guest.sh("echo vgpu-0 > /sys/bus/xen/drivers/vgpu/bind", 30)
    b.back.wait("state 4")
    b.connected()


def wrong_version(b):
    """Versions are compared one by one."""
    b.back.do("versions 2, 11", "close")
    b.guest.wait_console('the backend speaks versions "2, 11", this driver 1')
    b.guest.wait_console("vgpu0: gave up after 5 attempts")
    b.guest.sh("rmmod xen_vgpufront", 30)
    b.back.do("versions 2, 1,3")
    b.guest.sh("insmod " + MODULE, 40)  # the backend answers its state 1
    b.back.wait("state 4")
    b.connected()


TESTS = [no_backend, rules, killed, forked_child, events, backend_lost, killed_while_connecting,
         killed_while_adding, lost_while_adding, lost_notification, no_answer, refused, violations, caps, churn,
         detach, removed_at_once, unload, unbind, wrong_version]


def run(lab, guest, tests=TESTS, say=print):
    """Runs the tests in one guest; returns (passed, [failed names]).  Later tests need what earlier
    ones set up only as far as the device is concerned: it is connected between them."""
    bench = Bench(lab, guest)
    failed = []
    lab.trouble()  # emulation makes the kernel warn about the processor while it boots
    for test in tests:
        start = time.monotonic()
        try:
            test(bench)
            bench.back.check()
            trouble = lab.trouble()
            if trouble:
                raise Failed("kernel trouble:\n" + "\n".join(trouble))
            say("frontend: %s passed (%.1f s)" % (test.__name__, time.monotonic() - start))
        except Exception as e:  # LabError too: the next test may still tell something
            failed.append(test.__name__)
            say("frontend: %s FAILED: %s" % (test.__name__, e))
            try:  # what the failed test left behind must not fail the next ones
                bench.back.do("answer")
                bench.back.at = len(bench.back.cmd.out)
                bench.reconnect()
            except Exception as e2:
                say("frontend: no fresh start after it: %s" % e2)
    return len(tests) - len(failed), failed

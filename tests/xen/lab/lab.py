# SPDX-License-Identifier: MIT
"""Lab: one Xen host in QEMU.  Guest: one of its guests."""
import fcntl
import os
import re
import shlex
import threading
import time

from . import image, qemu
from .agent import Agent, LabError
from .packages import Packages
from .paths import LOGS, TREE, XEN

TROUBLE = re.compile(r"BUG:|WARNING:|Oops|general protection|refcount_t|stack-protector|"
                     r"soft lockup|hung_task|blocked for more than|Bad page|Kernel panic")
# dom0's kernel about itself; it runs no code of ours, and what is named is no program of ours
STALL = re.compile(r"soft lockup - CPU#\d+ stuck for \d+s! \[(?!gvm)|rcu: INFO: .*detected.* stall")


class Guest:
    """A running guest.  Its console is its command channel; lines that are no frames are in
    `console`."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self._log = open(os.path.join(lab.logs, "guest-%s.log" % name), "ab")
        rc, out = lab.dom0("xl domid %s" % name, 30)
        if rc:
            raise LabError("no domain %s: %s" % (name, out))
        self.domid = int(out)
        tty = lab.sh("xenstore-read /local/domain/%d/console/tty" % self.domid, 30).strip()
        self._relay = lab.agent.start("exec labagent relay %s" % tty, stdin=True)
        self.agent = Agent("guest " + name, self._relay.write)
        self.agent.on_line = self._write_log
        self._relay.on_output = self.agent.feed
        self._relay.on_end = lambda: self.agent.lost("the guest is gone")

    def _write_log(self, line):
        self._log.write(line + b"\n")
        self._log.flush()

    def wait_ready(self, timeout):
        if not self.agent.wait_for(lambda: self.agent.ready or self.agent.gone, timeout) \
                or not self.agent.ready:
            raise LabError("guest %s: not ready within %g s (%s)\n%s\n%s" % (
                self.name, timeout, self.agent.gone or "still running", self.agent.tail(),
                self.lab.diagnose()))

    @property
    def console(self):
        return self.agent.console

    def run(self, cmd, timeout=60, stdin=None):
        """(exit status, output) of a shell command in the guest."""
        return self.agent.run(cmd, timeout, stdin)

    def sh(self, cmd, timeout=60):
        """Output of a command that must succeed."""
        rc, out = self.run(cmd, timeout)
        if rc:
            raise LabError("guest %s: %r ended with status %d:\n%s\n%s"
                           % (self.name, cmd, rc, out[-3000:], self.agent.tail()))
        return out

    def spawn(self, cmd, stdin=False):
        """Starts a command; wait(), wait_output(), write(), kill() of what it returns."""
        return self.agent.start(cmd, stdin)

    def mark(self):
        """A position in the console, for wait_console(since=)."""
        return len(self.agent.console)

    def wait_console(self, regex, timeout=60, since=0):
        return self.agent.wait_console(regex, timeout, since)

    def close(self):
        if not self._log.closed:
            self._relay.kill(9)
            self.agent.lost("closed")
            self._log.close()


class Lab:
    """One boot of Xen.  Use as a context manager, or call boot() and close()."""

    def __init__(self, run="lab", say=lambda text: None):
        """run: name of this run's folder under build/xen/logs."""
        self.say = say
        self.logs = os.path.join(LOGS, run)
        os.makedirs(self.logs, exist_ok=True)
        self.guests = {}
        self.parts = {}
        self.drives = ()  # raw images of disks, which stay as they are
        self.dom0_args = ""  # more of its kernel's command line
        self.proc = None
        self.release = None
        self.excused, self._stalls_seen = set(), 0
        self._lock = threading.Lock()

    # --- building and booting ---

    def prepare(self):
        """Packages and images; quick when nothing changed."""
        os.makedirs(XEN, exist_ok=True)
        with open(os.path.join(XEN, "lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.packages = Packages()
            self.packages.ensure(self.say)
            self.release = self.packages.release
            agent = image.build_agent()
            self.parts = image.payload(self.release)
            self._images(agent)

    def _images(self, agent):
        guest = os.path.join(XEN, "guest.img")
        image.guest_image(self.packages, agent, self.parts).write(guest)
        driver = os.path.join(XEN, "driver.img")
        image.driver_image(self.packages, self.parts).write(driver)
        self.initrd = os.path.join(XEN, "dom0.img")
        image.dom0_image(self.packages, agent, self.parts, guest, self._config(), driver).write(
            self.initrd)

    @staticmethod
    def _config():
        for name in ("packaging/gvm.conf", "dom0-backend/agent/gvm.conf"):
            path = os.path.join(TREE, name)
            if os.path.exists(path):
                return open(path).read()
        return None

    def boot(self, xenstored="C", memory=2560, dom0_memory=1024, smp=2, pvh=True, shell=False,
             timeout=180):
        """Boots Xen and dom0.  xenstored: "C" or "oxenstored"; memory in MiB, timeout in s.
        pvh=False leaves SVM emulation out; shell=True puts a shell on the terminal socket."""
        if xenstored not in ("C", "oxenstored"):
            raise ValueError("xenstored=%r: allowed are C and oxenstored" % xenstored)
        self.prepare()
        self.xenstored = xenstored
        args = "lab.xenstored=%s%s %s" % (xenstored, " lab.shell" if shell else "", self.dom0_args)
        self.xen_log = os.path.join(self.logs, "xen.log")
        start = time.monotonic()
        self.proc, self._sock, self.terminal = qemu.start(
            xen=self.packages.xen, kernel=self.packages.kernel, initrd=self.initrd,
            log=self.xen_log, dom0_args=args, memory=memory, dom0_memory=dom0_memory, smp=smp,
            pvh=pvh, drives=self.drives)
        self.agent = Agent("dom0", self._send)
        self._log = open(os.path.join(self.logs, "dom0.log"), "ab")
        self.agent.on_line = self._write_log
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self.agent.wait_for(lambda: self.agent.ready or self.agent.gone, timeout) \
                or not self.agent.ready:
            text = "Xen and dom0 not up within %g s%s\n%s" % (
                timeout, " (%s)" % self.agent.gone if self.agent.gone else "", self.xen_tail())
            self.close()
            raise LabError(text)
        self.boot_seconds = time.monotonic() - start
        return self

    def _write_log(self, line):
        self._log.write(line + b"\n")
        self._log.flush()

    def _send(self, data):
        with self._lock:
            try:
                self._sock.sendall(data)
            except OSError:
                pass  # the reader sees the end and says so

    def _read(self):
        while True:
            try:
                data = self._sock.recv(65536)
            except OSError:
                data = b""
            if not data:
                break
            self.agent.feed(data)
        self.agent.lost("QEMU ended")
        for guest in list(self.guests.values()):
            guest.agent.lost("QEMU ended")

    def close(self):
        """Ends the machine; keeps the logs."""
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
        if self.proc:
            self.proc.wait()
            self._sock.close()
            self.terminal.close()
            self.proc = None
        for guest in self.guests.values():
            guest._log.close()
        self.guests.clear()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # --- dom0 ---

    def dom0(self, cmd, timeout=60, stdin=None):
        """(exit status, output) of a shell command in dom0."""
        return self.agent.run(cmd, timeout, stdin)

    def sh(self, cmd, timeout=60):
        """Output of a command in dom0 that must succeed."""
        rc, out = self.dom0(cmd, timeout)
        if rc:
            raise LabError("dom0: %r ended with status %d:\n%s\n%s"
                           % (cmd, rc, out[-3000:], self.agent.tail()))
        return out

    def spawn(self, cmd, stdin=False):
        """Starts a command in dom0."""
        return self.agent.start(cmd, stdin)

    def put(self, path, text, mode=0o644):
        """Writes a file in dom0."""
        rc, out = self.dom0("mkdir -p $(dirname %s) && cat > %s && chmod %o %s"
                            % (path, path, mode, path), 60, text)
        if rc:
            raise LabError("dom0: cannot write %s: %s" % (path, out))

    def wait_console(self, regex, timeout=60, since=0):
        return self.agent.wait_console(regex, timeout, since)

    def mark(self):
        return len(self.agent.console)

    # --- guests ---

    @staticmethod
    def config(name, type="pv", vgpu=None, memory=256, vcpus=1, cmdline="", extra=""):
        """Text of an xl.cfg.  vgpu: list of entries; cmdline: "lab.nofront" leaves the module out,
        "lab.shell" puts a plain shell on the console."""
        # Without a TSC feature bit Linux does not calibrate it by 100,000 trapped port reads, which
        # take a second in an emulated PV guest and six in a PVH one; Xen's clock is used anyway.
        return "\n".join([
            'name = "%s"' % name, 'type = "%s"' % type, "memory = %d" % memory,
            "vcpus = %d" % vcpus, 'kernel = "/boot/vmlinux"', 'ramdisk = "/boot/guest.img"',
            'cmdline = "console=hvc0 quiet loglevel=4 mitigations=off nokaslr oops=panic panic=1 '
            'clearcpuid=tsc lpj=8000000 pci=off %s"' % cmdline,
            'on_crash = "preserve"', 'on_reboot = "destroy"',
        ] + (["vgpu = [ %s ]" % ", ".join("'%s'" % v for v in vgpu)] if vgpu else [])
            + ([extra] if extra else [])) + "\n"

    def create(self, name, text=None, timeout=120, folder="/etc/xen", wait=True, **options):
        """Creates a guest by plain `xl create FILE` and waits until it takes commands.  text: its
        file, default config(name, **options)."""
        path = "%s/%s.cfg" % (folder, name)
        self.put(path, text or self.config(name, **options))
        start = time.monotonic()
        rc, out = self.dom0("xl create " + path, timeout)
        if rc:
            raise LabError("xl create %s ended with status %d:\n%s\n%s"
                           % (path, rc, out, self.diagnose()))
        created = time.monotonic()
        guest = Guest(self, name)
        guest.create_output = out
        self.guests[name] = guest
        if wait:
            guest.wait_ready(timeout)
        guest.create_seconds = created - start
        guest.ready_seconds = time.monotonic() - created
        return guest

    def destroy(self, name, timeout=60):
        """xl destroy; returns when the domain's console is gone too."""
        guest = self.guests.pop(name, None)
        self.sh("xl destroy " + name, timeout)
        if guest:
            guest.agent.wait_for(lambda: guest.agent.gone, timeout)
            guest.close()

    # --- XenStore and diagnosis ---

    def xenstore(self, path):
        """The value of a node, or None."""
        rc, out = self.dom0("xenstore-read " + path, 30)
        return out.rstrip("\n") if rc == 0 else None

    def wait_xenstore(self, path, want, timeout=30):
        """Waits until a node has the value want (None: until it is gone), by a watch."""
        test = '[ -n "$v" ] && [ "$v" = %s ]' % shlex.quote(want) if want is not None \
            else "! xenstore-exists %s" % path
        # xenstore-watch reports once at once; it is killed with the group when the test holds
        cmd = ("xenstore-watch %s 2>&1 | while read -r x; do v=$(xenstore-read %s 2>/dev/null); "
               "if %s; then echo LAB-REACHED; break; fi; done" % (path, path, test))
        watch = self.spawn(cmd)
        try:
            watch.wait_output("^LAB-REACHED$", timeout)
        except LabError:
            raise LabError("%s did not become %r within %g s, is %r\n%s" % (
                path, want, timeout, self.xenstore(path), self.diagnose())) from None
        finally:
            watch.kill(9)

    def xen_tail(self, n=30):
        parts = []
        for path in (self.xen_log + ".qemu", self.xen_log):
            if os.path.exists(path):
                lines = open(path, errors="replace").read().split("\n")
                parts.append("--- last lines of %s ---\n%s" % (path, "\n".join(lines[-n:])))
        return "\n".join(parts)

    def diagnose(self):
        """What dom0 knows, for a failure's text; also collects dom0's logs."""
        try:
            _, out = self.dom0("xl list; for f in /var/log/xen/xl-*.log /var/log/gvm/*; do "
                               "[ -f $f ] && echo \"--- $f ---\" && tail -n 15 $f; done", 30)
        except LabError as e:
            out = str(e)
        return "%s\n%s\n%s" % (out, self.agent.tail(), self.xen_tail(15))

    def collect(self):
        """Copies dom0's log files and the XenStore tree to the logs folder."""
        try:
            _, out = self.dom0("for f in $(find /var/log -type f | grep -v console/guest); do "
                               "echo \"--- $f ---\"; cat $f; done; echo '--- xenstore-ls -f ---'; "
                               "xenstore-ls -f; echo '--- xl list ---'; xl list; ps", 60)
        except LabError as e:
            out = str(e)
        with open(os.path.join(self.logs, "dom0-files.log"), "w") as f:
            f.write(out)

    def trouble(self):
        """Lines of kernel trouble that dom0, Xen or a guest reported since the last call."""
        found = []
        for who in [self] + list(self.guests.values()):
            lines = who.agent.console
            seen = getattr(who, "_looked", 0)
            found += ["%s: %s" % (who.agent.name, x) for n, x in enumerate(lines[seen:], seen)
                      if TROUBLE.search(x) and not (who is self and n in self.excused)]
            who._looked = len(lines)
        return found

    def stalls(self):
        """Lines since the last call in which dom0's kernel says that it stood still for 20 s or more,
        which a machine does that is emulated on a busy one. trouble() leaves these out from now on."""
        try:
            self.dom0("true", 240)  # it says so when it goes on
        except LabError:
            pass
        lines, seen = self.agent.console, self._stalls_seen
        found = [n for n in range(seen, len(lines)) if STALL.search(lines[n])]
        self.excused.update(found)
        self._stalls_seen = len(lines)
        return [lines[n] for n in found]

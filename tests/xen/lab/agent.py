# SPDX-License-Identifier: MIT
"""The driver's end of labagent (agent.c): commands in dom0 and, through dom0, in guests."""
import re
import threading


class LabError(Exception):
    """Something in the lab did not happen; the text ends with the last lines of the consoles."""


def escape(data):
    if isinstance(data, str):
        data = data.encode()
    return b"".join(b"\\x%02x" % c if c < 0x20 or c >= 0x7f or c == 0x5c else bytes((c,))
                    for c in data)


def unescape(data):
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes((int(m.group(1), 16),)), data)


class Command:
    """A command that runs, or ran, under an agent."""

    def __init__(self, agent, ident, text):
        self.agent, self.ident, self.text = agent, ident, text
        self.rc = None
        self.gone = None   # why no exit status will ever come
        self._out = bytearray()
        self.on_output = None  # takes the output instead of `out`
        self.on_end = None

    @property
    def out(self):
        with self.agent.cond:
            return self._out.decode(errors="replace")

    def wait(self, timeout=60):
        """(exit status, output); 128 + signal for a killed one.  Kills it at the timeout."""
        if not self.agent.wait_for(lambda: self.rc is not None or self.gone, timeout):
            self.kill(9)
            raise LabError("%s: no end of %r within %g s; its output so far:\n%s\n%s"
                           % (self.agent.name, self.text, timeout, self.out[-3000:],
                              self.agent.tail()))
        if self.rc is None:
            raise LabError("%s: %s while %r ran; its output so far:\n%s\n%s"
                           % (self.agent.name, self.gone, self.text, self.out[-3000:],
                              self.agent.tail()))
        return self.rc, self.out

    def wait_output(self, regex, timeout=60):
        """The match of regex in the output so far; fails if the command ends without it."""
        pattern = re.compile(regex, re.M)
        found = []

        def look():
            found[:] = [pattern.search(self._out.decode(errors="replace"))]
            return found[0] or self.rc is not None or self.gone
        self.agent.wait_for(look, timeout)
        if not found[0]:
            raise LabError("%s: %r did not print /%s/ within %g s%s; output:\n%s\n%s" % (
                self.agent.name, self.text, regex, timeout,
                "" if self.rc is None else " but ended with status %d" % self.rc,
                self.out[-3000:], self.agent.tail()))
        return found[0]

    def write(self, data):
        """Feeds stdin (of a command started with stdin=True)."""
        data = data.encode() if isinstance(data, str) else data
        for i in range(0, len(data), 4096):
            self.agent.send(b"I %d %s" % (self.ident, escape(data[i:i + 4096])))

    def close_stdin(self):
        self.agent.send(b"E %d" % self.ident)

    def kill(self, signal=9):
        """Signals the command's process group."""
        if self.rc is None and not self.gone:
            self.agent.send(b"K %d %d" % (self.ident, signal))


class Agent:
    """One labagent.  `send_bytes` carries lines to it; feed() takes what it says."""

    def __init__(self, name, send_bytes):
        self.name = name
        self._send = send_bytes
        self.cond = threading.Condition()
        self.ready = False
        self.gone = None
        self.console = []   # lines outside frames and kernel messages, as the console showed them
        self._commands = {}
        self._next = 1
        self._rest = b""
        self.on_line = None  # called with each complete line, for logs

    def wait_for(self, test, timeout):
        with self.cond:
            return self.cond.wait_for(test, timeout)

    def send(self, line):
        self._send(line + b"\n")

    def start(self, text, stdin=False):
        with self.cond:
            cmd = Command(self, self._next, text)
            self._next += 1
            if self.gone:
                raise LabError("%s: %s\n%s" % (self.name, self.gone, self.tail()))
            self._commands[cmd.ident] = cmd
        self.send(b"%s %d %s" % (b"S" if stdin else b"R", cmd.ident, escape(text)))
        return cmd

    def run(self, text, timeout=60, stdin=None):
        cmd = self.start(text, stdin is not None)
        if stdin is not None:
            cmd.write(stdin)
            cmd.close_stdin()
        return cmd.wait(timeout)

    def lost(self, why):
        """The channel ended: nothing running will report any more."""
        with self.cond:
            self.gone = self.gone or why
            for cmd in self._commands.values():
                cmd.gone = cmd.gone or why
            self._commands.clear()
            self.cond.notify_all()

    def tail(self, n=25):
        with self.cond:
            return "--- last console lines of %s ---\n%s" % (self.name,
                                                            "\n".join(self.console[-n:]))

    def wait_console(self, regex, timeout=60, since=0):
        """The match of regex on a console line (kernel message or plain text) from `since` on."""
        pattern = re.compile(regex)
        found = []

        def look():
            found[:] = [m for m in map(pattern.search, self.console[since:]) if m][:1]
            return found or self.gone
        self.wait_for(look, timeout)
        if not found:
            raise LabError("%s: no console line /%s/ within %g s%s\n%s" % (
                self.name, regex, timeout, " (%s)" % self.gone if self.gone else "", self.tail()))
        return found[0]

    def feed(self, data):
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self._line(line.rstrip(b"\r"))

    def _line(self, line):
        if self.on_line:
            self.on_line(line)
        # a kernel message may have been printed in front of the first frame
        found = re.match(rb"@(?:(H)$|(L) (.*)|([OoXP]) (\d+)(?: (.*))?)", line)
        with self.cond:
            if not found:
                self.console.append(line.decode(errors="replace"))
            elif found.group(1):
                self.ready = True
            elif found.group(2):
                self.console.append(unescape(found.group(3)).decode(errors="replace"))
            else:
                self._frame(found.group(4), int(found.group(5)), found.group(6) or b"")
            self.cond.notify_all()

    def _frame(self, kind, ident, text):
        cmd = self._commands.get(ident)
        if not cmd:
            return
        if kind in b"Oo":
            data = unescape(text) + (b"\n" if kind == b"O" else b"")
            if cmd.on_output:
                cmd.on_output(data)
            else:
                cmd._out += data
        elif kind == b"X":
            cmd.rc = int(text)
            del self._commands[ident]
            if cmd.on_end:
                cmd.on_end()



#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""labctl.py shell | run [OPTION...] COMMAND - the Xen lab by hand.

  shell                  dom0's shell on this terminal; a guest with a vgpu and a shell on its
                         console is one command away (the shell says which)
  run COMMAND            boots, runs a command in dom0, shows its output, ends
  run --guest pv COMMAND the same in a guest with a vgpu (pv or pvh), gvm-backd running
"""
import argparse
import os
import select
import shutil
import sys
import termios
import tty

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from lab import Lab, LabError  # noqa: E402
from xentest import ALL, VGPU, Failed, backd, connected  # noqa: E402

def say(text):
    print(text, flush=True)


def interact(sock):
    """The terminal against the lab's, until Ctrl-] twice, or QEMU's end."""
    if not sys.stdin.isatty():
        raise LabError("labctl.py shell needs a terminal; labctl.py run COMMAND does not")
    old = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        while True:
            for fd in select.select([0, sock], [], [])[0]:
                data = os.read(0, 4096) if fd == 0 else sock.recv(65536)
                if not data:
                    return
                if fd == 0:
                    # inside `xl console` the key belongs to xl; twice in a row ends the lab
                    if data == b"\x1d\x1d" or (data == b"\x1d" and interact.last == b"\x1d"):
                        return
                    interact.last = data
                    sock.sendall(data)
                else:
                    os.write(1, data)
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, old)


interact.last = b""


def shell(lab, args):
    say("Booting Xen under QEMU ...")
    lab.boot(xenstored=args.xenstored, shell=True)
    built = all(lab.parts.get(p) for p in ALL)
    kind = args.guest or "pv"
    lab.put("/etc/xen/%s.cfg" % kind, lab.config(kind, type=kind, vgpu=[VGPU] if built else None,
                                                 cmdline="lab.shell"))
    if built:
        lab.spawn("exec gvm-backd > /var/log/gvm-backd.log 2>&1")
    say("Creating guest %s ..." % kind)
    lab.sh("xl create /etc/xen/%s.cfg" % kind, 120)
    columns, lines = shutil.get_terminal_size()
    lab.sh("stty -F /dev/hvc1 cols %d rows %d" % (columns, lines))
    say("\r\ndom0's shell is on this terminal; press Enter.\r\n"
        "  xl list; %s\r\n"
        "  xl console %s     the guest's console; Ctrl-] goes back to dom0\r\n"
        "Ctrl-] twice ends the lab.  Logs: %s\r"
        % ("gvm list; /var/log/gvm-backd.log" if built else "(GVM is not built: plain Xen)", kind,
           lab.logs))
    interact(lab.terminal)
    say("\nlab ended")


def run(lab, args):
    lab.boot(xenstored=args.xenstored)
    command = " ".join(args.command)
    if args.guest:
        missing = [p for p in ALL if not lab.parts.get(p)]
        if missing:
            say("not built: %s; the guest gets no vgpu" % ", ".join(missing))
        else:
            backd(lab)
        guest = lab.create(args.guest, type=args.guest, vgpu=None if missing else [VGPU])
        if not missing:
            connected(lab, guest)
        rc, out = guest.run(command, args.timeout)
    else:
        rc, out = lab.dom0(command, args.timeout)
    sys.stdout.write(out)
    lab.collect()
    return rc


def main():
    p = argparse.ArgumentParser(description="The Xen lab by hand.")
    p.add_argument("action", choices=("shell", "run"))
    p.add_argument("--guest", choices=("pv", "pvh"), help="kind of guest")
    p.add_argument("--xenstored", choices=("C", "oxenstored"), default="C")
    p.add_argument("--timeout", type=float, default=300, help="seconds for the command")
    p.add_argument("command", nargs="*")
    args = p.parse_args()
    if (args.action == "run") != bool(args.command):
        p.error("run needs a command, shell takes none")
    with Lab("labctl", say=say) as lab:
        try:
            return run(lab, args) if args.action == "run" else shell(lab, args)
        except (LabError, Failed) as e:
            print("%s\nlogs: %s" % (e, lab.logs), file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())

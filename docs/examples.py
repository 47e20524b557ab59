#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""examples.py BUILD [--lab] - make docs-examples: runs what docs/diagnosis.md shows, and puts the
output into it.

A block that begins with the line `<!-- example NAME -->` holds what example NAME printed. Without
--lab those of the local transport are made; with it, those of a real Xen host (tests/xen/lab) too. An
example that fails leaves the file as it was.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(TREE, 'docs', 'diagnosis.md')
BLOCK = re.compile(r'(<!-- example (\S+) -->\n```text\n)(.*?)(```\n)', re.S)


class Failed(Exception):
    """An example did not do what it is to show."""


def shell(command, status=0, **options):
    """The command as typed, and what it printed."""
    p = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=120, **options)
    if p.returncode != status:
        raise Failed('%s: status %d:\n%s' % (command, p.returncode, p.stdout))
    return '$ %s\n%s' % (command, p.stdout)


def shorten(text, head, tail=0):
    """The first and last lines of a long answer."""
    lines = text.rstrip('\n').split('\n')
    if len(lines) > head + tail + 1:
        lines = lines[:head] + ['...'] + (lines[-tail:] if tail else [])
    return '\n'.join(lines) + '\n'


def local(build):
    """Examples without Xen, on the software device."""
    found = {}
    folder = tempfile.mkdtemp(prefix='gvm-examples-')
    sock = os.path.join(folder, 'backd')
    env = dict(os.environ, PATH=os.path.abspath(build) + ':' + os.environ['PATH'], GVM_BACKD=sock)
    programs = os.path.join(os.path.abspath(build), 'conformance')
    daemon = subprocess.Popen(['gvm-backd', '--local', sock, '--kind', 'ptx', '--mem', str(1 << 30),
                               '--log-level', 'warning'], env=env)
    busy = None
    try:
        end = time.monotonic() + 20
        while not os.path.exists(sock + '.query'):
            if time.monotonic() > end:
                raise Failed('gvm-backd does not serve ' + sock)
            time.sleep(0.05)
        busy = subprocess.Popen(['gvm', 'run', '--', os.path.join(programs, 'eventspin')], env=env,
                                stdout=subprocess.PIPE, start_new_session=True)
        busy.stdout.readline()
        found['metrics'] = shorten(shell('gvm metrics', env=env), 40)
        os.killpg(busy.pid, signal.SIGKILL)
        busy.communicate()
        busy = None
        trace = subprocess.Popen(['gvm', 'trace'], env=env, stdout=subprocess.PIPE, text=True)
        shell('gvm list', env=env)  # by its answer the trace has begun
        shell('gvm run -- %s/vectorAdd' % programs, env=env)
        time.sleep(0.3)  # the trace looks 50 times a second
        trace.send_signal(signal.SIGTERM)
        found['trace'] = '$ gvm trace &\n$ gvm run -- ./vectorAdd\n' + trace.communicate(timeout=20)[0]
        if ' Launch' not in found['trace']:
            raise Failed('no launch in the trace:\n' + found['trace'])
        found['doctor-program'] = shell('gvm doctor ./staticlink', status=1, env=env, cwd=programs)
    finally:
        if busy:
            os.killpg(busy.pid, signal.SIGKILL)
        daemon.terminate()
        daemon.wait(20)
        os.rmdir(folder)
    return found


def lab():
    """Examples in a real Xen host under QEMU, with a PV guest."""
    sys.path.insert(0, os.path.join(TREE, 'tests', 'xen'))
    from lab import Lab
    from xentest import backd, connected
    found = {}

    def both(machine, command, prompt, status=0):
        rc, out = (machine.dom0 if machine is xen else machine.run)(command)
        if rc != status:
            raise Failed('%s: status %d:\n%s' % (command, rc, out))
        return '%s# %s\n%s' % (prompt, command, out)

    with Lab('examples', say=lambda text: print(text, flush=True)) as xen:
        xen.boot(pvh=False)
        found['doctor-no-daemon'] = both(xen, 'gvm doctor', 'dom0', 1)
        backd(xen)
        guest = xen.create('web1', xen.config('web1', vgpu=['mem=1G,weight=256']))
        connected(xen, guest)
        found['doctor-dom0'] = both(xen, 'gvm doctor', 'dom0')
        found['doctor-guest'] = both(guest, 'gvm doctor', 'web1')
        spin = guest.spawn('eventspin')
        spin.wait_output('started', 60)
        found['list'] = both(xen, 'gvm list processes', 'dom0')
        found['top'] = both(xen, 'gvm top --once', 'dom0')
        found['trace-domain'] = both(xen, 'gvm trace --count 3 web1', 'dom0')
        spin.kill(9)
        xen.sh('gvm detach web1')
        found['doctor-guest-none'] = both(guest, 'gvm doctor', 'web1', 1)
    return found


def main(argv):
    if len(argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    with open(PAGE) as f:
        text = f.read()
    try:
        found = local(argv[1])
        if '--lab' in argv:
            found.update(lab())
    except (Failed, OSError) as e:
        print('examples: %s' % e, file=sys.stderr)
        return 1
    unused = set(found) - {m.group(2) for m in BLOCK.finditer(text)}
    if unused:
        print('examples: docs/diagnosis.md has no block for %s' % ' '.join(sorted(unused)), file=sys.stderr)
        return 1
    text = BLOCK.sub(lambda m: m.group(1) + found.get(m.group(2), m.group(3)) + m.group(4), text)
    with open(PAGE, 'w') as f:
        f.write(text)
    print('examples: %d blocks of docs/diagnosis.md made anew' % len(found))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))

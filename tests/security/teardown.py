#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""teardown.py [--kind cuda|ptx] [--mib N]... BUILD - how long it takes until a killed program is gone.

Over the local transport, with a GPU's real driver: a guest holds N MiB of device memory, runs a kernel
that does not end or copies without end, and then its worker, or the guest's process, gets SIGKILL. From
then on, in milliseconds: until the worker is gone, until the program has come to its end, and until all
of the memory is free again, as another process sees it. For comparison the same program runs natively.
In a second guest a program computes all the while; it must not notice.

With the software device (--kind ptx) there is no free memory to look at: that column is empty. Ends with
`N passed, N failed, N skipped`.
"""
import argparse
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

SLACK = 64 << 20   # of free memory: what the driver itself keeps or gives
GONE = 20          # s until all must be over


class Memory:
    """Free device memory, as a process sees it that has nothing to do with the guests."""

    def __init__(self, kind):
        self.cuda = None
        if kind != 'cuda':
            return
        path = os.path.join(os.environ.get('DRIVER', '/usr/local/nvidia/lib64'), 'libcuda.so.1')
        self.cuda = ctypes.CDLL(path if os.path.exists(path) else 'libcuda.so.1')
        self.context = ctypes.c_void_p()
        self.must(self.cuda.cuInit(0))
        self.must(self.cuda.cuDevicePrimaryCtxRetain(ctypes.byref(self.context), 0))

    @staticmethod
    def must(rc):
        if rc:
            raise SystemExit('the CUDA driver says %d' % rc)

    def free(self):
        left, total = ctypes.c_size_t(), ctypes.c_size_t()
        if self.cuda:
            self.must(self.cuda.cuCtxSetCurrent(self.context))  # of this thread
            self.must(self.cuda.cuMemGetInfo_v2(ctypes.byref(left), ctypes.byref(total)))
        return left.value


class Daemon:
    """gvm-backd with two guests and no warm workers."""

    def __init__(self, build, kind, mib):
        self.dir = tempfile.mkdtemp(prefix='gvm-teardown-')
        self.log = open(os.path.join(self.dir, 'log'), 'wb')
        self.process = subprocess.Popen(
            [build + '/gvm-backd', '--local', self.path(0), '--kind', kind, '--warm', '0', '--guest',
             '%s,mem=%dM' % (self.path(1), mib + 1024), '--guest', self.path(2) + ',mem=1G'] +
            (['--confine'] if os.geteuid() == 0 else []),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log)
        end = time.monotonic() + 20
        while not os.path.exists(self.path(0) + '.query'):
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit('gvm-backd does not start:\n' + self.text())
            time.sleep(0.01)

    def path(self, guest):
        return os.path.join(self.dir, 'guest%d' % guest)

    def text(self):
        with open(os.path.join(self.dir, 'log'), errors='replace') as f:
            return f.read()

    def workers(self):
        """Pids of workers, those below other processes of the daemon included."""
        found, todo = set(), [self.process.pid]
        while todo:
            pid = todo.pop()
            try:
                tasks = os.listdir('/proc/%d/task' % pid)
                children = [int(c) for t in tasks for c in
                            open('/proc/%d/task/%s/children' % (pid, t)).read().split()]
                name = open('/proc/%d/comm' % pid).read()
            except OSError:
                continue
            todo += children
            if name.startswith('gvm-worker'):
                found.add(pid)
        return found

    def descriptors(self):
        return len(os.listdir('/proc/%d/fd' % self.process.pid))

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.dir)


class Bystander:
    """The program in the other guest: how many rounds, and the longest pause between two of them."""

    def __init__(self, build, daemon):
        self.process = subprocess.Popen(
            [build + '/gvm', 'run', '--backd', daemon.path(2), '--', build + '/xen/vgpu_load', 'loop', '2'],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.rounds, self.longest, self.last, self.other = 0, 0.0, time.monotonic(), b''
        self.begun = threading.Event()
        threading.Thread(target=self.read, daemon=True).start()
        if not self.begun.wait(30):
            raise SystemExit('the other guest does not compute: %r' % self.other)

    def read(self):
        for line in self.process.stdout:
            now = time.monotonic()
            if not re.match(rb'n \d+$', line):
                self.other += line
                continue
            if self.rounds:
                self.longest = max(self.longest, now - self.last)
            self.last, self.rounds = now, self.rounds + 1
            self.begun.set()

    def longest_since(self):
        longest, self.longest = self.longest, 0.0
        return 1000 * longest


def until(test, start):
    """Milliseconds from start until the test holds; None when it does not."""
    while not test():
        if time.monotonic() > start + GONE:
            return None
        time.sleep(0.0005)
    return 1000 * (time.monotonic() - start)


def holding(command, env):
    """The program, once it holds its memory and is at work."""
    p = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    line = p.stdout.readline()
    if not line.startswith(b'holds'):
        p.kill()
        raise SystemExit('%s: %r %r' % (' '.join(command), line, p.communicate()))
    time.sleep(0.3)  # in the midst of it, not at its beginning
    return p


class Case:
    def __init__(self, args, memory):
        self.args, self.memory = args, memory
        self.env = dict(os.environ, RESIDUE_IMAGE=args.build + '/security/residue.fatbin')
        self.failed = self.passed = 0

    def one(self, mib, what, kind, daemon=None, other=None):
        env = dict(self.env, RESIDUE_MIB=str(mib))
        program = [self.args.build + '/security/residue', 'hold', what]
        before, workers = self.memory.free(), set()
        if daemon:
            workers = daemon.workers()
            program = [self.args.build + '/gvm', 'run', '--backd', daemon.path(1), '--'] + program
        else:
            env['LD_LIBRARY_PATH'] = '%s:%s' % (os.environ.get('DRIVER', '/usr/local/nvidia/lib64'),
                                                env.get('LD_LIBRARY_PATH', ''))
        p = holding(program, env)
        taken = before - self.memory.free()
        victims = daemon.workers() - workers if daemon else {p.pid}
        if other:
            other.longest_since()
        start = time.monotonic()
        for pid in victims if kind == 'worker' else {p.pid}:
            os.kill(pid, signal.SIGKILL)
        times = {}
        threads = []
        tests = {'program': lambda: p.poll() is not None,
                 'memory': lambda: not self.memory.cuda or self.memory.free() > before - SLACK}
        if daemon:
            tests['worker'] = lambda: not any(os.path.exists('/proc/%d' % v) for v in victims)
        for name, test in tests.items():
            t = threading.Thread(target=lambda n=name, f=test: times.update({n: until(f, start)}))
            threads.append(t)
            t.start()
        for t in threads:
            t.join()
        out = b' '.join(p.communicate()).decode(errors='replace').strip()
        ok = all(v is not None for v in times.values()) and len(victims) == 1
        shown = ', '.join('%s %s' % (n, '%.1f' % v if v is not None else 'not within %d s' % GONE)
                          for n, v in sorted(times.items()) if n != 'memory' or self.memory.cuda)
        text = ''
        if daemon:
            ok = ok and until(lambda: daemon.workers() <= workers, time.monotonic()) is not None
            text = '; other guest paused %.1f at most' % other.longest_since()
            if kind == 'worker':  # an error, not a hang, and not silently right
                ok = ok and p.returncode not in (0, None) and 'error' in out
                text += '; program: ' + out.replace('\n', ' ')[:60]
        print('%-4s %-7s %-6s %6d MiB taken, killed %-8s ms: %s%s' % (
            'ok' if ok else 'FAIL', 'guest' if daemon else 'native', what, taken >> 20, kind, shown, text),
            flush=True)
        self.passed, self.failed = self.passed + ok, self.failed + (not ok)

    def served(self, daemon):
        """A clean state: a program in the guest that was hit works, and nothing is left."""
        r = subprocess.run([self.args.build + '/gvm', 'run', '--backd', daemon.path(1), '--',
                            self.args.build + '/xen/vgpu_load', 'once', '1024'], timeout=30,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        ok = r.returncode == 0 and b'right' in r.stdout
        print('%-4s the guest that was hit is served' % ('ok' if ok else 'FAIL'), flush=True)
        self.passed, self.failed = self.passed + ok, self.failed + (not ok)

    def clean(self, daemon, fds):
        ok = until(lambda: daemon.descriptors() <= fds, time.monotonic()) is not None
        print('%-4s gvm-backd has %d descriptors, before two more had %d' % (
            'ok' if ok else 'FAIL', daemon.descriptors(), fds), flush=True)
        self.passed, self.failed = self.passed + ok, self.failed + (not ok)


def main():
    a = argparse.ArgumentParser(description='How long it takes until a killed program is gone.')
    a.add_argument('--kind', choices=('cuda', 'ptx'), default='cuda')
    a.add_argument('--mib', type=int, action='append', help='device memory (1024 and 65536)')
    a.add_argument('build')
    args = a.parse_args()
    memory = Memory(args.kind)
    case = Case(args, memory)
    for mib in args.mib or [1024, 65536]:
        if args.kind == 'cuda':
            for what in ('kernel', 'copy'):
                case.one(mib, what, 'process')
        daemon = Daemon(args.build, args.kind, mib)
        try:
            other = Bystander(args.build, daemon)
            for what in ('kernel', 'copy'):
                for kind in ('worker', 'process'):
                    case.one(mib, what, kind, daemon, other)
            case.served(daemon)  # by now the audit of memory has opened what it needs
            fds = daemon.descriptors()
            case.one(mib, 'kernel', 'worker', daemon, other)
            case.one(mib, 'copy', 'process', daemon, other)
            case.clean(daemon, fds)
            ok = other.process.poll() is None and not other.other
            print('%-4s the other guest computed %d rounds%s' % (
                'ok' if ok else 'FAIL', other.rounds, '' if ok else ': %r' % other.other), flush=True)
            case.passed, case.failed = case.passed + ok, case.failed + (not ok)
            other.process.kill()
        finally:
            daemon.stop()
    print('%d passed, %d failed, 0 skipped' % (case.passed, case.failed))
    return 1 if case.failed else 0


if __name__ == '__main__':
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""Tests of a guest's memory quota over all of its processes. Imported by run.py."""
import os
import signal
import subprocess
import time


class Guests:
    """A local gvm-backd with several guests, a socket and some options each; used with `with`."""

    def __init__(self, stage, options, kind='ptx', more=()):
        self.stage = stage
        self.sockets = [os.path.join(stage.tmp, '.guest%d' % i) for i in range(len(options))]
        self.command = [os.path.join(stage.dir, 'gvm-backd'), '--local',
                        os.path.join(stage.tmp, '.backd'), '--kind', kind, '--threads', '1',
                        '--warm', '0', '--log-level', 'warning'] + list(more)
        for path, o in zip(self.sockets, options):
            self.command += ['--guest', ','.join([path] + ([o] if o else []))]
        self.user = {}
        if os.getuid() == 0:
            self.user = {'user': stage.user, 'group': stage.user, 'extra_groups': []}
        self.started = []

    def __enter__(self):
        self.p = subprocess.Popen(self.command, cwd=self.stage.tmp, env=self.stage.env,
                                  stderr=subprocess.PIPE, text=True, start_new_session=True,
                                  **self.user)
        end = time.monotonic() + 20
        while not os.path.exists(os.path.join(self.stage.tmp, '.backd.query')):
            if time.monotonic() > end or self.p.poll() is not None:
                raise self.stage.Failed('gvm-backd does not start')
            time.sleep(0.02)
        return self

    def __exit__(self, *what):
        for p in self.started:
            p.end()
        self.p.terminate()
        self.said = self.p.communicate(timeout=20)[1]

    def process(self, guest, program='memquota', args=()):
        p = Process(self, self.sockets[guest], program, args)
        self.started.append(p)
        return p


class Process:
    def __init__(self, guests, socket, program, args):
        stage = guests.stage
        self.stage = stage
        self.p = subprocess.Popen(
            [os.path.join(stage.dir, 'gvm'), 'run', '--backd', socket, '--',
             os.path.join(stage.programs, program)] + list(args), cwd=stage.tmp, env=stage.env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, **guests.user)

    def ask(self, line):
        self.p.stdin.write(line + '\n')
        self.p.stdin.flush()
        said = self.p.stdout.readline()
        while said.startswith('gvm'):
            said = self.p.stdout.readline()
        return said.strip()

    def must(self, line, want):
        got = self.ask(line)
        if got != want:
            raise self.stage.Failed('%s: expected %s, got %s' % (line, want, got))

    def kill(self):
        os.killpg(self.p.pid, signal.SIGKILL)
        self.p.wait()

    def end(self):
        if self.p.poll() is None:
            os.killpg(self.p.pid, signal.SIGKILL)
        self.p.communicate()


def wait_for(p, line, want):
    """What a process that has ended held comes back when its worker is gone, which takes a moment."""
    end = time.monotonic() + 20
    while True:
        got = p.ask(line)
        if got == want:
            return
        if time.monotonic() > end:
            raise p.stage.Failed('%s: expected %s, got %s' % (line, want, got))
        time.sleep(0.02)


def quota_of_guest(stage):
    """Two processes of a guest share its quota, whatever they take; what a killed one held is there
    again; every call tells the same total; another guest notices nothing."""
    with Guests(stage, ['mem=256M', 'mem=256M']) as g:
        a, b, other = g.process(0), g.process(0), g.process(1)
        for p in (a, b, other):
            p.must('info', '256 256')
        a.must('take 100', '0')
        b.must('take 100', '0')
        a.must('info', '56 256')
        b.must('info', '56 256')
        b.must('take 57', '2')
        b.must('pool 57', '2')
        b.must('array 57', '2')
        b.must('graph 57', '2')
        b.must('module 58', '2') # a chunk of 2 MiB more than is left, on a GPU too
        b.must('module 20', '0')
        b.must('take 40', '2')
        a.must('take 40', '2')
        b.must('module 0', '0')
        b.must('take 56', '0')
        # Nothing at all is left to either of them.
        for p in (a, b):
            p.must('info', '0 256')
            p.must('take 1', '2')
        other.must('info', '256 256')
        other.must('take 250', '0')
        other.must('run', '0')
        a.must('give', '0')
        b.must('array 60', '0')
        b.must('graph 30', '0')
        b.must('take 11', '2')
        a.must('run', '0')
        b.kill()
        wait_for(a, 'info', '256 256')
        a.must('take 256', '0')
        other.must('info', '6 256')


def shared_memory_once(stage):
    """Memory that processes of a guest share is there once, however many have it open, and as long as one
    of them has it; there need be no room for it a second time."""
    with Guests(stage, ['mem=256M']) as g:
        a, b, c = g.process(0), g.process(0), g.process(0)
        for p in (a, b, c):
            p.must('info', '256 256')
        a.must('take 160', '0')
        handle = a.ask('export')
        for p in (b, c):
            p.must('open ' + handle, '0')
            for q in (a, b, c):
                q.must('info', '96 256')
        c.must('take 97', '2')
        c.must('take 90', '0')
        b.must('close', '0')
        b.must('open ' + handle, '0')
        a.must('give', '0')
        wait_for(a, 'info', '6 256') # the broker is told, which takes a moment
        a.must('take 7', '2')
        b.kill()
        wait_for(a, 'info', '6 256')
        c.must('close', '0')
        c.must('give', '0')
        wait_for(a, 'info', '256 256')
        # Who exported it is killed.
        a.must('take 160', '0')
        handle = a.ask('export')
        c.must('open ' + handle, '0')
        c.must('info', '96 256')
        a.kill()
        wait_for(c, 'info', '96 256')
        c.must('take 97', '2')
        c.must('close', '0')
        wait_for(c, 'info', '256 256')


TESTS = [quota_of_guest, shared_memory_once]

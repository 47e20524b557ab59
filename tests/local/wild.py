# SPDX-License-Identifier: MIT
"""Tests of kernels that no compiler writes (tests/security/wild.c). Imported by run.py. Two guests of
one gvm-backd: one runs such kernels, again and again, while the other runs programs that must print
what they print when nobody else is there."""
import os
import shutil
import subprocess
import threading
import time

import quota

# kernel, the error that its program gets (0: none; the kernel comes to an end by itself)
FAULTS = (('store', 700), ('load', 700), ('shared', 700), ('local', 700), ('stack', 700),
          ('recurse', 719), ('trap', 719), ('index', 718), ('pointer', 718), ('middle', 718),
          ('heap', 0), ('memory', 2))
ENDLESS = ('spin', 'wait', 'text')
BESIDE = ('t/kernel_integer', 't/kernel_atomics', 't/memory_linear')
LIGHT = ('t/memory_linear', 'vectorAdd', 'reduction')  # no kernel takes long to compile
LIMIT = 120  # seconds


class Pair:
    """Two guests on a device that interprets ('0') or compiles everything ('2')."""

    def __init__(self, stage, jit, more=()):
        self.stage, self.env = stage, stage.env
        built = os.path.join(os.path.dirname(stage.build), 'security', 'wild')
        for path in (os.path.join(stage.build, 'security', 'wild'), built):
            if os.path.exists(path):
                shutil.copy(path, stage.programs)
                break
        else:
            raise stage.Skip('build/security/wild is not built')
        more = list(more)
        if jit == '2':
            plugin = os.path.join(stage.build, 'gvm-ptx-jit.so')
            if not os.path.exists(plugin):
                raise stage.Skip('the compiler plug-in is not built')
            folder = os.path.join(stage.dir, 'jit')
            os.makedirs(folder, exist_ok=True)
            shutil.copy(plugin, folder)
            more += ['--worker', shutil.copy(os.path.join(stage.dir, 'gvm-worker'), folder)]
        stage.env = dict(stage.env, GVM_PTX_JIT=jit)
        self.guests = quota.Guests(stage, ['mem=64M', 'mem=256M'], more=more)

    def __enter__(self):
        try:
            return self, self.guests.__enter__()
        except BaseException:
            self.stage.env = self.env
            raise

    def __exit__(self, *what):
        self.guests.__exit__(*what)
        self.stage.env = self.env


def said(p):
    """What it printed until its end, without lines of ours, and its exit status."""
    out, _ = p.p.communicate(timeout=LIMIT)
    return '\n'.join(x for x in out.split('\n') if not x.startswith('gvm')), p.p.returncode


def beside(g, programs=BESIDE):
    """What the second guest's programs print."""
    return [said(g.process(1, name)) for name in programs]


def contained(stage, jit):
    """Stray stores and loads, endless recursion, memory that ends, wild jumps and calls: each is an
    error of its own program; the other guest's programs print the same as alone."""
    programs = LIGHT if jit == '2' else BESIDE
    with Pair(stage, jit) as (_, g):
        alone = beside(g, programs)
        stage.expect([rc for _, rc in alone], [0] * len(alone), 'alone', str(alone))
        wrong, done, results = [], threading.Event(), []

        def attack():
            # at least once each, and then until the other guest's programs are through
            while not results or not done.is_set():
                for name, error in FAULTS:
                    out, rc = said(g.process(0, 'wild', [name]))
                    if (rc, out) != (0, '%s begins\n%s %d\n' % (name, name, error)):
                        wrong.append('%s: status %d, not error %d: %s' % (name, rc, error, out))
                        return
                results.append(True)

        t = threading.Thread(target=attack)
        t.start()
        try:
            both = [beside(g, programs) for _ in range(2)]
        finally:
            done.set()
            t.join(LIMIT)
        stage.expect(wrong, [], 'errors')
        stage.expect(both, [alone, alone], 'beside them')
        stage.expect(beside(g, programs), alone, 'afterwards')
        stage.expect(g.p.poll(), None, 'gvm-backd')


def wild_interpreted(stage):
    contained(stage, '0')


def wild_compiled(stage):
    contained(stage, '2')


def endless(stage, jit):
    """Kernels that spin, wait and print for ever: cudaErrorLaunchTimeout after --longest-kernel seconds,
    whether anybody else is there or not; the other guest's programs print the same as alone."""
    with Pair(stage, jit, ['--longest-kernel', '4']) as (_, g):
        alone = beside(g, LIGHT)
        stage.expect([rc for _, rc in alone], [0] * len(alone), 'alone', str(alone))
        for name in ENDLESS:
            p = g.process(0, 'wild', [name])
            seen = []

            def read():
                # lines without number, of which all but the first and the last are one
                for line in p.p.stdout:
                    if line != 'nobody reads this\n' and not line.startswith('gvm'):
                        seen.append(line)

            t = threading.Thread(target=read)
            t.start()
            stage.expect(beside(g, LIGHT), alone, 'beside ' + name)
            t.join(LIMIT)
            stage.expect(seen, [name + ' begins\n', name + ' 702\n'], name)
        stage.expect(beside(g, LIGHT), alone, 'afterwards')
    stage.expect(g.said.count('longest_kernel_s'), len(ENDLESS), 'lines', g.said)


def endless_interpreted(stage):
    endless(stage, '0')


def endless_compiled(stage):
    endless(stage, '2')


def short_kernels(stage):
    """Kernels of 25 ms that together take longer than --longest-kernel come to their end."""
    with Pair(stage, '0', ['--longest-kernel', '1']) as (_, g):
        start = time.monotonic()
        stage.expect(said(g.process(0, 'wild', ['turns'])), ('turns begins\nturns 0\n', 0), 'turns')
        stage.expect(time.monotonic() - start > 1.5, True, 'longer than the limit')


def no_clusters(stage):
    """Launches in clusters of several blocks are refused with one line for each kernel."""
    rc, out = stage.run('t/launch_cluster', run=['--kind', 'ptx'])
    stage.expect(rc, 0, 'exit status', out)
    said = [x for x in out.split('\n') if 'cannot be launched in clusters of' in x]
    for kernel, line in zip(('kernel k ', 'kernel fixed '), said):
        for piece in (kernel, 'CUDA error 801', 'allowed are clusters of one block'):
            if piece not in line:
                raise stage.Failed(line)
    stage.expect(len(said), 2, 'lines, one for each kernel', out)


def bad_limits(stage):
    """Bounds of --max-kernel and --longest-kernel, and one line for what is beyond."""
    for option in ('--max-kernel', '--longest-kernel'):
        for text in ('86401', '-1', '1s', ''):
            p = subprocess.run([os.path.join(stage.dir, 'gvm-backd'), '--local',
                                os.path.join(stage.tmp, '.bad'), '--kind', 'ptx', option, text],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               timeout=LIMIT, env=stage.env, stdin=subprocess.DEVNULL)
            lines = p.stdout.strip().split('\n')
            stage.expect((p.returncode != 0, len(lines)), (True, 1), "%s '%s'" % (option, text),
                         p.stdout)
            if '%s %s: not a number from 0 to 86400' % (option, text) not in lines[0]:
                raise stage.Failed(p.stdout)
    for text in ('0', '86400'):
        with quota.Guests(stage, [''],
                          more=['--max-kernel', text, '--longest-kernel', text]) as g:
            out, rc = said(g.process(0, 'vectorAdd'))
            stage.expect(rc, 0, 'limits of ' + text, out)


TESTS = [wild_interpreted, wild_compiled, endless_interpreted, endless_compiled, short_kernels,
         no_clusters, bad_limits]

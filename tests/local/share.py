# SPDX-License-Identifier: MIT
"""Tests of guests that share a device's time. Imported by run.py. How much each gets is measured by
tests/bench/share.py on a GPU, and computed by tests/unit/test_gpushare.c; here nothing depends on
how fast the machine is."""
import os
import re
import select
import socket
import time

import quota


def guests(stage, options, more=()):
    if not os.path.exists(os.path.join(stage.programs, 'share')):
        raise stage.Skip('build/bench/share is not built')
    return quota.Guests(stage, options, more=more)


def ready(g, guest):
    p = g.process(guest, 'share')
    said = p.p.stdout.readline().strip()
    if said != 'ready':
        raise g.stage.Failed('share says ' + said)
    return p


def tell(p, line):
    p.p.stdin.write(line + '\n')
    p.p.stdin.flush()


def hear(p):
    return p.p.stdout.readline().strip()


def leases(g):
    """Nanoseconds that each guest was charged."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.connect(os.path.join(g.stage.tmp, '.backd.query'))
        s.sendall(b'list\n')
        text = b''
        while True:
            more = s.recv(65536)
            if not more:
                break
            text += more
    found = re.findall(r'^device .*devid=(\d+) .*lease_ns=(\d+) ', text.decode(), re.M)
    return [int(ns) for guest, ns in sorted(found, key=lambda x: int(x[0]))][1:]


def need(stage, what, condition, text=''):
    if not condition:
        raise stage.Failed('%s: %s' % (what, text))


def lease_of_each(stage):
    """A guest alone is not asked; two at a time both get on, with several processes too."""
    with guests(stage, ['weight=100', 'weight=300']) as g:
        a = ready(g, 0)
        need(stage, 'alone', int(a.ask('load 20 0.2')) > 0 and leases(g) == [0, 0], str(leases(g)))
        others = [ready(g, 1) for _ in range(2)]
        for p in [a] + others:
            tell(p, 'load 20 1')
        done = [int(hear(p)) for p in [a] + others]
        ns = leases(g)
        need(stage, 'together', min(done) > 0 and min(ns) > 0, '%s %s' % (done, ns))
        for p, what in zip([a] + others, ('mixed 20 0.5', 'calls 1 0.5', 'calls 1 0.5 500')):
            tell(p, what)
        said = [hear(p) for p in [a] + others]
        need(stage, 'mixed', all(int(x.split()[0]) > 0 for x in said), str(said))
        for p in others:
            p.kill()
        need(stage, 'alone again', int(a.ask('load 20 0.2')) > 0)


def turns_of_processes(stage):
    """All of a guest's processes get on beside another guest, one that asks seldom and those that come
    later too."""
    with guests(stage, ['', '']) as g:
        other = ready(g, 0)
        own = [ready(g, 1) for _ in range(3)]
        tell(other, 'load 20 1.2')
        for p, what in zip(own, ('load 20 1', 'load 20 1', 'calls 1 1 5000')):
            tell(p, what)
        late = ready(g, 1)
        tell(late, 'load 20 0.5')
        done = [int(hear(p).split()[0]) for p in own + [late, other]]
        need(stage, 'each', min(done) > 0, str(done))


def killed_holder(stage):
    """Guests that are killed while they have the device take it from nobody."""
    with guests(stage, ['', '', '']) as g:
        stays = ready(g, 0)
        for _ in range(3):
            for i in (1, 2):
                p = ready(g, i)
                tell(p, 'load 2000 60')
                tell(stays, 'load 20 0.3')
                need(stage, 'beside', int(hear(stays)) > 0)
                p.kill()
            need(stage, 'afterwards', int(stays.ask('load 20 0.1')) > 0)


def endless_kernel(stage):
    """A kernel without end keeps nobody from running, and ends with cudaErrorLaunchTimeout when it
    has kept the device from others for too long; not before somebody else wants it."""
    with guests(stage, ['', ''], ['--max-kernel', '2']) as g:
        a, b = ready(g, 0), ready(g, 1)
        tell(a, 'endless')
        start = time.monotonic()
        done = 0
        end = start + 60
        while time.monotonic() < end:
            done += int(b.ask('load 20 0.2'))
            if time.monotonic() - start > 0.5 and a.p.stdout in select_now(a):
                break
        need(stage, 'the other', done > 0)
        need(stage, 'the end', select_now(a))
        need(stage, 'the error', hear(a) == '702')
        need(stage, 'the time', time.monotonic() - start > 1.9)
        need(stage, 'afterwards', int(b.ask('load 20 0.1')) > 0)
        a.end()
    need(stage, 'the line', g.said.count('max_kernel_s') == 1, g.said)


def endless_visited(stage):
    """The same where the other guest's programs come and go, each far shorter than the limit: the time
    of the kernel without end goes on meanwhile."""
    with guests(stage, ['', ''], ['--max-kernel', '2']) as g:
        a = ready(g, 0)
        tell(a, 'endless')
        start = time.monotonic()
        visits = done = 0
        while not select_now(a) and time.monotonic() < start + 60:
            b = ready(g, 1)
            done += int(b.ask('load 20 0.2'))
            b.end()
            visits += 1
        need(stage, 'the other', done > 0)
        need(stage, 'the end', select_now(a), '%d visits' % visits)
        need(stage, 'the error', hear(a) == '702')
        need(stage, 'visits', visits > 1, str(visits))
        need(stage, 'the time', time.monotonic() - start > 1.9)
        a.end()
    need(stage, 'the line', g.said.count('max_kernel_s') == 1, g.said)


def select_now(p):
    return select.select([p.p.stdout], [], [], 0)[0]


def capped(stage):
    """A cap holds although nobody else wants the device."""
    with guests(stage, ['cap=10']) as g:
        a = ready(g, 0)
        start = time.monotonic()
        need(stage, 'work', int(a.ask('load 20 1')) > 0)
        took, ns = time.monotonic() - start, leases(g)[0] / 1e9
        need(stage, 'charged', 0 < ns < 0.2 * took + 0.1, '%.3f s of %.3f s' % (ns, took))


TESTS = [lease_of_each, turns_of_processes, killed_holder, endless_kernel, endless_visited, capped]

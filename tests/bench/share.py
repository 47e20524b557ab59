#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""share.py [--build DIR] [--kind cuda|ptx] [--seconds S] [--json FILE] [SET-UP...]
How several guests share one GPU, over the local transport: what each gets of it against its weight,
and what all get together against guests that have it to themselves.

A guest's part is its rate of work divided by the rate of the same work unshared: by a guest over the
same transport with nobody else on the GPU, the median of three runs. Launch and wait depends on the
host's processors more than on the GPU, and varies by some per cent from minute to minute: of that it is
the mean of a run right before and one right after. So parts of different work can be
compared, and `total`, the sum of the parts, is what all do together of what they would do in the same
time one after the other. Jain's index is of parts by weight.
Bars: shares within 5 % of the weights, Jain 0.99 (equal weights), total 0.97, and of a guest with small
kernels beside others with kernels up to 1 ms a p99 of 1.5 times what it has alone and a slice for each
of the others. What has no bar is for information, and runs for a third of the time: long, endless,
narrow, one.
"""
import argparse
import json
import os
import re
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

KERNEL_US = 500  # of the load
SMALL_US = 20
SLICE_US = 10000 # broker/gpushare.h


class Process:
    def __init__(self, sock, build):
        self.p = subprocess.Popen(
            [os.path.join(build, 'gvm'), 'run', '--backd', sock, '--',
             os.path.join(build, 'bench', 'share')], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, start_new_session=True)

    def hear(self, limit=60):
        if not select.select([self.p.stdout], [], [], limit)[0]:
            raise SystemExit('a guest process does not answer within %d s' % limit)
        return self.p.stdout.readline().strip()

    def tell(self, line):
        self.p.stdin.write(line + '\n')
        self.p.stdin.flush()

    def ask(self, line, limit=60):
        self.tell(line)
        return self.hear(limit)

    def end(self):
        self.p.stdin.close()
        try:
            self.p.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()


class Daemon:
    """guests: options of each, as gvm-backd's --guest takes them."""

    def __init__(self, build, kind, guests, more=()):
        self.build = build
        self.dir = tempfile.mkdtemp(prefix='gvm-share-')
        self.sockets = [os.path.join(self.dir, 'guest%d' % i) for i in range(len(guests))]
        command = [os.path.join(build, 'gvm-backd'), '--local', os.path.join(self.dir, 'backd'),
                   '--kind', kind, '--warm', '0', '--log-level', 'error'] + list(more)
        for path, options in zip(self.sockets, guests):
            command += ['--guest', ','.join([path] + ([options] if options else []))]
        self.p = subprocess.Popen(command, start_new_session=True)
        self.processes = []
        end = time.monotonic() + 20
        while not os.path.exists(os.path.join(self.dir, 'backd.query')):
            if time.monotonic() > end or self.p.poll() is not None:
                raise SystemExit('gvm-backd does not start')
            time.sleep(0.02)

    def __enter__(self):
        return self

    def process(self, guest):
        """Starts one; `ready` waits for all of them, which open the device at the same time."""
        p = Process(self.sockets[guest], self.build)
        self.processes.append(p)
        return p

    @staticmethod
    def ready(processes):
        for p in processes:
            said = p.hear()
            if said != 'ready':
                raise SystemExit('share: ' + said)
        return processes

    def leases(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect(os.path.join(self.dir, 'backd.query'))
            s.sendall(b'list\n')
            text = b''
            while True:
                more = s.recv(65536)
                if not more:
                    break
                text += more
        found = re.findall(r'^device .*devid=(\d+) .*lease_ns=(\d+) ', text.decode(), re.M)
        return [int(ns) for _, ns in sorted(found, key=lambda x: int(x[0]))][1:]

    def __exit__(self, *what):
        for p in self.processes:
            p.end()
        self.p.terminate()
        self.p.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def jain(values):
    return sum(values) ** 2 / (len(values) * sum(v * v for v in values))


class Bench:
    def __init__(self, options):
        self.o = options
        self.solo = {}
        self.rows = []
        self.iterations = {}

    def calibrate(self):
        """Iterations of the kernels, and the rates of everything unshared, the kinds in turn."""
        seconds = 0.5
        said = {x: [] for x in ('load', 'mixed', 'narrow', 'calls', 'seldom')}
        with Daemon(self.o.build, self.o.kind, ['']) as d:
            p = Daemon.ready([d.process(0)])[0]
            for us in (KERNEL_US, SMALL_US, 100000):
                self.iterations[us] = int(p.ask('calibrate %d' % us))
            for what in list(said) * 3:
                said[what].append(p.ask(self.line(what, seconds)).split())
        for what in ('load', 'mixed', 'narrow', 'calls'):
            self.solo[what] = statistics.median(int(a[0]) for a in said[what]) / seconds
        self.solo_p99 = statistics.median(float(a[2]) for a in said['calls'])
        self.seldom_p99 = statistics.median(float(a[2]) for a in said['seldom'])
        print('alone: load %.0f kernels/s of %d us, mixed %.0f/s, calls %.0f/s with p99 %.0f us, '
              '1000 calls a second p99 %.0f us' %
              (self.solo['load'], KERNEL_US, self.solo['mixed'], self.solo['calls'], self.solo_p99,
               self.seldom_p99), flush=True)

    def line(self, what, seconds):
        if what == 'seldom':
            return 'calls %d %g 1000' % (self.iterations[SMALL_US], seconds)
        if what == 'long':
            return 'load %d %g' % (self.iterations[100000], seconds)
        us = SMALL_US if what == 'calls' else KERNEL_US
        return '%s %d %g' % (what, self.iterations[us], seconds)

    def alone(self, what, seconds=1.5):
        with Daemon(self.o.build, self.o.kind, ['']) as d:
            p = Daemon.ready([d.process(0)])[0]
            return int(p.ask(self.line(what, seconds)).split()[0]) / seconds

    def run(self, name, guests):
        """guests: (weight, [what each process does])"""
        seconds = self.o.seconds / (3 if name in WITHOUT_BARS else 1)
        varies = any('calls' in what for _, what in guests)
        before = self.alone('calls') if varies else 0
        said, leases = self.measure(guests, seconds)
        if varies:
            self.solo['calls'] = (before + self.alone('calls')) / 2
        return self.report(name, guests, said, leases, seconds)

    def measure(self, guests, seconds):
        with Daemon(self.o.build, self.o.kind, ['weight=%d' % w for w, _ in guests],
                    ['--slice-us', str(self.o.slice_us)] + self.o.more) as d:
            all_ = [[d.process(i) for _ in what] for i, (_, what) in enumerate(guests)]
            Daemon.ready([p for g in all_ for p in g])
            before = d.leases()
            for g, (_, what) in zip(all_, guests):
                for p, x in zip(g, what):
                    p.tell(self.line(x, seconds))
            said = [[p.hear(seconds + 60).split() for p in g] for g in all_]
            return said, [b - a for a, b in zip(before, d.leases())]

    def report(self, name, guests, said, leases, seconds):
        parts, p99, bound, median, rate, alone = [], None, None, None, None, None
        for (_, what), answers in zip(guests, said):
            part = 0
            for x, a in zip(what, answers):
                if x in self.solo:
                    part += int(a[0]) / seconds / self.solo[x]
                if x in ('calls', 'seldom'):
                    p99, median, rate = float(a[2]), float(a[1]), int(a[0]) / seconds
                    alone = self.solo[x] if x == 'calls' else 1000
                    bound = (1.5 * (self.solo_p99 if x == 'calls' else self.seldom_p99) +
                             (len(guests) - 1) * self.o.slice_us)
            parts.append(part)
        weights = [w for w, _ in guests]
        counted = [i for i, (_, what) in enumerate(guests) if what[0] in self.solo]
        total, whole = sum(parts), sum(weights[i] for i in counted)
        off = max(abs(parts[i] / total / (weights[i] / whole) - 1) for i in counted)
        lease = [ns / max(1, sum(leases)) for ns in leases]
        row = {'name': name, 'weights': weights, 'parts': parts, 'total': total, 'lease': lease,
               'off': off, 'jain': jain([parts[i] / weights[i] for i in counted]), 'p99_us': p99,
               'median_us': median, 'calls_per_s': rate, 'calls_per_s_alone': alone,
               'p99_bound_us': bound}
        row['bars'] = self.bars(row, [what for _, what in guests])
        self.rows.append(row)
        print('%-10s parts %s  leases %s  total %.3f  off %.1f %%  Jain %.4f%s%s' % (
            name, ' '.join('%.3f' % p for p in parts), ' '.join('%.3f' % x for x in lease), total,
            off * 100, row['jain'],
            '' if p99 is None else '  %.0f calls/s (%.0f alone), median %.0f us, p99 %.0f us of %.0f' % (
                rate, alone, median, p99, bound), verdict(row['bars'])),
              flush=True)
        return row

    def bars(self, row, work):
        """name: [value, bar, kept]"""
        if self.o.more or row['name'] in WITHOUT_BARS:
            return {}
        b = {'off': [row['off'], 0.05, row['off'] <= 0.05]}
        if len(set(row['weights'])) == 1:
            b['Jain'] = [row['jain'], 0.99, row['jain'] >= 0.99]
        if all(x != 'seldom' for what in work for x in what): # which leaves the GPU idle by itself
            b['total'] = [row['total'], 0.97, row['total'] >= 0.97]
        if row['p99_us'] is not None:
            b['p99'] = [row['p99_us'], row['p99_bound_us'], row['p99_us'] <= row['p99_bound_us']]
        return b

    def note(self, name, text, kept=None):
        row = {'name': name, 'text': text}
        if kept is not None:
            row['bars'] = {'kept': [text, '', kept]}
        self.rows.append(row)
        print('%-10s %s%s' % (name, text, '' if kept is None else verdict(row['bars'])), flush=True)

    def endless(self):
        """A kernel without end: the other guest gets on, and the limit on kernels ends it."""
        with Daemon(self.o.build, self.o.kind, ['', ''], ['--max-kernel', '3'] + self.o.more) as d:
            a, b = Daemon.ready([d.process(0), d.process(1)])
            start = time.monotonic()
            a.tell('endless')
            beside = int(b.ask(self.line('load', 2))) / 2 / self.solo['load']
            b.tell(self.line('load', 3))
            error, took = a.hear(20), time.monotonic() - start
            b.hear()
            after = int(b.ask(self.line('load', 1))) / self.solo['load']
        self.note('endless', 'beside it %.3f of what is done alone; ended with error %s after %.1f s '
                  '(max_kernel_s 3); afterwards %.3f' % (beside, error, took, after))

    def quota(self):
        """One guest takes all of its quota and more; the other computes and allocates."""
        mem = 2048 if self.o.kind == 'cuda' else 64
        with Daemon(self.o.build, self.o.kind, ['mem=%dM' % mem] * 2, self.o.more) as d:
            a, b = Daemon.ready([d.process(0), d.process(1)])
            b.tell(self.line('load', 2))
            got, error = (int(x) for x in a.ask('take 16').split())
            beside = int(b.hear()) / 2 / self.solo['load']
            own = int(a.ask(self.line('load', 0.2)))
            other = int(b.ask('take 16').split()[0])
        least = mem // 16 - 3 # less a chunk of what is allocated already
        self.note('quota', '%d of %d MiB, then error %d; its kernels go on: %s; beside it %.3f of what is '
                  'done alone, and %d MiB' % (got * 16, mem, error, 'yes' if own else 'no', beside,
                                              other * 16),
                  error == 2 and got >= least and other >= least and own > 0 and beside > 0.97)


def verdict(bars):
    missed = [k for k, v in bars.items() if not v[2]]
    return '' if not bars else '  MISSED: ' + ' '.join(missed) if missed else '  ok'


WITHOUT_BARS = ('one', 'long', 'narrow')


SET_UPS = {
    'one': [(256, ['load'] * 2)],
    'two': [(256, ['load']), (256, ['load'])],
    'four': [(256, ['load'])] * 4,
    'eight': [(256, ['load'])] * 8,
    'weights': [(100, ['load']), (200, ['load']), (400, ['load'])],
    'mixed': [(100, ['load']), (200, ['mixed']), (400, ['calls'])],
    'processes': [(256, ['load']), (256, ['load'] * 4)],
    'small': [(256, ['seldom']), (256, ['load']), (256, ['load']), (256, ['load'])],
    'calls': [(256, ['calls']), (256, ['load'])],
    'narrow': [(256, ['narrow'])] * 4,
    'long': [(256, ['load']), (256, ['long'])],
    'endless': Bench.endless,
    'quota': Bench.quota,
}


def main(argv):
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    a.add_argument('--build', default='build')
    a.add_argument('--kind', default='cuda', choices=('cuda', 'ptx'))
    a.add_argument('--seconds', type=float, default=10)
    a.add_argument('--json')
    a.add_argument('--slice-us', type=int, default=SLICE_US)
    a.add_argument('--mps', metavar='DIR', help='of an MPS control daemon that runs')
    a.add_argument('set_up', nargs='*', metavar='SET-UP', help='of ' + ' '.join(SET_UPS))
    o = a.parse_args(argv)
    for name in o.set_up:
        if name not in SET_UPS:
            a.error('there is no set-up %s; there are %s' % (name, ' '.join(SET_UPS)))
    o.build = os.path.abspath(o.build)
    o.more = ['--mps', o.mps] if o.mps else []
    b = Bench(o)
    b.calibrate()
    for name in o.set_up or SET_UPS:
        if callable(SET_UPS[name]):
            SET_UPS[name](b)
        else:
            b.run(name, SET_UPS[name])
    bars = [v[2] for r in b.rows for v in r.get('bars', {}).values()]
    print('%d of %d bars kept' % (sum(bars), len(bars)))
    if o.json:
        with open(o.json, 'w') as f:
            json.dump({'solo': b.solo, 'solo_p99_us': b.solo_p99, 'seldom_p99_us': b.seldom_p99,
                       'slice_us': o.slice_us, 'rows': b.rows}, f, indent=1)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

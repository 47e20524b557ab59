#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""bench.py gpu|local|pair - what GVM costs, measured side by side.

  gpu    every measure natively and through `gvm run`, in turn, on this machine's NVIDIA GPU:
         one table of ratios, DIR/bench.json and DIR/bench.svg (--out DIR)
         --backend=pv adds a second column: the path of a PV backend, where the driver may pin
         nothing of a guest and the CPU writes what is complete
  local  the path's own cost for each call on the software device; needs no GPU
  pair   any two commands in turn: bench.py pair --a 'CMD' --b 'CMD'; whole-process times, and
         every `row NAME MICROSECONDS` that they print; --check: their other output must be equal

Figures are medians over --reps runs of each side, with the smallest and the largest beside them. A
ratio is median GVM / median native: an absolute time from another day proves nothing. The programs
check their results while they are timed; one that fails ends the benchmark.
"""
import argparse
import json
import os
import re
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time

# measure, what it is, the bar for GVM / native (None: shown only)
ROWS = [
    ('first_call', 'first CUDA call', 0.05),
    ('process_VecAdd', 'whole process of a small vectorAdd', 0.30),
    ('malloc_free_1M', 'cudaMalloc + cudaFree, 1 MiB', 0.10),
    ('h2d_4B.burst', 'cudaMemcpy 4 B to the device', 0.30),
    ('h2d_4B.total', '  the same, to completion', 1.10),
    ('d2h_4B', 'cudaMemcpy 4 B back', 1.30),
    ('h2d_d2h_4B', '4 B there and back', None),
    ('launch_sync', 'launch + synchronize', 1.20),
    ('launch.burst', 'launch, issued in bursts of 200', 0.15),
    ('launch.total', 'launch, 20,000 to completion', 1.05),
    ('event_record.burst', 'event record', 0.30),
    ('event_record.total', '  the same, to completion', 1.10),
    ('event_query', 'event query', 1.00),
    ('stream_create_destroy.burst', 'stream create + destroy', 0.30),
    ('stream_create_destroy.total', '  the same, to completion', 1.10),
    ('memset_4K.burst', 'cudaMemsetAsync 4 KiB', None),
    ('memset_4K.total', '  the same, to completion', 1.10),
    ('get_device', 'cudaGetDevice', None),
    ('h2d_pageable_4K', 'pageable 4 KiB to the device', None),
    ('d2h_pageable_4K', 'pageable 4 KiB back', None),
    ('h2d_pageable_64K', 'pageable 64 KiB to the device', 0.70),
    ('d2h_pageable_64K', 'pageable 64 KiB back', 1.05),
    ('h2d_pageable_1M', 'pageable 1 MiB to the device', 0.70),
    ('d2h_pageable_1M', 'pageable 1 MiB back', 0.80),
    ('h2d_pageable_16M', 'pageable 16 MiB to the device', None),
    ('d2h_pageable_16M', 'pageable 16 MiB back', None),
    ('h2d_pageable_256M', 'pageable 256 MiB to the device', 0.40),
    ('d2h_pageable_256M', 'pageable 256 MiB back', 0.60),
    ('h2d_pinned_256M', 'pinned 256 MiB to the device', 1.02),
    ('d2h_pinned_256M', 'pinned 256 MiB back', 1.02),
    ('graph_100', 'graph launch of 100 kernels', 1.10),
    ('mixed4', 'four processes at once, start-up excluded', 1.03),
    ('first_launch', 'first launch', None),
    ('whole_micro', 'whole microbenchmark process', None),
]
# The second column: pageable copies as above, pinned ones through the worker's own buffers.
PV_BARS = {m: bar for m, _, bar in ROWS if 'pageable' in m}
PV_BARS.update(h2d_pinned_256M=1.5, d2h_pinned_256M=1.5)
PROGRAMS = ['alignedTypes', 'asyncAPI', 'BlackScholes', 'clock', 'convolutionSeparable',
            'fastWalshTransform', 'matrixMul', 'bandwidthTest', 'matrixMulLarge', 'VecAdd']
LIMIT = 40


class Failed(Exception):
    """What went wrong, in one line."""


def fail(text):
    raise Failed(text)


class Side:
    """One way to run a program: natively, or through GVM."""

    def __init__(self, name, prefix=(), env=None):
        self.name = name
        self.prefix = list(prefix)
        self.env = dict(os.environ, **(env or {}))

    def start(self, command):
        return subprocess.Popen(self.prefix + command, env=self.env, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)

    def run(self, command):
        """{measure: microseconds}, `process` among them. What else was printed: self.text."""
        t = time.monotonic()
        p = self.start(command)
        try:
            out, _ = p.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            p.kill()
            fail('%s: %s does not end within %d s' % (self.name, ' '.join(command), LIMIT))
        found = {'process': (time.monotonic() - t) * 1e6}
        if p.returncode:
            fail('%s: %s ended with status %d' % (self.name, ' '.join(command), p.returncode))
        self.text = []
        for line in out.splitlines():
            m = re.match(r'(?:row (\S+)|(start|body)) ([0-9.]+)$', line)
            if m:
                found[m.group(1) or m.group(2)] = float(m.group(3))
            else:
                self.text.append(line)
        return found


class Samples:
    """side -> measure -> values"""

    def __init__(self):
        self.v = {}

    def add(self, side, values, rename=None):
        for k, x in values.items():
            self.v.setdefault(rename(k) if rename else k, {}).setdefault(side, []).append(x)

    def median(self, measure, side):
        x = self.v.get(measure, {}).get(side)
        return statistics.median(x) if x else None

    def spread(self, measure, side):
        x = self.v[measure][side]
        return min(x), max(x)

    def ratio(self, measure, side, base):
        a, b = self.median(measure, side), self.median(measure, base)
        return a / b if a is not None and b else None


def us(x):
    if x is None:
        return '-'
    if x >= 1e6:
        return '%.3f s' % (x / 1e6)
    if x >= 1e4:
        return '%.2f ms' % (x / 1e3)
    return '%.3f us' % x if x < 100 else '%.1f us' % x


def wait_line(side, p, start):
    while True:
        line = p.stdout.readline()
        if not line:
            fail('%s: mixed ended before it said %s' % (side.name, start))
        if line.startswith(start):
            return


def four(side, command):
    """Four processes at once, from the moment when all have started: microseconds."""
    group = [side.start(command) for _ in range(4)]
    try:
        for p in group:
            wait_line(side, p, 'ready')
        t = time.monotonic()
        for p in group:
            p.stdin.write('\n')
            p.stdin.flush()
        for p in group:
            wait_line(side, p, 'body')
        t = (time.monotonic() - t) * 1e6
        for p in group:
            p.stdin.close()
            p.stdout.close()
            if p.wait():
                fail('%s: mixed ended with status %d' % (side.name, p.returncode))
    finally:
        for p in group:
            if p.poll() is None:
                p.kill()
                p.wait()
    return {'mixed4': t}


class Daemon:
    """A gvm-backd that keeps workers warm for `gvm run`."""

    def __init__(self, build, kind, warm, pv=False):
        self.dir = tempfile.mkdtemp(prefix='gvm-bench-')
        self.socket = os.path.join(self.dir, 'sock')
        command = [os.path.join(build, 'gvm-backd'), '--local', self.socket, '--kind', kind,
                   '--warm', str(warm), '--log-level', 'warning'] + (['--no-pin'] if pv else [])
        self.p = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not os.path.exists(self.socket):
            if self.p.poll() is not None or time.monotonic() > end:
                fail('gvm-backd does not start: ' + ' '.join(command))
            time.sleep(0.01)

    def stop(self):
        self.p.send_signal(signal.SIGTERM)
        self.p.wait(timeout=20)
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        os.rmdir(self.dir)


def gpu_memory():
    """MiB in use on the first GPU, None without nvidia-smi."""
    try:
        out = subprocess.run(['nvidia-smi', '--query-gpu=memory.used', '--format=csv,noheader,nounits'],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=20)
        return int(out.stdout.split()[0])
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        return None


COLORS = (('#4a8', '#d74'), ('#8cb', '#eb9')) # of each column: bar met, bar missed


def svg(rows, sides, path, title):
    """Horizontal bars of ratios on a logarithmic axis, the bar to meet as a tick. rows: (name,
    [(ratio, bar) of each side])."""
    import math
    thick = 12 if len(sides) == 1 else 8
    width, left, line, top = 900, 330, thick * len(sides) + 8, 60
    low, high = 0.01, 10.0

    def x(v):
        v = min(max(v, low), high)
        return left + (width - left - 70) * math.log(v / low) / math.log(high / low)

    key = 'time through GVM / native; line: 1.0; mark: the bar'
    if len(sides) > 1:
        key += '; upper: %s, lower: %s' % tuple(sides)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" '
           'font-size="12">' % (width, top + line * len(rows) + 20),
           '<rect width="100%" height="100%" fill="#fff"/>',
           '<text x="10" y="22" font-size="15">%s</text>' % title,
           '<text x="10" y="42" fill="#555">%s</text>' % key]
    for v in (0.01, 0.1, 1.0, 10.0):
        out.append('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s"/><text x="%.1f" y="%d" '
                   'text-anchor="middle" fill="#555">%g</text>' %
                   (x(v), top - 6, x(v), top + line * len(rows), '#333' if v == 1 else '#ddd', x(v),
                    top - 8, v))
    for i, (name, values) in enumerate(rows):
        out.append('<text x="%d" y="%d" text-anchor="end">%s</text>' %
                   (left - 8, top + i * line + line // 2 + 4, name))
        for k, (ratio, bar) in enumerate(values):
            y = top + i * line + 4 + k * thick
            if ratio is None:
                continue
            met = bar is None or ratio <= bar
            out.append('<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>' %
                       (left, y, max(x(ratio) - left, 1), thick, COLORS[k][not met]))
            if bar is not None:
                out.append('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#000" '
                           'stroke-width="2"/>' % (x(bar), y - 1, x(bar), y + thick + 1))
            out.append('<text x="%.1f" y="%d" fill="#333" font-size="%d">%.2f</text>' %
                       (x(ratio) + 5, y + thick - 1, thick, ratio))
    out.append('</svg>')
    with open(path, 'w') as f:
        f.write('\n'.join(out) + '\n')


def bar_of(side, measure, bar):
    return PV_BARS.get(measure) if side == 'pv' else None if side == 'cold' else bar


def spread(s, measure, side):
    return '%s - %s' % tuple(map(us, s.spread(measure, side)))


def table(s, sides, base, rows):
    """One line for each measure: median, and smallest - largest below it."""
    print('%-42s %14s' % ('measure (median; smallest - largest below)', base), end='')
    for side in sides:
        print(' | %22s %7s %5s %6s' % (side, 'ratio', 'bar', ''), end='')
    print()
    for measure, name, bar in rows:
        if measure not in s.v or s.median(measure, base) is None:
            continue
        print('%-34s %22s' % (name, us(s.median(measure, base))), end='')
        for side in sides:
            r, b = s.ratio(measure, side, base), bar_of(side, measure, bar)
            print(' | %22s %7s %5s %6s' % (us(s.median(measure, side)), '-' if r is None else '%.3f' % r,
                                           '%.2f' % b if b else '',
                                           'MISSED' if b and r is not None and r > b else ''), end='')
        print('\n%57s' % spread(s, measure, base), end='')
        for side in sides:
            has = s.median(measure, side) is not None
            print(' | %22s %20s' % (spread(s, measure, side) if has else '', ''), end='')
        print()


def write(args, s, sides, base, rows, extra):
    if not args.out:
        return
    os.makedirs(args.out, exist_ok=True)
    result = {'sides': [base] + sides, 'unit': 'us', 'measures': {}, **extra}
    for m in s.v:
        result['measures'][m] = {
            side: {'median': round(s.median(m, side), 4), 'values': [round(x, 4) for x in v]}
            for side, v in s.v[m].items()}
    with open(os.path.join(args.out, 'bench.json'), 'w') as f:
        json.dump(result, f, indent=1, sort_keys=True)
        f.write('\n')
    chart = []
    for measure, name, bar in rows:
        values = [(s.ratio(measure, side, base), bar_of(side, measure, bar)) for side in sides]
        if any(r is not None for r, _ in values):
            chart.append((name.strip() if not name.startswith(' ') else measure, values))
    svg(chart, sides, os.path.join(args.out, 'bench.svg'), extra.get('title', 'GVM / native'))


def gpu(args):
    micro = [os.path.join(args.build, 'bench', 'micro')] + ([str(args.scale)] if args.scale > 1 else [])
    programs = os.path.join(args.build, 'bench', 'programs')
    mixed = [programs, 'mixed'] + (['small'] if args.scale > 1 else [])
    gvm = os.path.join(args.build, 'gvm')
    native = Side('native', shlex.split(args.native), {'LD_LIBRARY_PATH': args.native_lib} if
                  args.native_lib else None)
    s, p, extra, failed = Samples(), Samples(), {'title': args.title}, []
    sides = ['gvm'] + (['pv'] if args.backend == 'pv' else [])
    daemons = []

    def through(name, pv):
        """A side with a warm pool of its own, if there is to be one."""
        if not args.warm:
            return Side(name, [gvm, 'run', '--kind', args.kind] + (['--no-pin'] if pv else []) + ['--'])
        daemons.append(Daemon(args.build, args.kind, args.warm, pv))
        time.sleep(args.settle) # the pool fills; nothing else says when it is full
        return Side(name, [gvm, 'run', '--backd', daemons[-1].socket, '--'])

    cold = Side('cold', [gvm, 'run', '--kind', args.kind, '--'])
    try:
        before = gpu_memory()
        warm = through('gvm', False)
        after = gpu_memory() if args.warm else None
        if before is not None and after is not None:
            extra['warm_pool_mib'] = after - before
            print('%d warm workers take %d MiB of device memory' % (args.warm, after - before))
        measured = [native, warm] + ([through('pv', True)] if 'pv' in sides else [])
        for r in range(args.reps + 1): # the first of each is a warm-up of disk and driver caches
            for side in measured:
                values = side.run(micro)
                v = side.run([programs, 'VecAdd'])
                values['process_VecAdd'] = v['process']
                if r:
                    s.add(side.name, values)
                time.sleep(args.pause)
        table(s, sides, 'native', ROWS)
        sys.stdout.flush()
        if 'mixed' in args.parts:
            for r in range(max(2, args.reps // 2 + 1)):
                for side in (native, warm):
                    s.add(side.name, four(side, mixed))
                    time.sleep(max(args.pause, args.settle if side is warm else 0))
            print()
            table(s, ['gvm'], 'native', [x for x in ROWS if x[0] == 'mixed4'])
            sys.stdout.flush()
        if 'programs' in args.parts:
            names = args.programs or PROGRAMS
            done = []
            for name in names:
                try:
                    for r in range(args.reps):
                        for side in (native, warm, cold):
                            p.add(side.name, side.run([programs, name]),
                                  lambda k, n=name: n + '.' + k)
                            time.sleep(args.pause)
                    done.append(name)
                except Failed as e:
                    failed.append(str(e))
                    print('bench: %s' % e)
            names = done
            rows = [(n + '.process', n + ', whole process', 1.0) for n in names] + \
                   [(n + '.body', n + ', without start-up', 1.03) for n in names]
            print()
            table(p, ['gvm', 'cold'], 'native', rows)
            if names:
                geo = statistics.geometric_mean(p.ratio(n + '.process', 'gvm', 'native')
                                                for n in names)
                print('geometric mean of whole processes: %.3f (bar 0.70)%s' %
                      (geo, '' if geo <= 0.7 else ' MISSED'))
                extra['geometric_mean'] = geo
            s.v.update(p.v)
    except Failed as e:
        failed.append(str(e))
        print('bench: %s' % e)
    finally:
        for daemon in daemons:
            daemon.stop()
    write(args, s, sides, 'native', ROWS, extra)
    return 1 if failed else 0


def local(args):
    s = Samples()
    side = Side('gvm', [os.path.join(args.build, 'gvm'), 'run', '--kind', 'ptx', '--'])
    for _ in range(args.reps):
        s.add('gvm', side.run([os.path.join(args.build, 'bench', 'micro'), str(max(args.scale, 50))]))
    print('%-46s %12s %12s %12s' % ('measure, software device', 'median', 'smallest', 'largest'))
    for measure, name, _ in ROWS:
        if measure in s.v:
            print('%-46s %12s %12s %12s' % ((name, us(s.median(measure, 'gvm'))) +
                                            tuple(map(us, s.spread(measure, 'gvm')))))


def pair(args):
    if not args.a or not args.b:
        fail('pair needs --a CMD and --b CMD')
    s = Samples()
    for r in range(args.reps + 1):
        texts = []
        for side, command in (('a', args.a), ('b', args.b)):
            one = Side(side)
            values = one.run(shlex.split(command))
            texts.append(one.text)
            if r:
                s.add(side, values)
        if args.check and texts[0] != texts[1]:
            fail('the outputs differ: a printed %r, b %r' % tuple(texts))
    table(s, ['b'], 'a', [(m, m, None) for m in s.v])
    write(args, s, ['b'], 'a', [(m, m, None) for m in s.v], {'title': args.b + ' / ' + args.a})


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', choices=['gpu', 'local', 'pair'])
    p.add_argument('--build', default='build')
    p.add_argument('--kind', default='cuda', help='device kind of the GVM side')
    p.add_argument('--reps', type=int, default=3)
    p.add_argument('--scale', type=int, default=1, help='divides repetitions and large sizes')
    p.add_argument('--warm', type=int, default=4, help='warm workers; 0: gvm run alone')
    p.add_argument('--settle', type=float, default=3.0, help='seconds for the warm pool to fill')
    p.add_argument('--pause', type=float, default=0.5, help='seconds between two runs')
    p.add_argument('--parts', default='mixed,programs')
    p.add_argument('--programs', nargs='*')
    p.add_argument('--native', default='', help='words before the native command')
    p.add_argument('--native-lib', default='', help='LD_LIBRARY_PATH of the native side')
    p.add_argument('--title', default='GVM / native, one NVIDIA GPU, local transport')
    p.add_argument('--out', help='folder for bench.json and bench.svg')
    p.add_argument('--backend', choices=['local', 'pv'], default='local',
                   help='pv: a second column for the path of a PV backend')
    p.add_argument('--check', action='store_true', help='pair: outputs must be equal')
    p.add_argument('--a')
    p.add_argument('--b')
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1)) # daemons are stopped then too
    try:
        return {'gpu': gpu, 'local': local, 'pair': pair}[args.what](args)
    except Failed as e:
        print('bench: %s' % e, file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""sequences.py [OPTIONS] - random call sequences (random.h), native against GVM.

Without --gpu: the recorded seeds through `gvm run` on the software device, compared with the native
transcripts in native.xz. With --gpu, on a machine with an NVIDIA GPU: COUNT seeds from FIRST natively
and through `gvm run --kind cuda` in one run; where they differ, the native program runs again, and
a seed that differs from itself is named and not counted as a difference. Several sequences share a
process, several processes run at once. Ends with `N passed, N failed[, N skipped]`.
"""
import argparse
import concurrent.futures
import difflib
import hashlib
import lzma
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import transcripts  # noqa: E402

RECORDED = os.path.join(HERE, 'native.xz')
DIGESTS = os.path.join(HERE, 'native.txt')
BLOCK = re.compile(r'^seed (\d+)\n(.*?)^end \1$', re.M | re.S)
LIMIT = 60   # seconds for one process
SHOWN = 12   # differing seeds that are shown


def version():
    """Of what decides on a sequence."""
    files = [os.path.join(HERE, n) for n in ('main.c', 'memory.c', 'work.c', 'random.h')]
    return hashlib.sha256(''.join(transcripts.source_digest(f) for f in files).encode()).hexdigest()[:16]


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def difference(native, other, name):
    return '\n'.join(list(difflib.unified_diff(native.split('\n'), other.split('\n'), 'native', name,
                                              lineterm='', n=2))[:30])


class Sequences:
    def __init__(self, args):
        self.args = args
        self.build = os.path.abspath(args.build)
        self.kind = 'cuda' if args.gpu else 'ptx'
        self.runner = transcripts.Runner(argparse.Namespace(
            build=args.build, gpu=args.gpu,
            out=args.out or os.path.join(args.build, 'conformance', 'random-out')))

    def start(self, native, first, count):
        program = [os.path.join(self.build, 'conformance', 'random'), str(first), str(count)]
        if not native:
            program = [os.path.join(self.build, 'gvm'), 'run', '--kind', self.kind, '--'] + program
        env = self.runner.native_env if native else self.runner.env
        with tempfile.TemporaryFile() as f:
            p = subprocess.Popen(program, env=env, stdin=subprocess.DEVNULL, stdout=f,
                                 stderr=subprocess.STDOUT, start_new_session=True)
            try:
                rc = p.wait(timeout=LIMIT)
            except subprocess.TimeoutExpired:
                rc = 'time limit'
                os.killpg(p.pid, signal.SIGTERM)
            transcripts.end_group(p)
            f.seek(0)
            return rc, f.read().decode('utf-8', 'backslashreplace')

    def seeds(self, native, first, count):
        """{seed: masked transcript}; one that ends its process has how it ended."""
        found, at, end = {}, first, first + count
        while at < end:
            rc, text = self.start(native, at, end - at)
            for m in BLOCK.finditer(text):
                lines = transcripts.masked(m.group(2), False)
                found[int(m.group(1))] = '\n'.join(
                    self.runner.differences.drop(self.kind, 'random', lines))
            done = max([s for s in found] or [at - 1])
            if done >= end - 1:
                break
            # output of the sequence that ended the process is lost with its buffer
            found[done + 1] = 'the process ended: %s\n%s' % (
                rc, '\n'.join(text.split('\n')[-5:]) if not native else '')
            at = done + 2
        return found

    def chunk(self, first):
        """[(seed, verdict, text)]"""
        count = min(self.args.chunk, self.args.first + self.args.count - first)
        if time.monotonic() > self.end:
            return []
        if self.args.gpu:
            want = self.seeds(True, first, count)
        else:
            want = {s: self.recorded[s] for s in range(first, first + count) if s in self.recorded}
        self.kept.update(want)
        got = want if self.args.native_only else self.seeds(False, first, count)
        rows, again = [], None
        for seed, text in sorted(want.items()):
            if text.startswith('the process ended'):
                rows.append((seed, 'skip', 'natively ' + text))
            elif got.get(seed) == text:
                rows.append((seed, 'ok', ''))
            else:
                if again is None:  # once for all that differ
                    again = self.seeds(True, first, count) if self.args.gpu else want
                if again.get(seed) == text:
                    rows.append((seed, 'FAIL', difference(text, got.get(seed, ''), 'gvm')))
                else:
                    rows.append((seed, 'skip', 'two native runs differ\n' + difference(
                        text, again.get(seed, ''), 'native again')))
        return rows

    def read_recorded(self):
        text = lzma.open(RECORDED, 'rt', encoding='utf-8').read() if os.path.exists(RECORDED) else ''
        head = text.split('\n', 1)[0]
        if not text or version() not in head:
            return {}
        found = {int(m.group(1)): m.group(2) for m in BLOCK.finditer(text)}
        # the same rules as for what is compared with it
        return {s: '\n'.join(self.runner.differences.drop(self.kind, 'random', t.split('\n')))
                for s, t in found.items()}

    def record(self, header):
        seeds = sorted(s for s in self.kept if not self.kept[s].startswith('the process ended') and
                       s not in self.unstable)[:self.args.keep]
        with lzma.open(RECORDED, 'wt', encoding='utf-8', preset=9) as f:
            f.write('# version %s, %s, driver %s\n' % (version(), header['device'], header['driver']))
            for s in seeds:
                f.write('seed %d\n%send %d\n' % (s, self.kept[s], s))
        with open(DIGESTS, 'w', encoding='utf-8') as f:
            f.write('# %s, driver %s, version %s: seed and digest of its native transcript\n' % (
                header['device'], header['driver'], version()))
            f.writelines('%d %s\n' % (s, digest(self.kept[s])) for s in seeds)

    def all(self):
        args, start = self.args, time.monotonic()
        self.end = start + args.seconds if args.seconds else float('inf')
        self.kept, self.recorded, self.unstable = {}, {}, set()
        header = self.runner.device_header() if args.gpu else None
        if not args.gpu:
            self.recorded = self.read_recorded()
            if not self.recorded:
                print('skip: no native transcripts of this version of the sequences')
                print('0 passed, 0 failed, 1 skipped')
                return 0
            if args.count is None:
                args.first, args.count = min(self.recorded), max(self.recorded) - min(self.recorded) + 1
        args.count = args.count or 5000
        count, shown = {'ok': 0, 'FAIL': 0, 'skip': 0}, 0
        os.makedirs(self.runner.out, exist_ok=True)
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool, \
                open(os.path.join(self.runner.out, 'random.txt'), 'w',
                     encoding='utf-8') as log:
            firsts = range(args.first, args.first + args.count, args.chunk)
            for rows in pool.map(self.chunk, firsts):
                for seed, verdict, text in rows:
                    count[verdict] += 1
                    if verdict == 'ok':
                        continue
                    self.unstable.add(seed)
                    said = '%s seed %d: %s' % (verdict, seed, text)
                    log.write(said + '\n')
                    log.flush()
                    shown += 1
                    if shown <= SHOWN:
                        print(said, flush=True)
        if args.record and args.gpu:
            self.record(header)
        done = sum(count.values())
        print('%d sequences in %.0f s%s' % (
            done, time.monotonic() - start,
            '' if done >= args.count or not args.gpu else ', not %d: the time was over' % args.count))
        print('%d passed, %d failed%s' % (count['ok'], count['FAIL'], ', %d skipped' % count['skip']
                                          if count['skip'] else ''))
        return 1 if count['FAIL'] else 0


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--build', default='build', help='folder of what was built (default: build)')
    p.add_argument('--gpu', action='store_true', help='native against GVM on this machine\'s GPU')
    p.add_argument('--native-only', action='store_true', help='with --gpu: no run through GVM')
    p.add_argument('--record', action='store_true', help='with --gpu: write native.xz and native.txt')
    p.add_argument('--keep', type=int, default=200, help='sequences to record (default: 200)')
    p.add_argument('--first', type=int, default=1, help='first seed (default: 1)')
    p.add_argument('--count', type=int, help='sequences (default: 5000, or those recorded)')
    p.add_argument('--chunk', type=int, default=100, help='sequences a process (default: 100)')
    p.add_argument('--jobs', type=int, help='processes at a time (default: 2, with --gpu 4)')
    p.add_argument('--seconds', type=int, help='start no more sequences after that time')
    p.add_argument('--out', help='folder for random.txt, the differences')
    args = p.parse_args()
    args.jobs = args.jobs or (4 if args.gpu else 2)
    return Sequences(args).all()


if __name__ == '__main__':
    sys.exit(main())

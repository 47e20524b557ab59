#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""run.py [OPTIONS] [NAME...] - transcript programs (transcript.h), compared with native runs.

Without --gpu: every program through `gvm run` on the software device, compared with the committed
native transcript in tests/conformance/native/. With --gpu, on a machine with an NVIDIA GPU: every
program natively (the toolkit's libcudart, the driver's libcuda) and through `gvm run --kind cuda`,
in one run, compared line by line. Needs what was built (--build DIR), not make or a compiler; other
libraries that the programs need are found through LD_LIBRARY_PATH. NAME is FAMILY_NAME or a pattern
such as 'memory_*'.

Lines `NAME ~ VALUE` are compared without their value; `NAME @ VALUE` likewise, unless both ran on the
same GPU. Lines of GVM's own (`gvm...: `) are not compared. differences.txt lists what else may
differ. Ends with `N passed, N failed[, N skipped]`.
"""
import argparse
import concurrent.futures
import difflib
import fnmatch
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NATIVE = os.path.join(HERE, 'native')
LIMIT = 20           # seconds for one program
MAX_OUTPUT = 4 << 20  # octets kept of one program's output
MAX_DIFF = 40        # lines shown of one comparison
OURS = re.compile(r'^gvm(-backd|-worker| run)?(\[\d+\])?: ')
LINE = re.compile(r'^(.*?) ([=~@])(?: (.*))?$')


def sources():
    """{FAMILY_NAME: path} of every program."""
    found = {}
    for path in sorted(glob.glob(os.path.join(HERE, '*', '*.c')) +
                       glob.glob(os.path.join(HERE, '*', '*.cu'))):
        family = os.path.basename(os.path.dirname(path))
        if family not in ('random', 'native'):
            found[family + '_' + os.path.splitext(os.path.basename(path))[0]] = path
    return found


def source_digest(path):
    """Changes with what a program does, not with its comments or layout."""
    text = open(path, encoding='utf-8').read()
    text = re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)
    text = re.sub(r'^\s*//.*$', ' ', text, flags=re.M)
    return hashlib.sha256(re.sub(r'\s+', '', text).encode()).hexdigest()[:16]


def masked(text, same_device):
    """The lines that are compared."""
    out = []
    for line in text.split('\n'):
        if OURS.match(line):
            continue
        m = LINE.match(line)
        if m and (m.group(2) == '~' or (m.group(2) == '@' and not same_device)):
            line = '%s %s' % (m.group(1), m.group(2))
        out.append(line)
    return out


class Differences:
    """differences.txt: lines that may differ, with the reason."""

    def __init__(self, path):
        self.rules = []
        for number, line in enumerate(open(path, encoding='utf-8'), 1):
            line = line.rstrip('\n')
            if not line.strip() or line.startswith('#'):
                continue
            part = [x.strip() for x in line.split(' | ')]
            if len(part) != 4 or part[0] not in ('ptx', 'cuda', 'all') or not part[3]:
                sys.exit('%s:%d: expected: ptx|cuda|all | PROGRAM | REGEX | REASON' % (path, number))
            self.rules.append([part[0], part[1], re.compile(part[2]), number, 0])

    def drop(self, kind, name, lines):
        """The lines without those that may differ."""
        rules = [r for r in self.rules if r[0] in (kind, 'all') and fnmatch.fnmatch(name, r[1])]
        if not rules:
            return lines
        kept = []
        for line in lines:
            hit = [r for r in rules if r[2].search(line)]
            if hit:
                hit[0][4] += 1
            else:
                kept.append(line)
        return kept

    def unused(self, kind, names):
        return [r[3] for r in self.rules if r[0] in (kind, 'all') and not r[4] and
                any(fnmatch.fnmatch(n, r[1]) for n in names)]


def end_group(p):
    """Gives what is left of the group a moment to clean up, then ends it."""
    end = time.monotonic() + 3
    try:
        while time.monotonic() < end:
            p.poll()
            os.killpg(p.pid, 0)
            time.sleep(0.02)
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()
    except ProcessLookupError:
        pass


def run(command, env, log):
    """Runs as a process group of its own. The output, the last line of which says how it ended."""
    work = tempfile.mkdtemp(prefix='gvm-conf-')
    try:
        with open(log, 'wb') as f:
            p = subprocess.Popen(command, env=env, cwd=work, stdin=subprocess.DEVNULL, stdout=f,
                                 stderr=subprocess.STDOUT, start_new_session=True)
            try:
                rc = p.wait(timeout=LIMIT)
                ended = 'exit status %d' % (rc if rc >= 0 else 128 - rc)
            except subprocess.TimeoutExpired:
                ended = 'did not end within %d s' % LIMIT
                os.killpg(p.pid, signal.SIGTERM)
            end_group(p)
        with open(log, 'rb') as f:
            text = f.read(MAX_OUTPUT).decode('utf-8', 'backslashreplace')
    except OSError as e:
        text, ended = '', 'did not start: %s' % e
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if text and not text.endswith('\n'):
        text += '\n'
    text += ended + '\n'
    with open(log, 'w', encoding='utf-8') as f:
        f.write(text)
    return text


class Runner:
    def __init__(self, args):
        self.args = args
        self.build = os.path.abspath(args.build)
        self.out = os.path.abspath(args.out or os.path.join(args.build, 'conformance', 'out'))
        self.kind = 'cuda' if args.gpu else 'ptx'
        self.differences = Differences(os.path.join(HERE, 'differences.txt'))
        for d in ('native', 'native2', 'gvm'):
            shutil.rmtree(os.path.join(self.out, d), ignore_errors=True)
        for d in ('native', 'native2', 'gvm') if args.gpu else ('gvm',):
            os.makedirs(os.path.join(self.out, d))
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(('CUDA_', 'GVM_')) or k == 'CUDA_CACHE_PATH'}
        lib = os.path.join(self.build, 'lib')
        path = [p for p in self.env.get('LD_LIBRARY_PATH', '').split(':')
                if p and os.path.abspath(p) != lib]
        toolkit = sorted(glob.glob('/usr/local/cuda*/lib64/libcudart.so.13'))
        # The real libraries for native runs; gvm run puts its own in front.
        self.native_env = dict(self.env, LD_LIBRARY_PATH=':'.join(
            [os.path.dirname(t) for t in toolkit[:1]] + path))
        self.env['LD_LIBRARY_PATH'] = ':'.join(path)
        self.header = None

    def program(self, name):
        return os.path.join(self.build, 'conformance', 't', name)

    def native(self, name, again=''):
        return run([self.program(name)], self.native_env,
                   os.path.join(self.out, 'native' + again, name + '.out'))

    def gvm(self, name):
        command = [os.path.join(self.build, 'gvm'), 'run', '--kind', self.kind]
        return run(command + ['--', self.program(name)], self.env,
                   os.path.join(self.out, 'gvm', name + '.out'))

    def compare(self, name, want, got, same_device, titles):
        """'' or the lines that differ."""
        a, b = (self.differences.drop(self.kind, name, masked(t, same_device)) for t in (want, got))
        diff = list(difflib.unified_diff(a, b, titles[0], titles[1], lineterm='', n=1))
        if len(diff) > MAX_DIFF:
            diff[MAX_DIFF:] = ['... %d more lines' % (len(diff) - MAX_DIFF)]
        return '\n'.join(diff)

    def device_header(self):
        """What the native transcripts were made with."""
        try:
            text = subprocess.run(
                ['nvidia-smi', '--query-gpu=name,driver_version', '--format=csv,noheader', '-i', '0'],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60).stdout
            device, driver = [x.strip() for x in text.strip().split('\n')[0].split(',')]
        except (OSError, ValueError, subprocess.TimeoutExpired) as e:
            sys.exit('run.py --gpu: nvidia-smi does not name a GPU: %s' % e)
        return {'device': device, 'driver': driver}

    def on_gpu(self, name, source):
        """(verdict, text)"""
        want = self.native(name)
        again = self.compare(name, want, self.native(name, '2'), True, ('native', 'native again'))
        if again:
            return 'unstable', again
        ended = want.split('\n')[-2]
        if 'set-up failed' in want or not re.match(r'exit status \d\d?$', ended):
            return 'FAIL', 'natively:\n' + '\n'.join(want.split('\n')[-MAX_DIFF:])
        if self.args.record:
            os.makedirs(NATIVE, exist_ok=True)
            keep = '# device: %s\n# driver: %s\n# source: %s\n' % (
                self.header['device'], self.header['driver'], source_digest(source))
            with open(os.path.join(NATIVE, name + '.txt'), 'w', encoding='utf-8') as f:
                f.write(keep + '\n'.join(masked(want, True)))
        if self.args.native_only:
            return 'ok', ''
        diff = self.compare(name, want, self.gvm(name), True, ('native', 'gvm'))
        return ('FAIL' if diff else 'ok'), diff

    def on_software(self, name, source):
        path = os.path.join(NATIVE, name + '.txt')
        got = self.gvm(name)
        for died in ('did not end', 'did not start', 'exit status 132', 'exit status 134',
                     'exit status 139'):
            if got.split('\n')[-2].startswith(died) and not os.path.exists(path):
                return 'FAIL', got.split('\n')[-2]
        if not os.path.exists(path):
            return 'skip', 'no native transcript yet'
        head, body = [], []
        for line in open(path, encoding='utf-8').read().split('\n'):
            (head if line.startswith('# ') and not body else body).append(line)
        if '# source: ' + source_digest(source) not in head:
            return 'skip', 'the native transcript is of an older version of the program'
        diff = self.compare(name, '\n'.join(body), got, False, ('native', 'software device'))
        return ('FAIL' if diff else 'ok'), diff

    def one(self, item):
        name, source = item
        start = time.monotonic()
        if not os.access(self.program(name), os.X_OK):
            verdict, text = 'skip', 'not built'
        elif self.args.gpu:
            verdict, text = self.on_gpu(name, source)
        else:
            verdict, text = self.on_software(name, source)
        return name, verdict, text, time.monotonic() - start

    def all(self, chosen):
        if self.args.gpu:
            self.header = self.device_header()
        rows = []
        with open(os.path.join(self.out, 'summary.txt'), 'w', encoding='utf-8') as summary:

            def say(line):
                print(line, flush=True)
                summary.write(line + '\n')
                summary.flush()

            if self.header:
                say('# %(device)s, driver %(driver)s' % self.header)
            with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool:
                for name, verdict, text, took in pool.map(self.one, chosen.items()):
                    rows.append((name, verdict))
                    one_line = ': ' + text if text and '\n' not in text else ''
                    say('%-4s %s (%.1f s)%s' % (verdict, name, took, one_line))
                    if text and not one_line:
                        say('\n'.join('     ' + x for x in text.split('\n')))
            for number in self.differences.unused(self.kind, [r[0] for r in rows if r[1] == 'ok']):
                say('note: differences.txt:%d was not needed' % number)
            self.results(rows)
            count = {v: sum(r[1] == v for r in rows) for v in ('ok', 'FAIL', 'skip', 'unstable')}
            unstable = [r[0] for r in rows if r[1] == 'unstable']
            if unstable:
                say('two native runs differ, so these say nothing: ' + ' '.join(unstable))
            say('%d passed, %d failed%s' % (
                count['ok'], count['FAIL'] + count['unstable'],
                ', %d skipped' % count['skip'] if count['skip'] else ''))
        return 1 if count['FAIL'] + count['unstable'] else 0

    def results(self, rows):
        """What docs/coverage.md is made from: the verdict of each program, with its version."""
        where = {'cuda': 'gpu', 'ptx': 'software'}[self.kind]
        src = sources()
        data = {where: {n: {'verdict': v, 'source': source_digest(src[n])} for n, v in rows}}
        if self.header:
            data['header'] = self.header
        with open(os.path.join(self.out, 'results.json'), 'w', encoding='utf-8') as f:
            json.dump(data, f, indent=1, sort_keys=True)
        if self.args.record and not self.args.native_only:
            merge_results(data)


def merge_results(data):
    """Puts new verdicts into the committed file; programs that are gone leave it."""
    path = os.path.join(HERE, 'results.json')
    old = json.load(open(path, encoding='utf-8')) if os.path.exists(path) else {}
    known = sources()
    for where, value in data.items():
        if where == 'header':
            old[where] = value
            continue
        new = old.setdefault(where, {})
        new.update({n: v for n, v in value.items() if v['verdict'] != 'skip'})
        old[where] = {n: v for n, v in new.items() if n in known}
    with open(path, 'w', encoding='utf-8') as f:
        json.dump(old, f, indent=1, sort_keys=True)
        f.write('\n')


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--build', default='build', help='folder of what was built (default: build)')
    p.add_argument('--gpu', action='store_true', help='native against GVM on this machine\'s GPU')
    p.add_argument('--native-only', action='store_true', help='with --gpu: no run through GVM')
    p.add_argument('--record', action='store_true',
                   help='with --gpu: write native/NAME.txt; always: update results.json')
    p.add_argument('--out', help='folder for outputs (default: BUILD/conformance/out)')
    p.add_argument('--jobs', type=int, help='programs at a time (default: 2, with --gpu 8)')
    p.add_argument('--list', action='store_true', help='print the names of the programs')
    p.add_argument('names', nargs='*', metavar='NAME')
    args = p.parse_args()
    args.jobs = args.jobs or (8 if args.gpu else 2)
    known = sources()
    chosen = {n: s for n, s in known.items()
              if not args.names or any(fnmatch.fnmatch(n, x) for x in args.names)}
    for x in args.names:
        if not fnmatch.filter(known, x):
            print('run.py: no program matches %s; --list names them' % x, file=sys.stderr)
            return 2
    if args.list:
        print('\n'.join(chosen))
        return 0
    return Runner(args).all(chosen)


if __name__ == '__main__':
    sys.exit(main())

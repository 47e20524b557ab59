# SPDX-License-Identifier: MIT
"""Transcripts of conformance programs: which there are, how they are run, masked and compared."""
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
GPU_LIMIT = 60       # a context takes the driver 0.3 s, one after the other for all processes
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
            if len(part) != 4 or part[0] not in ('ptx', 'xen', 'cuda', 'all') or not part[3]:
                sys.exit('%s:%d: expected: ptx|xen|cuda|all | PROGRAM | REGEX | REASON' % (path, number))
            self.rules.append([part[0], part[1], re.compile(part[2]), number, 0])

    def drop(self, kind, name, lines):
        """The lines without those that may differ."""
        kinds = ('xen', 'ptx', 'all') if kind == 'xen' else (kind, 'all')
        rules = [r for r in self.rules if r[0] in kinds and fnmatch.fnmatch(name, r[1])]
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


def run(command, env, log, limit=LIMIT):
    """Runs as a process group of its own. The output, the last line of which says how it ended."""
    work = tempfile.mkdtemp(prefix='gvm-conf-')
    try:
        with open(log, 'wb') as f:
            p = subprocess.Popen(command, env=env, cwd=work, stdin=subprocess.DEVNULL, stdout=f,
                                 stderr=subprocess.STDOUT, start_new_session=True)
            try:
                rc = p.wait(timeout=limit)
                ended = 'exit status %d' % (rc if rc >= 0 else 128 - rc)
            except subprocess.TimeoutExpired:
                ended = 'did not end within %d s' % limit
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


def compare(name, want, got, same_device, titles, differences, where):
    """'' or the lines that differ."""
    a, b = (differences.drop(where, name, masked(t, same_device)) for t in (want, got))
    diff = list(difflib.unified_diff(a, b, titles[0], titles[1], lineterm='', n=1))
    if len(diff) > MAX_DIFF:
        diff[MAX_DIFF:] = ['... %d more lines' % (len(diff) - MAX_DIFF)]
    return '\n'.join(diff)


def recorded(text):
    """(lines of the head, transcript) of a committed native transcript."""
    head, body = [], []
    for line in text.split('\n'):
        (head if line.startswith('# ') and not body else body).append(line)
    return head, '\n'.join(body)


def verdict(name, source, got, differences, where):
    """(verdict, text) of what a program printed on the software device, by its native transcript."""
    path = os.path.join(NATIVE, name + '.txt')
    if not os.path.exists(path):
        ended = got.split('\n')[-2]
        for died in ('did not end', 'did not start', 'exit status 132', 'exit status 134',
                     'exit status 139'):
            if ended.startswith(died):
                return 'FAIL', ended
        return 'skip', 'no native transcript yet'
    head, body = recorded(open(path, encoding='utf-8').read())
    if '# source: ' + source_digest(source) not in head:
        return 'skip', 'the native transcript is of an older version of the program'
    diff = compare(name, body, got, False, ('native', 'software device'), differences,
                   where)
    return ('FAIL' if diff else 'ok'), diff


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
                   os.path.join(self.out, 'native' + again, name + '.out'), GPU_LIMIT)

    def gvm(self, name):
        command = [os.path.join(self.build, 'gvm'), 'run', '--kind', self.kind]
        return run(command + ['--', self.program(name)], self.env,
                   os.path.join(self.out, 'gvm', name + '.out'),
                   GPU_LIMIT if self.args.gpu else LIMIT)

    def compare(self, name, want, got, same_device, titles):
        return compare(name, want, got, same_device, titles, self.differences, self.kind)

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

    def as_recorded(self, name, source, text):
        """Whether a native run is like the committed one: another one would show no more."""
        path = os.path.join(NATIVE, name + '.txt')
        if not os.path.exists(path):
            return False
        with open(path, encoding='utf-8') as f:
            head, body = recorded(f.read())
        return '# source: ' + source_digest(source) in head and not self.compare(
            name, body, text, '# device: ' + self.header['device'] in head, ('', ''))

    def on_gpu(self, name, source):
        """(verdict, text)"""
        want = self.native(name)
        if not self.as_recorded(name, source, want):
            again = self.compare(name, want, self.native(name, '2'), True,
                                 ('native', 'native again'))
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
        return verdict(name, source, self.gvm(name), self.differences, self.kind)


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

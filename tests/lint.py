#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""lint.py BUILD [--quick] [CUDA_INCLUDE] - checks of the sources that no compiler makes.

format   clang-format: all C but generated code, in the style of its folder
spdx     the licence line at the head of every source
channel  channel pages are touched through ring.h's accessors only (protocol/ring.h says why)
names    no file name that would differ by case only, no tab or trailing space in C of user space
shell    shellcheck           python  compiles
tidy     clang-tidy, user space (not with --quick); results of unchanged files are remembered
flow     cppcheck, user space (not with --quick)
module   make lint-module, the kernel module's own checks (not with --quick)

Every finding is one line `file:line: text`. Ends with `N passed, N failed, N skipped`.
"""
import concurrent.futures
import hashlib
import os
import py_compile
import re
import subprocess
import sys
import time

# Where the owner of a page writes it before anybody else can see it.
CHANNEL_ALLOWED = (
    ('libcudart-shim/driver/chan.c', r'front->(magic|ring_order) = '),
    ('domU-frontend/vgpufront_channel.c', r'front->(magic|ring_order) = '),
)


def sources():
    """Files of the tree: tracked and new ones, or all if this is no git checkout."""
    p = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], capture_output=True, text=True)
    if p.returncode == 0:
        files = p.stdout.split('\n')
    else:
        files = [os.path.join(d, f)[2:] for d, _, fs in os.walk('.') for f in fs
                 if not d.startswith('./build')]
    return sorted({f for f in files if f and os.path.isfile(f)})


def tool(*names):
    for n in names:
        for d in os.environ.get('PATH', '').split(':'):
            if os.access(os.path.join(d, n), os.X_OK):
                return n
    return None


def lines(path):
    with open(path, encoding='utf-8', errors='replace') as f:
        return f.read().split('\n')


class Lint:
    def __init__(self, build, cuda):
        self.build, self.cuda = build, cuda
        self.files = sources()
        self.c = [f for f in self.files if f.endswith(('.c', '.h'))]
        self.results = []

    def check(self, name, fn):
        start = time.monotonic()
        found = fn()
        if isinstance(found, str):  # why it was skipped
            self.results.append('skipped')
            print('lint %-8s skipped: %s' % (name, found))
            return
        self.results.append('failed' if found else 'passed')
        for f in found:
            print(f)
        print('lint %-8s %s %5.1f s' % (name, '%d findings' % len(found) if found else 'ok',
                                       time.monotonic() - start))
        sys.stdout.flush()

    def format(self):
        exe = tool('clang-format-14', 'clang-format')
        if not exe:
            return 'there is no clang-format'
        p = subprocess.run([exe, '--style=file', '--dry-run'] + self.c, capture_output=True, text=True)
        found = []
        for m in re.finditer(r'^(\S+?):(\d+):\d+: warning: ', p.stderr, re.M):
            text = '%s:%s: not formatted (%s -i)' % (m.group(1), m.group(2), exe)
            if not found or found[-1].split(':')[0] != m.group(1):
                found.append(text)  # the first place of each file is enough
        if p.returncode and not found:
            found.append(p.stderr.strip())
        return found

    def spdx(self):
        found = []
        for f in self.files:
            if not f.endswith(('.c', '.h', '.py', '.sh', '.cu', '.S')):
                continue
            head = [x for x in lines(f)[:2]]
            want = 'GPL-2.0 OR MIT' if f.startswith('domU-frontend/') else 'MIT'
            at = 1 if head[0].startswith('#!') and len(head) > 1 else 0
            m = re.search(r'SPDX-License-Identifier: ([^*]*)', head[at])
            if not m or want not in m.group(1):
                found.append('%s:%d: no SPDX-License-Identifier: %s' % (f, at + 1, want))
        return found

    def channel(self):
        found = []
        members = re.findall(r'^    u?int\d+_t (\w+)', '\n'.join(lines('protocol/vgpuif.h')), re.M)
        place = re.compile(r'&?[\w.>()-]*\b(?:(?:front|back)->(?:%s)\b|ch(?:\.|->)(?:replies|counters|ring)\[)'
                           % '|'.join(sorted(set(members))))
        for f in self.c:
            if f == 'protocol/ring.h' or f.startswith('tests/'):
                continue
            for n, line in enumerate(lines(f), 1):
                m = place.search(line)
                if not m or line.lstrip().startswith(('*', '/*')):
                    continue
                # An accessor, or only the address of the place.
                if re.search(r'VGPU_(LOAD|STORE)', line) or m.group(0).startswith('&'):
                    continue
                if any(f == g and re.search(r, line) for g, r in CHANNEL_ALLOWED):
                    continue
                found.append('%s:%d: channel memory without an accessor of ring.h: %s' %
                             (f, n, line.strip()))
        return found

    def names(self):
        found, seen = [], {}
        for f in self.files:
            other = seen.setdefault(f.lower(), f)
            if other != f:
                found.append('%s:1: differs from %s by case only' % (f, other))
        for f in self.c:
            for n, line in enumerate(lines(f), 1):
                if line.endswith((' ', '\t')):
                    found.append('%s:%d: space at the end of the line' % (f, n))
                if '\t' in line and not f.startswith('domU-frontend/'):
                    found.append('%s:%d: tab' % (f, n))
        return found

    def shell(self):
        exe = tool('shellcheck')
        if not exe:
            return 'there is no shellcheck'
        scripts = [f for f in self.files if f.endswith('.sh')]
        for f in self.files:
            if '.' not in os.path.basename(f) or f == '.ci/run':
                with open(f, 'rb') as s:
                    head = s.readline(80)
                if re.match(rb'#!.*\b(ba|da)?sh\b', head):
                    scripts.append(f)
        if not scripts:
            return []
        p = subprocess.run([exe, '-f', 'gcc', '-x'] + scripts, capture_output=True, text=True)
        return p.stdout.strip().split('\n') if p.returncode else []

    def python(self):
        found = []
        out = os.path.join(self.build, 'lint', 'py')
        os.makedirs(out, exist_ok=True)
        for f in self.files:
            if f.endswith('.py'):
                try:
                    py_compile.compile(f, cfile=os.path.join(out, f.replace('/', '_') + 'c'), doraise=True)
                except py_compile.PyCompileError as e:
                    found.append('%s:1: %s' % (f, str(e).strip().split('\n')[-1]))
        return found

    def tidy(self):
        exe = tool('clang-tidy-14', 'clang-tidy')
        if not exe:
            return 'there is no clang-tidy'
        flags = ['-std=gnu11', '-D_GNU_SOURCE', '-I.', '-Iprotocol', '-I%s/gen' % self.build,
                 '-Wno-unknown-warning-option']
        if self.cuda:
            flags += ['-isystem', self.cuda]
        todo, left_out = [], 0
        common = hashlib.sha256(' '.join(flags).encode())
        for f in ['.clang-tidy'] + [x for x in self.c if x.endswith('.h')] + \
                [os.path.join(self.build, 'gen', x) for x in sorted(os.listdir(self.build + '/gen'))
                 if x.endswith('.h')]:
            with open(f, 'rb') as s:
                common.update(s.read())
        stamps = os.path.join(self.build, 'lint', 'tidy')
        os.makedirs(stamps, exist_ok=True)
        for f in self.c:
            if not f.endswith('.c') or f.startswith(('domU-frontend/', 'tests/')):
                continue
            if f.startswith('libcudart-shim/') and not self.cuda:
                left_out += 1
                continue
            h = common.copy()
            with open(f, 'rb') as s:
                h.update(s.read())
            stamp = os.path.join(stamps, h.hexdigest()[:32])
            if not os.path.exists(stamp):
                todo.append((f, stamp))

        def one(job):
            f, stamp = job
            p = subprocess.run([exe, '--quiet', f, '--'] + flags, capture_output=True, text=True)
            found = [x for x in re.findall(r'^(?:\S*/)?.*?: (?:warning|error): .*$', p.stdout, re.M)]
            found = [os.path.relpath(x) if x.startswith('/') else x for x in found]
            if p.returncode and not found:
                found = ['%s:1: clang-tidy: %s' % (f, (p.stderr.strip() or 'failed').split('\n')[0])]
            if not found:
                open(stamp, 'w').close()
            return found

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            found = [x for r in pool.map(one, todo) for x in r]
        if left_out:
            print('lint tidy: %d files of libcudart-shim left out: there is no cuda.h' % left_out)
        return sorted(set(found))

    def flow(self):
        exe = tool('cppcheck')
        if not exe:
            return 'there is no cppcheck'
        cache = os.path.join(self.build, 'lint', 'cppcheck')
        os.makedirs(cache, exist_ok=True)
        files = [f for f in self.c if f.endswith('.c') and not f.startswith(('domU-frontend/', 'tests/'))]
        # Platform and toolkit headers are not looked at: what they define is unknown, not wrong.
        p = subprocess.run([exe, '-j2', '--quiet', '--cppcheck-build-dir=' + cache, '--std=c11',
                            '--enable=warning,portability', '--inline-suppr', '--error-exitcode=1',
                            '--suppress=constStatement', '--suppress=invalidPointerCast',
                            '--template={file}:{line}: {message} [{id}]', '--template-location=',
                            '-D__linux__', '-I.', '-Iprotocol', '-I%s/gen' % self.build] + files,
                           capture_output=True, text=True)
        return (p.stdout + p.stderr).strip().split('\n') if p.returncode else []

    def module(self):
        p = subprocess.run(['make', '--no-print-directory', '-n', 'lint-module'], capture_output=True,
                           text=True)
        if p.returncode:
            return 'there is no target lint-module'
        p = subprocess.run(['make', '--no-print-directory', 'lint-module'], capture_output=True, text=True)
        return (p.stdout + p.stderr).strip().split('\n') if p.returncode else []


def main(argv):
    args = [a for a in argv[1:] if a != '--quick']
    quick = '--quick' in argv
    lint = Lint(args[0], args[1] if len(args) > 1 and args[1] else None)
    for name in ('format', 'spdx', 'channel', 'names', 'shell', 'python'):
        lint.check(name, getattr(lint, name))
    if not quick:
        lint.check('tidy', lint.tidy)
        lint.check('flow', lint.flow)
        lint.check('module', lint.module)
    n = [lint.results.count(k) for k in ('passed', 'failed', 'skipped')]
    print('%d passed, %d failed, %d skipped' % tuple(n))
    return 1 if n[1] else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""run.py [--full] BUILD - what a compromised worker can do, without Xen.

gvm-backd confines workers in which somebody else's code runs after their lock-down (hostile.c). What
they try is printed as a table with counts; their guests' programs, and those of others, must come to
their right end all the same. As an ordinary user there are no namespaces to try, and the table says
so. Ends with `N passed, N failed, N skipped`.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

MODES = ((1024, 'the filter'), (1025, 'the filter, what kills included'), (1026, "a driver's filter"))
ALONE = ('fork', 'execve', 'ptrace', 'bpf', 'call of the x32 table', 'call of the 32-bit table')
SUM = re.compile(r'^hostile: (\d+) attempts, (\d+) refused as they must be, (\d+) not; (.*)$', re.M)


class Daemon:
    """gvm-backd with a guest for each quota; its standard error, and that of the workers, in `log`."""

    def __init__(self, build, quotas, confine, warm=0):
        self.dir = tempfile.mkdtemp(prefix='gvm-security-')
        self.build = build
        command = [build + '/gvm-backd', '--local', self.path(0), '--kind', 'ptx', '--warm', str(warm),
                   '--threads', '1', '--mem', str(64 << 20),
                   '--worker', os.path.abspath(build + '/security/gvm-worker-hostile')]
        if confine:
            command.append('--confine')
        for q in quotas:
            command += ['--guest', '%s,mem=%dM' % (self.path(q), q)]
        self.log_path = os.path.join(self.dir, 'log')
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(self.log_path, 'wb'))
        while not os.path.exists(self.path(0) + '.query'):  # made when all others listen
            if self.process.poll() is not None:
                raise SystemExit(self.log())
            time.sleep(0.01)

    def path(self, quota):
        return os.path.join(self.dir, 'guest%d' % quota)

    def log(self):
        with open(self.log_path, errors='replace') as f:
            return f.read()

    def run(self, quota, program='vectorAdd'):
        p = subprocess.run([self.build + '/gvm', 'run', '--backd', self.path(quota), '--',
                            '%s/conformance/%s' % (self.build, program)], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return p.returncode, p.stdout.decode(errors='replace')

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.dir)


def workers(daemon):
    """Pids of its workers that have got as far as their own program."""
    found = []
    with open('/proc/%d/task/%d/children' % (daemon, daemon)) as f:
        for pid in f.read().split():
            with open('/proc/%s/cmdline' % pid, 'rb') as g:
                if g.read().startswith(b'gvm-worker'):
                    found.append(int(pid))
    return found


def apart(build):
    """None, or what two workers have in common that each should have for itself."""
    d = Daemon(build, [512], True, warm=2)
    try:
        end = time.monotonic() + 20
        while len(workers(d.process.pid)) < 2:
            if time.monotonic() > end:
                return 'there are no two workers: ' + d.log()
            time.sleep(0.05)
        seen = set()
        for worker in workers(d.process.pid):
            with open('/proc/%d/status' % worker) as f:
                ids = re.search(r'^Uid:\s+(.*)$', f.read(), re.M).group(1).split()
            with open('/proc/%d/oom_score_adj' % worker) as f:
                first = int(f.read())
            if first < 500:
                return 'oom_score_adj %d, as others have it' % first
            mine = {('uid', i) for i in ids}
            mine |= {(n, os.readlink('/proc/%d/ns/%s' % (worker, n)))
                     for n in ('mnt', 'pid', 'net', 'ipc', 'uts')}
            host = {(n, os.readlink('/proc/self/ns/%s' % n))
                    for n in ('mnt', 'pid', 'net', 'ipc', 'uts')} | {('uid', '0')}
            common = mine & (seen | host)
            if common:
                return str(common)
            seen |= mine
        return None
    finally:
        d.stop()


def table(log):
    """Prints what was tried, by group and by what came of it."""
    counts = {}
    for group, text in re.findall(r'^hostile: (\S+) +(.*)$', log, re.M):
        if group.isdigit() or group == 'alone:':
            continue
        result = 'WRONG' if 'WRONG' in text else re.split(r'  +', text)[-1]
        counts.setdefault(group, {}).setdefault(result, 0)
        counts[group][result] += 1
    for group, results in counts.items():
        print('    %-10s %3d  %s' % (group, sum(results.values()), ', '.join(
            '%s: %d' % (k, results[k]) for k in sorted(results))))


def main(argv):
    full = '--full' in argv
    build = [a for a in argv[1:] if a != '--full'][0]
    hostile = build + '/security/gvm-worker-hostile'
    if not os.access(hostile, os.X_OK):
        print('%s is not built\n0 passed, 0 failed, 1 skipped' % hostile)
        return 0
    kills = dict(line.split(' ', 1)[::-1] for line in
                 subprocess.check_output([hostile, '--list'], text=True).splitlines())
    alone = sorted(kills) if full else ALONE
    confine = os.geteuid() == 0
    passed, failed = 0, []

    def verdict(name, ok, why=''):
        nonlocal passed
        print('%-4s %s%s' % ('ok' if ok else 'FAIL', name, '' if ok else ': ' + why), flush=True)
        if ok:
            passed += 1
        else:
            failed.append(name)

    if not confine:
        print('not root: workers share this user id and file system, only the filter is tried')
    if confine:
        common = apart(build)
        verdict('each worker has a user id and namespaces of its own', common is None, str(common))
    total = refused = 0
    for quota, what in MODES:
        d = Daemon(build, [quota], confine)
        try:
            other = []
            t = threading.Thread(target=lambda: other.append(d.run(0)))
            t.start()
            rc, out = d.run(quota)
            t.join()
            log = d.log()
            m = SUM.search(log)
            wrong = re.findall(r'^hostile: .*WRONG.*$', log, re.M)
            if m:
                print('%s (%s): %s attempts, %s refused as they must be' %
                      (what, m.group(4), m.group(1), m.group(2)))
                total += int(m.group(1))
                refused += int(m.group(2))
                table(log)
            verdict(what, bool(m) and not wrong and m.group(1) == m.group(2) and int(m.group(1)) > 50,
                    '\n'.join(wrong or log.splitlines()[-20:]))
            verdict('  its guest is served, and so is another', rc == 0 and other[0][0] == 0,
                    out + str(other))
        finally:
            d.stop()
    died = 0
    for first in range(0, len(alone), 6):
        names = alone[first:first + 6]
        d = Daemon(build, [2000 + int(kills[n]) for n in names], confine)
        try:
            for n in names:
                before = len(d.log())
                rc, out = d.run(2000 + int(kills[n]))
                log = d.log()[before:]
                ok = rc != 0 and 'signal 31' in log and 'WRONG' not in log
                died += ok
                if not ok:
                    verdict('%s kills the worker' % n, False, out + log)
            rc, out = d.run(0)
            verdict('killed for %s; others are served' % ', '.join(names), rc == 0, out)
        finally:
            d.stop()
    verdict('each of %d calls alone kills the worker that makes it' % len(alone), died == len(alone),
            '%d did' % died)
    print('compromised worker: %d attempts refused of %d, %d workers killed of %d' %
          (refused, total, died, len(alone)))
    print('%d passed, %d failed, 0 skipped' % (passed, len(failed)))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""run.py [--build DIR] [GROUP...] - make test: all groups of tests, one after the other.

Every group is a make target that ends with a line `N passed, N failed[, N skipped]`. A group that
prints none, or fails without saying how often, counts as one failure. What a group prints is shown
and kept in DIR/test-logs. At the end the times, and the sums as the last line.
"""
import os
import re
import signal
import subprocess
import sys
import time

LIMIT = 55 * 60  # seconds for everything but set-up: the machine that tests a change has an hour
GOAL = 15 * 60   # what it should take on two processors

SANITIZE = ['SAN=address,undefined']

# name, planned seconds, make targets, builds in a folder of its own, what it is
GROUPS = [
    ('build', 120, ['all'], None, 'everything that this machine can build'),
    ('lint', 5, ['lint-quick'], None, 'formatting and rules of the tree'),
    ('unit', 30, ['test-unit'], None, 'unit tests'),
    ('local', 100, ['test-local'], None, 'conformance programs over the local transport'),
    ('security', 15, ['test-security', 'test-teardown'], None,
     'a compromised worker, and one that is killed, without Xen'),
    ('conformance', 60, ['conformance', 'random', 'coverage-check'], None,
     'transcripts and random sequences on the software device, compared with native ones'),
    ('ptx', 90, ['test-ptx'], None, 'the software device against results of an H200'),
    ('bench', 20, ['test-instructions', 'test-bench'], None,
     'instructions of a launch, and the harness of the benchmarks'),
    ('asan', 150, ['test-unit', 'test-local'], 'asan', 'both once more with ASan and UBSan'),
    ('tsan', 150, ['test-tsan'], None, 'programs of several threads with ThreadSanitizer'),
    ('fuzz', 270, ['test-fuzz'], None, 'fuzz targets'),
    ('packages', 60, ['test-deb'], None, 'Debian packages in a scratch root'),
    ('xen', 440, ['test-xen'], None, 'inside Xen'),
    ('faults', 600, ['test-faults'], None,
     'a third of the fault matrix, a hostile guest, and a soak of 3 minutes, inside Xen'),
]
SUMMARY = re.compile(r'^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$', re.M)


def run(command, log, limit):
    """Shows and keeps the output. (exit status or None after `limit` seconds, text)"""
    out = []
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         stdin=subprocess.DEVNULL, start_new_session=True)
    late = False

    def stop(signum, frame):
        nonlocal late
        late = True
        os.killpg(p.pid, signal.SIGKILL)

    old = signal.signal(signal.SIGALRM, stop)
    signal.alarm(max(1, int(limit)))
    try:
        with open(log, 'ab') as f:
            for line in p.stdout:
                f.write(line)
                text = line.decode(errors='replace')
                out.append(text)
                print(text, end='', flush=True)
        p.wait()
    except BaseException:  # interrupted: leave nothing running
        try:
            os.killpg(p.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        raise
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
    return None if late else p.returncode, ''.join(out)


def group(g, build, logs, left):
    """[passed, failed, skipped] of one group."""
    name, _, targets, folder, _ = g
    total = [0, 0, 0]
    log = os.path.join(logs, name + '.log')
    open(log, 'wb').close()
    for target in targets:
        command = ['make', '--no-print-directory', '-s', '-j%d' % min(os.cpu_count() or 1, 8),
                   target]
        if name == 'build':
            command.append('-k')
        command.append('BUILD=' + (os.path.join(build, folder) if folder else build))
        if folder == 'asan':
            command += SANITIZE
        status, text = run(command, log, left())
        found = SUMMARY.findall(text)
        n = [int(x or 0) for x in found[-1]] if found else [0, 0, 0]
        if name == 'build' and status == 0:
            n = [1, 0, 0]
        elif status is None:
            print('make %s: stopped, the time for all tests is over' % target)
            n[1] += 1
        elif status != 0 and n[1] == 0:
            print('make %s: exit status %d' % (target, status))
            n[1] += 1
        elif not found and name != 'build':
            print('make %s: no summary' % target)
            n[1] += 1
        total = [a + b for a, b in zip(total, n)]
    return total


def setup(build, logs):
    """Packages. Counts as a test only if it fails."""
    start = time.monotonic()
    status, _ = run(['make', '--no-print-directory', '-s', 'setup', 'BUILD=' + build],
                    os.path.join(logs, 'setup.log'), 1800)
    return status == 0, time.monotonic() - start


def main(argv):
    args, build = argv[1:], 'build'
    if args[:1] == ['--build']:
        build, args = args[1], args[2:]
    known = [g[0] for g in GROUPS]
    for a in args:
        if a not in known:
            print('unknown group %s; allowed: %s' % (a, ' '.join(known)), file=sys.stderr)
            return 2
    chosen = [g for g in GROUPS if not args or g[0] in args]
    logs = os.path.join(build, 'test-logs')
    os.makedirs(logs, exist_ok=True)
    total, rows = [0, 0, 0], []

    ok, took = setup(build, logs)
    rows.append(('setup', took, None, [0, 0 if ok else 1, 0]))
    start = time.monotonic()
    for g in chosen:
        print('--- %s: %s' % (g[0], g[4]), flush=True)
        t = time.monotonic()
        n = group(g, build, logs, lambda: LIMIT - (time.monotonic() - start))
        rows.append((g[0], time.monotonic() - t, g[1], n))
    took = time.monotonic() - start

    print('\n%-12s %8s %8s   %s' % ('group', 'time', 'plan', 'result'))
    for name, seconds, plan, n in rows:
        total = [a + b for a, b in zip(total, n)]
        print('%-12s %6.0f s %8s   %d passed, %d failed, %d skipped' %
              (name, seconds, '%d s' % plan if plan else '-', *n))
    print('total without set-up: %d:%02d of %d:00 min; on two processors %d:00 are planned' %
          (took // 60, took % 60, LIMIT // 60, GOAL // 60))
    if took > LIMIT:
        print('that is over the limit')
        total[1] += 1
    print('%d passed, %d failed%s' % (total[0], total[1], ', %d skipped' % total[2] if total[2] else ''))
    return 1 if total[1] else 0


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda s, f: sys.exit(143))
    sys.exit(main(sys.argv))

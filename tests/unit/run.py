#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""run.py BUILD NAME... - runs unit tests, two at a time, and adds up what they report.

NAME is BUILD/unit/test_NAME (cmocka) or tests/unit/test_NAME.py (unittest). Prints a line for each,
the output of those that fail, and at the end `N passed, N failed, N skipped`.
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import time

LIMIT = 120  # seconds for one program


def count(pattern, text):
    return sum(int(n) for n in re.findall(pattern, text, re.M))


def run(build, name):
    """(passed, failed, skipped, seconds, output)"""
    script = 'tests/unit/test_%s.py' % name
    program = '%s/unit/test_%s' % (build, name)
    if os.path.exists('tests/unit/test_%s.c' % name):
        if not os.access(program, os.X_OK) or \
                os.path.getmtime(program) < os.path.getmtime('tests/unit/test_%s.c' % name):
            return 0, 1, 0, 0.0, '%s was not built\n' % program
        command = [program]
    elif os.path.exists(script):
        command = [sys.executable, script]
    else:
        return 0, 1, 0, 0.0, 'there is no unit test %s\n' % name
    start = time.monotonic()
    env = dict(os.environ, GVM_BUILD=build, PYTHONDONTWRITEBYTECODE='1')
    try:
        p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT,
                           stdin=subprocess.DEVNULL, env=env)
        text, status = p.stdout.decode(errors='replace'), p.returncode
    except subprocess.TimeoutExpired as e:
        text = (e.stdout or b'').decode(errors='replace') + '\n(stopped after %d s)\n' % LIMIT
        status = None
    if command[0] == program:
        passed = count(r'^\[  PASSED  \] (\d+) test', text)
        failed = count(r'^\[  FAILED  \] (\d+) test', text)
        skipped = count(r'^\[  SKIPPED \] (\d+) test', text)
    else:
        ran = count(r'^Ran (\d+) test', text)
        failed = count(r'(?:failures|errors)=(\d+)', text)
        skipped = count(r'skipped=(\d+)', text)
        passed = max(0, ran - failed - skipped)
    if status != 0 and failed == 0:  # died, or did not finish
        failed = 1
        text += '\n(%s)\n' % ('no result' if status is None else 'exit status %d' % status)
    if passed + failed + skipped == 0:
        failed = 1
        text += '\n(reported no test)\n'
    return passed, failed, skipped, time.monotonic() - start, text


def main(argv):
    build, names = argv[1], argv[2:]
    total = [0, 0, 0]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, r in zip(names, pool.map(lambda n: run(build, n), names)):
            for i in range(3):
                total[i] += r[i]
            print('unit %-24s %3d passed, %d failed, %d skipped  %5.1f s' % (name, *r[:4]))
            if r[1]:
                print(r[4], end='')
            elif r[2]:
                print(''.join(x + '\n' for x in r[4].splitlines() if 'skip' in x.lower()), end='')
            sys.stdout.flush()
    print('%d passed, %d failed, %d skipped' % tuple(total))
    return 1 if total[1] else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""run.py [--build DIR] [--nightly] - make test-ptx: the software device against an H200's results.

Every instruction form (forms.py; golden.zst) with both sets of handlers, some of them compiled for
1, 8, 16 and 32 lanes, and random programs (randprog.c; random.zst), each interpreted and compiled
for one of these widths. --nightly: all forms and 10000 programs, compiled for all four.
"""
import argparse
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TALLY = re.compile(r'^ptx (?:forms|random): (\d+) passed, (\d+) failed$', re.M)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--build', default='build')
    p.add_argument('--nightly', action='store_true')
    a = p.parse_args()
    forms = [os.path.join(a.build, 'ptx', 'forms'), 'check', os.path.join(a.build, 'ptx', 'forms.ptx'),
             os.path.join(HERE, 'golden.zst')]
    random = [os.path.join(a.build, 'ptx', 'random'), 'check', '0']
    jit = os.path.exists(os.path.join(a.build, 'gvm-ptx-jit.so'))
    runs = [('forms', forms, {}), ('forms, plain x86-64', forms, {'GVM_PTX_ISA': 'base'})]
    for lanes in ('1', '8', '16', '32') if jit else ():
        runs.append(('forms compiled for %s lanes' % lanes, forms,
                     {'GVM_TEST_JIT': lanes, 'GVM_FORMS_STEP': '1' if a.nightly else '29'}))
    recorded = os.path.join(HERE, 'random.zst')
    how = ('all' if a.nightly else 'one') if jit else 'i'
    runs.append(('random programs', random + ['10000' if a.nightly else '300',
                                              str(min(os.cpu_count() or 1, 8)), how, recorded],
                 {}))
    if not jit:
        print('the compiler plug-in is not built: interpreted only')
    good = bad = 0
    for name, command, env in runs:
        start = time.monotonic()
        r = subprocess.run(command, env=dict(os.environ, **env), stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
        text = r.stdout.decode(errors='replace')
        m = TALLY.search(text)
        n = (int(m.group(1)), int(m.group(2))) if m else (0, 1)
        if r.returncode and not n[1]:
            n = (n[0], 1)
        if n[1]:
            print('\n'.join(text.splitlines()[-40:]))
        good, bad = good + n[0], bad + n[1]
        print('ptx %-28s %5d passed, %d failed %6.1f s' % (name, *n, time.monotonic() - start),
              flush=True)
    print('%d passed, %d failed' % (good, bad))
    return bad != 0


if __name__ == '__main__':
    sys.exit(main())

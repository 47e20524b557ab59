#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""instructions.py BUILD - instructions of the guest for one `<<<...>>>` in steady state.

A kernel of three parameters; nvcc's stub, Push, Pop and the launch are counted, by callgrind, as the
difference between a run with many launches and one with fewer. At most 250, on the software device.
The worker polls meanwhile, as it does in a burst: doorbells are counted elsewhere (tests/xen, tests/local).
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

BAR = 250


def count(build, n, folder):
    out = subprocess.run(
        [os.path.join(build, 'gvm'), 'run', '--spin-us', '1000000', '--', 'valgrind', '--tool=callgrind',
         '--callgrind-out-file=' + os.path.join(folder, 'out'), '--toggle-collect=measured',
         os.path.join(build, 'bench', 'launches'), str(n)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    m = re.search(r'Collected : (\d+)', out.stdout)
    if out.returncode or not m:
        raise RuntimeError('status %d:\n%s' % (out.returncode, out.stdout))
    return int(m.group(1))


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else 'build'
    if not shutil.which('valgrind') or not os.path.exists(os.path.join(build, 'bench', 'launches')):
        print('skip launch_instructions: no valgrind, or no nvcc to build the program with')
        print('0 passed, 0 failed, 1 skipped')
        return 0
    with tempfile.TemporaryDirectory(prefix='gvm-instructions-') as folder:
        try:
            # What a busy machine adds (a worker that sleeps, a lock that is held) is not the launch.
            few = min(count(build, 100, folder) for _ in range(5))
            many = min(count(build, 300, folder) for _ in range(5))
        except (RuntimeError, subprocess.TimeoutExpired) as e:
            print('FAIL launch_instructions: %s' % e)
            print('0 passed, 1 failed, 0 skipped')
            return 1
    per = (many - few) / 200
    ok = per <= BAR
    print('%s launch_instructions: %.1f for each launch, at most %d' % ('ok  ' if ok else 'FAIL', per, BAR))
    print('%d passed, %d failed, 0 skipped' % (ok, not ok))
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_bench.py BUILD - that bench.py repeats, compares, checks and reports as it says; on the
software device, which also stands in for the native side. Nothing here depends on a speed."""
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

# Prints a value of its own at each run, after what it was given as a text.
TURNS = '''#!/bin/sh
n=$(cat "$0.n" 2>/dev/null || echo 0)
echo $((n + 1)) >"$0.n"
echo "$1"
shift
shift "$n"
echo "row x $1"
'''
# What nvidia-smi would say before and after the warm pool has filled.
SMI = '''#!/bin/sh
if [ -e "$0.n" ]; then echo 1700; else echo 200; touch "$0.n"; fi
'''
LIMIT = 100 # seconds


class Failed(Exception):
    pass


def expect(cond, what, text=''):
    if not cond:
        raise Failed('%s\n%s' % (what, text))


def script(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, 'w') as f:
        f.write(text)
    os.chmod(path, 0o755)
    return path


def bench(args, path=''):
    env = dict(os.environ, PATH=path + os.environ['PATH'])
    p = subprocess.Popen([sys.executable, os.path.join(HERE, 'bench.py')] + args, env=env, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        out, _ = p.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        p.terminate()
        out, _ = p.communicate()
        raise Failed('not done within %d s; it printed:\n%s' % (LIMIT, out))
    return p.returncode, out


def result(folder):
    with open(os.path.join(folder, 'bench.json')) as f:
        return json.load(f)


def pair_of_commands(build, folder):
    """Any two commands: the first run of each is no sample, medians and spread of the others."""
    a = script(folder, 'a', TURNS) + ' same 9000 10 40 20'
    b = script(folder, 'b', TURNS) + ' same 1 5 10 90'
    rc, text = bench(['pair', '--a', a, '--b', b, '--reps', '3', '--check', '--out', folder])
    expect(rc == 0, 'status %d' % rc, text)
    x = result(folder)['measures']['x']
    expect(x['a'] == {'median': 20, 'values': [10, 40, 20]}, 'a: %r' % x['a'])
    expect(x['b'] == {'median': 10, 'values': [5, 10, 90]}, 'b: %r' % x['b'])
    expect(re.search(r'^x +20\.000 us \| +10\.000 us +0\.500', text, re.M), 'no ratio', text)
    expect('10.000 us - 40.000 us' in text and '5.000 us - 90.000 us' in text, 'no spread', text)


def pair_that_differs(build, folder):
    """Outputs that must be equal and are not; a command that fails."""
    a = script(folder, 'a', TURNS) + ' one 1 2 3'
    b = script(folder, 'b', TURNS) + ' two 1 2 3'
    rc, text = bench(['pair', '--a', a, '--b', b, '--reps', '1', '--check'])
    expect(rc == 1 and 'outputs differ' in text and "'two'" in text, 'status %d' % rc, text)
    rc, text = bench(['pair', '--a', 'true', '--b', 'sh -c "exit 3"', '--reps', '1'])
    expect(rc == 1 and 'ended with status 3' in text, 'status %d' % rc, text)


def columns(build, folder):
    """Both backends, four at once, programs with and without start-up and without a warm pool."""
    gvm = os.path.join(build, 'gvm')
    script(folder, 'nvidia-smi', SMI)
    rc, text = bench(['gpu', '--build', build, '--kind', 'ptx', '--native', gvm + ' run --kind ptx --',
                      '--scale', '5000', '--reps', '2', '--warm', '1', '--settle', '0.2', '--pause',
                      '0', '--programs', 'VecAdd', 'clock', '--backend', 'pv', '--out', folder],
                     folder + ':')
    expect(rc == 0, 'status %d' % rc, text)
    expect('1 warm workers take 1500 MiB of device memory' in text, 'the pool costs nothing', text)
    r = result(folder)
    expect(r['warm_pool_mib'] == 1500 and r['sides'] == ['native', 'gvm', 'pv'], 'heads: %r' % r)
    for m in ('launch.burst', 'h2d_pinned_256M', 'd2h_pageable_1M', 'process_VecAdd'):
        for side in r['sides']:
            expect(len(r['measures'][m][side]['values']) == 2, '%s, %s' % (m, side), text)
    for m in ('VecAdd.process', 'VecAdd.body', 'clock.process', 'clock.body'):
        for side in ('native', 'gvm', 'cold'):
            expect(len(r['measures'][m][side]['values']) == 2, '%s, %s' % (m, side), text)
    expect(all(len(r['measures']['mixed4'][s]['values']) >= 2 for s in ('native', 'gvm')), 'mixed4')
    line = re.search(r'^pinned 256 MiB back .*$', text, re.M).group(0).split('|')
    expect(len(line) == 3 and ' 1.02 ' in line[1] and ' 1.50 ' in line[2], 'bars: %r' % line)
    with open(os.path.join(folder, 'bench.svg')) as f:
        picture = f.read()
    expect('upper: gvm, lower: pv' in picture and 'pinned 256 MiB back' in picture, 'no picture')


def wrong_result(build, folder):
    """A program that finds a wrong result ends the benchmark."""
    fake = os.path.join(folder, 'build', 'bench')
    os.makedirs(fake)
    script(fake, 'micro', '#!/bin/sh\necho row launch.burst 1\necho "micro.cu: wrong result" >&2\nexit 1\n')
    rc, text = bench(['gpu', '--build', os.path.join(folder, 'build'), '--native', 'env', '--warm', '0',
                      '--reps', '1'])
    expect(rc == 1 and 'native' in text and 'ended with status 1' in text, 'status %d' % rc, text)


def main(argv):
    build = os.path.abspath(argv[1] if len(argv) > 1 else 'build')
    count = {'ok': 0, 'FAIL': 0, 'skip': 0}
    for test in (pair_of_commands, pair_that_differs, columns, wrong_result):
        verdict, text = 'ok', ''
        with tempfile.TemporaryDirectory(prefix='gvm-test-bench-') as folder:
            if test is columns and not os.path.exists(os.path.join(build, 'bench', 'micro')):
                verdict, text = 'skip', ': no nvcc to build the programs with'
            else:
                try:
                    test(build, folder)
                except (Failed, OSError, KeyError, AttributeError) as e:
                    verdict, text = 'FAIL', ': %s: %s' % (type(e).__name__, e)
        count[verdict] += 1
        print('%-4s %s%s' % (verdict, test.__name__, text), flush=True)
    print('%d passed, %d failed, %d skipped' % (count['ok'], count['FAIL'], count['skip']))
    return 1 if count['FAIL'] else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""run.py BUILD SECONDS NAME:FACTOR:DICT:STORM:SEEDS... - runs fuzz targets, two at a time.

Inputs that once failed (tests/fuzz/regress/NAME) and the seeds are run first, then new ones for
SECONDS, or FACTOR times as long. What is found is kept in BUILD/fuzz/corpus/NAME, so that the next run
starts from there; an input that fails is kept as BUILD/fuzz/crash-NAME-*. Where STORM is a number,
storm_NAME runs as well, with the first folder of seeds, and must have put that many records through.
Ends with `N passed, N failed`.
"""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import time


def run(build, seconds, spec):
    """(ok, line, output)"""
    name, factor, dictionary, _, seeds = spec.split(':', 4)
    seconds *= int(factor or 1)
    program = '%s/fuzz/fuzz_%s' % (build, name)
    source = 'tests/fuzz/fuzz_%s.c' % name
    if not os.access(program, os.X_OK) or os.path.getmtime(program) < os.path.getmtime(source):
        return False, 'fuzz %-10s was not built' % name, ''
    corpus = '%s/fuzz/corpus/%s' % (build, name)
    os.makedirs(corpus, exist_ok=True)
    crash = '%s/fuzz/crash-%s-' % (build, name)
    for old in glob.glob(crash + '*'):
        os.unlink(old)
    folders = [corpus] + [d for d in seeds.split() +
                          ['tests/fuzz/seeds/' + name, 'tests/fuzz/regress/' + name] if os.path.isdir(d)]
    command = [program, '-max_total_time=%d' % seconds, '-print_final_stats=1', '-timeout=10',
               '-rss_limit_mb=3000', '-artifact_prefix=' + crash]
    if dictionary:
        command.append('-dict=' + dictionary)
    start = time.monotonic()
    try:
        p = subprocess.run(command + folders, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           stdin=subprocess.DEVNULL, timeout=seconds + 120)
        text, status = p.stdout.decode(errors='replace'), p.returncode
    except subprocess.TimeoutExpired as e:
        text, status = (e.stdout or b'').decode(errors='replace'), -1
    m = re.search(r'^stat::number_of_executed_units:\s*(\d+)', text, re.M)
    count = int(m.group(1)) if m else 0
    cover = re.findall(r'cov: (\d+)', text)
    ok = status == 0 and count > 0 and not glob.glob(crash + '*')
    line = 'fuzz %-10s %s  %9d executions, %s edges, %.0f s' % (
        name, 'ok    ' if ok else 'FAILED', count, cover[-1] if cover else '?', time.monotonic() - start)
    return ok, line, text


def storm(build, spec):
    """(ok, line, output)"""
    name, _, _, wanted, seeds = spec.split(':', 4)
    program = '%s/fuzz/storm_%s' % (build, name)
    source = 'tests/fuzz/storm_%s.c' % name
    if not os.access(program, os.X_OK) or os.path.getmtime(program) < os.path.getmtime(source):
        return False, 'storm %-9s was not built' % name, ''
    crash = '%s/fuzz/crash-%s-storm' % (build, name)
    if os.path.exists(crash):
        os.unlink(crash)
    start = time.monotonic()
    try:
        p = subprocess.run([program, wanted, crash, seeds.split()[0]], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=300)
        text, status = p.stdout.decode(errors='replace'), p.returncode
    except subprocess.TimeoutExpired as e:
        text, status = (e.stdout or b'').decode(errors='replace'), -1
    m = re.search(r'^storm: (\d+) records in (\d+) sessions, (\d+) violations', text, re.M)
    count = int(m.group(1)) if m else 0
    ok = status == 0 and count >= int(wanted) and not os.path.exists(crash)
    line = 'storm %-9s %s  %9d records, at least %s, %s violations, %.0f s' % (
        name, 'ok    ' if ok else 'FAILED', count, wanted, m.group(3) if m else '?',
        time.monotonic() - start)
    return ok, line, text


def main(argv):
    build, seconds, specs = argv[1], int(argv[2]), argv[3:]
    passed = failed = 0
    jobs = [lambda s=s: storm(build, s) for s in specs if s.split(':')[3]]
    jobs += [lambda s=s: run(build, seconds, s) for s in specs]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for ok, line, text in pool.map(lambda job: job(), jobs):
            print(line)
            if ok:
                passed += 1
            else:
                failed += 1
                print('\n'.join(text.splitlines()[-60:]))
            sys.stdout.flush()
    print('%d passed, %d failed' % (passed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))

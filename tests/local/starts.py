# SPDX-License-Identifier: MIT
"""Tests of workers that come to nothing. Imported by run.py."""
import os
import shutil
import signal
import time

import quota

CALLS = 12


def failing_starts(stage):
    """A program whose every CUDA call is refused does not have a process started for each at once; said
    once. Another guest notices nothing, and the first one is served again when there is a worker."""
    worker = os.path.join(stage.tmp, '.worker')
    shutil.copy('/bin/false', worker)
    with quota.Guests(stage, ['', ''], more=['--worker', worker]) as g:
        a = g.process(0)
        start = time.monotonic()
        for _ in range(CALLS):
            if a.ask('take 1') == '0':
                raise stage.Failed('memory without a worker')
        # The first eight are free, the others 0.05 s, 0.1 s, 0.2 s and so on after each other.
        if time.monotonic() - start < 0.3:
            raise stage.Failed('it took %.2f s only' % (time.monotonic() - start))
        shutil.copy(os.path.join(stage.dir, 'gvm-worker'), worker + '2')
        os.rename(worker + '2', worker)
        g.process(1).must('take 1', '0')
        b = g.process(0)
        b.must('take 1', '0')
        b.must('run', '0')
    os.unlink(worker)
    started = g.said.count('before it served')
    if not CALLS - 2 <= started <= CALLS + 2:
        raise stage.Failed('%d workers:\n%s' % (started, g.said))
    stage.expect(g.said.count('each further one waits'), 1, 'lines', g.said)


def children(pid):
    """gvm-workers of a gvm-backd."""
    found = set()
    for name in os.listdir('/proc'):
        try:
            with open('/proc/%d/stat' % int(name)) as f:
                head, tail = f.read().rsplit(')', 1)
        except (ValueError, OSError):
            continue
        if head.endswith('(gvm-worker') and int(tail.split()[1]) == pid and tail.split()[0] != 'Z':
            found.add(int(name))
    return found


def lost_warm(stage):
    """A worker that dies before anybody uses it is replaced, ready or not, and the log says so; another
    program is served as ever."""
    with quota.Guests(stage, ['', ''], more=['--warm', '1']) as g:
        a = g.process(0)
        a.must('take 1', '0')
        mine, killed = None, set()
        for n in range(5):
            end = time.monotonic() + 60
            while not len(children(g.p.pid) - killed) == 2:
                if time.monotonic() > end:
                    raise stage.Failed('workers %s after %d were killed' % (children(g.p.pid), n))
                time.sleep(0.005)  # so that some are hit before they are ready
            mine = mine or min(children(g.p.pid))  # the only one when the program came
            if n < 4:
                warm = (children(g.p.pid) - killed - {mine}).pop()
                killed.add(warm)
                os.kill(warm, signal.SIGKILL)
        a.must('run', '0')
        b = g.process(1)
        b.must('take 1', '0')
        b.must('run', '0')
    stage.expect(g.said.count('was killed by signal 9'), 4, 'lines', g.said)


TESTS = [failing_starts, lost_warm]

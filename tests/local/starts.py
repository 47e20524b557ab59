# SPDX-License-Identifier: MIT
"""Tests of workers that come to nothing. Imported by run.py."""
import os
import shutil
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


TESTS = [failing_starts]

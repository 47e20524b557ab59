#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make test's own arithmetic, with a make that only prints: what fails must not look passed."""
import os
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FAKE = '''#!/bin/sh
for a; do
    case $a in
    setup) exit ${SETUP:-0} ;;
    all) exit ${ALL:-0} ;;
    test-*|lint-*) printf '%b' "$TEXT"; [ -z "$HANG" ] || exec sleep 30; exit ${CODE:-0} ;;
    esac
done
'''


class Run(unittest.TestCase):
    def run_groups(self, *groups, **env):
        with tempfile.TemporaryDirectory() as d:
            make = os.path.join(d, 'make')
            with open(make, 'w') as f:
                f.write(FAKE)
            os.chmod(make, stat.S_IRWXU)
            e = dict(os.environ, PATH=d + ':' + os.environ['PATH'], **env)
            p = subprocess.run([sys.executable, os.path.join(ROOT, 'tests/run.py'), '--build',
                                os.path.join(d, 'b'), *groups], capture_output=True, text=True, env=e)
            return p.returncode, p.stdout.rstrip('\n').split('\n')[-1], p.stdout + p.stderr

    def test_good(self):
        r = self.run_groups('unit', TEXT='x\\n3 passed, 0 failed\\n')
        self.assertEqual(r[:2], (0, '3 passed, 0 failed'))

    def test_skips_are_counted(self):
        r = self.run_groups('unit', 'fuzz', TEXT='3 passed, 0 failed, 2 skipped\\n')
        self.assertEqual(r[:2], (0, '6 passed, 0 failed, 4 skipped'))

    def test_failures(self):
        r = self.run_groups('unit', TEXT='3 passed, 2 failed\\n', CODE='2')
        self.assertEqual(r[:2], (1, '3 passed, 2 failed'))

    def test_failures_but_exit_0(self):
        r = self.run_groups('unit', TEXT='3 passed, 2 failed\\n')
        self.assertEqual(r[:2], (1, '3 passed, 2 failed'))

    def test_exit_status_alone(self):
        r = self.run_groups('unit', TEXT='3 passed, 0 failed\\n', CODE='2')
        self.assertEqual(r[:2], (1, '3 passed, 1 failed'))

    def test_no_summary(self):
        self.assertEqual(self.run_groups('unit', TEXT='all fine\\n')[:2], (1, '0 passed, 1 failed'))
        self.assertEqual(self.run_groups('unit', TEXT='')[:2], (1, '0 passed, 1 failed'))

    def test_last_summary_counts(self):
        r = self.run_groups('unit', TEXT='1 passed, 1 failed\\n5 passed, 0 failed\\n')
        self.assertEqual(r[:2], (0, '5 passed, 0 failed'))

    def test_two_targets(self):
        r = self.run_groups('asan', TEXT='2 passed, 0 failed\\n')
        self.assertEqual(r[:2], (0, '4 passed, 0 failed'))

    def test_setup_fails(self):
        r = self.run_groups('unit', TEXT='3 passed, 0 failed\\n', SETUP='1')
        self.assertEqual(r[:2], (1, '3 passed, 1 failed'))

    def test_build(self):
        self.assertEqual(self.run_groups('build')[:2], (0, '1 passed, 0 failed'))
        self.assertEqual(self.run_groups('build', ALL='2')[:2], (1, '0 passed, 1 failed'))

    def test_unknown_group(self):
        r = self.run_groups('units')
        self.assertEqual(r[0], 2)
        self.assertIn("units", r[2])
        self.assertIn("unit", r[2])

    def test_too_long(self):
        sys.path.insert(0, os.path.join(ROOT, 'tests'))
        sys.dont_write_bytecode = True
        import run as runner
        with tempfile.NamedTemporaryFile() as log:
            status, text = runner.run(['sh', '-c', 'echo begun; sleep 30'], log.name, 1)
        self.assertIsNone(status)
        self.assertEqual(text, 'begun\n')


if __name__ == '__main__':
    unittest.main()

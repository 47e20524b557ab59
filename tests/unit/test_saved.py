#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""gvm saved, and what gvm doctor says of states that nobody has restored."""
import os
import shutil
import subprocess
import tempfile
import time
import unittest

GVM = os.path.join(os.environ.get('GVM_BUILD', 'build'), 'gvm')
A = '11111111-2222-3333-4444-55555555aaaa'
B = '11111111-2222-3333-4444-55555555bbbb'


@unittest.skipUnless(os.path.exists(GVM), 'gvm is not built')
class Saved(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix='gvm-saved-')
        self.addCleanup(shutil.rmtree, self.root)
        self.dir = os.path.join(self.root, 'var/lib/gvm')
        os.makedirs(self.dir)

    def put(self, name, days=0.0, size=1 << 20):
        path = os.path.join(self.dir, name)
        with open(path, 'wb') as f:
            f.truncate(size)
        at = time.time() - days * 24 * 3600
        os.utime(path, (at, at))

    def gvm(self, *args):
        done = subprocess.run([GVM, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env=dict(os.environ, TZ='UTC'))
        return done.returncode, done.stdout

    def saved(self, *args):
        return self.gvm('saved', '--state-dir', self.dir, *args)

    def doctor(self):
        _, out = self.gvm('doctor', '--as', 'dom0', '--root', self.root)
        lines = out.split('\n')
        for i, line in enumerate(lines):
            if 'saved domains' in line:
                return line + lines[i + 1] * ('mend:' in lines[i + 1])
        return ''

    def test_none(self):
        self.put(A)  # entries for its next boot are no state
        self.assertEqual(self.saved(), (0, 'no states of saved domains in %s\n' % self.dir))
        self.assertEqual(self.doctor(), '')
        rc, out = self.gvm('saved', '--state-dir', self.dir + '/none')
        self.assertEqual(rc, 0, out)

    def test_shown(self):
        self.put(A)
        self.put(A + '.0.1', 3)
        self.put(A + '.0.2', 1, 3 << 20)
        self.put(A + '.1.1')
        self.put(B + '.0.7')
        rc, out = self.saved()
        lines = out.split('\n')[:-1]
        self.assertEqual((rc, len(lines)), (0, 3), out)
        day = time.strftime('%Y-%m-%d', time.gmtime(time.time() - 24 * 3600))
        self.assertRegex(lines[0], '^%s vgpu 0: 2 programs, 4.0 MiB, saved %s ..:.., kept until ' % (A, day))
        self.assertRegex(lines[1], '^%s vgpu 1: 1 program, 1.0 MiB, ' % A)
        self.assertRegex(lines[2], '^%s vgpu 0: 1 program, ' % B)

    def test_removed(self):
        for name in (A, A + '.0.1', A + '.1.1', B + '.0.1'):
            self.put(name)
        self.assertEqual(self.saved('remove', A), (0, '2 removed\n'))
        self.assertEqual(sorted(os.listdir(self.dir)), [A, B + '.0.1'])
        self.assertEqual(self.saved('remove', A)[0], 1)
        self.assertEqual(self.saved('remove', 'all'), (0, '1 removed\n'))
        self.assertEqual(os.listdir(self.dir), [A])

    def test_refused(self):
        for args in (('remove',), ('remove', '../x'), ('remove', A + '.0.1'), ('drop', A), ('--x',)):
            with self.subTest(args=args):
                self.assertEqual(self.saved(*args)[0], 2)

    def test_doctor(self):
        self.put(A + '.0.1', 1)
        self.assertRegex(self.doctor(), r"^ok +saved domains +1 programs' states in /var/lib/gvm, 1 MiB, kept")
        self.put(B + '.0.1', 30.5)
        self.assertRegex(self.doctor(), r"^warn .* 2 programs' states .*, the oldest for 30 days; kept for "
                                        r"90 days.*mend: gvm saved ")


if __name__ == '__main__':
    unittest.main()

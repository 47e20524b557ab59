#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The unit tests of the PTX front end and interpreter again, with every kernel compiled first, for 1,
8, 16 and 32 lanes. GVM_TEST_JIT makes their fixture do that. Needs the plug-in."""
import os
import subprocess
import unittest

BUILD = os.environ.get('GVM_BUILD', 'build')


class Same(unittest.TestCase):
    def run_with(self, program, lanes):
        path = os.path.join(BUILD, 'unit', 'test_' + program)
        if not os.path.exists(os.path.join(BUILD, 'gvm-ptx-jit.so')):
            self.skipTest('the compiler plug-in is not built')
        if not os.path.exists(path):
            self.skipTest('%s is not built' % path)
        env = dict(os.environ, GVM_TEST_JIT=str(lanes))
        p = subprocess.run([path], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=100)
        self.assertEqual(p.returncode, 0, p.stdout.decode(errors='replace')[-2000:])

    def test_same(self):
        for program in ('ptx_exec', 'ptx_warp', 'ptx_tex'):
            for lanes in (1, 8, 16, 32):
                with self.subTest(program=program, lanes=lanes):
                    self.run_with(program, lanes)


if __name__ == '__main__':
    unittest.main()

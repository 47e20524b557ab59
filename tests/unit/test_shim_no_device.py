#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A program where there is no device: each call fails, one line says why."""
import os
import subprocess
import tempfile
import unittest

LIB = os.path.join(os.environ.get('GVM_BUILD', 'build'), 'lib')
PROGRAM = '''
int cudaMalloc(void **p, unsigned long n);
int main(void)
{
    void *p;
    return cudaMalloc(&p, 64) != 0 && cudaMalloc(&p, 64) != 0 ? 0 : 1;
}
'''


@unittest.skipUnless(os.path.exists(LIB + '/libcudart.so.13'), 'the guest libraries are not built')
class NoDevice(unittest.TestCase):
    def test_said_once(self):
        with tempfile.TemporaryDirectory() as d:
            program = os.path.join(d, 'program')
            subprocess.run(['gcc', '-x', 'c', '-', '-o', program, '-L' + LIB, '-l:libcudart.so.13',
                            '-Wl,--allow-shlib-undefined'], input=PROGRAM, text=True, check=True)
            socket = os.path.join(d, 'none')
            p = subprocess.run([program], capture_output=True, text=True, timeout=60,
                               env=dict(os.environ, LD_LIBRARY_PATH=LIB, GVM_SOCKET=socket))
        self.assertEqual(p.stderr, 'gvm: no device: %s: No such file or directory\n' % socket)
        self.assertEqual(p.returncode, 0)


if __name__ == '__main__':
    unittest.main()

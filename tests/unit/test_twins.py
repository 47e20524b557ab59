#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A function that is implemented has its twin for the per-thread default stream implemented, and
what cuGetProcAddress would hand out exists in the form that a version of CUDA means."""
import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get('GVM_BUILD', 'build'))
GEN = os.path.join(BUILD, 'obj/libcudart-shim/gen')


def exports(side):
    with open(os.path.join(ROOT, 'libcudart-shim', side, 'exports.txt')) as f:
        return set(s for s in (line.split('#')[0].strip() for line in f) if s)


def refused(side):
    with open(os.path.join(GEN, side + '_refused.c')) as f:
        return set(re.findall(r'^REFUSE\((\w+)\)', f.read(), re.M))


@unittest.skipUnless(os.path.exists(os.path.join(GEN, 'driver_refused.c')), 'the shim is not built')
class Twins(unittest.TestCase):
    def check(self, side):
        names, absent = exports(side), refused(side)
        for twin in sorted(names):
            m = re.match(r'(\w+)_pt[sd][sz]$', twin)
            if m:
                self.assertIn(m[1], names, 'a twin of nothing')
                self.assertEqual(twin in absent, m[1] in absent,
                                 'of %s and %s only one is implemented' % (m[1], twin))

    def test_driver(self):
        self.check('driver')

    def test_runtime(self):
        self.check('runtime')

    def test_newest_form(self):
        """Where an older form of a driver function is implemented, so is the newest."""
        names, absent = exports('driver'), refused('driver')
        forms = {}
        for n in names:
            m = re.match(r'(\w+?)(?:_v(\d+))?(_pt[sd][sz])?$', n)
            forms.setdefault((m[1], m[3]), []).append((int(m[2] or 1), n))
        for f in forms.values():
            have = [n for _, n in f if n not in absent]
            if have:
                self.assertIn(max(f)[1], have, 'only older forms of it are implemented')

    def test_static_library(self):
        """libcudart_static.a shows the public names and no others, and asks for none of ours."""
        path = os.path.join(BUILD, 'lib/libcudart_static.a')
        out = subprocess.run(['nm', path], check=True, capture_output=True, text=True).stdout
        shown = set(re.findall(r'^[0-9a-f]+ [A-Z] (\w+)$', out, re.M))
        wanted = set(re.findall(r'^ +U (\w+)$', out, re.M))
        self.assertEqual(shown, exports('runtime'))
        self.assertEqual([n for n in wanted if re.match('gvm_|rt_|cu[A-Z]', n)], [])


if __name__ == '__main__':
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The generator of the protocol code: mistakes in calls.spec get one line with file and line."""
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'protocol', 'gen'))

import spec  # noqa: E402

GOOD = 'call A 2 quick\n  doc Does a\n'


def layout(lines):
    s = spec.Reader(GOOD + lines, 'x').read()
    return s.calls[0].inl


class Mistakes(unittest.TestCase):
    """(text, line of the mistake, words of the message)"""

    CASES = [
        ('', 1, ['no call']),
        ('cal A 2 quick\n', 1, ["unknown entry 'cal'", 'call ctl']),
        ('  doc x\n', 1, ['outside']),
        ('call A 2\n', 1, ['NAME OPCODE CLASS']),
        ('call a 2 quick\n', 1, ["'a'"]),
        ('call A x quick\n', 1, ["opcode is 'x'", 'number']),
        ('call A 1 quick\n', 1, ['opcode is 1', '2..65535']),
        ('call A 65536 quick\n', 1, ['opcode is 65536']),
        ('call A 2 slow\n', 1, ["class is 'slow'", 'posted quick blocking']),
        ('call A 2 quick\n', 1, ['no doc']),
        (GOOD + GOOD, 3, ['already defined in line 1']),
        (GOOD + 'call B 2 quick\n doc b\n', 3, ['0x0002', 'A']),
        (GOOD + '  doc again\n', 3, ['doc is given twice']),
        (GOOD + '  since 0\n', 3, ['since is 0']),
        (GOOD + '  driver cu Mem\n', 3, ['cu Mem']),
        (GOOD + '  inn u32 x\n', 3, ["unknown line 'inn'"]),
        (GOOD + '  in u32\n', 3, ['in TYPE NAME']),
        (GOOD + '  in u33 x\n', 3, ["unknown type 'u33'", 'u32']),
        (GOOD + '  out pool x\n', 3, ["unknown type 'pool' of an out field"]),
        (GOOD + '  in u32 X\n', 3, ["field name 'X'"]),
        (GOOD + '  in u32 x_\n', 3, ["field name 'x_'"]),
        (GOOD + '  in u32 int\n', 3, ["field name 'int'"]),
        (GOOD + '  in u32 pad0\n', 3, ['padding']),
        (GOOD + '  in u32 x\n  in u64 x\n', 4, ['already taken in line 3']),
        (GOOD + '  in data x max 4\n  in u32 x_len\n', 4, ["'x_len'", 'line 3']),
        (GOOD + '  in u32 x\n  out u64 x\n', 4, ['already taken']),
        (GOOD + '  in data x\n', 3, ["data field 'x' needs max"]),
        (GOOD + '  in data x max 0\n', 3, ['max is 0']),
        (GOOD + '  in u32 x max\n', 3, ["'max' has no value"]),
        (GOOD + '  in u32 x most 3\n', 3, ["unknown check 'most'"]),
        (GOOD + '  in u32 x max 4294967296\n', 3, ['0..4294967295']),
        (GOOD + '  in u8 x max 256\n', 3, ['0..255']),
        (GOOD + '  in i32 x mask 1\n', 3, ["unknown check 'mask'", 'min max']),
        (GOOD + '  in u32 x min 5 max 4\n', 3, ['min 5 is above max 4']),
        (GOOD + '  in u32 x max 5 max 4\n', 3, ['given twice']),
        (GOOD + '  in u64 x align 24\n', 3, ['power of two']),
        (GOOD + '  in f32 x max 4\n', 3, ["unknown check 'max'", 'none']),
        (GOOD + '  in stream x max 4\n', 3, ["unknown check 'max'"]),
        (GOOD + '  in u32[0] x\n', 3, ['array length is 0']),
        (GOOD + '  in f32[2] x\n', 3, ["array of 'f32'"]),
        (GOOD + '  in data x max 49152\n', 1, ['request of A', '49152']),
        (GOOD + '  out data x max 496\n', 1, ['reply of A', '504', '496']),
        ('call A 2 posted\n  doc a\n  out u32 x\n', 1, ['posted call A']),
        ('ctl A 15\n', 1, ['opcode is 15']),
        ('ctl A\n', 1, ['ctl NAME OPCODE']),
        ('ctl A 16\n  uses chanel\n', 2, ["unknown member 'chanel'", 'channel']),
        ('ctl A 16\n  uses uid\n  uses uid\n', 3, ['given twice']),
        ('ctl A 16\n  uses uid mask 3\n', 2, ["unknown check 'mask'"]),
        ('ctl A 16\n  uses npages pages ring_order\n', 1, ['ring_order']),
        ('ctl A 16\nctl B 16\n', 2, ['already defined in line 1']),
    ]

    def test_mistakes(self):
        for text, line, words in self.CASES:
            with self.subTest(text=text):
                with self.assertRaises(spec.SpecError) as e:
                    spec.Reader(text, 'f.spec').read()
                message = str(e.exception)
                self.assertTrue(message.startswith('f.spec:%d: ' % line), message)
                self.assertNotIn('\n', message)
                for w in words:
                    self.assertIn(w, message)


class Layout(unittest.TestCase):
    def offsets(self, lines):
        return {m.name: m.offset for m in layout(lines).members if not m.pad}

    def test_alignment(self):
        self.assertEqual(self.offsets('  in u8 a\n  in u16 b\n  in u32 c\n  in u64 d\n  in u8 e\n'),
                         {'a': 0, 'b': 2, 'c': 4, 'd': 8, 'e': 16})
        self.assertEqual(layout('  in u64 d\n  in u8 e\n').size, 16)
        self.assertEqual(layout('  in u32 d\n  in u8 e\n').size, 8)
        self.assertEqual(layout('').size, 0)

    def test_pool(self):
        self.assertEqual(self.offsets('  in u32 a\n  in pool p\n'),
                         {'a': 0, 'p_chunk': 8, 'p_zero': 12, 'p_off': 16, 'p_len': 24})

    def test_data(self):
        one = layout('  in u32 a\n  in u64 b\n  in data d max 9\n')
        self.assertEqual((one.size, one.max), (24, 24 + 16))
        text = layout('  in str s max 8\n')  # the NUL has its place
        self.assertEqual((text.size, text.max), (8, 8 + 16))

    def test_arrays(self):
        self.assertEqual(self.offsets('  in u8[3] a\n  in u32[3] b\n'), {'a': 0, 'b': 4})


class Program(unittest.TestCase):
    def generate(self, text, out):
        path = os.path.join(out, 'calls.spec')
        with open(path, 'w') as f:
            f.write(text)
        return subprocess.run([sys.executable, os.path.join(ROOT, 'protocol/gen/gen.py'), path,
                               os.path.join(out, 'gen')], capture_output=True, text=True)

    def test_error(self):
        with tempfile.TemporaryDirectory() as d:
            p = self.generate('call A 2 quik\n', d)
            self.assertEqual(p.returncode, 1)
            self.assertEqual(p.stderr, "%s/calls.spec:1: class is 'quik'; allowed: posted quick "
                                       "blocking\n" % d)
            self.assertFalse(os.path.exists(os.path.join(d, 'gen')))

    def test_missing_file(self):
        p = subprocess.run([sys.executable, os.path.join(ROOT, 'protocol/gen/gen.py'), '/nonexistent',
                            '/nonexistent/out'], capture_output=True, text=True)
        self.assertEqual(p.returncode, 1)
        self.assertEqual(p.stderr.count('\n'), 1)

    def test_unchanged_files_stay(self):
        with open(os.path.join(ROOT, 'protocol/calls.spec')) as f:
            text = f.read()
        with tempfile.TemporaryDirectory() as d:
            self.assertEqual(self.generate(text, d).returncode, 0)
            stubs = os.path.join(d, 'gen', 'stubs.c')
            os.utime(stubs, (1000, 1000))
            self.assertEqual(self.generate(text, d).returncode, 0)
            self.assertEqual(os.stat(stubs).st_mtime, 1000)

    def test_seeds_of_gone_calls_go(self):
        with tempfile.TemporaryDirectory() as d:
            both = GOOD + 'call B 3 quick\n  doc b\n' + 'ctl C 16\n  uses channel\n'
            self.assertEqual(self.generate(both, d).returncode, 0)
            self.assertTrue(os.path.exists(os.path.join(d, 'gen/seeds/rec/B-valid')))
            self.assertEqual(self.generate(GOOD + 'ctl C 16\n  uses channel\n', d).returncode, 0)
            self.assertFalse(os.path.exists(os.path.join(d, 'gen/seeds/rec/B-valid')))

    def test_all_types_compile(self):
        """Types and shapes that calls.spec itself may not use at the moment."""
        text = GOOD + '''
call All 3 blocking
  doc Everything at once
  in u8 a min 1 max 9
  in u16 b mask 0x0ff0
  in u64 c align 4096
  in i32 d min -3 max 3
  in f32 e
  in u16[3] f max 7
  in i32[2] g min -1
  in str s max 16
  in data t max 64
  in str u max 9
  in stream st
  in newevent ne
  in pool p
  out u8 oa
  out data od max 20
  out i32[3] oi
  out data oe max 30
  out f32 of
'''
        with open(os.path.join(ROOT, 'protocol/calls.spec')) as f:
            text += ''.join(f.read().partition('ctl CreateChannel')[1:]).partition('# ---')[0]
        with tempfile.TemporaryDirectory() as d:
            p = self.generate(text, d)
            self.assertEqual(p.returncode, 0, p.stderr)
            for name in ('calls', 'stubs', 'decode', 'ctl', 'trace'):
                p = subprocess.run(['gcc', '-std=gnu11', '-Wall', '-Wextra', '-Wshadow', '-Werror',
                                    '-Wno-unused-parameter', '-O1', '-I%s/protocol' % ROOT,
                                    '-I%s/gen' % d, '-c', '-o', '/dev/null', '%s/gen/%s.c' % (d, name)],
                                   capture_output=True, text=True)
                self.assertEqual(p.returncode, 0, p.stderr)


if __name__ == '__main__':
    unittest.main()

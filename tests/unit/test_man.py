#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every option and command that --help names is in its man page, and the other way round; every key
of gvm.conf is in gvm.conf(5)."""
import os
import re
import subprocess
import unittest

BUILD = os.environ.get('GVM_BUILD', 'build')
PROGRAMS = {'gvm-backd.8': os.path.join(BUILD, 'gvm-backd'),
            'gvm-worker.8': os.path.join(BUILD, 'gvm-worker'),
            'gvm-guest.8': 'packaging/guest/gvm-guest'}
GVM = os.path.join(BUILD, 'gvm')
OPTION = re.compile(r'(?<![\w-])--[a-z][a-z-]*[a-z]')


def read(path):
    with open(path) as f:
        return f.read()


def page(name):
    """Text of a page's source without fonts, {section: text}."""
    text = read(os.path.join('docs/man', name)).replace('\\-', '-')
    text = re.sub(r'\\f.', '', text)
    parts = re.split(r'^\.SH (.*)\n', text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def text_of(*cmd):
    done = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def options(text):
    return set(OPTION.findall(text))


@unittest.skipUnless(os.path.exists(GVM), 'gvm is not built')
class Man(unittest.TestCase):
    def help(self, *cmd):
        rc, out = text_of(*cmd, '--help')
        self.assertEqual(rc, 0, '%s --help: %s' % (cmd, out))
        return out

    def same(self, what, shown, written):
        self.assertEqual(sorted(shown - written), [], what + ': --help shows, the page does not')
        self.assertEqual(sorted(written - shown), [], what + ': the page shows, --help does not')

    def test_programs(self):
        for name, program in PROGRAMS.items():
            with self.subTest(page=name):
                # --help itself need not be shown by --help.
                shown = options(self.help(program)) | {'--help'}
                p = page(name)
                self.same(name, shown, options(p['SYNOPSIS'] + p.get('OPTIONS', '')))

    def test_commands_of_gvm_guest(self):
        _, out = text_of(PROGRAMS['gvm-guest.8'], '--help')
        commands = out.split()[-1].split('|')
        self.assertEqual(re.findall(r'^\.B (\w+)$', page('gvm-guest.8')['DESCRIPTION'], re.M), commands)

    def test_gvm(self):
        out = self.help(GVM)
        commands = re.findall(r'^  (\w+) +\S', out, re.M)
        p = page('gvm.1')
        blocks = {}
        for block in re.split(r'^\.br\n', p['SYNOPSIS'], flags=re.M):
            m = re.match(r'\.B gvm ([\w-]+)', block)
            self.assertTrue(m, 'gvm.1: synopsis ' + block)
            blocks[m.group(1)] = blocks.get(m.group(1), '') + block
        blocks['run'] += p['OPTIONS OF GVM RUN']
        self.assertEqual(sorted(blocks), sorted(commands + ['--version']))
        described = re.findall(r'^\.TP\n\.B (\w+)$', p['COMMANDS'], re.M)
        self.assertEqual(sorted(described), sorted(commands))
        every = set()
        for c in commands:
            with self.subTest(command=c):
                other = r'gvm-backd --local'  # --backd's explanation names it
                shown = options(self.help(GVM, c).replace(other, ''))
                every |= shown if c != 'run' else set()
                self.same('gvm ' + c, shown, options(blocks[c].replace(other, '')))
        self.same('gvm.1, OPTIONS', every, options(p['OPTIONS'].replace('gvm-backd --local', '')))

    def test_version(self):
        self.assertIn('--version', options(self.help(GVM)))
        version = re.search(r'\((\S+)\)', read('packaging/debian/changelog')).group(1)
        self.assertEqual(text_of(GVM, '--version'), (0, 'gvm %s\n' % version))

    def test_conf(self):
        """The keys of the file that is installed, and their defaults, are the page's."""
        conf = read('dom0-backend/agent/gvm.conf')
        shown = re.findall(r'^#(\w+) = ', conf, re.M)
        described = re.findall(r'^\.TP\n\.BR (\w+) " = ', page('gvm.conf.5')['DESCRIPTION'], re.M)
        known = re.findall(r'^    \{"(\w+)", [A-Z]', read('dom0-backend/agent/conf.c'), re.M)
        self.assertEqual(sorted(shown), sorted(known))
        self.assertEqual(sorted(described), sorted(known))


if __name__ == '__main__':
    unittest.main()

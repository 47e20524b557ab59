#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""README and docs/ speak of what there is: links lead somewhere; commands, options, make's targets,
man pages and paths that they name exist."""
import glob
import os
import re
import subprocess
import unittest

BUILD = os.environ.get('GVM_BUILD', 'build')
GVM = os.path.join(BUILD, 'gvm')
FILES = ['README.md'] + sorted(glob.glob('docs/*.md') + glob.glob('docs/bench/*.md') +
                               glob.glob('packaging/*/*.md'))
FOLDERS = ('protocol', 'libcudart-shim', 'domU-frontend', 'dom0-backend', 'xenstore-schema', 'tools',
           'tests', 'packaging', 'docs')
OPTION = re.compile(r'(?<![\w-])--[a-z][a-z-]*[a-z]')
LIBDIR = '/usr/lib/x86_64-linux-gnu/gvm/'


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def code(text):
    """Lines of code blocks, and what stands in backticks."""
    fenced = re.findall(r'^```\w*\n(.*?)^```', text, re.M | re.S)
    rest = re.sub(r'^```\w*\n.*?^```', '', text, flags=re.M | re.S)
    blocks = re.findall(r'^ {4}(?! *\|)(.*)', rest, re.M)
    inline = [' '.join(x.split()) for x in re.findall(r'`([^`]+)`', rest)]
    return [x for b in fenced for x in b.split('\n')] + blocks + inline


def anchors(text):
    heads = re.findall(r'^#+ (.*)', text, re.M)
    return {re.sub(r'[^\w\- ]', '', h.lower()).replace(' ', '-') for h in heads}


def help_of(*cmd):
    done = subprocess.run([*cmd, '--help'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout if done.returncode == 0 else None


def make_targets():
    files = [p for f in FOLDERS for p in glob.glob(f + '/**/*.mk', recursive=True)]
    text = ''.join(read(p) for p in ['Makefile'] + files)
    found = set()
    for names in re.findall(r'^([A-Za-z$][\w$()/. -]*):(?!=)', text, re.M):
        found.update(names.replace('$(BUILD)', 'build').split())
    return found


class Docs(unittest.TestCase):
    def each(self):
        for path in FILES:
            yield path, read(path)

    def complain(self, wrong):
        self.assertEqual(wrong, [], '\n' + '\n'.join(wrong))

    def test_links(self):
        wrong = []
        for path, text in self.each():
            for target in re.findall(r'\]\(([^)\s]+)\)', text):
                if re.match(r'[a-z]+:', target):
                    continue
                name, _, anchor = target.partition('#')
                there = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
                if not os.path.exists(there):
                    wrong.append('%s: no %s' % (path, target))
                elif anchor and anchor not in anchors(read(there)):
                    wrong.append('%s: no heading for %s' % (path, target))
        self.complain(wrong)

    def test_make(self):
        targets, wrong = make_targets(), []
        for path, text in self.each():
            for line in code(text):
                m = re.match(r'(?:\$ )?make\b(.*)', re.sub(r'"[^"]*"', '', line.split('#')[0]).rstrip())
                for word in m.group(1).split() if m else ():
                    if word[0] not in '-<[' and '=' not in word and word.islower() and word not in targets:
                        wrong.append('%s: `%s`: no target %s' % (path, line, word))
        self.complain(wrong)

    @unittest.skipUnless(os.path.exists(GVM), 'gvm is not built')
    def test_commands(self):
        """gvm COMMAND, gvm-backd, gvm-worker, gvm-guest and their options."""
        helps = {(n,): help_of(os.path.join(BUILD, n)) for n in ('gvm', 'gvm-backd', 'gvm-worker')}
        helps['gvm-guest',] = help_of('packaging/guest/gvm-guest')
        for c in re.findall(r'^  (\w+) +\S', helps['gvm',], re.M):
            helps['gvm', c] = help_of(GVM, c)
        helps['gvm', 'help'] = helps['gvm',]
        wrong = []
        for path, text in self.each():
            for line in code(text):
                m = re.match(r'(?:[$#] )?(?:sudo )?(?:/usr/sbin/|build/)?(gvm(?:-\w+)?)(?: (.*)|$)',
                             re.split(r' \| |;|&&| # ', line)[0])
                if not m or (m.group(1),) not in helps:
                    continue
                name, rest = m.group(1), m.group(2) or ''
                words, key = rest.split(), (name,)
                if name == 'gvm' and words and re.fullmatch(r'[a-z]+', words[0]):
                    key = (name, words[0])
                if key not in helps or (name == 'gvm-guest' and words and words[0].islower() and
                                        words[0].isalpha() and words[0] not in helps[key]):
                    wrong.append('%s: `%s`: no such command' % (path, line))
                    continue
                own = rest.split(' -- ')[0]
                wrong += ['%s: `%s`: %s is no option of %s' % (path, line, o, ' '.join(key))
                          for o in OPTION.findall(own) if o not in helps[key] and o != '--help']
        self.complain(wrong)

    def test_man_pages(self):
        wrong = []
        for path, text in self.each():
            for name, section in re.findall(r'\b(gvm[\w.-]*|vgpu)\((\d)\)', text):
                if not glob.glob('docs/man/%s.%s*' % (name, section)):
                    wrong.append('%s: no man page %s(%s)' % (path, name, section))
        self.complain(wrong)

    def test_paths(self):
        """Files of the tree, programs that are built, libraries that are installed."""
        built = os.path.isdir(os.path.join(BUILD, 'lib'))
        wrong = []
        for path, text in self.each():
            for line in code(text):
                for token in re.findall(r'(?<![\w./~$-])(?:%s)/[\w./*{},-]+' % '|'.join(FOLDERS), line):
                    token = token.rstrip('.,')
                    names = [token]
                    m = re.match(r'(.*)\{([^}]*)\}(.*)', token)
                    if m:
                        names = [m.group(1) + x + m.group(3) for x in m.group(2).split(',')]
                    wrong += ['%s: `%s`: no %s' % (path, line, n) for n in names
                              if not glob.glob(n) and not glob.glob(re.sub('[A-Z]{3,}', '*', n))]
                for name in re.findall(re.escape(LIBDIR) + r'([\w.]+)', line) if built else ():
                    if not os.path.exists(os.path.join(BUILD, 'lib', name)):
                        wrong.append('%s: `%s`: %s is not installed there' % (path, line, name))
                for name in re.findall(r'(?<![\w/])build/(gvm[\w.-]*|lib)\b', line) if built else ():
                    if not os.path.exists(os.path.join(BUILD, name)):
                        wrong.append('%s: `%s`: build/%s is not built' % (path, line, name))
        self.complain(wrong)


if __name__ == '__main__':
    unittest.main()

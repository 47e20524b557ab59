#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Completes a library: defines every exported function that its own objects do not define.

usage: refuse.py SUMMARY VIA EXPORTS OUT.c OBJECT...

EXPORTS has one function name a line ('#' starts a comment). OUT.c gets, for each name that no
OBJECT defines, a function that answers "not supported" (801, the same in both APIs) and says so
once, through `int VIA(const char *name, uint32_t *flag)`. SUMMARY gets one line. Arguments are of
no interest, so the functions take none. It is an error if an object defines a name with the
prefix of the list's names that the list does not have.
"""
import re
import subprocess
import sys


def names(path):
    with open(path) as f:
        return [s for s in (line.split('#')[0].strip() for line in f) if s]


def defined(objects):
    out = subprocess.run(['nm', '--defined-only'] + objects, check=True,
                         capture_output=True, text=True)
    return set(m.group(1) for m in re.finditer(r'^[0-9a-f]+ [TW] (\S+)$', out.stdout, re.M))


def main(argv):
    if len(argv) < 5:
        sys.exit(__doc__)
    summary, via, argv = argv[0], argv[1], argv[2:]
    exports, out, objects = names(argv[0]), argv[1], argv[2:]
    if len(set(exports)) != len(exports):
        sys.exit('%s: a name stands there twice' % argv[0])
    have = defined(objects)
    extra = sorted(n for n in have if re.match(r'(__)?cu(da)?[A-Z]', n) and n not in set(exports))
    if extra:
        sys.exit('%s lacks: %s' % (argv[0], ' '.join(extra)))
    missing = [n for n in exports if n not in have]
    with open(out, 'w') as f:
        f.write('/* SPDX-License-Identifier: MIT */\n'
                '/* Made by refuse.py from %s; do not edit. */\n'
                '#include <stdint.h>\n\n'
                'int %s(const char *name, uint32_t *flag);\n\n'
                '#define REFUSE(name)                                          \\\n'
                '    __attribute__((visibility("default"))) int name(void);    \\\n'
                '    int name(void)                                            \\\n'
                '    {                                                         \\\n'
                '        static uint32_t said;                                 \\\n'
                '                                                              \\\n'
                '        return %s(#name, &said); \\\n'
                '    }\n\n' % (argv[0], via, via))
        for n in missing:
            f.write('REFUSE(%s)\n' % n)
    line = '%d functions: %d implemented, %d refused\n' % (
        len(exports), len(exports) - len(missing), len(missing))
    with open(summary, 'w') as f:
        f.write(line)


main(sys.argv[1:])

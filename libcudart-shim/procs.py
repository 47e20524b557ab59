#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the table behind cuGetProcAddress.

usage: procs.py INCLUDE EXPORTS OUT.c

Names arrive there without suffixes; the version of CUDA asked for picks `_v2` and the like. Which
form came with which version is written in the toolkit's cudaTypedefs.h (folder INCLUDE), as types
PFN_NAME_vVERSION and, for the twins with a per-thread default stream, PFN_NAME_vVERSION_ptsz. The
n-th version of a name is its n-th form; it is an error if their numbers differ.
"""
import os
import re
import sys

FORM = re.compile(r'(\w+?)(?:_v(\d+))?(_ptsz|_ptds)?$')
TYPE = re.compile(r'\(\s*CUDAAPI\s*\*\s*PFN_(\w+?)_v(\d+)(_ptsz|_ptds)?\)')
HEADERS = ('cudaTypedefs.h', 'cudaProfilerTypedefs.h')


def names(path):
    with open(path) as f:
        return [s for s in (line.split('#')[0].strip() for line in f) if s]


def versions(include):
    found = {}
    for header in HEADERS:
        with open(os.path.join(include, header)) as f:
            for m in TYPE.finditer(f.read()):
                found.setdefault((m[1], bool(m[3])), set()).add(int(m[2]))
    return found


def main(argv):
    if len(argv) != 3:
        sys.exit(__doc__)
    include, exports, out = argv
    when, forms = versions(include), {}
    for symbol in names(exports):
        m = FORM.match(symbol)
        forms.setdefault((m[1], bool(m[3])), []).append((int(m[2] or 1), symbol))
    rows = []
    for (name, twin), symbols in forms.items():
        known = sorted(when.get((name, twin), ()))
        if len(known) != len(symbols):
            sys.exit('%s: forms %s, but versions %s' % (name, [s for _, s in sorted(symbols)],
                                                        known))
        rows += [(name, twin, v, s) for v, (_, s) in zip(known, sorted(symbols))]
    with open(out, 'w') as f:
        f.write('/* SPDX-License-Identifier: MIT */\n'
                '/* Made by procs.py from %s; do not edit. */\n'
                '#include "libcudart-shim/driver/proc.h"\n\n' % exports)
        for _, _, _, symbol in sorted(rows):
            f.write('extern int %s(void);\n' % symbol)
        f.write('\nconst struct gvm_proc_entry gvm_procs[] = {\n')
        for name, twin, version, symbol in sorted(rows):
            f.write('    {"%s", %d, %d, (void *)%s},\n' % (name, version, twin, symbol))
        f.write('};\nconst size_t gvm_nprocs = sizeof(gvm_procs) / sizeof(gvm_procs[0]);\n')


main(sys.argv[1:])

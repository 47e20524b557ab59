#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bridges from libcudart_static.a to libcuda.so.1.

usage: bridge.py abi OUT.h HEADER...       a number that changes with the private interface
       bridge.py entries OUT.S OBJECT...   an entry for each gvm_* and cu* that the
                                          OBJECTs lack

An entry jumps through a slot that is filled when it is first used, so that a program needs no
libcuda.so.1 before its first CUDA call.
"""
import hashlib
import re
import subprocess
import sys


def abi(out, headers):
    h = hashlib.sha256()
    for path in sorted(headers):
        with open(path) as f:
            text = re.sub(r'/\*.*?\*/', ' ', f.read(), flags=re.S)
        h.update(' '.join(text.split()).encode())
    with open(out, 'w') as f:
        f.write('/* SPDX-License-Identifier: MIT */\n/* Made by bridge.py; do not edit. */\n'
                '#define GVM_PRIVATE_ABI 0x%sull\n' % h.hexdigest()[:16])


def entries(out, objects):
    def listed(what):
        text = subprocess.run(['nm', what] + objects, check=True, capture_output=True,
                              text=True).stdout
        return set(re.findall(r'^(?:[0-9a-f]+)? +[A-Z] (\w+)$', text, re.M))

    # The private functions of libcuda.so.1 and, where the runtime adds nothing to them, its public
    # ones. The entries are local to the archive: a program may call the real ones beside them.
    missing = sorted(n for n in listed('--undefined-only') - listed('--defined-only')
                     if re.match(r'gvm_(?!static_)|cu[A-Z]', n))
    with open(out, 'w') as f:
        f.write('/* SPDX-License-Identifier: MIT */\n/* Made by bridge.py; do not edit. */\n'
                '    .text\n')
        for i, n in enumerate(missing):
            f.write('    .globl %s\n    .hidden %s\n    .type %s, @function\n%s:\n'
                    '    movq gvm_static_slots+%d(%%rip), %%r11\n'
                    '    testq %%r11, %%r11\n'
                    '    jz 1f\n'
                    '    jmp *%%r11\n'
                    '1:  movl $%d, %%r11d\n'
                    '    jmp gvm_static_first\n' % (n, n, n, n, i * 8, i))
        f.write('    .section .rodata\n    .globl gvm_static_names\n    .hidden gvm_static_names\n'
                'gvm_static_names:\n')
        f.write(''.join('    .asciz "%s"\n' % n for n in missing) + '    .asciz ""\n')
        f.write('    .globl gvm_static_count\n    .hidden gvm_static_count\n    .balign 4\n'
                'gvm_static_count:\n    .long %d\n' % len(missing))
        f.write('    .bss\n    .balign 8\n    .globl gvm_static_slots\n'
                '    .hidden gvm_static_slots\ngvm_static_slots:\n    .zero %d\n'
                '    .section .note.GNU-stack,"",@progbits\n' % (8 * max(1, len(missing))))


def main(argv):
    if len(argv) < 3 or argv[0] not in ('abi', 'entries'):
        sys.exit(__doc__)
    {'abi': abi, 'entries': entries}[argv[0]](argv[1], argv[2:])


main(sys.argv[1:])

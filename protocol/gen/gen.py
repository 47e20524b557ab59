#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""gen.py SPEC OUTDIR - makes the protocol code of both ends from calls.spec.

calls.h    opcodes enum VGPU_OP_<Name>; wire structures struct vgpu_in_<Name> (request) and struct
           vgpu_rep_<Name> (reply), the fixed parts, with layout proofs; vgpu_in_len_<Name>(lens):
           payload octets with variable parts; VGPU_MAX_<Name>_<field>; struct vgpu_device_info;
           struct vgpu_table_*; enum vgpu_class, enum vgpu_handle; table vgpu_call_descs[],
           vgpu_call_desc(op) (calls.c)
stubs.h    guest: int vgpu_<Name>(ch, flags, inputs..., outputs...) over gvm_chan_begin/post/call
             data X in  -> const void *X, uint32_t X_len       str -> const char *X
             pool X     -> uint32_t X_chunk, uint64_t X_off, uint64_t X_len
             T[N] X in  -> const T *X
             out T X    -> T *X (may be NULL)
             out data X -> void *X, uint32_t X_max, uint32_t *X_len
decode.h   worker: int vgpu_dispatch(lane, rec, res), vgpu_class_of(op); handlers int
           wk_<Name>(lane, const struct vgpu_args_<Name> *, struct vgpu_out_<Name> *), look-ups
           wk_resolve(), wk_resolve_new(), wk_resolve_pool() are the worker's
ctl.h      broker: vgpu_ctl_decode(), vgpu_dir_check(), vgpu_ctl_name()
trace.h    vgpu_trace(), vgpu_trace_reply(), vgpu_trace_ctl(): one line of text
calls.md   table of all calls
roundtrip.h  for tests/unit/test_decode.c
seeds/     fuzz seeds (emit_seeds.py says what is in them)

A file is only written when its contents change, so that nothing is compiled in vain.
"""
import os
import sys

sys.dont_write_bytecode = True

import emit_calls
import emit_ctl
import emit_decode
import emit_seeds
import emit_stubs
import emit_test
import emit_trace
import spec as spec_reader

OUTPUTS = {
    'calls.h': emit_calls.calls_h,
    'calls.c': emit_calls.calls_c,
    'calls.md': emit_calls.calls_md,
    'stubs.h': emit_stubs.stubs_h,
    'stubs.c': emit_stubs.stubs_c,
    'decode.h': emit_decode.decode_h,
    'decode.c': emit_decode.decode_c,
    'ctl.h': emit_ctl.ctl_h,
    'ctl.c': emit_ctl.ctl_c,
    'trace.h': emit_trace.trace_h,
    'trace.c': emit_trace.trace_c,
    'roundtrip.h': emit_test.roundtrip_h,
}


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(path, 'rb') as f:
            if f.read() == data:
                return
    except FileNotFoundError:
        pass
    # Renamed into place: another make may be reading it.
    tmp = '%s.%d' % (path, os.getpid())
    with open(tmp, 'wb') as f:
        f.write(data)
    os.rename(tmp, path)


def main(argv):
    if len(argv) != 3:
        print('usage: gen.py SPEC OUTDIR', file=sys.stderr)
        return 2
    source, out = argv[1], argv[2]
    try:
        spec = spec_reader.read(source)
    except (spec_reader.SpecError, OSError, UnicodeDecodeError) as e:
        print(e, file=sys.stderr)
        return 1
    for name, emit in OUTPUTS.items():
        write(os.path.join(out, name), emit(spec, source).encode())
    seeds = emit_seeds.seeds(spec)
    for name, data in seeds.items():
        write(os.path.join(out, 'seeds', name), data)
    for kind in ('rec', 'ctl', 'dir'):  # those of calls that are gone
        folder = os.path.join(out, 'seeds', kind)
        for f in os.listdir(folder):
            if kind + '/' + f not in seeds:
                os.unlink(os.path.join(folder, f))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))

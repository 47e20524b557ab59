# SPDX-License-Identifier: MIT
"""Fuzz seeds: for each call a valid record and variants at its bounds, control requests, and
directory pages.

seeds/rec/*  one record: header (ticket 1, lane 0, true length) and payload
seeds/ctl/*  steps of fuzz_ctl.c: put a struct vgpu_ctl_req, take it, answer it
seeds/dir/*  u32 number of pages announced, less 1, then a chain of struct vgpu_grant_dir
seeds/rec.dict, seeds/ctl.dict  libFuzzer dictionaries: opcodes
"""
import re
import struct

from spec import CTL_FIELDS, REC_HEADER, SCALARS, align

FMT = {'u8': 'B', 'u16': 'H', 'u32': 'I', 'u64': 'Q', 'i32': 'i', 'f32': 'f', 'devptr': 'Q'}

DEVPTR = 0x4d4f4b00100  # fuzz_drain.c moves this into its device's memory


def plausible(f):
    """A value that passes the field's checks."""
    c = f.checks
    if f.type == 'devptr':
        return DEVPTR
    v = max(c.get('min', 1 if 'mask' not in c else 0), 0)
    v = min(v, c.get('max', v))
    return v & c['mask'] if 'mask' in c else align(v, c.get('align', 1))


def request(call, change=None, data_len=None):
    """change: (field, value) instead of the plausible one."""
    out = b''
    tail = b''
    values = {}
    for f in call.ins:
        if f.is_data:
            n = f.max if data_len == 'max' else 0 if data_len == 'min' else min(f.max, 12)
            values[f.name + '_len'] = n
            tail += bytes((0x61 + i % 26) for i in range(n))
            tail += bytes(align(n + (f.type == 'str'), 8) - n)
        elif f.is_pool:
            values.update({f.name + '_chunk': 0, f.name + '_zero': 0, f.name + '_off': 0,
                           f.name + '_len': 4096})
        elif f.is_handle:
            values[f.name] = 0 if f.type == 'stream' else 16
        elif f.is_new:
            values[f.name] = 16
        else:
            values[f.name] = plausible(f)
    if change:
        values[change[0]] = change[1]
    types = {f.name: f.type for f in call.ins}
    for m in call.inl.members:
        if m.pad:
            out += bytes(m.count)
            continue
        t = types.get(m.name)
        fmt = FMT[t] if t in FMT else 'Q' if m.size == 8 else 'I'
        v = values[m.name]
        if fmt in 'BHIQ':
            v &= (1 << 8 * m.size) - 1
        out += struct.pack('<' + fmt, v) * m.count
    out += tail
    return out


def record(op, payload, flags=1, length=None):
    n = align(REC_HEADER + len(payload), 16)
    head = struct.pack('<IHHII', n if length is None else length, op, 0, 1, flags)
    return head + payload + bytes(n - REC_HEADER - len(payload))


def directory(first, want):
    """The page that begins with reference number `first` of `want`."""
    n = max(min(want - first, 1022), 0)
    refs = [8 + first + i if i < n else 0 for i in range(1022)]
    return struct.pack('<II1022I', 5000 + first if first + n < want else 0, n, *refs)


def seeds(spec):
    out = {}
    for c in spec.calls:
        def put(what, data, call=c):
            out['rec/%s-%s' % (call.name, what)] = data

        put('valid', record(c.op, request(c)))
        if c.cls == 'posted':
            put('posted', record(c.op, request(c), flags=0))
        if c.inl.data:
            put('empty', record(c.op, request(c, data_len='min')))
            put('longest', record(c.op, request(c, data_len='max')))
            for f in c.inl.data:
                put('over-' + f.name, record(c.op, request(c, (f.name + '_len', f.max + 1))))
        if c.ins:
            put('short', record(c.op, request(c)[:-16 if c.inl.size >= 16 else 0]))
        put('trailing', record(c.op, request(c) + bytes(32)))
        for f in c.ins:
            if f.is_scalar and not f.is_array and f.type != 'f32':
                size, signed = SCALARS[f.type][1:]
                put('min-' + f.name, record(c.op, request(c, (f.name, -(1 << 31) if signed else 0))))
                top = (1 << 31) - 1 if signed else (1 << 8 * size) - 1
                put('max-' + f.name, record(c.op, request(c, (f.name, top))))
            elif f.is_pool:
                put('pool-' + f.name, record(c.op, request(c, (f.name + '_off', (1 << 64) - 4096))))
            elif f.is_handle or f.is_new:
                put('handle-' + f.name, record(c.op, request(c, (f.name, 0xffffffff))))
    # With the objects there that a call names.
    makers = [c for c in spec.calls if any(f.is_new for f in c.ins)]
    enders = [c for c in spec.calls if re.search('Destroy|Unload|Close', c.name)]
    made = b''.join(record(c.op, request(c)) for c in makers)
    for c in spec.calls:
        if c not in makers and any(f.is_handle for f in c.ins):
            out['rec/%s-made' % c.name] = made + record(c.op, request(c))
    rest = [c for c in spec.calls if c not in makers + enders] + enders
    out['rec/sequence'] = made + b''.join(record(c.op, request(c)) for c in rest)
    for c in spec.ctls:
        used = dict(c.uses)
        for what in ('low', 'high'):
            v = {}
            for n in CTL_FIELDS:
                k = used.get(n, {})
                if n in used:
                    v[n] = k.get('min', 1) if what == 'low' else k.get('max', 0xffffffff)
            if 'npages' in v and any('pages' in k for k in used.values()):
                v['npages'] = 22 + (1 << v['ring_order'])
            out['ctl/%s-%s' % (c.name, what)] = b'\0' + struct.pack(
                '<IHHI13I', 7, c.op, 0, v.get('channel', 0),
                *[v.get(n, 0) for n in CTL_FIELDS[1:]]) + b'\xe0\x40\0'
    for want in (1, 38, 1022, 1023, 2044, 3000):
        out['dir/%d' % want] = struct.pack('<I', want - 1) + b''.join(
            directory(n, want) for n in range(0, want, 1022))
        out['dir/%d-short' % want] = struct.pack('<I', want - 1) + directory(0, want - 1)
        out['dir/%d-long' % want] = struct.pack('<I', want - 1) + directory(0, want + 1)
        out['dir/%d-twice' % want] = struct.pack('<I', want - 1) + directory(0, want)[:8] + \
            struct.pack('<1022I', *[9] * 1022)
    dict_ = ''.join('%s="%s"\n' % (c.name, ''.join('\\x%02x' % b for b in struct.pack('<H', c.op)))
                    for c in spec.calls)
    out['rec.dict'] = dict_.encode()
    dict_ = ''.join('%s="%s"\n' % (c.name, ''.join('\\x%02x' % b for b in struct.pack('<H', c.op)))
                    for c in spec.ctls)
    out['ctl.dict'] = dict_.encode()
    return out

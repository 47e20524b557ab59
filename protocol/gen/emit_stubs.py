# SPDX-License-Identifier: MIT
"""stubs.h and stubs.c: the guest's side of every call."""
from emit_calls import HEAD, part_room

PROLOGUE = r'''
#include <stdint.h>

#include "calls.h"

/*
 * The guest's side of the calls. Every stub writes one record straight into the command ring.
 *   ch     this process's channel
 *   flags  0, or VGPU_REC_REPLY: a posted call waits for its own outcome
 * Returns a CUresult: of a posted call without reply 0, or why nothing can be sent any more; of
 * every other one the outcome. 1 (INVALID_VALUE) when a data or str argument is longer than its
 * maximum, nothing is sent then. Results are stored only where the pointer is not NULL, fixed ones
 * only after success; data ones always, X_len octets, at most X_max.
 */
struct gvm_chan;

/* What the stubs need of the channel. */
/* Takes the ring lock, makes room for a record and fills its header. Where the payload goes
 * (payload_len octets, a multiple of VGPU_REC_ALIGN), or NULL with *err set and no lock held. */
void *gvm_chan_begin(struct gvm_chan *ch, uint16_t op, uint32_t payload_len, unsigned flags,
                     int *err);
/* Publishes, unlocks, rings the doorbell if need be. 0 or an error. */
int gvm_chan_post(struct gvm_chan *ch);
/* Publishes, unlocks, waits for the lane's reply: up to out_max octets to `out`, their number to
 * *got. The reply's status, or a local error. */
int gvm_chan_call(struct gvm_chan *ch, void *out, uint32_t out_max, uint32_t *got);
'''


def params(call):
    out = []
    for f in call.ins:
        n = f.name
        if f.type == 'str':
            out.append('const char *' + n)
        elif f.is_data:
            out += ['const void *' + n, 'uint32_t %s_len' % n]
        elif f.is_pool:
            out += ['uint32_t %s_chunk' % n, 'uint64_t %s_off' % n, 'uint64_t %s_len' % n]
        elif f.is_array:
            out.append('const %s *%s' % (f.ctype, n))
        else:
            out.append('%s %s' % (f.ctype, n))
    for f in call.outs:
        n = f.name
        if f.is_data:
            out += ['void *' + n, 'uint32_t %s_max' % n, 'uint32_t *%s_len' % n]
        else:
            out.append('%s *%s' % (f.ctype, n))
    return out


def prototype(call):
    """Wrapped at 100 columns."""
    head = 'int vgpu_%s(' % call.name
    args = ['struct gvm_chan *ch', 'unsigned flags_'] + params(call)
    lines, line = [], head
    for i, a in enumerate(args):
        piece = a + (', ' if i < len(args) - 1 else ')')
        if len(line) + len(piece.rstrip()) > 99 and line.strip():
            lines.append(line.rstrip())
            line = ' ' * len(head)
        line += piece
    lines.append(line)
    return '\n'.join(lines)


def stubs_h(spec, source):
    o = [HEAD % source + '#ifndef VGPU_STUBS_H\n#define VGPU_STUBS_H', PROLOGUE]
    for c in spec.calls:
        o.append('/* %s%s (%s) */' % (c.doc, '; ' + c.driver if c.driver else '', c.cls))
        o.append(prototype(c) + ';\n')
    o.append('#endif')
    return '\n'.join(o) + '\n'


def fill_request(call, o):
    for f in call.ins:
        n = f.name
        if f.is_data:
            o.append('    q_->%s_len = %s_len;' % (n, n))
        elif f.is_pool:
            o += ['    q_->%s_chunk = %s_chunk;' % (n, n), '    q_->%s_zero = 0;' % n,
                  '    q_->%s_off = %s_off;' % (n, n), '    q_->%s_len = %s_len;' % (n, n)]
        elif f.is_array:
            o.append('    memcpy(q_->%s, %s, sizeof(q_->%s));' % (n, n, n))
        else:
            o.append('    q_->%s = %s;' % (n, n))
    for m in call.inl.members:
        if m.pad:
            o.append('    memset(q_->%s, 0, sizeof(q_->%s));' % (m.name, m.name))


def fill_data(call, o):
    """Variable parts and the padding up to the record's end."""
    o.append('    to_ = (uint8_t *)(q_ + 1);')
    for f in call.inl.data:
        room = part_room(f, f.name + '_len')
        o += ['    put_data(to_, %s, %s_len, %s);' % (f.name, f.name, room),
              '    to_ += %s;' % room]
    o.append('    memset(to_, 0, (size_t)((uint8_t *)q_ + total_ - to_));')


def take_reply(call, o):
    fixed = [f for f in call.outs if not f.is_data]
    data = call.outl.data
    o.append('    err_ = gvm_chan_call(ch, &r_, sizeof(r_), &got_);')
    o += ['    if (got_ < sizeof(r_.fixed))', '        return err_ ? err_ : UNKNOWN;']
    if fixed:
        o.append('    if (err_ == 0) {')
        for f in fixed:
            o.append('        if (%s)' % f.name)
            if f.is_array:
                o.append('            memcpy(%s, r_.fixed.%s, sizeof(r_.fixed.%s));' %
                         (f.name, f.name, f.name))
            else:
                o.append('            *%s = r_.fixed.%s;' % (f.name, f.name))
        o.append('    }')
    if data:
        o.append('    at_ = 0;')
    for f in data:
        o.append('    n_ = take_data(r_.data, got_ - (uint32_t)sizeof(r_.fixed), at_, r_.fixed.%s_len, '
                 '%s,\n                   %s_max);' % (f.name, f.name, f.name))
        o += ['    if (%s_len)' % f.name, '        *%s_len = n_;' % f.name]
        if f is not data[-1]:
            o.append('    at_ += (r_.fixed.%s_len + 7u) & ~7u;' % f.name)
    o.append('    return err_;')


def stub(call):
    o = [prototype(call), '{']
    posted = call.cls == 'posted'
    data = call.inl.data
    if call.ins:
        o.append('    struct vgpu_in_%s *q_;' % call.name)
    else:
        o.append('    void *q_;')
    if call.outs:
        o.append('    struct {')
        o.append('        struct vgpu_rep_%s fixed;' % call.name)
        if call.outl.data:
            o.append('        uint8_t data[%d];' % (call.outl.max - call.outl.size))
        o.append('    } r_;')
        if call.outl.data:
            o.append('    uint32_t at_, n_;')
    for f in data:
        if f.type == 'str':
            o.append('    size_t %s_size_ = strlen(%s);' % (f.name, f.name))
            o.append('    uint32_t %s_len = (uint32_t)%s_size_;' % (f.name, f.name))
    if data:
        o += ['    uint32_t total_;', '    uint8_t *to_;']
    o += ['    uint32_t got_ = 0;', '    int err_ = 0;', '']
    for f in call.outl.data:
        o += ['    if (%s_len)' % f.name, '        *%s_len = 0;' % f.name]
    for f in data:
        o.append('    if (%s > VGPU_MAX_%s_%s)' %
                 (f.name + ('_size_' if f.type == 'str' else '_len'), call.name, f.name))
        o.append('        return INVALID_VALUE;')
    if data:
        o.append('    total_ = WHOLE(vgpu_in_len_%s(%s));' %
                 (call.name, ', '.join(f.name + '_len' for f in data)))
        size = 'total_'
    elif call.ins:
        size = 'WHOLE(sizeof(*q_))'
    else:
        size = '0'
    flags = 'flags_' if posted else 'flags_ | VGPU_REC_REPLY'
    o.append('    q_ = gvm_chan_begin(ch, VGPU_OP_%s, %s, %s, &err_);' % (call.name, size, flags))
    o += ['    if (!q_)', '        return err_;']
    fill_request(call, o)
    if data:
        fill_data(call, o)
    elif call.inl.size % 16:
        o.append('    memset(q_ + 1, 0, WHOLE(sizeof(*q_)) - sizeof(*q_));')
    if posted:
        o += ['    if (flags_ & VGPU_REC_REPLY)', '        return gvm_chan_call(ch, NULL, 0, &got_);',
              '    return gvm_chan_post(ch);']
    elif call.outs:
        take_reply(call, o)
    else:
        o.append('    return gvm_chan_call(ch, NULL, 0, &got_);')
    o.append('}\n')
    return '\n'.join(o)


def stubs_c(spec, source):
    o = [HEAD % source, '''#include <string.h>

#include "stubs.h"

enum { INVALID_VALUE = 1, UNKNOWN = 999 }; /* CUresult */

/* A payload with the padding that makes its record whole. */
#define WHOLE(n) (((uint32_t)(n) + VGPU_REC_ALIGN - 1) & ~(VGPU_REC_ALIGN - 1))
''']
    if any(c.inl.data for c in spec.calls):
        o.append('''static inline void put_data(uint8_t *at, const void *data, uint32_t len, uint32_t room)
{
    if (len)
        memcpy(at, data, len);
    memset(at + len, 0, room - len);
}
''')
    if any(c.outl.data for c in spec.calls):
        o.append('''/* Copies out what is there: the peer's length is bounded by what arrived and by `max`. */
static uint32_t take_data(const uint8_t *from, uint32_t have, uint32_t at, uint32_t len, void *to,
                          uint32_t max)
{
    if (at > have)
        return 0;
    if (len > have - at)
        len = have - at;
    if (len > max)
        len = max;
    if (len && to)
        memcpy(to, from + at, len);
    return to ? len : 0;
}
''')
    o += [stub(c) for c in spec.calls]
    return '\n'.join(o)

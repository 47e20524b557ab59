# SPDX-License-Identifier: MIT
"""trace.h and trace.c: records as text, for people."""
from emit_calls import HEAD
from spec import CTL_FIELDS

# Members of type u64 that hold one.
ADDRESSES = ('dptr', 'base', 'ptr')

C_PROLOGUE = r'''#include <inttypes.h>
#include <string.h>

#include "calls.h"
#include "ctl.h"
#include "trace.h"

#define DATA_SHOWN 16u /* octets of a data field */

/* A part of a record of which nothing has been checked. */
struct part {
    const uint8_t *p;
    uint32_t left;
};

static void print_data(FILE *f, const char *name, struct part *d, uint32_t len, uint32_t room)
{
    fprintf(f, " %s=[%u]", name, len);
    for (uint32_t i = 0; i < len && i < d->left && i < DATA_SHOWN; i++)
        fprintf(f, "%s%02x", i ? " " : ":", d->p[i]);
    if (len > d->left)
        fprintf(f, " (cut off)");
    else if (len > DATA_SHOWN)
        fprintf(f, " ...");
    if (room > d->left)
        room = d->left;
    d->p += room;
    d->left -= room;
}

static void print_str(FILE *f, const char *name, struct part *d, uint32_t len, uint32_t room)
{
    fprintf(f, " %s=\"", name);
    for (uint32_t i = 0; i < len && i < d->left; i++)
        fputc(d->p[i] >= 0x20 && d->p[i] < 0x7f && d->p[i] != '"' ? d->p[i] : '?', f);
    fprintf(f, "\"%s", len > d->left ? " (cut off)" : "");
    if (room > d->left)
        room = d->left;
    d->p += room;
    d->left -= room;
}
'''


def printer(call, kind, fields, layout):
    o = ['static void %s_%s(FILE *f, struct part d)' % (kind, call.name), '{',
         '    struct vgpu_%s_%s q;' % (kind, call.name), '',
         '    if (d.left < sizeof(q)) {', '        fprintf(f, " (cut off)");', '        return;', '    }',
         '    memcpy(&q, d.p, sizeof(q));']
    if layout.data:
        o += ['    d.p += sizeof(q);', '    d.left -= (uint32_t)sizeof(q);']
    for f in fields:
        n = f.name
        if f.is_data:
            room = '(uint32_t)(((uint64_t)q.%s_len + %d) & ~7ull)' % (n, 8 if f.type == 'str' else 7)
            o.append('    print_%s(f, "%s", &d, q.%s_len, %s);' % (f.type, n, n, room))
        elif f.is_pool:
            o.append('    fprintf(f, " %s=chunk %%u +%%#" PRIx64 " [%%" PRIu64 "]", q.%s_chunk, '
                     'q.%s_off, q.%s_len);' % (n, n, n, n))
        elif f.is_array:
            fmt = '%02x' if f.type == 'u8' else '%" PRId64 "' if f.signed else '%" PRIu64 "'
            cast = '' if f.type == 'u8' else '(int64_t)' if f.signed else '(uint64_t)'
            sep = '""' if f.type == 'u8' else 'i ? "," : ""'
            o += ['    fprintf(f, " %s=");' % n, '    for (unsigned i = 0; i < %d; i++)' % f.count,
                  '        fprintf(f, "%%s%s", %s, %sq.%s[i]);' % (fmt, sep, cast, n)]
        elif f.type == 'f32':
            o.append('    fprintf(f, " %s=%%g", (double)q.%s);' % (n, n))
        elif f.type == 'devptr' or n in ADDRESSES:
            o.append('    fprintf(f, " %s=%%#" PRIx64, q.%s);' % (n, n))
        elif 'mask' in f.checks:
            o.append('    fprintf(f, " %s=%%#" PRIx64, (uint64_t)q.%s);' % (n, n))
        elif f.signed:
            o.append('    fprintf(f, " %s=%%" PRId64, (int64_t)q.%s);' % (n, n))
        else:
            o.append('    fprintf(f, " %s=%%" PRIu64, (uint64_t)q.%s);' % (n, n))
    o.append('}\n')
    return '\n'.join(o)


def trace_h(spec, source):
    return HEAD % source + r'''#ifndef VGPU_TRACE_H
#define VGPU_TRACE_H

#include <stdint.h>
#include <stdio.h>

#include "vgpuif.h"

/* These print one line without its end. Nothing need have been checked: octets that are not there
 * are reported as cut off, and nothing beyond `len` is read. */

/* A record: `len` octets that begin with its header; need not be aligned. */
void vgpu_trace(FILE *f, const void *rec, uint32_t len);
/* " = STATUS" and the fields of the reply to an operation. */
void vgpu_trace_result(FILE *f, uint16_t op, int status, const void *payload, uint32_t len);
/* The reply to an operation, with its name. */
void vgpu_trace_reply(FILE *f, uint16_t op, int status, const void *payload, uint32_t len);
/* A control request. */
void vgpu_trace_ctl(FILE *f, const struct vgpu_ctl_req *q);

#endif
'''


def trace_c(spec, source):
    o = [HEAD % source, C_PROLOGUE]
    for c in spec.calls:
        if c.ins:
            o.append(printer(c, 'in', c.ins, c.inl))
        if c.outs:
            o.append(printer(c, 'rep', c.outs, c.outl))
    o.append('''void vgpu_trace(FILE *f, const void *rec, uint32_t len)
{
    const struct vgpu_call_desc *desc;
    struct vgpu_rec h;
    struct part d;

    if (len < sizeof(h)) {
        fprintf(f, "(record header cut off: %u octets)", len);
        return;
    }
    memcpy(&h, rec, sizeof(h));
    if (h.op == VGPU_OP_PAD) {
        fprintf(f, "padding, %u octets", h.len);
        return;
    }
    desc = vgpu_call_desc(h.op);
    fprintf(f, "#%u lane %u ", h.ticket, h.lane);
    if (!desc) {
        fprintf(f, "operation %#x (unknown), %u octets", h.op, h.len);
        return;
    }
    fprintf(f, "%s%s", desc->name, h.flags & VGPU_REC_REPLY ? " (reply)" : "");
    d.p = (const uint8_t *)rec + sizeof(h);
    d.left = len - (uint32_t)sizeof(h);
    switch (h.op) {''')
    for c in spec.calls:
        if c.ins:
            o += ['    case VGPU_OP_%s:' % c.name, '        in_%s(f, d);' % c.name, '        break;']
    o.append('''    default:
        break;
    }
}

static void print_reply(FILE *f, uint16_t op, const void *payload, uint32_t len)
{
    struct part d = {.p = payload, .left = len};

    if (!len)
        return;
    switch (op) {''')
    for c in spec.calls:
        if c.outs:
            o += ['    case VGPU_OP_%s:' % c.name, '        rep_%s(f, d);' % c.name, '        break;']
    o.append('''    default:
        break;
    }
}

void vgpu_trace_result(FILE *f, uint16_t op, int status, const void *payload, uint32_t len)
{
    fprintf(f, " = %d", status);
    print_reply(f, op, payload, len);
}

void vgpu_trace_reply(FILE *f, uint16_t op, int status, const void *payload, uint32_t len)
{
    const struct vgpu_call_desc *desc = vgpu_call_desc(op);

    fprintf(f, "%s -> %d", desc ? desc->name : "?", status);
    print_reply(f, op, payload, len);
}

void vgpu_trace_ctl(FILE *f, const struct vgpu_ctl_req *q)
{
    fprintf(f, "request %u %s", q->id, vgpu_ctl_name(q->op));''')
    for n in CTL_FIELDS:
        o.append('    if (q->%s)\n        fprintf(f, " %s=%%u", q->%s);' % (n, n, n))
    o.append('}')
    return '\n'.join(o) + '\n'

# SPDX-License-Identifier: MIT
"""decode.h and decode.c: the worker's side of every call, with all bounds checks."""
from emit_calls import HEAD

H_PROLOGUE = r'''
#include <stdint.h>

#include "calls.h"

/*
 * The worker's side of the calls. vgpu_dispatch() checks a record from the ring against calls.spec,
 * looks up the objects and pool ranges it names, and calls its handler wk_NAME().
 *
 * A handler gets decoded fields: objects as pointers (X) with their numbers (X_id), pool ranges as
 * addresses in the worker, data inside the private copy (valid until vgpu_dispatch() returns), str
 * NUL-terminated. The fixed results are zeroed before the call. It returns a CUresult; the reply
 * carries the results whatever the status.
 */
struct wk_lane;

struct vgpu_result {
    const char *violation; /* what the guest did wrong, to log before its channel is killed; NULL:
                            * the record is a correct one. Valid until this thread's next one. */
    int status;            /* CUresult */
    uint32_t len;          /* octets of payload */
    _Alignas(8) uint8_t payload[VGPU_REPLY_MAX];
};

/*
 * Runs one record on its lane.
 *   rec  a private copy that vgpu_cons_take() has made: 16-aligned, its length checked, in a buffer
 *        of VGPU_REC_MAX + 16 octets; it is changed (str fields are NUL-terminated in place)
 * Returns 0, or -1 with res->violation set and no handler called.
 */
int vgpu_dispatch(struct wk_lane *lane, void *rec, struct vgpu_result *res);

/* VGPU_CLASS_UNKNOWN: no such operation. */
enum vgpu_class vgpu_class_of(uint16_t op);

/* ---- look-ups that the worker implements; they return a CUresult, 0 with the result stored */

/* The object with that number; it must stay valid until the handler has returned. */
int wk_resolve(struct wk_lane *lane, enum vgpu_handle kind, uint32_t id, void **obj);
/* Whether a new object may get that number. */
int wk_resolve_new(struct wk_lane *lane, enum vgpu_handle kind, uint32_t id);
/* The address of [off, off + len) of a pool chunk, wholly inside it. */
int wk_resolve_pool(struct wk_lane *lane, uint32_t chunk, uint64_t off, uint64_t len, void **ptr);

/* Most objects that one call names. */
#define VGPU_MAX_HANDLES %du
'''

C_PROLOGUE = r'''#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "decode.h"

#define HEADER ((uint32_t)sizeof(struct vgpu_rec))

/* Static storage, because the caller reports it after our stack is gone; one for each thread. */
static _Thread_local char violation[160];

/* "Fill: elem is 9, at most 4 is allowed" */
static int bad_value(struct vgpu_result *res, const char *what, uint64_t v, const char *allowed)
{
    snprintf(violation, sizeof(violation), "%s is %" PRIu64 ", %s", what, v, allowed);
    res->violation = violation;
    return -1;
}

static int bad_len(struct vgpu_result *res, const char *call, uint32_t len, uint32_t need)
{
    snprintf(violation, sizeof(violation), "%s: the record has %u octets, its fields take %u", call,
             len, need);
    res->violation = violation;
    return -1;
}
'''


C_BAD = r'''static int bad(struct vgpu_result *res, const char *text)
{
    snprintf(violation, sizeof(violation), "%s", text);
    res->violation = violation;
    return -1;
}
'''

C_SIGNED = r'''static int bad_signed(struct vgpu_result *res, const char *what, int64_t v, const char *allowed)
{
    snprintf(violation, sizeof(violation), "%s is %" PRId64 ", %s", what, v, allowed);
    res->violation = violation;
    return -1;
}
'''


def args_struct(call):
    o = ['struct vgpu_args_%s {' % call.name]
    for f in call.ins:
        n = f.name
        if f.type == 'str':
            o.append('    const char *%s;' % n)
            o.append('    uint32_t %s_len; /* without the NUL */' % n)
        elif f.is_data:
            o += ['    const void *%s;' % n, '    uint32_t %s_len; /* <= %d */' % (n, f.max)]
        elif f.is_pool:
            o += ['    void *%s; /* pool memory: the guest may change it at any time */' % n,
                  '    uint64_t %s_len;' % n]
        elif f.is_handle:
            o += ['    void *%s;' % n, '    uint32_t %s_id;' % n]
        else:
            dim = '[%d]' % f.count if f.is_array else ''
            notes = ['%s %d' % kv for kv in f.checks.items()]
            if f.is_new:
                notes.append('a new %s, unused' % f.handle)
            o.append('    %s %s%s;%s' % (f.ctype, n, dim,
                                        ' /* %s */' % ', '.join(notes) if notes else ''))
    if not call.ins:
        o.append('    uint8_t unused;')
    o.append('};')
    return o


def out_struct(call):
    o = ['struct vgpu_out_%s {' % call.name]
    for f in call.outs:
        if f.is_data:
            o += ['    uint32_t %s_len; /* 0 .. sizeof(%s) */' % (f.name, f.name),
                  '    _Alignas(8) uint8_t %s[%d];' % (f.name, f.max)]
        else:
            o.append('    %s %s%s;' % (f.ctype, f.name, '[%d]' % f.count if f.is_array else ''))
    if not call.outs:
        o.append('    uint8_t unused;')
    o.append('};')
    return o


def handler(call):
    head = 'int wk_%s(' % call.name
    a = 'struct wk_lane *lane, const struct vgpu_args_%s *a,' % call.name
    b = 'struct vgpu_out_%s *o);' % call.name
    if len(head) + len(a) + 1 + len(b) <= 100:
        return head + a + ' ' + b
    return head + a + '\n' + ' ' * len(head) + b


def decode_h(spec, source):
    handles = max(sum(1 for f in c.ins if f.is_handle) for c in spec.calls)
    o = [HEAD % source + '#ifndef VGPU_DECODE_H\n#define VGPU_DECODE_H', H_PROLOGUE % handles,
         '/* ---- handlers that the worker implements */']
    for c in spec.calls:
        o += ['', '/* %s (%s) */' % (c.doc, c.cls)]
        o += args_struct(c) + out_struct(c) + [handler(c)]
    o += ['', '#endif']
    return '\n'.join(o) + '\n'


def check_value(call, f, expr, what, o):
    """Emits one `if` for each check; `indent` by the caller."""
    fn = 'bad_signed' if f.signed else 'bad_value'
    suffix = '' if f.signed else 'u'
    wide = 'll' if f.ctype in ('uint64_t',) else ''

    def lit(v):
        return '%d%s%s' % (v, suffix, wide.upper() if wide else '')

    for key, v in f.checks.items():
        if key == 'min' and not (v == 0 and not f.signed):
            cond, text = '%s < %s' % (expr, lit(v)), 'at least %d is allowed' % v
        elif key == 'max':
            cond, text = '%s > %s' % (expr, lit(v)), 'at most %d is allowed' % v
        elif key == 'mask':
            cond, text = '%s & ~(%s)%s' % (expr, f.ctype, lit(v)), 'only bits of 0x%x are allowed' % v
        elif key == 'align' and v > 1:
            cond, text = '%s & %s' % (expr, lit(v - 1)), 'a multiple of %d is needed' % v
        else:
            continue
        o.append('if (%s)' % cond)
        o.append('    return %s(res, "%s: %s", %s, "%s");' % (fn, call.name, what, expr, text))


def decoder(call):
    name = call.name
    o = ['static int call_%s(struct wk_lane *lane, void *rec, uint32_t len, struct vgpu_result *res)'
         % name, '{']
    data = call.inl.data
    if call.ins:
        o.append('    struct vgpu_in_%s q;' % name)
    o.append('    struct vgpu_args_%s a = {0};' % name)
    o.append('    struct vgpu_out_%s o;' % name)
    if call.outs:
        o.append('    struct vgpu_rep_%s r;' % name)
    o.append('    uint32_t need = HEADER%s;' % (' + (uint32_t)sizeof(q)' if call.ins else ''))
    if data:
        o.append('    uint8_t *at = (uint8_t *)rec + need;')
    if call.outs:
        o.append('    uint32_t put = 0;')
    exact = ['    /* The fields, and nothing after them but the padding of the record. */',
             '    if (len < need || len - need >= VGPU_REC_ALIGN)',
             '        return bad_len(res, "%s", len, need);' % name]
    copy = ['    memcpy(&q, (uint8_t *)rec + HEADER, sizeof(q));'] if call.ins else []
    o.append('')
    if not data:
        o += exact + copy
    else:
        o += ['    if (len < need)', '        return bad_len(res, "%s", len, need);' % name] + copy
        # Bounded one by one, so that their sum cannot wrap.
        for f in data:
            o += ['    if (q.%s_len > %du)' % (f.name, f.max),
                  '        return bad_value(res, "%s: %s_len", q.%s_len, "at most %d is allowed");' %
                  (name, f.name, f.name, f.max),
                  '    need += (q.%s_len + %du) & ~7u;' % (f.name, 8 if f.type == 'str' else 7)]
        o += exact
    # Values.
    for f in call.ins:
        lines = []
        if f.is_pool:
            lines += ['if (q.%s_zero)' % f.name,
                      '    return bad_value(res, "%s: the u32 after %s_chunk", q.%s_zero, '
                      '"0 is needed");' % (name, f.name, f.name)]
        elif f.is_new:
            for cond, text in (('< 16u', 'at least 16 is allowed'),
                               ('> 65535u', 'at most 65535 is allowed')):
                lines += ['if (q.%s %s)' % (f.name, cond),
                          '    return bad_value(res, "%s: %s", q.%s, "%s");' %
                          (name, f.name, f.name, text)]
        elif f.is_scalar and f.checks:
            if f.is_array:
                inner = []
                check_value(call, f, 'q.%s[i]' % f.name, f.name + '[]', inner)
                if inner:
                    lines += ['for (unsigned i = 0; i < %d; i++) {' % f.count]
                    lines += ['    ' + x for x in inner] + ['}']
            else:
                check_value(call, f, 'q.' + f.name, f.name, lines)
        o += ['    ' + x for x in lines]
    for f in data:
        o += ['    a.%s = (void *)at;' % f.name, '    a.%s_len = q.%s_len;' % (f.name, f.name)]
        if f.type == 'str':
            o += ['    if (memchr(at, 0, q.%s_len))' % f.name,
                  '        return bad(res, "%s: %s has a NUL inside");' % (name, f.name),
                  '    at[q.%s_len] = 0; /* at least one octet of padding is there */' % f.name]
        if f is not data[-1]:
            o.append('    at += (q.%s_len + %du) & ~7u;' % (f.name, 8 if f.type == 'str' else 7))
    # Plain fields, then what must be looked up: no look-up for a record that is refused.
    for f in call.ins:
        if f.is_scalar and f.is_array:
            o.append('    memcpy(a.%s, q.%s, sizeof(a.%s));' % (f.name, f.name, f.name))
        elif f.is_scalar or f.is_new:
            o.append('    a.%s = q.%s;' % (f.name, f.name))
        elif f.is_handle:
            o.append('    a.%s_id = q.%s;' % (f.name, f.name))
        elif f.is_pool:
            o.append('    a.%s_len = q.%s_len;' % (f.name, f.name))
    for f in call.ins:
        if f.is_handle:
            get = 'wk_resolve(lane, VGPU_HANDLE_%s, q.%s, &a.%s)' % (f.handle.upper(), f.name, f.name)
        elif f.is_new:
            get = 'wk_resolve_new(lane, VGPU_HANDLE_%s, q.%s)' % (f.handle.upper(), f.name)
        elif f.is_pool:
            get = 'wk_resolve_pool(lane, q.%s_chunk, q.%s_off, q.%s_len, &a.%s)' % ((f.name,) * 4)
        else:
            continue
        o += ['    res->status = %s;' % get, '    if (res->status)', '        return 0;']
    # The handler. Data buffers are not cleared, only what the handler says is there is sent.
    for f in call.outs:
        if f.is_data:
            o.append('    o.%s_len = 0;' % f.name)
        elif f.is_array:
            o.append('    memset(o.%s, 0, sizeof(o.%s));' % (f.name, f.name))
        else:
            o.append('    o.%s = 0;' % f.name)
    if not call.outs:
        o.append('    o.unused = 0;')
    o.append('    res->status = wk_%s(lane, &a, &o);' % name)
    if call.outs:
        o.append('    memset(&r, 0, sizeof(r));')
        for f in call.outs:
            if f.is_data:
                o.append('    r.%s_len = o.%s_len < %du ? o.%s_len : %du;' %
                         (f.name, f.name, f.max, f.name, f.max))
            elif f.is_array:
                o.append('    memcpy(r.%s, o.%s, sizeof(r.%s));' % (f.name, f.name, f.name))
            else:
                o.append('    r.%s = o.%s;' % (f.name, f.name))
        o += ['    memcpy(res->payload, &r, sizeof(r));', '    put = (uint32_t)sizeof(r);']
        for f in call.outl.data:
            o += ['    memcpy(res->payload + put, o.%s, r.%s_len);' % (f.name, f.name),
                  '    memset(res->payload + put + r.%s_len, 0, -r.%s_len & 7u);' % (f.name, f.name),
                  '    put += (r.%s_len + 7u) & ~7u;' % f.name]
        o.append('    res->len = put;')
    o += ['    return 0;', '}\n']
    return '\n'.join(o)


def decode_c(spec, source):
    o = [HEAD % source + '/*\n * One function for each call, in the order: lengths, values, look-ups, '
         'handler, reply. What a\n * correct shim never sends is a violation (-1); what an application '
         'can cause is a CUresult.\n */', C_PROLOGUE]
    if any(f.signed and f.checks for c in spec.calls for f in c.ins):
        o.append(C_SIGNED)
    if any(f.type == 'str' for c in spec.calls for f in c.ins):
        o.append(C_BAD)
    o += [decoder(c) for c in spec.calls]
    o.append('''int vgpu_dispatch(struct wk_lane *lane, void *rec, struct vgpu_result *res)
{
    struct vgpu_rec h;

    memcpy(&h, rec, sizeof(h));
    res->violation = NULL;
    res->status = 0;
    res->len = 0;
    if (h.flags & ~VGPU_REC_REPLY)
        return bad_value(res, "record flags", h.flags, "only bits of 0x1 are allowed");
    if (h.len < HEADER || h.len > VGPU_REC_MAX || h.len % VGPU_REC_ALIGN)
        return bad_value(res, "record length", h.len, "16..49152 in steps of 16 is allowed");
    switch (h.op) {''')
    for c in spec.calls:
        o += ['    case VGPU_OP_%s:' % c.name, '        return call_%s(lane, rec, h.len, res);' % c.name]
    o += ['    }', '    return bad_value(res, "operation", h.op, "which is unknown");', '}\n']
    o += ['enum vgpu_class vgpu_class_of(uint16_t op)', '{', '    switch (op) {']
    for cls in ('posted', 'quick', 'blocking'):
        mine = [c for c in spec.calls if c.cls == cls]
        o += ['    case VGPU_OP_%s:' % c.name for c in mine]
        if mine:
            o.append('        return VGPU_%s;' % cls.upper())
    o += ['    }', '    return VGPU_CLASS_UNKNOWN;', '}']
    return '\n'.join(o) + '\n'

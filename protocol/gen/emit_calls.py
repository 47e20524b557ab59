# SPDX-License-Identifier: MIT
"""calls.h, calls.c, calls.md: opcodes, wire structures, the table of calls."""

from spec import HANDLES

HEAD = '/* SPDX-License-Identifier: MIT */\n/* Made by protocol/gen/gen.py from %s; do not edit. */\n'

PROLOGUE = r'''
/*
 * Wire format of a request: struct vgpu_in_NAME, then the variable parts (data, str) in the order
 * of their X_len members, each padded to 8 octets; a str is padded with at least one octet. The
 * record header comes before it, and the whole record is padded to VGPU_REC_ALIGN; no more than
 * that padding may follow. Replies are struct vgpu_rep_NAME likewise.
 * Padding is sent as 0 and ignored on receipt.
 */

enum vgpu_class {
    VGPU_CLASS_UNKNOWN = -1, /* no such operation */
    VGPU_POSTED,             /* no reply unless VGPU_REC_REPLY is set */
    VGPU_QUICK,              /* replied, never blocks */
    VGPU_BLOCKING,           /* replied by the lane's own thread */
};

/* Kinds of objects that the guest names by number. */
enum vgpu_handle {
@HANDLES@};

/* What Info puts into the pool: the properties of a device that cannot change. */
struct vgpu_device_info {
    char name[256];         /* NUL-terminated, as cuDeviceGetName gives it */
    uint8_t uuid[16];
    char pci_bus_id[32];    /* NUL-terminated, "0000:00:00.0" */
    uint64_t total_mem;     /* octets */
    int32_t driver_version; /* 1000 * major + 10 * minor */
    int32_t prio_least;     /* stream priorities: the numerically greatest */
    int32_t prio_greatest;  /* the numerically least */
    uint32_t caps;          /* VGPU_DEVICE_* */
    int32_t attr[256];      /* CUdevice_attribute values by number; 0: unknown */
    uint32_t reserved[62];  /* 0 */
};
#define VGPU_DEVICE_POOL_DIRECT    1u /* kernels reach pool memory at its own address */
#define VGPU_DEVICE_WRITES_CHANNEL 2u /* replies (CopyLand) and counters are written by the device */
_Static_assert(sizeof(struct vgpu_device_info) == 1600, "device information is 1600 octets");

/*
 * What ModuleTable puts into the pool, `bytes` octets in all:
 *   struct vgpu_table_head
 *   nfunc times   struct vgpu_table_func, nparam x struct vgpu_table_param, name
 *   nglobal times struct vgpu_table_global, name
 * A name is name_len octets and then 1 to 8 NUL, so that the next structure is 8-aligned
 * (vgpu_table_name_room() octets). Kernels are numbered by their place here; Launch and the others
 * name them by that number. If the pool range is shorter than `bytes`, only the reply's size is
 * valid and the guest asks again.
 */
#define VGPU_TABLE_MAGIC 0x54475056u /* "VPGT" */
struct vgpu_table_head {
    uint32_t magic;
    uint32_t nfunc;
    uint32_t nglobal;
    uint32_t bytes;
};
struct vgpu_table_func {
    uint16_t name_len;
    uint16_t nparam;
    uint32_t param_bytes; /* end of the last parameter in the parameter buffer */
};
struct vgpu_table_param {
    uint32_t offset;
    uint32_t size;
};
struct vgpu_table_global {
    uint16_t name_len;
    uint8_t reserved[6]; /* 0 */
};
_Static_assert(sizeof(struct vgpu_table_head) == 16, "table head");
_Static_assert(sizeof(struct vgpu_table_func) == 8, "table function");
_Static_assert(sizeof(struct vgpu_table_param) == 8, "table parameter");
_Static_assert(sizeof(struct vgpu_table_global) == 8, "table global");

static inline uint32_t vgpu_table_name_room(uint16_t name_len)
{
    return (name_len + 8u) & ~7u;
}

/*
 * A copy of a box between linear memory and arrays, as Copy3D carries it. The box starts at octet
 * x of row y of slice z of either end.
 */
#define VGPU_SIDE_POOL   1u /* object: chunk, addr: offset in it (may go on into the next chunk) */
#define VGPU_SIDE_DEVICE 2u /* addr: device address */
#define VGPU_SIDE_ARRAY  3u /* object: array */
struct vgpu_copy_side {
    uint32_t type;
    uint32_t object;
    uint64_t addr;
    uint64_t x, y, z;
    uint64_t pitch;  /* octets from row to row */
    uint64_t height; /* rows from slice to slice */
};
struct vgpu_copy3d {
    struct vgpu_copy_side dst, src;
    uint64_t width; /* octets */
    uint64_t height;
    uint64_t depth;
};
_Static_assert(sizeof(struct vgpu_copy3d) == 136, "a copy is 136 octets");
'''

DESC = r'''
/* One call, for tables, traces and statistics. */
struct vgpu_call_desc {
    uint16_t op;
    uint16_t since; /* protocol version */
    enum vgpu_class class;
    const char *name;
    const char *driver; /* the driver API call it stands for; NULL: none */
    const char *doc;
    uint32_t in_size, in_max;   /* octets of the request: fixed part, with all variable parts */
    uint32_t out_size, out_max; /* of the reply */
};

#define VGPU_NCALLS %du
extern const struct vgpu_call_desc vgpu_call_descs[VGPU_NCALLS]; /* by ascending opcode */

/* NULL: no such operation. */
const struct vgpu_call_desc *vgpu_call_desc(uint16_t op);
'''


def cstr(s):
    return 'NULL' if s is None else '"%s"' % s.replace('\\', '\\\\').replace('"', '\\"')


def struct(kind, call, layout):
    """Declaration of a wire structure and the proof of its layout."""
    name = 'struct vgpu_%s_%s' % (kind, call.name)
    out = ['%s {' % name]
    for m in layout.members:
        dim = '[%d]' % m.count if m.count > 1 or m.pad else ''
        out.append('    %s %s%s;' % (m.ctype, m.name, dim))
    out.append('};')
    for m in layout.members:
        if not m.pad:
            out.append('_Static_assert(offsetof(%s, %s) == %d, "layout");' % (name, m.name, m.offset))
    out.append('_Static_assert(sizeof(%s) == %d, "layout");' % (name, layout.size))
    return out


def part_room(field, length):
    """C expression: octets that a variable part takes."""
    return '((%s + %du) & ~7u)' % (length, 8 if field.type == 'str' else 7)


def len_function(call):
    data = call.inl.data
    if not data:
        return []
    args = ', '.join('uint32_t %s_len' % f.name for f in data)
    total = ' + '.join(['(uint32_t)sizeof(struct vgpu_in_%s)' % call.name] +
                       [part_room(f, f.name + '_len') for f in data])
    return ['/* Octets of the request with its variable parts, which must not exceed their maxima. */',
            'static inline uint32_t vgpu_in_len_%s(%s)' % (call.name, args),
            '{', '    return %s;' % total, '}']


def calls_h(spec, source):
    o = [HEAD % source + '#ifndef VGPU_CALLS_H\n#define VGPU_CALLS_H\n',
         '#include <stddef.h>\n#include <stdint.h>\n\n#include "vgpuif.h"',
         PROLOGUE.replace('@HANDLES@', ''.join('    VGPU_HANDLE_%s,\n' % h.upper()
                                               for h in HANDLES)),
         'enum vgpu_op {']
    for c in spec.calls:
        o.append('    VGPU_OP_%s = 0x%04x,' % (c.name, c.op))
    o += ['};', '']
    for c in spec.ctls:
        o.append('_Static_assert(%s == %d, "control request %s");' % (c.macro, c.op, c.name))
    o.append('_Static_assert(VGPU_REC_MAX == 49152 && VGPU_REPLY_MAX == 496 &&')
    o.append('                   sizeof(struct vgpu_rec) == 16, "limits that the generator checks");')
    for c in spec.calls:
        o += ['', '/* %s: %s */' % (c.name, c.doc)]
        if not c.fields:
            o.append('/* (no fields) */')
        for f in c.inl.data + c.outl.data:
            o.append('#define VGPU_MAX_%s_%s %du' % (c.name, f.name, f.max))
        if c.ins:
            o += struct('in', c, c.inl)
            o += len_function(c)
        if c.outs:
            o += struct('rep', c, c.outl)
    o.append(DESC % len(spec.calls))
    o.append('#endif')
    return '\n'.join(o) + '\n'


def calls_c(spec, source):
    o = [HEAD % source, '#include "calls.h"\n',
         'const struct vgpu_call_desc vgpu_call_descs[VGPU_NCALLS] = {']
    for c in sorted(spec.calls, key=lambda c: c.op):
        o.append('    {VGPU_OP_%s, %d, VGPU_%s, %s, %s,' %
                 (c.name, c.since, c.cls.upper(), cstr(c.name), cstr(c.driver)))
        o.append('     %s,' % cstr(c.doc))
        o.append('     %d, %d, %d, %d},' % (c.inl.size, c.inl.max, c.outl.size, c.outl.max))
    o += ['};', '''
const struct vgpu_call_desc *vgpu_call_desc(uint16_t op)
{
    uint32_t lo = 0, hi = VGPU_NCALLS;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (vgpu_call_descs[mid].op == op)
            return &vgpu_call_descs[mid];
        if (vgpu_call_descs[mid].op < op)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}''']
    return '\n'.join(o) + '\n'


def signature(fields):
    out = []
    for f in fields:
        t = f.type + ('[%d]' % f.count if f.is_array else '')
        if f.is_data:
            t += '≤%d' % f.max
        out.append('%s:%s' % (f.name, t))
    return ', '.join(out) or '–'


def calls_md(spec, source):
    o = ['# Calls that cross', '',
         'Made from `%s`. posted: no reply, failures are reported later; quick: replied at once;' % source,
         'blocking: replied when the device is done. Data lengths in octets.', '',
         '| Opcode | Call | Class | Since | Stands for | Request | Reply | What it does |',
         '|---|---|---|---|---|---|---|---|']
    for c in sorted(spec.calls, key=lambda c: c.op):
        o.append('| 0x%04x | %s | %s | %d | %s | %s | %s | %s |' %
                 (c.op, c.name, c.cls, c.since, '`%s`' % c.driver if c.driver else '–',
                  signature(c.ins), signature(c.outs), c.doc.replace('|', '\\|')))
    o += ['', '## Control requests', '', '| Code | Request | Members |', '|---|---|---|']
    for c in spec.ctls:
        uses = [n + ''.join(' %s %s' % kv for kv in checks.items()) for n, checks in c.uses]
        o.append('| %d | %s | %s |' % (c.op, c.name, ', '.join(uses)))
    return '\n'.join(o) + '\n'

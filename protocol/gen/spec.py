# SPDX-License-Identifier: MIT
"""Reads calls.spec: syntax, names, ranges, and the layout of every request and reply.

Nothing here knows C beyond the names of its integer types. Errors are SpecError, whose text is one
line `file:line: what is wrong and what is allowed`.
"""
import re

REC_HEADER = 16
REC_MAX = 49152
REPLY_MAX = 496
OP_FIRST = 2  # 0: a zeroed record, 1: padding
CTL_FIRST = 16  # 0..15 are never valid, so that a zeroed slot is not a request

# name: (C type, size, signed)
SCALARS = {
    'u8': ('uint8_t', 1, False),
    'u16': ('uint16_t', 2, False),
    'u32': ('uint32_t', 4, False),
    'u64': ('uint64_t', 8, False),
    'i32': ('int32_t', 4, True),
    'f32': ('float', 4, True),
    'devptr': ('uint64_t', 8, False),
}
# Order is that of enum vgpu_handle and of the worker's enum wk_objkind.
HANDLES = ('stream', 'event', 'module', 'array', 'texture', 'graph', 'exec', 'mempool', 'linker',
           'memory')
CLASSES = ('posted', 'quick', 'blocking')
CHECKS = ('min', 'max', 'mask', 'align')
CTL_CHECKS = ('min', 'max', 'pages')

# Members of struct vgpu_ctl_req that a control request may use (vgpuif.h).
CTL_FIELDS = ('channel', 'port', 'gref_dir', 'npages', 'ring_order', 'window_try', 'chunk', 'uid',
              'pid', 'phase', 'token0', 'token1', 'token2', 'token3')

# What the generated functions call their own, and C words that cannot be names of members.
TAKEN = set('''ch auto break case char const continue default do double else enum
extern float for goto if int long register return short signed sizeof static struct switch typedef
union unsigned void volatile while inline restrict'''.split())


class SpecError(Exception):
    pass


def align(n, to):
    return (n + to - 1) // to * to


class Member:
    """One member of a wire structure: what C declares."""

    def __init__(self, ctype, name, size, count=1, pad=False):
        self.ctype, self.name, self.size, self.count, self.pad = ctype, name, size, count, pad
        self.offset = None


class Field:
    """One `in` or `out` line."""

    def __init__(self, direction, type_, name, count, checks, where):
        self.direction, self.type, self.name, self.count = direction, type_, name, count
        self.checks, self.where = checks, where

    @property
    def is_data(self):
        return self.type in ('data', 'str')

    @property
    def is_pool(self):
        return self.type == 'pool'

    @property
    def is_handle(self):
        return self.type in HANDLES

    @property
    def is_new(self):
        return self.type.startswith('new') and self.type[3:] in HANDLES

    @property
    def is_scalar(self):
        return self.type in SCALARS

    @property
    def is_array(self):
        return self.count is not None

    @property
    def handle(self):
        """The kind of object, of a handle or a new one."""
        return self.type[3:] if self.is_new else self.type

    @property
    def max(self):
        """Of a data or str field: octets."""
        return self.checks['max']

    @property
    def ctype(self):
        if self.type in SCALARS:
            return SCALARS[self.type][0]
        return 'uint32_t'

    @property
    def signed(self):
        return self.type in SCALARS and SCALARS[self.type][2]

    def room(self):
        """Most octets that the variable part of this field takes."""
        if not self.is_data:
            return 0
        return align(self.max + (1 if self.type == 'str' else 0), 8)

    def members(self):
        n = self.name
        if self.is_data:
            return [Member('uint32_t', n + '_len', 4)]
        if self.is_pool:
            return [Member('uint32_t', n + '_chunk', 4), Member('uint32_t', n + '_zero', 4),
                    Member('uint64_t', n + '_off', 8), Member('uint64_t', n + '_len', 8)]
        if self.is_scalar:
            return [Member(self.ctype, n, SCALARS[self.type][1], self.count or 1)]
        return [Member('uint32_t', n, 4)]


class Layout:
    """The fixed part of a request or reply, with padding made explicit."""

    def __init__(self, fields):
        self.members, at, widest, npad = [], 0, 1, 0
        self.data = [f for f in fields if f.is_data]

        def pad(to):
            nonlocal at, npad
            gap = align(at, to) - at
            if gap:
                m = Member('uint8_t', 'pad%d' % npad, 1, gap, pad=True)
                m.offset = at
                self.members.append(m)
                npad += 1
                at += gap

        for f in fields:
            if f.is_pool:
                pad(8)
            for m in f.members():
                pad(m.size)
                m.offset = at
                at += m.size * m.count
                widest = max(widest, 8 if f.is_pool else m.size)
                self.members.append(m)
        pad(8 if self.data else widest)
        self.size = at
        self.max = at + sum(f.room() for f in self.data)


class Call:
    def __init__(self, name, op, class_, where):
        self.name, self.op, self.cls, self.where = name, op, class_, where
        self.doc, self.driver, self.since = None, None, 1
        self.fields = []

    @property
    def ins(self):
        return [f for f in self.fields if f.direction == 'in']

    @property
    def outs(self):
        return [f for f in self.fields if f.direction == 'out']

    def finish(self):
        self.inl, self.outl = Layout(self.ins), Layout(self.outs)


class Ctl:
    def __init__(self, name, op, where):
        self.name, self.op, self.where = name, op, where
        self.uses = []  # (field, checks)

    @property
    def macro(self):
        return 'VGPU_CTL_' + re.sub(r'(?<!^)(?=[A-Z])', '_', self.name).upper()


class Spec:
    def __init__(self):
        self.calls, self.ctls = [], []


class Reader:
    def __init__(self, text, name):
        self.text, self.name, self.line = text, name, 0
        self.spec = Spec()
        self.entry = None

    def fail(self, text, where=None):
        raise SpecError('%s:%d: %s' % (self.name, where or self.line, text))

    def number(self, text, what, lo, hi):
        try:
            v = int(text, 0)
        except ValueError:
            self.fail("%s is '%s', a number is needed" % (what, text))
        if not lo <= v <= hi:
            self.fail('%s is %s, %d..%d is allowed' % (what, text, lo, hi))
        return v

    def identifier(self, text, what, pattern):
        if not re.fullmatch(pattern, text) or text in TAKEN:
            self.fail("%s '%s' is not a possible name" % (what, text))
        return text

    def checks(self, words, allowed, lo, hi):
        out = {}
        if len(words) % 2:
            self.fail("check '%s' has no value" % words[-1])
        for key, value in zip(words[::2], words[1::2]):
            if key not in allowed:
                self.fail("unknown check '%s'; allowed here: %s" % (key, ' '.join(allowed) or 'none'))
            if key in out:
                self.fail("check '%s' is given twice" % key)
            out[key] = value if key == 'pages' else self.number(value, key, lo, hi)
        if 'min' in out and 'max' in out and out['min'] > out['max']:
            self.fail('min %d is above max %d' % (out['min'], out['max']))
        if 'align' in out and (out['align'] < 1 or out['align'] & (out['align'] - 1)):
            self.fail('align is %d, a power of two is needed' % out['align'])
        return out

    # ---- entries

    def open_entry(self, words):
        self.close_entry()
        kind = words[0]
        if kind == 'call':
            if len(words) != 4:
                self.fail('a call is: call NAME OPCODE CLASS')
            name = self.identifier(words[1], 'call name', r'[A-Z][A-Za-z0-9]*')
            op = self.number(words[2], 'opcode', OP_FIRST, 0xffff)
            if words[3] not in CLASSES:
                self.fail("class is '%s'; allowed: %s" % (words[3], ' '.join(CLASSES)))
            for c in self.spec.calls:
                if c.name == name:
                    self.fail('call %s is already defined in line %d' % (name, c.where))
                if c.op == op:
                    self.fail('opcode 0x%04x is already that of %s' % (op, c.name))
            self.entry = Call(name, op, words[3], self.line)
        elif kind == 'ctl':
            if len(words) != 3:
                self.fail('a control request is: ctl NAME OPCODE')
            name = self.identifier(words[1], 'control request', r'[A-Z][A-Za-z0-9]*')
            op = self.number(words[2], 'opcode', CTL_FIRST, 0xffff)
            for c in self.spec.ctls:
                if c.name == name or c.op == op:
                    self.fail('control request %s %d is already defined in line %d' %
                              (c.name, c.op, c.where))
            self.entry = Ctl(name, op, self.line)
        else:
            self.fail("unknown entry '%s'; allowed: call ctl" % kind)

    def close_entry(self):
        e = self.entry
        self.entry = None
        if e is None:
            return
        if isinstance(e, Ctl):
            names = [n for n, _ in e.uses]
            for n, c in e.uses:
                if 'pages' in c and c['pages'] not in names:
                    self.fail("pages names '%s', which the request does not use" % c['pages'], e.where)
            self.spec.ctls.append(e)
            return
        if not e.doc:
            self.fail('call %s has no doc line' % e.name, e.where)
        e.finish()
        if REC_HEADER + e.inl.max > REC_MAX:
            self.fail('request of %s may take %d octets, %d are possible' %
                      (e.name, REC_HEADER + e.inl.max, REC_MAX), e.where)
        if e.outl.max > REPLY_MAX:
            self.fail('reply of %s may take %d octets, %d are possible' %
                      (e.name, e.outl.max, REPLY_MAX), e.where)
        if e.cls == 'posted' and e.outs:
            self.fail('posted call %s cannot have reply fields' % e.name, e.where)
        self.spec.calls.append(e)

    # ---- lines of an entry

    def call_line(self, words, raw):
        e, key = self.entry, words[0]
        if key in ('doc', 'driver'):
            if getattr(e, key) is not None:
                self.fail('%s is given twice' % key)
            text = raw.strip()[len(key):].strip()
            if not text:
                self.fail('%s is empty' % key)
            if key == 'driver':
                self.identifier(text, 'driver call', r'[A-Za-z_][A-Za-z0-9_]*')
            setattr(e, key, text)
        elif key == 'since':
            if len(words) != 2:
                self.fail('a version is: since N')
            e.since = self.number(words[1], 'since', 1, 0xffff)
        elif key in ('in', 'out'):
            self.field(words)
        else:
            self.fail("unknown line '%s' in a call; allowed: doc driver since in out" % key)

    def field(self, words):
        if len(words) < 3:
            self.fail('a field is: %s TYPE NAME [CHECK...]' % words[0])
        direction, type_, name = words[0], words[1], words[2]
        count = None
        m = re.fullmatch(r'(\w+)\[(\w+)\]', type_)
        if m:
            type_, count = m.group(1), self.number(m.group(2), 'array length', 1, 4096)
            if type_ not in ('u8', 'u16', 'u32', 'u64', 'i32'):
                self.fail("array of '%s'; allowed: u8 u16 u32 u64 i32" % type_)
        types = list(SCALARS) + ['data']
        if direction == 'in':
            types += ['str', 'pool'] + list(HANDLES) + ['new' + h for h in HANDLES]
        if type_ not in types:
            self.fail("unknown type '%s' of an %s field; allowed: %s" %
                      (type_, direction, ' '.join(types)))
        self.identifier(name, 'field name', r'[a-z]([a-z0-9_]*[a-z0-9])?')
        if re.fullmatch(r'pad\d+', name):
            self.fail("field name '%s' is that of padding" % name)
        f = Field(direction, type_, name, count, {}, self.line)
        if f.is_data:
            allowed, lo, hi = ('max',), 1, REC_MAX
        elif direction == 'in' and f.is_scalar and type_ != 'f32':
            allowed = CHECKS if not f.signed else ('min', 'max')
            size = SCALARS[type_][1]
            lo = -(1 << 31) if f.signed else 0
            hi = (1 << 31) - 1 if f.signed else (1 << 8 * size) - 1
        else:
            allowed, lo, hi = (), 0, 0
        f.checks = self.checks(words[3:], allowed, lo, hi)
        if f.is_data and 'max' not in f.checks:
            self.fail("%s field '%s' needs max" % (type_, name))
        # Requests and replies meet in the stub's parameter list.
        mine = {name} | {x.name for x in f.members()}
        for g in self.entry.fields:
            if mine & ({g.name} | {x.name for x in g.members()}):
                self.fail("field name '%s' is already taken in line %d" % (name, g.where))
        self.entry.fields.append(f)

    def ctl_line(self, words):
        if words[0] != 'uses' or len(words) < 2:
            self.fail('a line of a control request is: uses FIELD [CHECK...]')
        if words[1] not in CTL_FIELDS:
            self.fail("unknown member '%s' of struct vgpu_ctl_req; allowed: %s" %
                      (words[1], ' '.join(CTL_FIELDS)))
        if words[1] in [n for n, _ in self.entry.uses]:
            self.fail("'%s' is given twice" % words[1])
        self.entry.uses.append((words[1], self.checks(words[2:], CTL_CHECKS, 0, 0xffffffff)))

    def read(self):
        for raw in self.text.split('\n'):
            self.line += 1
            raw = raw.split('#', 1)[0].rstrip()
            words = raw.split()
            if not words:
                continue
            if not raw[0].isspace():
                self.open_entry(words)
            elif self.entry is None:
                self.fail('indented line outside of an entry')
            elif isinstance(self.entry, Call):
                self.call_line(words, raw)
            else:
                self.ctl_line(words)
        self.close_entry()
        if not self.spec.calls:
            self.fail('no call is defined')
        return self.spec


def read(path):
    with open(path, encoding='utf-8') as f:
        return Reader(f.read(), path).read()

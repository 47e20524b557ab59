# SPDX-License-Identifier: MIT
"""roundtrip.h, for tests/unit/test_decode.c: for every call a handler that checks what arrives, a
test that sends it through the stub, and the records that must be refused.

What is sent is chosen here and written down as numbers on both sides, so a stub and a decoder that
are wrong in the same way about a type are still caught by test_decode.c's own byte images.
"""
import emit_seeds
from emit_calls import HEAD
from spec import SCALARS


def literal(f, v):
    if f.type == 'f32':
        return '%d.5f' % v
    if f.ctype == 'uint64_t':
        return '0x%xull' % v
    return '%d' % v if f.signed else '0x%xu' % v


def sample(f, i):
    """A value within the checks that differs from field to field."""
    c = f.checks
    if f.is_handle or f.is_new:
        return 20 + i
    if 'mask' in c:
        return c['mask']
    if 'max' in c:
        return c['max']
    if f.type == 'f32':
        return 7 + i
    if f.signed:
        return -5 - i
    size = SCALARS[f.type][1]
    v = (0x1122334455667788 + i * 0x0101010101010101) & ((1 << 8 * size) - 1)
    v = max(v, c.get('min', 0))
    return v & ~(c.get('align', 1) - 1)


def element(f, i):
    """Array elements differ, unless the checks leave no choice."""
    v = literal(f, sample(f, i) if f.checks else (3 + i) % 100)
    return v if f.checks else '(%s)(%s + k)' % (f.ctype, v)


def length(f):
    """Octets of a field of varying length: what the test asks for, or all that it may have."""
    return '(fake.len < %d ? fake.len : %d)' % (f.max, f.max)


def handler(c):
    o = ['int wk_%s(struct wk_lane *lane, const struct vgpu_args_%s *a, struct vgpu_out_%s *o)' %
         ((c.name,) * 3), '{']
    o += ['    assert_ptr_equal(lane, LANE);', '    fake.handled++;',
          '    if (fake.unchecked)', '        return 0;']
    for i, f in enumerate(c.ins):
        n = f.name
        if f.is_data:
            o += ['    assert_int_equal(a->%s_len, %s);' % (n, length(f)),
                  '    assert_pattern(a->%s, a->%s_len);' % (n, n)]
            if f.type == 'str':
                o.append('    assert_int_equal(strlen(a->%s), a->%s_len);' % (n, n))
        elif f.is_pool:
            o += ['    assert_ptr_equal(a->%s, pool_address(%d, 0x%x));' % (n, 3 + i, 0x1000 * (i + 1)),
                  '    assert_int_equal(a->%s_len, %d);' % (n, 0x123 + i)]
        elif f.is_handle:
            o += ['    assert_ptr_equal(a->%s, object(VGPU_HANDLE_%s, %d));' %
                  (n, f.handle.upper(), 20 + i), '    assert_int_equal(a->%s_id, %d);' % (n, 20 + i)]
        elif f.is_array:
            o += ['    for (unsigned k = 0; k < %d; k++)' % f.count,
                  '        assert_true(a->%s[k] == %s);' % (n, element(f, i))]
        else:
            o.append('    assert_true(a->%s == %s);' % (n, literal(f, sample(f, i))))
    for i, f in enumerate(c.outs):
        n = f.name
        if f.is_data:
            o += ['    o->%s_len = fake.out_len < %d ? fake.out_len : %d;' % (n, f.max, f.max),
                  '    memcpy(o->%s, pattern, o->%s_len);' % (n, n)]
        elif f.is_array:
            o += ['    for (unsigned k = 0; k < %d; k++)' % f.count,
                  '        o->%s[k] = %s;' % (n, element(f, i))]
        else:
            o.append('    o->%s = %s;' % (n, literal(f, sample(f, i))))
    return '\n'.join(o + ['    return fake.status;', '}\n'])


def sender(c):
    """One trip: returns what the stub returns."""
    o = ['static int send_%s(unsigned flags, uint32_t len)' % c.name, '{']
    args, after = ['CHAN', 'flags'], ['    fake.len = len;']
    for i, f in enumerate(c.ins):
        n = 'in_' + f.name
        if f.type == 'str':
            o.append('    char %s[%d];' % (n, f.max + 1))
            after += ['    memcpy(%s, pattern, %s);' % (n, length(f)),
                      '    %s[%s] = 0;' % (n, length(f))]
            args.append(n)
        elif f.is_data:
            args += ['pattern', length(f)]
        elif f.is_pool:
            args += [str(3 + i), hex(0x1000 * (i + 1)), str(0x123 + i)]
        elif f.is_array:
            o.append('    %s %s[%d];' % (f.ctype, n, f.count))
            after += ['    for (unsigned k = 0; k < %d; k++)' % f.count,
                      '        %s[k] = %s;' % (n, element(f, i))]
            args.append(n)
        elif f.is_handle or f.is_new:
            args.append(str(20 + i))
        else:
            args.append(literal(f, sample(f, i)))
    checks = []
    for i, f in enumerate(c.outs):
        n = 'out_' + f.name
        if f.is_data:
            o += ['    uint8_t %s[%d];' % (n, f.max), '    uint32_t %s_len = 9999;' % n]
            args += [n, 'sizeof(%s)' % n, '&%s_len' % n]
            checks += ['    if (fake.handled) {',
                       '        assert_int_equal(%s_len, fake.out_len < %d ? fake.out_len : %d);' %
                       (n, f.max, f.max), '        assert_pattern(%s, %s_len);' % (n, n),
                       '    } else {', '        assert_int_equal(%s_len, 0);' % n, '    }']
        elif f.is_array:
            o.append('    %s %s[%d] = {0};' % (f.ctype, n, f.count))
            args.append(n)
            checks += ['    for (unsigned k = 0; k < %d; k++)' % f.count,
                       '        assert_true(%s[k] == (rc ? 0 : %s));' % (n, element(f, i))]
        else:
            o.append('    %s %s = 0;' % (f.ctype, n))
            args.append('&' + n)
            checks.append('    assert_true(%s == (rc ? 0 : %s));' % (n, literal(f, sample(f, i))))
    o += ['    int rc;', ''] + after
    o.append('    rc = vgpu_%s(%s);' % (c.name, ', '.join(args)))
    return '\n'.join(o + checks + ['    return rc;', '}\n'])


def refused(c):
    """(what, word in the message, payload) of records that a decoder must not take."""
    r = emit_seeds.request
    whole = r(c)
    out = [('trailing octets', c.name, whole + bytes(16 + (-len(whole)) % 16))]
    if c.ins:
        out.append(('no payload', c.name, b''))
        if len(whole) > 16:
            out.append(('short', c.name, whole[:(len(whole) - 1) // 16 * 16]))
    for f in c.ins:
        n, k = f.name, f.checks
        if f.is_data:
            out += [(n + ' over its maximum', n, r(c, (n + '_len', f.max + 1))),
                    (n + ' of 2^32-1', n, r(c, (n + '_len', 0xffffffff))),
                    (n + ' beyond the record', c.name, r(c, (n + '_len', min(f.max, 64))))]
        elif f.is_pool:
            out.append((n + ' with a second chunk word', n, r(c, (n + '_zero', 1))))
        elif f.is_new:
            out += [(n + ' too small', n, r(c, (n, 15))), (n + ' too large', n, r(c, (n, 65536)))]
        if not f.is_scalar:
            continue
        size = SCALARS[f.type][1]
        top = (1 << (8 * size - (1 if f.signed else 0))) - 1
        if 'min' in k and (k['min'] > 0 or f.signed):
            out.append((n + ' below its minimum', n, r(c, (n, k['min'] - 1))))
        if 'max' in k and k['max'] < top:
            out += [(n + ' above its maximum', n, r(c, (n, k['max'] + 1))),
                    (n + ' at the top', n, r(c, (n, top)))]
        if 'mask' in k:
            for bit in range(8 * size):
                if not k['mask'] >> bit & 1:
                    out.append((n + ' bit %d' % bit, n, r(c, (n, 1 << bit))))
        if k.get('align', 1) > 1:
            out.append((n + ' not aligned', n, r(c, (n, k['align'] + 1))))
    return out


def roundtrip_h(spec, source):
    o = [HEAD % source]
    for c in spec.calls:
        o += [handler(c), sender(c)]
    o += ['static const struct {', '    const char *name;', '    uint16_t op;', '    bool posted, looks;',
          '    int (*send)(unsigned flags, uint32_t len);', '} calls[] = {']
    for c in spec.calls:
        looks = any(f.is_handle or f.is_new or f.is_pool for f in c.ins)
        o.append('    {"%s", VGPU_OP_%s, %s, %s, send_%s},' %
                 (c.name, c.name, str(c.cls == 'posted').lower(), str(looks).lower(), c.name))
    o.append('};\n')
    rows = []
    for c in spec.calls:
        for i, (what, word, payload) in enumerate(refused(c)):
            name = 'refused_%s_%d' % (c.name, i)
            if payload:
                o.append('static const uint8_t %s[%d] = {%s};' %
                         (name, len(payload), ', '.join(str(b) for b in payload)))
            rows.append('    {"%s: %s", "%s", VGPU_OP_%s, %d, %s},' %
                        (c.name, what, word, c.name, len(payload), name if payload else 'NULL'))
    o += ['\nstatic const struct {', '    const char *what, *word;', '    uint16_t op;', '    uint32_t len;',
          '    const uint8_t *payload;', '} refused[] = {'] + rows + ['};']
    # Maxima must still be taken: the other side of every bound.
    table = []
    for c in spec.calls:
        taken = [('plain', emit_seeds.request(c))]
        if c.inl.data:
            taken += [('empty', emit_seeds.request(c, data_len='min')),
                      ('longest', emit_seeds.request(c, data_len='max'))]
        for f in c.ins:
            if f.is_scalar:
                taken += [(f.name + ' at its ' + k, emit_seeds.request(c, (f.name, f.checks[k])))
                          for k in ('min', 'max', 'mask') if k in f.checks]
            elif f.is_new:
                taken.append(('largest ' + f.name, emit_seeds.request(c, (f.name, 65535))))
        for i, (what, payload) in enumerate(taken):
            name = 'accepted_%s_%d' % (c.name, i)
            if payload:
                o.append('static const uint8_t %s[%d] = {%s};' %
                         (name, len(payload), ', '.join(str(b) for b in payload)))
            table.append('    {"%s: %s", VGPU_OP_%s, %d, %s},' %
                         (c.name, what, c.name, len(payload), name if payload else 'NULL'))
    o += ['', 'static const struct {', '    const char *what;', '    uint16_t op;', '    uint32_t len;',
          '    const uint8_t *payload;', '} accepted[] = {'] + table + ['};']
    return '\n'.join(o) + '\n'

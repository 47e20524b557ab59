#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""forms.py - writes a PTX module with one kernel for each instruction form.

Every kernel is (a, b, c, out): thread i of 128 applies the form to a[i], b[i], c[i] (64-bit words
cut to the operand types) and stores the result as a 64-bit word in out[i]. A comment line before
each kernel tells forms.c what inputs it wants and how exact the result must be:
    // FORM <kernel> <class of a> <class of b> <class of c> <class of result> <tolerance>
Classes: i16 i32 i64 f16 h2 (two halves) b2 (two bf16) bf f32 f64 p (predicate) sh (shift amounts)
-- (unused).
Tolerance: exact, ulp:N (units in the last place), abs:E (absolute error 2^E), warp (a whole warp
must be alike: exact too).
"""
import sys

import forms_more

HEAD = """.version 8.6
.target sm_90
.address_size 64
"""
WIDTH = {'mh': 64, 'mb': 64, 'mf': 64, 'm8': 64, 'md': 64, 'w': 64, 'i16': 16, 'f16': 16, 'bf': 16, 'i32': 32, 'f32': 32, 'h2': 32, 'b2': 32, 'sh': 32,
         'i64': 64, 'f64': 64, 'p': 1}
forms = []


def form(text, a='--', b='--', c='--', d='i32', tol='exact', pre='', post=''):
    """text uses %a %b %c %d; a..d are classes; pre and post are further instructions."""
    forms.append((text, a, b, c, d, tol, pre, post))


def load(reg, cls, lines, decl):
    if cls == '--':
        return
    width = WIDTH[cls]
    if cls == 'p':
        decl.append('.reg .pred %%%s; .reg .b64 %%x%s;' % (reg, reg))
        lines.append('and.b64 %%x%s, %%w%s, 1; setp.ne.s64 %%%s, %%x%s, 0;' % (reg, reg, reg, reg))
        return
    decl.append('.reg .b%d %%%s;' % (width, reg))
    if width == 64:
        lines.append('mov.b64 %%%s, %%w%s;' % (reg, reg))
    else:
        lines.append('cvt.u%d.u64 %%%s, %%w%s;' % (width, reg, reg))


def kernel(n, f):
    text, a, b, c, d, tol, pre, post = f
    decl, lines = [], []
    for reg, cls in zip('abc', (a, b, c)):
        load(reg, cls, lines, decl)
    width = WIDTH[d]
    decl.append('.reg .%s %%d;' % ('pred' if width == 1 else 'b%d' % width))
    if width == 1:
        store = 'selp.u64 %wd, 1, 0, %d;'
    elif width == 64:
        store = 'mov.b64 %wd, %d;'
    else:
        store = 'cvt.u64.u%d %%wd, %%d;' % width
    return """// FORM k%d %s %s %s %s %s %s
.visible .entry k%d(.param .u64 pa, .param .u64 pb, .param .u64 pc, .param .u64 po)
{
.reg .b32 %%t<4>; .reg .b64 %%q<8>; .reg .b64 %%wa; .reg .b64 %%wb; .reg .b64 %%wc; .reg .b64 %%wd;
.reg .b32 %%s<8>; .reg .b64 %%l<8>; .reg .pred %%p<8>; .reg .b16 %%h<8>;
%s
mov.u32 %%t0, %%tid.x; mul.wide.u32 %%q0, %%t0, 8;
ld.param.u64 %%q1, [pa]; add.u64 %%q1, %%q1, %%q0; ld.global.u64 %%wa, [%%q1];
ld.param.u64 %%q2, [pb]; add.u64 %%q2, %%q2, %%q0; ld.global.u64 %%wb, [%%q2];
ld.param.u64 %%q3, [pc]; add.u64 %%q3, %%q3, %%q0; ld.global.u64 %%wc, [%%q3];
%s
%s%s
%s%s
ld.param.u64 %%q4, [po]; add.u64 %%q4, %%q4, %%q0; st.global.u64 [%%q4], %%wd;
ret;
}
""" % (n, a, b, c, d, tol, text.replace('\n', ' '), n, '\n'.join(decl), '\n'.join(lines),
       pre + '\n' if pre else '', text, post + '\n' if post else '', store)


I = {'16': 'i16', '32': 'i32', '64': 'i64'}


def ints():
    for t in 'u16 s16 u32 s32 u64 s64'.split():
        k = I[t[1:]]
        for op in ('add', 'sub', 'mul.lo', 'mul.hi', 'div', 'rem', 'min', 'max'):
            form('%s.%s %%d, %%a, %%b;' % (op, t), k, k, d=k)
        for op in ('mad.lo', 'mad.hi', 'sad'):
            form('%s.%s %%d, %%a, %%b, %%c;' % (op, t), k, k, k, d=k)
        if k != 'i64':
            w = {'i16': 'i32', 'i32': 'i64'}[k]
            form('mul.wide.%s %%d, %%a, %%b;' % t, k, k, d=w)
            form('mad.wide.%s %%d, %%a, %%b, %%c;' % t, k, k, w, d=w)
        form('shr.%s %%d, %%a, %%b;' % t, k, 'sh', d=k)
        for op in ('eq', 'ne', 'lt', 'le', 'gt', 'ge') + \
                (('lo', 'ls', 'hi', 'hs') if t[0] == 'u' else ()):
            form('setp.%s.%s %%d, %%a, %%b;' % (op, t), k, k, d='p')
    for t in 's16 s32 s64'.split():
        for op in ('abs', 'neg'):
            form('%s.%s %%d, %%a;' % (op, t), I[t[1:]], d=I[t[1:]])
    for op in ('add', 'sub'):
        form('%s.sat.s32 %%d, %%a, %%b;' % op, 'i32', 'i32')
    form('mad.hi.sat.s32 %d, %a, %b, %c;', 'i32', 'i32', 'i32')
    for t in ('u32', 's32'):
        for h in ('lo', 'hi'):
            form('mul24.%s.%s %%d, %%a, %%b;' % (h, t), 'i32', 'i32')
            form('mad24.%s.%s %%d, %%a, %%b, %%c;' % (h, t), 'i32', 'i32', 'i32')
        for u in ('u32', 's32'):
            form('dp4a.%s.%s %%d, %%a, %%b, %%c;' % (t, u), 'i32', 'i32', 'i32')
            for h in ('lo', 'hi'):
                form('dp2a.%s.%s.%s %%d, %%a, %%b, %%c;' % (h, t, u), 'i32', 'i32', 'i32')
    for t, k in (('32', 'i32'), ('64', 'i64')):
        for op in ('add', 'sub'):
            s = 'u' + t
            form('%sc.%s %%d, %%b, %%c;' % (op, s), k, k, k, d=k,
                 pre='.reg .b%s %%z; %s.cc.%s %%z, %%a, %%b;' % (t, op, s))
            form('%sc.cc.%s %%d, %%b, %%c; %sc.%s %%d, %%d, %%a;' % (op, s, op, s), k, k, k, d=k,
                 pre='.reg .b%s %%z; %s.cc.%s %%z, %%a, %%b;' % (t, op, s))
        for h in ('lo', 'hi'):
            for sg in 'us':
                form('addc.u%s %%d, %%b, %%c;' % t, k, k, k, d=k,
                     pre='.reg .b%s %%z; mad.%s.cc.%s%s %%z, %%a, %%b, %%c;' % (t, h, sg, t))
                form('madc.%s.%s%s %%d, %%a, %%b, %%c;' % (h, sg, t), k, k, k, d=k,
                     pre='.reg .b%s %%z; add.cc.u%s %%z, %%a, %%b;' % (t, t))
    form('add.u16x2 %d, %a, %b;', 'i32', 'i32')


def bits():
    for t in '16 32 64'.split():
        k = I[t]
        for op in ('and', 'or', 'xor'):
            form('%s.b%s %%d, %%a, %%b;' % (op, t), k, k, d=k)
        for op in ('not', 'cnot'):
            form('%s.b%s %%d, %%a;' % (op, t), k, d=k)
        form('shl.b%s %%d, %%a, %%b;' % t, k, 'sh', d=k)
        form('shr.b%s %%d, %%a, %%b;' % t, k, 'sh', d=k)
        form('selp.b%s %%d, %%a, %%b, %%c;' % t, k, k, 'p', d=k)
        form('slct.b%s.s32 %%d, %%a, %%b, %%c;' % t, k, k, 'i32', d=k)
        form('slct.b%s.f32 %%d, %%a, %%b, %%c;' % t, k, k, 'f32', d=k)
        form('slct.ftz.b%s.f32 %%d, %%a, %%b, %%c;' % t, k, k, 'f32', d=k)
    for op in ('and', 'or', 'xor'):
        form('%s.pred %%d, %%a, %%b;' % op, 'p', 'p', d='p')
    form('not.pred %d, %a;', 'p', d='p')
    for t in ('32', '64'):
        k = I[t]
        for sg in 'us':
            form('bfe.%s%s %%d, %%a, %%b, %%c;' % (sg, t), k, 'sh', 'sh', d=k)
            form('bfind.%s%s %%d, %%a;' % (sg, t), k)
            form('bfind.shiftamt.%s%s %%d, %%a;' % (sg, t), k)
        form('bfi.b%s %%d, %%a, %%b, %%c, %%s1;' % t, k, k, 'sh', d=k,
             pre='cvt.u32.u64 %s1, %wa; and.b32 %s1, %s1, 127;')
        for op in ('clz', 'popc'):
            form('%s.b%s %%d, %%a;' % (op, t), k)
        form('brev.b%s %%d, %%a;' % t, k, d=k)
    for m in ('', '.f4e', '.b4e', '.rc8', '.ecl', '.ecr', '.rc16'):
        form('prmt.b32%s %%d, %%a, %%b, %%c;' % m, 'i32', 'i32', 'i32')
    for d in 'lr':
        for m in ('clamp', 'wrap'):
            form('shf.%s.%s.b32 %%d, %%a, %%b, %%c;' % (d, m), 'i32', 'i32', 'sh')
    for lut in (0x96, 0xe8, 0xca, 0x01, 0x80, 0xfe, 0x3c, 0xff, 0x00):
        form('lop3.b32 %%d, %%a, %%b, %%c, 0x%x;' % lut, 'i32', 'i32', 'i32')
    for m in ('clamp', 'wrap'):
        form('bmsk.%s.b32 %%d, %%a, %%b;' % m, 'sh', 'sh')
        for t in ('u32', 's32'):
            form('szext.%s.%s %%d, %%a, %%b;' % (m, t), 'i32', 'sh')
    form('fns.b32 %d, %a, %s1, %s2;', 'i32', 'i32', 'i32',
         pre='and.b32 %s1, %b, 31; and.b32 %s2, %c, 15; sub.s32 %s2, %s2, 7;')
    form('{ .reg .b32 x, y; mov.b64 {x, y}, %a; mov.b64 %d, {y, x}; }', 'i64', d='i64')
    form('{ .reg .b16 x, y, z, w; mov.b64 {x, y, z, w}, %a; mov.b64 %d, {w, y, x, z}; }', 'i64',
         d='i64')
    form('{ .reg .b16 x, y; mov.b32 {x, y}, %a; mov.b32 %d, {y, x}; }', 'i32')
    for op in ('vabsdiff4', 'vadd4', 'vsub4', 'vavrg4', 'vmin4', 'vmax4'):
        for t in ('u32.u32.u32', 's32.s32.s32', 's32.u32.u32'):
            if op == 'vabsdiff4' and t[0] == 's':
                continue
            form('%s.%s %%d, %%a, %%b, %%c;' % (op, t), 'i32', 'i32', 'i32')
    form('vabsdiff4.u32.u32.u32.add %d, %a, %b, %c;', 'i32', 'i32', 'i32')


FC = 'eq ne lt le gt ge equ neu ltu leu gtu geu num nan'.split()


def floats():
    for r in ('rn', 'rz', 'rm', 'rp'):
        for op, n in (('add', 2), ('sub', 2), ('mul', 2), ('div', 2), ('fma', 3), ('rcp', 1),
                      ('sqrt', 1)):
            args = ', '.join('%abc'[0] + x for x in 'abc'[:n])
            for t in ('f32', 'f64'):
                ks = [t] * n + ['--'] * (3 - n)
                form('%s.%s.%s %%d, %s;' % (op, r, t, args), *ks, d=t)
                if t == 'f32':
                    form('%s.%s.ftz.%s %%d, %s;' % (op, r, t, args), *ks, d=t)
                    if op in ('add', 'sub', 'mul', 'fma'):
                        form('%s.%s.sat.%s %%d, %s;' % (op, r, t, args), *ks, d=t)
                        form('%s.%s.ftz.sat.%s %%d, %s;' % (op, r, t, args), *ks, d=t)
    for t in ('f32', 'f64'):
        for f in ('', '.ftz') if t == 'f32' else ('',):
            for op in ('min', 'max'):
                form('%s%s.%s %%d, %%a, %%b;' % (op, f, t), t, t, d=t)
                if t == 'f32':
                    form('%s%s.NaN.%s %%d, %%a, %%b;' % (op, f, t), t, t, d=t)
            for op in ('abs', 'neg'):
                form('%s%s.%s %%d, %%a;' % (op, f, t), t, d=t)
            for op in FC:
                form('setp.%s%s.%s %%d, %%a, %%b;' % (op, f, t), t, t, d='p')
        form('copysign.%s %%d, %%a, %%b;' % t, t, t, d=t)
        for op in ('finite', 'infinite', 'number', 'notanumber', 'normal', 'subnormal'):
            form('testp.%s.%s %%d, %%a;' % (op, t), t, d='p')
    for op in ('and', 'or', 'xor'):
        form('setp.lt.%s.f32 %%d|%%p1, %%a, %%b, %%c;' % op, 'f32', 'f32', 'p', d='p')
        form('setp.lt.%s.f32 %%p1|%%d, %%a, %%b, %%c;' % op, 'f32', 'f32', 'p', d='p')
        form('setp.geu.%s.s32 %%p1|%%d, %%a, %%b, !%%c;'.replace('geu', 'ge') % op, 'i32', 'i32', 'p',
             d='p')
    for t in ('u32', 's32', 'f32'):
        form('set.lt.%s.f32 %%d, %%a, %%b;' % t, 'f32', 'f32', d='f32' if t == 'f32' else 'i32')
        form('set.gtu.ftz.%s.f32 %%d, %%a, %%b;' % t, 'f32', 'f32',
             d='f32' if t == 'f32' else 'i32')
        form('set.le.and.%s.s32 %%d, %%a, %%b, %%c;' % t, 'i32', 'i32', 'p',
             d='f32' if t == 'f32' else 'i32')
    # approximations: error bounds of the PTX manual, taken against the device's own result
    for f in ('', '.ftz'):
        form('rcp.approx%s.f32 %%d, %%a;' % f, 'f32', d='f32', tol='ulp:1')
        form('sqrt.approx%s.f32 %%d, %%a;' % f, 'f32', d='f32', tol='ulp:2')
        form('rsqrt.approx%s.f32 %%d, %%a;' % f, 'f32', d='f32', tol='ulp:3')
        form('ex2.approx%s.f32 %%d, %%a;' % f, 'f32', d='f32', tol='ulp:4')
        form('lg2.approx%s.f32 %%d, %%a;' % f, 'f32', d='f32', tol='abs:-20')
        form('sin.approx%s.f32 %%d, %%a;' % f, 'f32', d='f32', tol='trig')
        form('cos.approx%s.f32 %%d, %%a;' % f, 'f32', d='f32', tol='trig')
        form('div.approx%s.f32 %%d, %%a, %%b;' % f, 'f32', 'f32', d='f32', tol='div')
        form('div.full%s.f32 %%d, %%a, %%b;' % f, 'f32', 'f32', d='f32', tol='ulp:3')
    form('tanh.approx.f32 %d, %a;', 'f32', d='f32', tol='rel:-10')
    form('rcp.approx.ftz.f64 %d, %a;', 'f64', d='f64', tol='rel:-20')
    form('rsqrt.approx.f64 %d, %a;', 'f64', d='f64', tol='rel:-20')
    form('rsqrt.approx.ftz.f64 %d, %a;', 'f64', d='f64', tol='rel:-20')


def halves():
    for t, k, k2 in (('f16', 'f16', 'h2'), ('bf16', 'bf', 'b2')):
        for x, c in (('', k), ('x2', k2)):
            for op in ('add', 'sub', 'mul'):
                form('%s.rn.%s%s %%d, %%a, %%b;' % (op, t, x), c, c, d=c)
                if t == 'f16':
                    form('%s.rn.ftz.%s%s %%d, %%a, %%b;' % (op, t, x), c, c, d=c)
                    form('%s.rn.sat.%s%s %%d, %%a, %%b;' % (op, t, x), c, c, d=c)
            form('fma.rn.%s%s %%d, %%a, %%b, %%c;' % (t, x), c, c, c, d=c)
            form('fma.rn.relu.%s%s %%d, %%a, %%b, %%c;' % (t, x), c, c, c, d=c)
            if t == 'f16':
                form('fma.rn.ftz.%s%s %%d, %%a, %%b, %%c;' % (t, x), c, c, c, d=c)
                form('fma.rn.sat.%s%s %%d, %%a, %%b, %%c;' % (t, x), c, c, c, d=c)
            for op in ('min', 'max', 'min.NaN', 'max.NaN'):
                form('%s.%s%s %%d, %%a, %%b;' % (op, t, x), c, c, d=c)
            for op in ('abs', 'neg'):
                form('%s.%s%s %%d, %%a;' % (op, t, x), c, d=c)
        for op in FC:
            form('setp.%s.%s %%d, %%a, %%b;' % (op, t), k, k, d='p')
        form('setp.lt.%sx2 %%d|%%p1, %%a, %%b;' % t, k2, k2, d='p')
        form('setp.lt.%sx2 %%p1|%%d, %%a, %%b;' % t, k2, k2, d='p')
        form('tanh.approx.%s %%d, %%a;' % t, k, d=k, tol='rel:-7' if t == 'bf16' else 'rel:-9')
    form('ex2.approx.f16 %d, %a;', 'f16', d='f16', tol='rel:-9')
    form('ex2.approx.ftz.bf16 %d, %a;', 'bf', d='bf', tol='rel:-6')
    form('set.lt.f16x2.f16x2 %d, %a, %b;', 'h2', 'h2', d='h2')
    form('set.gtu.f16x2.f16x2 %d, %a, %b;', 'h2', 'h2', d='h2')


def conversions():
    it = 'u8 s8 u16 s16 u32 s32 u64 s64'.split()

    def cls(t):
        w = max(int(t[1:]), 16)
        return ('f' if t[0] == 'f' else 'i') + str(w)

    for d in it:
        for s in it:
            if d == s:
                continue
            cd, cs = cls(d), cls(s)
            # registers of exactly the type's width, and of 32 and 64 bits
            form('cvt.%s.%s %%d, %%a;' % (d, s), cs, d=cd)
            form('cvt.%s.%s %%d, %%a;' % (d, s), cs, d='i64')
            if int(s[1:]) < 32:
                form('cvt.%s.%s %%d, %%a;' % (d, s), 'i32', d='i64')
            wd, ws = int(d[1:]), int(s[1:])
            if d[0] != s[0] or wd < ws:
                if not (wd > ws and s[0] == 'u') and not (wd > ws and d[0] == s[0]):
                    form('cvt.sat.%s.%s %%d, %%a;' % (d, s), cs, d=cd)
    for s in ('f16', 'f32', 'f64', 'bf16'):
        cs = 'bf' if s == 'bf16' else s
        for d in it:
            if s == 'bf16' and d[1:] == '8':
                continue
            for r in ('rni', 'rzi', 'rmi', 'rpi'):
                form('cvt.%s.%s.%s %%d, %%a;' % (r, d, s), cs, d=cls(d))
                if s == 'f32':
                    form('cvt.%s.ftz.%s.%s %%d, %%a;' % (r, d, s), cs, d=cls(d))
            for r in ('rn', 'rz', 'rm', 'rp'):
                form('cvt.%s.%s.%s %%d, %%a;' % (r, s, d), cls(d), d=cs)
        if s != 'bf16':
            form('cvt.rn.sat.%s.s32 %%d, %%a;' % s, 'i32', d=s)
            for r in ('rni', 'rzi', 'rmi', 'rpi'):
                form('cvt.%s.%s.%s %%d, %%a;' % (r, s, s), s, d=s)
            form('cvt.sat.%s.%s %%d, %%a;' % (s, s), s, d=s)
    for r in ('rn', 'rz', 'rm', 'rp'):
        for s in ('f32', 'f64'):
            form('cvt.%s.f16.%s %%d, %%a;' % (r, s), s, d='f16')
        form('cvt.%s.f32.f64 %%d, %%a;' % r, 'f64', d='f32')
        form('cvt.%s.ftz.f32.f64 %%d, %%a;' % r, 'f64', d='f32')
    for r in ('rn', 'rz'):
        form('cvt.%s.bf16.f32 %%d, %%a;' % r, 'f32', d='bf')
        form('cvt.%s.f16x2.f32 %%d, %%a, %%b;' % r, 'f32', 'f32', d='h2')
        form('cvt.%s.bf16x2.f32 %%d, %%a, %%b;' % r, 'f32', 'f32', d='b2')
        form('cvt.%s.relu.f16x2.f32 %%d, %%a, %%b;' % r, 'f32', 'f32', d='h2')
        form('cvt.%s.relu.bf16x2.f32 %%d, %%a, %%b;' % r, 'f32', 'f32', d='b2')
    form('cvt.rna.tf32.f32 %d, %a;', 'f32', d='i32')
    form('cvt.f32.f16 %d, %a;', 'f16', d='f32')
    form('cvt.f64.f16 %d, %a;', 'f16', d='f64')
    form('cvt.f32.bf16 %d, %a;', 'bf', d='f32')
    form('cvt.f64.f32 %d, %a;', 'f32', d='f64')
    form('cvt.ftz.f64.f32 %d, %a;', 'f32', d='f64')
    form('cvt.ftz.f32.f32 %d, %a;'.replace('cvt.', 'cvt.rni.'), 'f32', d='f32')
    form('cvt.sat.f32.f64 %d, %a;'.replace('cvt.', 'cvt.rn.'), 'f64', d='f32')


def warp():
    for m in ('up', 'down', 'bfly', 'idx'):
        for c in (0, 31, 0x1c03 & 0x1f1f, 0x181f, 0x1007):
            form('shfl.sync.%s.b32 %%d|%%p1, %%a, %%s1, %d, -1;' % (m, c), 'i32', 'i32',
                 pre='and.b32 %s1, %b, 63;', post='@!%p1 xor.b32 %d, %d, -1;')
    form('vote.sync.ballot.b32 %d, %a, -1;', 'p')
    for m in ('all', 'any', 'uni'):
        form('vote.sync.%s.pred %%d, %%a, -1;' % m, 'p', d='p')
    form('match.any.sync.b32 %d, %s1, -1;', 'i32', pre='and.b32 %s1, %a, 3;')
    form('match.any.sync.b64 %d, %l1, -1;', 'i64', pre='and.b64 %l1, %a, 3;')
    form('match.all.sync.b32 %d|%p1, %s1, -1;', 'i32', pre='and.b32 %s1, %a, 0;',
         post='@!%p1 xor.b32 %d, %d, -1;')
    form('match.all.sync.b32 %d|%p1, %a, -1;', 'i32', post='@!%p1 xor.b32 %d, %d, -1;')
    for op, ts in (('add', ('u32', 's32')), ('min', ('u32', 's32')), ('max', ('u32', 's32')),
                   ('and', ('b32',)), ('or', ('b32',)), ('xor', ('b32',))):
        for t in ts:
            form('redux.sync.%s.%s %%d, %%a, -1;' % (op, t), 'i32')
    form('activemask.b32 %d;')
    form('@%p1 activemask.b32 %d;', 'p', pre='mov.pred %p1, %a; mov.b32 %d, 77;')
    for m in ('eq', 'le', 'lt', 'ge', 'gt'):
        form('mov.u32 %%d, %%lanemask_%s;' % m)
    form('bar.red.popc.u32 %d, 0, %a;', 'p')
    form('bar.red.and.pred %d, 0, %a;', 'p', d='p')
    form('bar.red.or.pred %d, 0, %a;', 'p', d='p')


def atomics():
    # one word of shared memory per thread; old and new value folded together
    def atom(op, t, k, cas=False):
        w = WIDTH[k]
        b = 'l' if w == 64 else 's'
        src = '%b, %c' if cas else '%b'
        pre = ('.shared .align 8 .b8 sm[1024]; mul.lo.u32 %%t1, %%t0, 8; mov.u32 %%t2, sm; '
               'add.u32 %%t1, %%t1, %%t2; st.shared.b%d [%%t1], %%a;' % w)
        post = 'ld.shared.b%d %%%s2, [%%t1]; shl.b%d %%d, %%d, 3; xor.b%d %%d, %%d, %%%s2;' % (
            w, b, w, w, b)
        form('atom.shared.%s.%s %%d, [%%t1], %s;' % (op, t, src), k, k, k if cas else '--', d=k,
             pre=pre, post=post)
    for op in ('add', 'min', 'max'):
        for t in ('u32', 's32', 'u64') + (('s64',) if op != 'add' else ()):
            atom(op, t, I[t[1:]])
    for op in ('and', 'or', 'xor', 'exch'):
        for t in ('b32', 'b64'):
            atom(op, t, I[t[1:]])
    for op in ('inc', 'dec'):
        atom(op, 'u32', 'i32')
    for t in ('b32', 'b64'):
        atom('cas', t, I[t[1:]], True)
    atom('add', 'f32', 'f32')
    atom('add', 'f64', 'f64')
    for t, k, op in (('f32', 'f32', 'add'), ('f64', 'f64', 'add'), ('u32', 'i32', 'add')):
        form('atom.global.add.%s %%d, [%%q2], %%a;' % t, k, k, d=k,
             post='ld.global.b%d %%d, [%%q2];' % WIDTH[k])
    form('atom.global.add.noftz.f16x2 %d, [%q2], %a;', 'h2', 'h2', d='h2',
         post='ld.global.b32 %d, [%q2];')
    form('atom.global.add.noftz.bf16x2 %d, [%q2], %a;', 'b2', 'b2', d='b2',
         post='ld.global.b32 %d, [%q2];')


def memory():
    for sp, pre in (('global', 'mov.b64 %l1, %q2;'),
                    ('shared', '.shared .align 16 .b8 sm[2048]; mul.wide.u32 %l1, %t0, 16; '
                     'mov.u64 %l2, sm; add.u64 %l1, %l1, %l2; st.shared.u64 [%l1], %b;'),
                    ('local', '.local .align 16 .b8 lm[64]; mov.u64 %l1, lm; '
                     'and.b64 %l2, %a, 3; shl.b64 %l2, %l2, 4; add.u64 %l1, %l1, %l2; '
                     'st.local.u64 [%l1], %b;')):
        for t in 'u8 s8 u16 s16 b16 u32 s32 b32'.split():
            form('ld.%s.%s %%d, [%%l1];' % (sp, t), 'i64', 'i64', d='i32', pre=pre)
            form('ld.%s.%s %%d, [%%l1];' % (sp, t), 'i64', 'i64', d='i64', pre=pre)
        for t in 'u8 s8 u16 s16'.split():
            form('ld.%s.%s %%d, [%%l1];' % (sp, t), 'i64', 'i64', d='i16', pre=pre)
        form('ld.%s.v2.u16 {%%h1, %%h2}, [%%l1]; mov.b32 %%d, {%%h2, %%h1};' % sp, 'i64', 'i64',
             pre=pre)
        form('ld.%s.v4.u16 {%%h1, %%h2, %%h3, %%h4}, [%%l1]; mov.b64 %%d, {%%h4, %%h1, %%h3, %%h2};'
             % sp, 'i64', 'i64', d='i64', pre=pre)
        form('ld.%s.v2.u32 {%%s1, %%s2}, [%%l1]; mov.b64 %%d, {%%s2, %%s1};' % sp, 'i64', 'i64',
             d='i64', pre=pre)
        form('ld.%s.v4.s8 {%%s1, %%s2, %%s3, %%s4}, [%%l1]; xor.b32 %%d, %%s1, %%s2; '
             'shl.b32 %%s3, %%s3, 7; xor.b32 %%d, %%d, %%s3; xor.b32 %%d, %%d, %%s4;' % sp,
             'i64', 'i64', pre=pre)
        form('st.%s.u8 [%%l1+3], %%s1; ld.%s.u64 %%d, [%%l1];' % (sp, sp), 'i64', 'i64', d='i64',
             pre=pre + ' cvt.u32.u64 %s1, %a;')
        form('st.%s.u16 [%%l1+6], %%a; ld.%s.u64 %%d, [%%l1];' % (sp, sp), 'i64', 'i64', d='i64',
             pre=pre)
        form('st.%s.v2.u16 [%%l1+4], {%%h1, %%h2}; ld.%s.u64 %%d, [%%l1];' % (sp, sp), 'i64', 'i64',
             d='i64', pre=pre + ' cvt.u16.u64 %h1, %a; shr.u64 %l3, %a, 16; cvt.u16.u64 %h2, %l3;')


def main():
    ints()
    bits()
    floats()
    halves()
    conversions()
    warp()
    atomics()
    memory()
    forms_more.add(form)
    out = sys.stdout if len(sys.argv) < 2 else open(sys.argv[1], 'w')
    out.write(HEAD)
    for n, f in enumerate(forms):
        out.write(kernel(n, f))
    out.close()


main()

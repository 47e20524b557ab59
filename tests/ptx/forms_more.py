# SPDX-License-Identifier: MIT
"""forms_more.py - forms of compute capability 8.0 to 9.0 for forms.py: matrices, small floating-point
formats, packed integers, video instructions, mbarriers, asynchronous copies, vector atomics."""

REGS = '.reg .b32 %%m<40>; .reg .f64 %%g<24>; '


def matrix_words(n, first, words):
    """PTX that makes n 32-bit registers %m<first>... of the 64-bit input words named."""
    out = []
    for i in range(n):
        word = words[i // 2 % len(words)]
        half = 'shr.u64 %%l7, %s, 32; cvt.u32.u64 %%m%d, %%l7;' if i & 1 else \
            'cvt.u32.u64 %%m%d, %s;'
        out.append(half % ((word, first + i) if i & 1 else (first + i, word)))
        if i >= 2 * len(words):  # used up: the same words turned by some lanes
            out.append('shfl.sync.bfly.b32 %%m%d, %%m%d, %d, 31, -1;' % (first + i, first + i, i))
    return ' '.join(out)


def regs(n, first, bank='m'):
    return '{%s}' % ', '.join('%%%s%d' % (bank, first + i) for i in range(n))


def mma(form):
    def one(op, nd, na, nb, nc, a, c, d, tol='exact'):
        for i in range(nd):
            form('%s %s, %s, %s, %s; mov.b32 %%d, %%m%d;' % (
                op, regs(nd, 0), regs(na, 8), regs(nb, 16), regs(nc, 24), i), a, a, c, d=d,
                tol=tol, pre='.reg .b32 %m<40>; ' + matrix_words(na, 8, ['%wa']) +
                matrix_words(nb, 16, ['%wb']) + matrix_words(nc, 24, ['%wc']))

    for t, a in (('f16', 'mh'), ('bf16', 'mb')):
        for k, na in (('8', 2), ('16', 4)):
            one('mma.sync.aligned.m16n8k%s.row.col.f32.%s.%s.f32' % (k, t, t), 4, na, na // 2, 4,
                a, 'mf', 'f32', 'exact')
            if t == 'f16':
                one('mma.sync.aligned.m16n8k%s.row.col.f16.f16.f16.f16' % k, 2, na, na // 2, 2,
                    a, 'mh', 'h2', 'exact')
    for k, na in (('4', 2), ('8', 4)):
        one('mma.sync.aligned.m16n8k%s.row.col.f32.tf32.tf32.f32' % k, 4, na, na // 2, 4, 'mf',
            'mf', 'f32', 'exact')
    for x in ('e4m3', 'e5m2'):
        one('mma.sync.aligned.m16n8k32.row.col.f32.%s.%s.f32' % (x, x), 4, 4, 2, 4, 'm8', 'mf',
            'f32', 'exact')
    for s in ('', '.satfinite'):
        for x in ('s8', 'u8'):
            for y in ('s8', 'u8'):
                for shape, nd, na in (('m8n8k16', 2, 1), ('m16n8k16', 4, 2), ('m16n8k32', 4, 4)):
                    one('mma.sync.aligned.%s.row.col%s.s32.%s.%s.s32' % (shape, s, x, y), nd, na,
                        max(1, na // 2), nd, 'w', 'w', 'i32')
        for x in ('s4', 'u4'):
            for y in ('s4', 'u4'):
                for shape, nd, na in (('m8n8k32', 2, 1), ('m16n8k32', 4, 2), ('m16n8k64', 4, 4)):
                    one('mma.sync.aligned.%s.row.col%s.s32.%s.%s.s32' % (shape, s, x, y), nd, na,
                        max(1, na // 2), nd, 'w', 'w', 'i32')
    for op in ('xor', 'and'):
        for shape, nd, na in (('m8n8k128', 2, 1), ('m16n8k128', 4, 2), ('m16n8k256', 4, 4)):
            one('mma.sync.aligned.%s.row.col.s32.b1.b1.s32.%s.popc' % (shape, op), nd, na,
                max(1, na // 2), nd, 'w', 'w', 'i32')
    for shape, nd, na, nb in (('m8n8k4', 2, 1, 1), ('m16n8k4', 4, 2, 1), ('m16n8k8', 4, 4, 2),
                              ('m16n8k16', 4, 8, 4)):
        pre = '.reg .f64 %g<24>; '
        for bank, first, n, word in (('a', 4, na, '%wa'), ('b', 12, nb, '%wb'), ('c', 16, nd, '%wc')):
            pre += ''.join('mov.b64 {%%s1, %%s2}, %s; shfl.sync.bfly.b32 %%s1, %%s1, %d, 31, -1; '
                           'shfl.sync.bfly.b32 %%s2, %%s2, %d, 31, -1; mov.b64 %%g%d, {%%s1, %%s2}; '
                           % (word, 3 * i, 3 * i, first + i) for i in range(n))
        for i in range(nd):
            form('mma.sync.aligned.%s.row.col.f64.f64.f64.f64 %s, %s, %s, %s; mov.b64 %%d, %%g%d;'
                 % (shape, regs(nd, 0, 'g'), regs(na, 4, 'g'), regs(nb, 12, 'g'),
                    regs(nd, 16, 'g'), i), 'md', 'md', 'md', d='f64', pre=pre)


def matrices(form):
    row = ('.shared .align 16 .b8 sm[2048]; mov.u32 %t1, sm; mul.lo.u32 %t2, %t0, 16; '
           'add.u32 %t1, %t1, %t2; ')
    fill = row + 'st.shared.v2.u64 [%t1], {%wa, %wb}; bar.warp.sync -1; '
    for x in (1, 2, 4):
        for t in ('', '.trans'):
            for i in range(x):
                form('ldmatrix.sync.aligned.m8n8.x%d%s.shared.b16 %s, [%%t1]; mov.b32 %%d, %%m%d;'
                     % (x, t, regs(x, 0), i), 'w', 'w', pre='.reg .b32 %m<8>; ' + fill)
            for half in (0, 8):
                form('stmatrix.sync.aligned.m8n8.x%d%s.shared.b16 [%%t1], %s; bar.warp.sync -1; '
                     'ld.shared.u64 %%d, [%%t1+%d];' % (x, t, regs(x, 0), half), 'w', 'w', d='i64',
                     pre='.reg .b32 %m<8>; ' + fill + matrix_words(x, 0, ['%wa', '%wc']))
    form('movmatrix.sync.aligned.m8n8.trans.b16 %d, %a;', 'i32')


def small_floats(form):
    for t in ('e4m3x2', 'e5m2x2'):
        for r in ('', '.relu'):
            form('cvt.rn.satfinite%s.%s.f32 %%d, %%a, %%b;' % (r, t), 'f32', 'f32', d='i16')
            form('cvt.rn.satfinite%s.%s.f16x2 %%d, %%a;' % (r, t), 'h2', d='i16')
            form('cvt.rn%s.f16x2.%s %%d, %%a;' % (r, t), 'i16', d='h2')
    form('cvt.rn.tf32.f32 %d, %a;', 'f32')
    form('cvt.rz.tf32.f32 %d, %a;', 'f32')
    form('cvt.rn.relu.tf32.f32 %d, %a;', 'f32')
    for r in ('rn', 'rz'):
        form('cvt.%s.relu.f16.f32 %%d, %%a;' % r, 'f32', d='f16')
        form('cvt.%s.relu.bf16.f32 %%d, %%a;' % r, 'f32', d='bf')
    form('cvt.rn.bf16.f64 %d, %a;', 'f64', d='bf')
    form('cvt.rn.bf16.f16 %d, %a;', 'f16', d='bf')
    form('cvt.rn.f16.bf16 %d, %a;', 'bf', d='f16')
    for t, c in (('f16', 'f16'), ('f16x2', 'h2'), ('bf16', 'bf'), ('bf16x2', 'b2')):
        for op in ('min', 'max'):
            form('%s.NaN.xorsign.abs.%s %%d, %%a, %%b;' % (op, t), c, c, d=c)
            form('%s.xorsign.abs.%s %%d, %%a, %%b;' % (op, t), c, c, d=c)
            if t[0] == 'f':
                form('%s.ftz.%s %%d, %%a, %%b;' % (op, t), c, c, d=c)
        if t[0] == 'f':
            form('abs.ftz.%s %%d, %%a;' % t, c, d=c)
            form('neg.ftz.%s %%d, %%a;' % t, c, d=c)
        form('fma.rn.oob.%s %%d, %%a, %%b, %%c;' % t, c, c, c, d=c, tol='refused')
    for op in ('min', 'max'):
        form('%s.xorsign.abs.f32 %%d, %%a, %%b;' % op, 'f32', 'f32', d='f32')
        form('%s.ftz.NaN.xorsign.abs.f32 %%d, %%a, %%b;' % op, 'f32', 'f32', d='f32')
    for t in ('bf16', 'f16'):
        k = {'bf16': 'bf', 'f16': 'f16'}[t]
        for d, kd in (('u32', 'i32'), ('s32', 'i32'), ('u16', 'i16'), (t, k)):
            form('set.ge.%s.%s %%d, %%a, %%b;' % (d, t), k, k, d=kd)
            form('set.neu.%s.%s %%d, %%a, %%b;' % (d, t), k, k, d=kd)
    form('set.lt.bf16x2.bf16x2 %d, %a, %b;', 'b2', 'b2', d='b2')
    form('set.lt.u32.f16x2 %d, %a, %b;'.replace('u32.f16x2', 'f16x2.f16x2'), 'h2', 'h2', d='h2')


def packed(form):
    for t in ('u16x2', 's16x2'):
        form('add.%s %%d, %%a, %%b;' % t, 'i32', 'i32')
        for op in ('min', 'max'):
            form('%s.%s %%d, %%a, %%b;' % (op, t), 'i32', 'i32')
    for op in ('min', 'max'):
        form('%s.relu.s16x2 %%d, %%a, %%b;' % op, 'i32', 'i32')
        form('%s.relu.s32 %%d, %%a, %%b;' % op, 'i32', 'i32')
    for t in ('u32', 's32'):
        for lo in ('u32', 's32'):
            for op in ('vadd', 'vsub', 'vabsdiff', 'vmin', 'vmax'):
                form('%s.%s.%s.%s %%d, %%a, %%b;' % (op, t, lo, lo), 'i32', 'i32')
                form('%s.%s.%s.%s.sat %%d, %%a.b1, %%b.h1;' % (op, t, lo, lo), 'i32', 'i32')
                form('%s.%s.%s.u32.add %%d, %%a.h0, %%b, %%c;' % (op, t, lo), 'i32', 'i32', 'i32')
                form('%s.%s.%s.%s %%d.b2, %%a.b3, %%b.b0, %%c;' % (op, t, lo, lo), 'i32', 'i32',
                     'i32')
            form('vset.%s.%s.lt %%d, %%a, %%b;' % (lo, lo), 'i32', 'i32')
            for op in ('vshl', 'vshr'):
                for m in ('clamp', 'wrap'):
                    form('%s.%s.%s.u32.%s %%d, %%a, %%b;' % (op, t, lo, m), 'i32', 'sh')
        form('vmad.%s.%s.%s %%d, %%a.h0, %%b.h1, %%c;' % (t, t, t), 'i32', 'i32', 'i32')
    for op in ('vadd2', 'vsub2', 'vavrg2', 'vabsdiff2', 'vmin2', 'vmax2'):
        for t in ('u32.u32.u32', 's32.s32.s32', 's32.u32.s32'):
            if op == 'vabsdiff2' and t[0] == 's':
                continue
            form('%s.%s %%d, %%a, %%b, %%c;' % (op, t), 'i32', 'i32', 'i32')
    for n in '24':
        for op in ('lt', 'ge', 'ne'):
            for t in ('u32.u32', 's32.s32'):
                form('vset%s.%s.%s %%d, %%a, %%b, %%c;' % (n, t, op), 'i32', 'i32', 'i32')
        form('vset%s.u32.u32.lt.add %%d, %%a, %%b, %%c;' % n, 'i32', 'i32', 'i32')
        form('vadd%s.u32.u32.u32.sat %%d, %%a, %%b, %%c;' % n, 'i32', 'i32', 'i32')
        form('vadd%s.s32.s32.s32.sat %%d, %%a, %%b, %%c;' % n, 'i32', 'i32', 'i32')


def mbarriers(form):
    own = ('.shared .align 8 .b8 bars[1024]; mov.u32 %t1, bars; mul.lo.u32 %t2, %t0, 8; '
           'add.u32 %t1, %t1, %t2; and.b32 %s1, %a, 7; add.u32 %s1, %s1, 2; '
           'mbarrier.init.shared.b64 [%t1], %s1; ')
    pend = 'mbarrier.pending_count.b64 %d, %l1;'
    form('mbarrier.arrive.shared.b64 %l1, [%t1]; ' + pend, 'i32', pre=own)
    form('mbarrier.arrive.shared.b64 %l1, [%t1], 2; ' + pend, 'i32', pre=own)
    form('mbarrier.arrive.noComplete.shared.b64 %l1, [%t1], 1; ' + pend, 'i32', pre=own)
    form('mbarrier.arrive_drop.shared.b64 %l1, [%t1]; ' + pend, 'i32', pre=own)
    form('mbarrier.arrive.shared.b64 %l1, [%t1]; mbarrier.test_wait.shared.b64 %d, [%t1], %l1;',
         'i32', d='p', pre=own)
    form('mbarrier.arrive.shared.b64 %l1, [%t1], %s1; mbarrier.test_wait.shared.b64 %d, [%t1], %l1;',
         'i32', d='p', pre=own)
    form('mbarrier.arrive.shared.b64 %l1, [%t1], %s1; mbarrier.try_wait.shared.b64 %d, [%t1], %l1;',
         'i32', d='p', pre=own)
    for p in (0, 1):
        form('mbarrier.arrive.shared.b64 _, [%%t1], %%s1; '
             'mbarrier.test_wait.parity.shared.b64 %%d, [%%t1], %d;' % p, 'i32', d='p', pre=own)
        form('mbarrier.arrive_drop.shared.b64 %%l1, [%%t1]; sub.u32 %%s1, %%s1, 1; '
             'mbarrier.arrive.shared.b64 %%l1, [%%t1], %%s1; '
             'mbarrier.arrive.shared.b64 %%l1, [%%t1], %%s1; '
             'mbarrier.test_wait.parity.shared.b64 %%d, [%%t1], %d;' % p, 'i32', d='p', pre=own)
        form('mbarrier.arrive.expect_tx.shared.b64 %%l1, [%%t1], 16; sub.u32 %%s1, %%s1, 1; '
             'mbarrier.arrive.shared.b64 %%l1, [%%t1], %%s1; '
             'mbarrier.test_wait.parity.shared.b64 %%d, [%%t1], %d;' % p, 'i32', d='p', pre=own)
        form('mbarrier.arrive.expect_tx.shared.b64 %%l1, [%%t1], 16; sub.u32 %%s1, %%s1, 1; '
             'mbarrier.arrive.shared.b64 %%l1, [%%t1], %%s1; '
             'mbarrier.complete_tx.shared.b64 [%%t1], 16; '
             'mbarrier.test_wait.parity.shared.b64 %%d, [%%t1], %d;' % p, 'i32', d='p', pre=own)
    copy = (own.replace('bars[1024]', 'bars[1024]; .shared .align 16 .b8 buf[2048]') +
            'mov.u32 %s2, buf; mul.lo.u32 %t2, %t0, 16; add.u32 %s2, %s2, %t2; '
            'st.shared.v2.u64 [%s2], {%wc, %wc}; ')
    form('cp.async.ca.shared.global [%s2], [%q2], 8; cp.async.mbarrier.arrive.noinc.shared.b64 [%t1]; '
         'sub.u32 %s1, %s1, 1; mbarrier.arrive.shared.b64 %l1, [%t1], %s1; '
         'WAIT: mbarrier.test_wait.shared.b64 %p1, [%t1], %l1; @!%p1 bra WAIT; '
         'ld.shared.u64 %d, [%s2];', 'i32', 'w', 'w', d='i64', pre=copy)
    for n in (4, 8):
        form('cp.async.ca.shared.global [%%s2], [%%q2], %d; cp.async.commit_group; '
             'cp.async.wait_group 0; ld.shared.u64 %%d, [%%s2];' % n, 'i32', 'w', 'w', d='i64',
             pre=copy)
        form('cp.async.ca.shared.global [%%s2], [%%q2], %d, %%s3; cp.async.wait_all; '
             'ld.shared.u64 %%d, [%%s2];' % n, 'i32', 'w', 'w', d='i64',
             pre=copy + 'and.b32 %%s3, %%a, %d; ' % (n - 1))
    once = ('.shared .align 16 .b8 buf[1024]; .shared .align 8 .b8 bar[8]; .reg .b32 %k<4>; '
            '.reg .pred %one; mov.u32 %k1, bar; mov.u32 %k2, buf; setp.eq.u32 %one, %t0, 0; '
            '@%one mbarrier.init.shared.b64 [%k1], 1; fence.mbarrier_init.release.cluster; '
            'fence.proxy.async; bar.sync 0; ')
    form('@%one mbarrier.arrive.expect_tx.shared.b64 _, [%k1], 1024; '
         '@%one cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes '
         '[%k2], [%q2], 1024, [%k1]; '
         'WAIT: mbarrier.try_wait.parity.shared.b64 %p1, [%k1], 0; @!%p1 bra WAIT; '
         'mul.lo.u32 %k3, %t0, 8; add.u32 %k3, %k3, %k2; ld.shared.u64 %d, [%k3];', 'w', 'w',
         d='i64', pre=once)
    form('mul.lo.u32 %k3, %t0, 8; add.u32 %k3, %k3, %k2; st.shared.u64 [%k3], %a; '
         'fence.proxy.async.shared::cta; bar.sync 0; '
         '@%one cp.async.bulk.global.shared::cta.bulk_group [%q2], [%k2], 1024; '
         'cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; bar.sync 0; '
         'ld.global.u64 %d, [%q2];', 'w', 'w', d='i64', pre=once)


def atoms(form):
    shm = ('.shared .align 16 .b8 sm[2048]; mul.lo.u32 %t1, %t0, 16; mov.u32 %t2, sm; '
           'add.u32 %t1, %t1, %t2; st.shared.v2.b64 [%t1], {%wa, %wb}; ')
    form('atom.shared.cas.b16 %d, [%t1], %b, %c;', 'i16', 'i16', 'i16', d='i16', pre=shm)
    form('atom.shared.cas.b16 %h1, [%t1], %a, %c; ld.shared.b16 %d, [%t1];', 'i16', 'i16', 'i16',
         d='i16', pre=shm)
    # those of pairs in shared memory are left out: the recorded results are not what PTX says
    for w in ('f16', 'bf16'):
        k = {'f16': 'f16', 'bf16': 'bf'}[w]
        form('atom.shared.add.noftz.%s %%d, [%%t1], %%b; ld.shared.b16 %%d, [%%t1];' % w, k, k,
             d=k, pre=shm)
    form('atom.global.v2.f32.add {%s1, %s2}, [%q2], {%s3, %s4}; ld.global.u64 %d, [%q2];', 'md',
         'md', d='i64', pre='mov.b64 {%s3, %s4}, %a;')
    form('red.global.v2.f32.add [%q2], {%s3, %s4}; ld.global.u64 %d, [%q2];', 'md', 'md', d='i64',
         pre='mov.b64 {%s3, %s4}, %a;')
    form('red.global.v4.f16.add.noftz [%q2], {%h0, %h1, %h2, %h3}; ld.global.u64 %d, [%q2];',
         'mh', 'mh', d='i64', pre='mov.b64 {%h0, %h1, %h2, %h3}, %wa;')
    form('red.global.v2.f16x2.add.noftz [%q2], {%s3, %s4}; ld.global.u64 %d, [%q2];', 'mh', 'mh',
         d='i64', pre='mov.b64 {%s3, %s4}, %wa;')
    form('atom.global.add.f32 %s1, [%q2], %a; ld.global.u32 %d, [%q2];', 'f32', 'f32', d='f32')
    form('atom.shared.exch.b128 %x, [%t1], %y; mov.b128 {%l1, %l2}, %x; xor.b64 %d, %l1, %l2; '
         'ld.shared.u64 %l1, [%t1]; shl.b64 %d, %d, 1; xor.b64 %d, %d, %l1;', 'w', 'w', 'w',
         d='i64', tol='refused', pre='.reg .b128 %x, %y; ' + shm + 'mov.b128 %y, {%wc, %wa};')
    form('atom.shared.cas.b128 %x, [%t1], %z, %y; mov.b128 {%l1, %l2}, %x; xor.b64 %d, %l1, %l2; '
         'ld.shared.u64 %l1, [%t1]; shl.b64 %d, %d, 1; xor.b64 %d, %d, %l1;', 'w', 'w', 'w',
         d='i64', tol='refused', pre='.reg .b128 %x, %y, %z; ' + shm +
         'mov.b128 %y, {%wc, %wa}; mov.b128 %z, {%wa, %wb};')
    form('st.shared.b128 [%t1], %x; ld.shared.b128 %y, [%t1]; mov.b128 {%l1, %d}, %y;', 'w', 'w',
         'w', d='i64', tol='refused', pre='.reg .b128 %x, %y; ' + shm + 'mov.b128 %x, {%wc, %wa};')


def misc(form):
    form('elect.sync %d|%p1, -1;')
    form('elect.sync %s1|%d, 0xfff0;', d='p',
         pre='.reg .pred %in; and.b32 %s2, %t0, 31; setp.ge.u32 %p2, %s2, 4; '
             'setp.lt.and.u32 %in, %s2, 16, %p2; mov.pred %d, 0; @%in bra GO; bra DONE; GO:',
         post='DONE:')
    form('createpolicy.fractional.L2::evict_last.b64 %l1, 0f3F800000; '
         'ld.global.L2::cache_hint.u64 %d, [%q2], %l1;', 'w', 'w', d='i64')
    form('ld.global.nc.L1::no_allocate.L2::128B.u64 %d, [%q2];', 'w', 'w', d='i64')
    form('ld.global.L1::evict_last.L2::256B.u64 %d, [%q2];', 'w', 'w', d='i64')
    form('st.global.L1::no_allocate.u64 [%q2], %a; ld.global.u64 %d, [%q2];', 'w', 'w', d='i64')
    form('prefetch.global.L2::evict_last [%q2]; mov.b64 %d, %a;', 'w', 'w', d='i64')
    form('mov.u32 %d, %cluster_ctarank;')
    form('mov.u32 %d, %cluster_nctarank;')
    form('mov.u32 %d, %nclusterid.x;')
    form('mapa.shared::cluster.u32 %t2, %t1, 0; ld.shared::cluster.u64 %d, [%t2];', 'w', d='i64',
         pre='.shared .align 8 .b8 sm[1024]; mov.u32 %t1, sm; mul.lo.u32 %t2, %t0, 8; '
             'add.u32 %t1, %t1, %t2; st.shared.u64 [%t1], %a;')
    form('mapa.u64 %l1, %l1, 0; getctarank.u64 %s1, %l1; ld.u64 %d, [%l1]; cvt.u64.u32 %l2, %s1; '
         'add.u64 %d, %d, %l2;', 'w', d='i64',
         pre='.shared .align 8 .b8 sm[1024]; mov.u64 %l1, sm; cvta.shared.u64 %l1, %l1; '
             'mul.wide.u32 %l2, %t0, 8; add.u64 %l1, %l1, %l2; st.u64 [%l1], %a;')
    form('barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned; mov.b32 %d, %a;', 'i32')
    form('barrier.cluster.arrive.release; barrier.cluster.wait.acquire; mov.b32 %d, %a;', 'i32')
    form('stacksave.u64 %l1; alloca.u64 %l2, 64, 16; cvta.local.u64 %l2, %l2; st.u64 [%l2+8], %a; '
         'ld.u64 %d, [%l2+8]; stackrestore.u64 %l1;', 'w', d='i64', tol='refused')
    form('isspacep.shared::cluster %d, %l1;', d='p',
         pre='.shared .align 8 .b8 sm[8]; mov.u64 %l1, sm; cvta.shared.u64 %l1, %l1;')
    form('istypep.samplerref %d, %l1;', 'w', d='p', tol='refused', pre='mov.b64 %l1, %a;')
    form('fma.rn.ftz.relu.f16 %d, %a, %b, %c;', 'f16', 'f16', 'f16', d='f16')
    form('tanh.approx.f16x2 %d, %a;', 'h2', d='h2', tol='pair')
    form('tanh.approx.bf16x2 %d, %a;', 'b2', d='b2', tol='pair')
    form('ex2.approx.f16x2 %d, %a;', 'h2', d='h2', tol='pair')
    form('ex2.approx.ftz.bf16x2 %d, %a;', 'b2', d='b2', tol='pair')


def add(form):
    for subject in (mma, matrices, small_floats, packed, mbarriers, atoms, misc):
        subject(form)

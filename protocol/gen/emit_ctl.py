# SPDX-License-Identifier: MIT
"""ctl.h and ctl.c: checks of control requests and grant directories."""
from emit_calls import HEAD
from spec import CTL_FIELDS


def ctl_h(spec, source):
    return HEAD % source + r'''#ifndef VGPU_CTL_H
#define VGPU_CTL_H

#include <stdint.h>

#include "vgpuif.h"

/*
 * Checks what a frontend put into a control slot or a grant directory page, on the broker's private
 * copy, by calls.spec and section 2.4 of vgpuif.h. All return 0, or -EINVAL with *why set to one
 * line that names the value and what is allowed (valid until this thread's next call). Whether a
 * channel or chunk exists, and whether port and gref_dir must be 0, is the caller's business.
 */

/* A whole request: known code, every member in its range, all members it does not use 0. */
int vgpu_ctl_decode(const struct vgpu_ctl_req *copy, const char **why);

/* One directory page, when `left` >= 1 pages of the list are still to come: its count (at most
 * `left`, full unless it is the last), its references, and that `next` is 0 exactly at the end. */
int vgpu_dir_check(const struct vgpu_grant_dir *copy, uint32_t left, const char **why);

/* Name of a request code, "?" if there is none. */
const char *vgpu_ctl_name(uint16_t op);

#endif
'''


def ctl_case(c):
    o = ['static int check_%s(const struct vgpu_ctl_req *q, const char **why)' % c.name, '{']
    used = dict(c.uses)
    late = []
    for f in CTL_FIELDS:
        where = '"%s: %s"' % (c.name, f)
        if f not in used:
            o += ['    if (q->%s)' % f, '        return bad(why, %s, q->%s, "0 is needed");' % (where, f)]
            continue
        for key, v in used[f].items():
            if key == 'min' and v > 0:
                o += ['    if (q->%s < %du)' % (f, v),
                      '        return bad(why, %s, q->%s, "at least %d is allowed");' % (where, f, v)]
            elif key == 'max':
                o += ['    if (q->%s > %du)' % (f, v),
                      '        return bad(why, %s, q->%s, "at most %d is allowed");' % (where, f, v)]
            elif key == 'pages':
                late += ['    if (q->%s != VGPU_CH_PAGES(q->%s))' % (f, v),
                         '        return bad(why, %s, q->%s, "which does not belong to %s");' %
                         (where, f, v)]
    return '\n'.join(o + late + ['    return 0;', '}\n'])


def ctl_c(spec, source):
    o = [HEAD % source, r'''#include <errno.h>
#include <stdio.h>

#include "ctl.h"

static _Thread_local char text[160];

static int bad(const char **why, const char *what, uint32_t v, const char *allowed)
{
    snprintf(text, sizeof(text), "%s is %u, %s", what, v, allowed);
    *why = text;
    return -EINVAL;
}
''']
    o += [ctl_case(c) for c in spec.ctls]
    o.append('''int vgpu_ctl_decode(const struct vgpu_ctl_req *copy, const char **why)
{
    if (copy->flags)
        return bad(why, "flags", copy->flags, "0 is needed");
    switch (copy->op) {''')
    for c in spec.ctls:
        o += ['    case %s:' % c.macro, '        return check_%s(copy, why);' % c.name]
    o.append('''    }
    return bad(why, "request code", copy->op, "which is unknown");
}

int vgpu_dir_check(const struct vgpu_grant_dir *copy, uint32_t left, const char **why)
{
    if (copy->count < 1)
        return bad(why, "count of a grant directory page", copy->count, "at least 1 is needed");
    if (copy->count > VGPU_DIR_REFS)
        return bad(why, "count of a grant directory page", copy->count, "at most 1022 is allowed");
    if (copy->count > left)
        return bad(why, "count of a grant directory page", copy->count, "more than were announced");
    if (copy->count < left && copy->count != VGPU_DIR_REFS)
        return bad(why, "count of a grant directory page", copy->count,
                   "all but the last one must be full");
    if (copy->count < left && !copy->next)
        return bad(why, "next grant directory page", copy->next, "but references are missing");
    if (copy->count == left && copy->next)
        return bad(why, "next grant directory page", copy->next, "0 is needed after the last one");
    for (uint32_t i = 0; i < copy->count; i++) {
        if (!copy->refs[i])
            return bad(why, "a grant reference", copy->refs[i], "more than 0 is needed");
    }
    return 0;
}

const char *vgpu_ctl_name(uint16_t op)
{
    switch (op) {''')
    for c in spec.ctls:
        o += ['    case %s:' % c.macro, '        return "%s";' % c.name]
    o += ['    }', '    return "?";', '}']
    return '\n'.join(o) + '\n'

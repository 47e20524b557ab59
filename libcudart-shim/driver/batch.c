/* SPDX-License-Identifier: MIT */
/*
 * batch.c - several copies in one call. All are checked before the first is made; they are made in
 * the order given, which is one of those that CUDA allows.
 */
#include "batch.h"
#include "objects.h"

/* Neither the legacy default stream nor one that is none. */
static int stream_good(uint64_t stream)
{
    struct gvm_sref s;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    return rc ? rc : gvm_is_legacy(&s) ? 1 : 0;
}

int gvm_copy_batch(const uint64_t *dst, const uint64_t *src, const size_t *n, size_t count,
                   const struct gvm_batch_attr *attr, size_t attr_step, const size_t *first,
                   size_t nattr, uint64_t stream)
{
    int rc = stream_good(stream);

    if (rc)
        return rc;
    if (!dst || !src || !n || !count || !attr || !first || !nattr || nattr > count || first[0])
        return 1;
    for (size_t i = 0; i < nattr; i++) {
        const struct gvm_batch_attr *a = (const void *)((const char *)attr + i * attr_step);

        if (a->order < GVM_ORDER_STREAM || a->order > GVM_ORDER_ANY ||
            (i && (first[i] <= first[i - 1] || first[i] >= count)))
            return 1;
    }
    for (size_t i = 0; i < count; i++)
        if (!dst[i] || !src[i] || !n[i])
            return 1;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = gvm_copy(dst[i], src[i], n[i], GVM_ANY, stream, false);
    return rc;
}

static int end_of(const struct gvm_batch_end *e, const struct gvm_batch_box *b, struct gvm_end *out,
                  unsigned *elem)
{
    switch (e->type) {
    case GVM_OPERAND_POINTER:
        *out = (struct gvm_end){.addr = e->ptr.ptr};
        if (__builtin_mul_overflow(e->ptr.row ? e->ptr.row : b->width, (uint64_t)1, &out->pitch))
            return 1;
        out->height = e->ptr.rows ? e->ptr.rows : b->height;
        return e->ptr.ptr ? 0 : 1;
    case GVM_OPERAND_ARRAY:
        *out = (struct gvm_end){.array = true, .x = e->array.x, .y = e->array.y, .z = e->array.z};
        return gvm_array_look(e->array.array, &out->id, elem);
    default:
        return 1;
    }
}

static int box_of(const struct gvm_batch_box *q, struct gvm_box *b)
{
    unsigned elem = 1;
    int rc;

    *b = (struct gvm_box){.height = q->height, .depth = q->depth, .dir = GVM_ANY};
    if (!q->width || !q->height || !q->depth || q->flags & ~1u || q->order < GVM_ORDER_STREAM ||
        q->order > GVM_ORDER_ANY)
        return 1;
    rc = end_of(&q->dst, q, &b->dst, &elem);
    if (rc == 0)
        rc = end_of(&q->src, q, &b->src, &elem);
    if (rc)
        return rc;
    /* With an array in it, everything counts in its elements. */
    if (__builtin_mul_overflow(q->width, (uint64_t)elem, &b->width) ||
        __builtin_mul_overflow(b->dst.x, (uint64_t)elem, &b->dst.x) ||
        __builtin_mul_overflow(b->src.x, (uint64_t)elem, &b->src.x) ||
        __builtin_mul_overflow(b->dst.pitch, (uint64_t)elem, &b->dst.pitch) ||
        __builtin_mul_overflow(b->src.pitch, (uint64_t)elem, &b->src.pitch))
        return 1;
    rc = gvm_box_fit(&b->dst, b);
    return rc ? rc : gvm_box_fit(&b->src, b);
}

int gvm_box_batch(size_t count, const struct gvm_batch_box *op, uint64_t flags, uint64_t stream)
{
    struct gvm_box b;
    int rc = stream_good(stream);

    if (rc)
        return rc;
    if (!count || !op || flags)
        return 1;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = box_of(&op[i], &b);
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = box_of(&op[i], &b);
        if (rc == 0)
            rc = gvm_copy_box(&b, stream, false);
    }
    return rc;
}

/* SPDX-License-Identifier: MIT */
#include "dom0-backend/broker/ctlring.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

_Static_assert(__CONST_RING_SIZE(vgpu_ctl, 4096) == CTL_SLOTS, "slots of the control ring");

static void journal_reset(struct ctl_journal *j, uint32_t ring_ref, uint32_t port, uint32_t cons)
{
    memset(j, 0, sizeof(*j));
    j->ring_ref = ring_ref;
    j->port = port;
    j->req_cons = cons;
    __atomic_store_n(&j->magic, CTL_JOURNAL_MAGIC, __ATOMIC_RELEASE);
}

int ctl_ring_attach(struct ctl_ring *c, void *page, struct ctl_journal *j, uint32_t ring_ref,
                    uint32_t port, const char **why)
{
    struct vgpu_ctl_sring *s = page;
    RING_IDX rsp = __atomic_load_n(&s->rsp_prod, __ATOMIC_ACQUIRE);
    RING_IDX req = __atomic_load_n(&s->req_prod, __ATOMIC_ACQUIRE);

    memset(c, 0, sizeof(*c));
    if (req - rsp > CTL_SLOTS) {
        *why = "more than 32 requests without response";
        return -EPROTO;
    }
    BACK_RING_ATTACH(&c->r, s, rsp, VGPU_PAGE_SIZE);
    c->j = j;
    if (j->magic != CTL_JOURNAL_MAGIC || j->ring_ref != ring_ref || j->port != port ||
        req - j->req_cons > CTL_SLOTS) {
        journal_reset(j, ring_ref, port, rsp);
        return 0;
    }
    /* Responses that were written and not published are written again. */
    for (unsigned i = 0; i < CTL_SLOTS; i++) {
        if ((j->used & j->answered & 1u << i) && (int32_t)(rsp - j->rsp_at[i]) > 0)
            j->used &= ~(1u << i);
    }
    j->answered = 0;
    c->redo = j->used;
    c->r.req_cons = j->req_cons;
    return 0;
}

int ctl_ring_take(struct ctl_ring *c, struct vgpu_ctl_req *copy, unsigned *slot, const char **why)
{
    struct ctl_journal *j = c->j;
    RING_IDX prod;
    int more;

    if (c->redo) {
        *slot = (unsigned)__builtin_ctz(c->redo);
        c->redo &= c->redo - 1;
        *copy = j->req[*slot];
        return 1;
    }
    prod = __atomic_load_n(&c->r.sring->req_prod, __ATOMIC_ACQUIRE);
    if (prod == c->r.req_cons) {
        RING_FINAL_CHECK_FOR_REQUESTS(&c->r, more);
        if (!more)
            return 0;
        prod = __atomic_load_n(&c->r.sring->req_prod, __ATOMIC_ACQUIRE);
    }
    /* The index may not go backwards either: then it is far ahead. */
    if (RING_REQUEST_PROD_OVERFLOW(&c->r, prod) || prod - c->r.req_cons > CTL_SLOTS ||
        j->used == ~0u) {
        *why = "the request index makes no sense";
        return -EPROTO;
    }
    if (prod == c->r.req_cons)
        return 0; /* went back by less than the ring: no new request, but do not sleep on it */
    RING_COPY_REQUEST(&c->r, c->r.req_cons, copy);
    *slot = (unsigned)__builtin_ctz(~j->used);
    j->req[*slot] = *copy;
    j->answered &= ~(1u << *slot);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    j->used |= 1u << *slot;
    c->r.req_cons++;
    __atomic_store_n(&j->req_cons, c->r.req_cons, __ATOMIC_RELEASE);
    return 1;
}

bool ctl_ring_put(struct ctl_ring *c, unsigned slot, const struct vgpu_ctl_rsp *rsp)
{
    struct ctl_journal *j = c->j;
    int notify;

    memcpy(RING_GET_RESPONSE(&c->r, c->r.rsp_prod_pvt), rsp, sizeof(*rsp));
    j->rsp_at[slot] = c->r.rsp_prod_pvt;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    j->answered |= 1u << slot;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    c->r.rsp_prod_pvt++;
    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&c->r, notify);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    j->used &= ~(1u << slot);
    return notify;
}

int grant_list_init(struct grant_list *l, uint32_t want)
{
    l->n = 0;
    l->want = want;
    l->refs = calloc(want, sizeof(*l->refs));
    return l->refs ? 0 : -ENOMEM;
}

void grant_list_free(struct grant_list *l)
{
    free(l->refs);
    l->refs = NULL;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static int distinct(const struct grant_list *l)
{
    uint32_t *copy = malloc(l->n * sizeof(*copy));
    int same = 0;

    if (!copy)
        return -ENOMEM;
    memcpy(copy, l->refs, l->n * sizeof(*copy));
    qsort(copy, l->n, sizeof(*copy), compare);
    for (uint32_t i = 1; i < l->n; i++)
        same |= copy[i] == copy[i - 1];
    free(copy);
    return same ? -EINVAL : 0;
}

int grant_list_add(struct grant_list *l, const struct vgpu_grant_dir *copy, uint32_t *next,
                   const char **why)
{
    uint32_t left = l->want - l->n;
    int err = left ? vgpu_dir_check(copy, left, why) : -EINVAL;

    if (err)
        return err;
    /* Once more, whatever the generated check says: this is what bounds the copy. */
    if (copy->count > left || copy->count > VGPU_DIR_REFS || copy->count == 0) {
        *why = "count out of range";
        return -EINVAL;
    }
    memcpy(l->refs + l->n, copy->refs, copy->count * sizeof(uint32_t));
    l->n += copy->count;
    *next = copy->next;
    if (l->n < l->want)
        return 1;
    *why = "a grant reference is given twice";
    return distinct(l);
}

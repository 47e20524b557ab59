/* SPDX-License-Identifier: MIT */
/*
 * The control ring as the broker reads it: requests put by a guest that also changes the page while
 * it is read (mutate.h), the generated checks, answers, and a broker that restarts in between.
 *
 * Input: steps of one octet, some with more behind it; see the switch. Then the plan.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "dom0-backend/broker/ctlring.h"
#include "tests/fuzz/mutate.h"

static _Alignas(4096) uint8_t page[VGPU_PAGE_SIZE];
static struct ctl_journal journal;
static struct ctl_ring ring;
static uint32_t pending; /* slots taken and not answered */
static unsigned answers; /* of this broker's life */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* Takes all there is. False: the guest broke the ring. */
static bool take_all(void)
{
    struct vgpu_ctl_req q, before;
    const char *why = NULL;
    unsigned slot;
    int r;

    for (unsigned n = 0;; n++) {
        slot = ~0u;
        r = ctl_ring_take(&ring, &q, &slot, &why);
        if (r == 0)
            return true;
        if (r < 0) {
            must(why && *why);
            return false;
        }
        /* However often the page changes, the ring holds so many and the journal no more. */
        must(n < 4 * CTL_SLOTS);
        must(slot < CTL_SLOTS && !(pending & 1u << slot));
        pending |= 1u << slot;
        before = q;
        why = NULL;
        r = vgpu_ctl_decode(&q, &why);
        must(!memcmp(&q, &before, sizeof(q)));
        must((r == 0) == (why == NULL || !*why) || r == 0);
        if (r) {
            must(why && *why && strlen(why) < 200);
        } else {
            must(q.flags == 0 && q.channel <= VGPU_MAX_CHANNELS && q.chunk < VGPU_MAX_CHUNKS);
            must(q.npages <= VGPU_MAX_CHUNK_PAGES);
        }
        must(vgpu_ctl_name(q.op)[0]);
    }
}

static void answer(unsigned slot)
{
    struct vgpu_ctl_rsp rsp = {.id = slot, .op = VGPU_CTL_CREATE_CHANNEL};

    if (!(pending & 1u << slot))
        return;
    pending &= ~(1u << slot);
    ctl_ring_put(&ring, slot, &rsp);
    answers++;
}

/* Every request is answered sooner or later; so many answers fit. */
static bool attach(void)
{
    const char *why = NULL;
    int r = ctl_ring_attach(&ring, page, &journal, 8, 12, &why);

    if (r) {
        must(why && *why);
        return false;
    }
    pending = 0;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vgpu_ctl_sring *s = (void *)page;
    size_t at = 0;
    bool ok;

    memset(page, 0, sizeof(page));
    memset(&journal, 0, sizeof(journal));
    answers = 0;
    size = mutate_plan(data, size, page, sizeof(page));
    ok = attach();
    while (ok && at < size) {
        uint8_t step = data[at++];

        switch (step >> 5) {
        case 0: /* a request, as a proper frontend puts it */
        case 1:
            if (size - at < sizeof(struct vgpu_ctl_req))
                return 0;
            memcpy(&s->ring[s->req_prod % CTL_SLOTS].req, data + at, sizeof(struct vgpu_ctl_req));
            s->req_prod++;
            at += sizeof(struct vgpu_ctl_req);
            break;
        case 2:
            answer(step & 31);
            break;
        case 3: /* the index jumps */
            s->req_prod += (uint32_t)(int8_t)(uint8_t)(step << 3);
            break;
        case 4: /* any octet of the page */
            if (size - at < 3)
                return 0;
            page[(data[at] | data[at + 1] << 8) % sizeof(page)] = data[at + 2];
            at += 3;
            break;
        case 5: /* the broker restarts and finds the page and the journal */
            ok = attach();
            break;
        default:
            mutate_on(1);
            ok = take_all();
            mutate_on(0);
        }
    }
    return 0;
}

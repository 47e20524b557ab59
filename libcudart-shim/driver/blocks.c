/* SPDX-License-Identifier: MIT */
#include "blocks.h"

#include <pthread.h>
#include <string.h>

#include "objects.h"
#include "stubs.h"

struct kept {
    uint64_t base, bytes;
};

static struct {
    pthread_mutex_t lock;
    struct kept v[GVM_BLOCKS_N]; /* longest kept first */
    unsigned n;
    uint64_t bytes;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Lock held. */
static struct kept drop(unsigned i)
{
    struct kept k = kept.v[i];

    kept.n--;
    kept.bytes -= k.bytes;
    memmove(&kept.v[i], &kept.v[i + 1], (kept.n - i) * sizeof(k));
    return k;
}

uint64_t gvm_blocks_take(uint64_t bytes)
{
    uint64_t base = 0;

    if (!bytes || bytes > GVM_BLOCK_MAX)
        return 0;
    pthread_mutex_lock(&kept.lock);
    for (unsigned i = kept.n; i-- > 0 && !base;)
        if (kept.v[i].bytes == bytes)
            base = drop(i).base;
    pthread_mutex_unlock(&kept.lock);
    return base;
}

int gvm_blocks_put(struct gvm_chan *c, uint64_t base, uint64_t bytes)
{
    struct kept out[GVM_BLOCKS_N];
    unsigned n = 0;
    int rc = 0;

    if (bytes > GVM_BLOCK_MAX)
        return vgpu_MemFree(c, 0, base);
    if (!gvm_chan_quiet(c))
        rc = gvm_ctx_settle(c);
    if (rc)
        return rc; /* the context is lost, and all memory with it */
    pthread_mutex_lock(&kept.lock);
    while (kept.n == GVM_BLOCKS_N || kept.bytes + bytes > GVM_BLOCKS_BYTES)
        out[n++] = drop(0);
    kept.v[kept.n++] = (struct kept){base, bytes};
    kept.bytes += bytes;
    pthread_mutex_unlock(&kept.lock);
    for (unsigned i = 0; i < n; i++)
        vgpu_MemFree(c, 0, out[i].base);
    return 0;
}

bool gvm_blocks_give_back(struct gvm_chan *c)
{
    struct kept out[GVM_BLOCKS_N];
    unsigned n;

    pthread_mutex_lock(&kept.lock);
    n = kept.n;
    memcpy(out, kept.v, n * sizeof(out[0]));
    kept.n = 0;
    kept.bytes = 0;
    pthread_mutex_unlock(&kept.lock);
    for (unsigned i = 0; i < n; i++)
        vgpu_MemFree(c, 0, out[i].base);
    return n != 0;
}

void gvm_blocks_reset(void)
{
    pthread_mutex_lock(&kept.lock);
    kept.n = 0;
    kept.bytes = 0;
    pthread_mutex_unlock(&kept.lock);
}

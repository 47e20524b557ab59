/* SPDX-License-Identifier: MIT */
/*
 * Lists of grant references: a chain of directory pages. Input: u32 number of pages announced less 1, then
 * directory pages, each cut short pages filled with 0.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "dom0-backend/broker/ctlring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct grant_list l = {0};
    const char *why = NULL;
    uint32_t want, next = 1;
    size_t at = sizeof(want);
    int r = 1;

    if (size < sizeof(want))
        return 0;
    memcpy(&want, data, sizeof(want));
    want = 1 + want % VGPU_MAX_CHUNK_PAGES; /* as the checked request says */
    if (grant_list_init(&l, want))
        abort();
    for (unsigned pages = 0; r == 1; pages++) {
        struct vgpu_grant_dir *d = calloc(1, sizeof(*d));
        size_t n = size - at < sizeof(*d) ? size - at : sizeof(*d);

        must(d != NULL);
        must(next != 0);                                         /* where the next page is */
        must(pages <= VGPU_MAX_CHUNK_PAGES / VGPU_DIR_REFS + 1); /* no endless chain */
        memcpy(d, data + at, n);
        at += n;
        r = grant_list_add(&l, d, &next, &why);
        free(d);
        must(l.n <= l.want && l.want == want);
    }
    if (r < 0)
        must(why && *why && strlen(why) < 200);
    if (r == 0) {
        must(l.n == want);
        for (uint32_t i = 0; i < l.n; i++)
            must(l.refs[i] != 0);
    }
    grant_list_free(&l);
    return 0;
}

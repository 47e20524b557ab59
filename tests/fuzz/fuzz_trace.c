/* SPDX-License-Identifier: MIT */
/*
 * gvm trace reads a ring that a worker in the hands of its guest may have written: each record of the
 * input is a slot's kind, operation, lane and contents, as such a worker would put it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tools/gvm/trace_show.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tr_head *map;
    static struct trace_ring r;
    static FILE *out;
    uint64_t n = 0;

    if (!map) {
        map = mmap(NULL, TR_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        out = fopen("/dev/null", "we");
        if (map == MAP_FAILED || !out)
            abort();
    }
    memset(&r, 0, sizeof(r));
    r.map = map;
    while (size > 8 && n < 64) {
        struct tr_slot *s = (struct tr_slot *)((uint8_t *)map + TR_HEAD) + n;
        size_t len = data[0] < TR_DATA ? data[0] : TR_DATA;

        if (len > size - 8)
            len = size - 8;
        memset(s, 0, sizeof(*s));
        s->seq = n + 1 + (data[1] & 0x80 ? data[2] : 0); /* some are not the expected ones */
        s->kind = data[1] & 3;
        memcpy(&s->op, data + 3, sizeof(s->op));
        s->lane = data[5];
        s->ticket = data[6];
        s->len = data[7] & 1 ? (uint32_t)len : (uint32_t)data[7] << 24;
        memcpy(s->data, data + 8, len);
        data += 8 + len;
        size -= 8 + len;
        n++;
    }
    map->next = n;
    r.ended = n & 1;
    trace_show(out, &r, (int64_t)n << 50, 1000);
    return 0;
}

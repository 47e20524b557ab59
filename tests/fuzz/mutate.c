/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/mutate.h"

#include <string.h>

#include "tests/fuzz/hook.h"

#define ENTRY 5u

static const uint8_t *plan;
static size_t left; /* entries */
static unsigned wait_for;
static uint8_t *target;
static size_t target_len;

static void step(void)
{
    if (!left)
        return;
    if (wait_for) {
        wait_for--;
        return;
    }
    /* Any octet, but most changes go where indices and headers are: the first pages. */
    size_t at = (size_t)plan[1] | (size_t)plan[2] << 8 | (size_t)plan[3] << 16;

    target[at % target_len] = plan[4];
    plan += ENTRY;
    left--;
    if (left)
        wait_for = plan[0];
}

size_t mutate_plan(const uint8_t *data, size_t size, void *mem, size_t mem_len)
{
    size_t n = size ? data[size - 1] : 0;

    left = 0;
    target = mem;
    target_len = mem_len;
    if (size)
        size--;
    if (n * ENTRY > size)
        return size;
    size -= n * ENTRY;
    plan = data + size;
    left = n;
    wait_for = n ? plan[0] : 0;
    return size;
}

void mutate_on(int on)
{
    fuzz_hook = on ? step : NULL;
}

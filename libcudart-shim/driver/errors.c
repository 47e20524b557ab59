/* SPDX-License-Identifier: MIT */
#include "errors.h"

#include <stddef.h>

static const struct gvm_error table[] = {
#define X(num, drv, run, txt) {num, drv, run, txt},
#include "errors.def"
#undef X
};

/* The table is sorted by number. */
const struct gvm_error *gvm_error_find(int number)
{
    size_t lo = 0, hi = sizeof(table) / sizeof(table[0]);

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (table[mid].number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < sizeof(table) / sizeof(table[0]) && table[lo].number == number ? &table[lo] : NULL;
}

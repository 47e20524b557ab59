/* SPDX-License-Identifier: MIT */
#include "counts.h"
#include "pipe.h"

__attribute__((visibility("default"))) void gvm_counts(struct gvm_counts *out)
{
    out->doorbells = __atomic_load_n(&gvm_counted.doorbells, __ATOMIC_RELAXED);
    out->sleeps = __atomic_load_n(&gvm_counted.sleeps, __ATOMIC_RELAXED);
    out->calls = __atomic_load_n(&gvm_counted.calls, __ATOMIC_RELAXED);
    out->copied = __atomic_load_n(&gvm_pipe_stats.octets, __ATOMIC_RELAXED);
}

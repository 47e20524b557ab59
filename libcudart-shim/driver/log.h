/* SPDX-License-Identifier: MIT */
/*
 * log.h - lines for the user of a CUDA program, on stderr, each prefixed "gvm: ".
 */
#ifndef GVM_LOG_H
#define GVM_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* One line; async-signal-unsafe parts are avoided so that it works during process exit too. */
void gvm_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Gets every line too, without its beginning and end; NULL: nobody. */
extern void (*gvm_log_hook)(const char *line);

/* True the first time it is asked for this flag, by whichever thread. */
static inline bool gvm_once(uint32_t *flag)
{
    return __atomic_load_n(flag, __ATOMIC_RELAXED) == 0 &&
           __atomic_exchange_n(flag, 1, __ATOMIC_RELAXED) == 0;
}

/* Logs "NAME is not supported" once per flag. Returns CUDA_ERROR_NOT_SUPPORTED (801). */
int gvm_refuse(const char *name, uint32_t *flag);

/*
 * Environment variable `name` as a number in min..max into *v. Unset: *v stays. Anything else:
 * one line that names the value and the range, and *v stays.
 */
void gvm_env_number(const char *name, uint64_t min, uint64_t max, uint64_t *v);

#endif

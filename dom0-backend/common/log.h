/* SPDX-License-Identifier: MIT */
/*
 * log.h - one line per event on stderr: "gvm-worker[812] d5.0: warning: text".
 *
 * The lines of one process never interleave within a line (one write each). Text that came from a
 * guest is made printable, so that it cannot forge lines or drive a terminal.
 */
#ifndef GVM_LOG_H
#define GVM_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERR_, LOG_WARN_, LOG_INFO_, LOG_DEBUG_ };

/* prog: static string, shown first. level: the most verbose that is printed. */
void log_init(const char *prog, enum log_level level);
/* "error", "warning", "info", "debug"; false if `name` is none of them. */
bool log_parse_level(const char *name, enum log_level *out);
/* What the lines are about from now on, e.g. "d5.0" (domain 5, device 0); "" = nothing. Copied,
 * at most 47 octets. Call it while the process has one thread. */
void log_subject(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Lines go to this descriptor instead of 2. Call it while the process has one thread. */
void log_to(int fd);
/* Called with every line of level <= `level` after it was printed (no newline), e.g. to pass it
 * on; NULL: none. The hook must not log. */
void log_hook(void (*fn)(enum log_level level, const char *line), enum log_level level);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_vline(enum log_level level, const char *fmt, va_list ap);

#define log_error(...) log_line(LOG_ERR_, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN_, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO_, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG_, __VA_ARGS__)

/* At most `burst` events per `interval_ms`; initialise with LOG_RATE(burst, interval_ms). */
struct log_rate {
    uint32_t burst;
    uint32_t interval_ms;
    uint64_t start_ms;
    uint32_t seen; /* in this interval */
};
/* clang-format off */
#define LOG_RATE(b, ms) {(b), (ms), 0, 0}
/* clang-format on */
/* True if the event may be logged. `*dropped` is the number swallowed in the interval that ended
 * just now (0 otherwise), for a closing "... and N more". Not thread safe: one owner per limit. */
bool log_rate_ok(struct log_rate *r, uint32_t *dropped);

#endif

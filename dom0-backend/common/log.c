/* SPDX-License-Identifier: MIT */
#include "dom0-backend/common/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_ 1024

static const char *log_prog = "gvm";
static enum log_level log_max = LOG_INFO_;
static char log_about[48];
static void (*log_fn)(enum log_level, const char *);
static enum log_level log_fn_max;
static int log_fd = STDERR_FILENO;

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_init(const char *prog, enum log_level level)
{
    log_prog = prog;
    log_max = level;
}

bool log_parse_level(const char *name, enum log_level *out)
{
    for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_subject(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(log_about, sizeof(log_about), fmt, ap);
    va_end(ap);
}

void log_to(int fd)
{
    log_fd = fd;
}

void log_hook(void (*fn)(enum log_level, const char *), enum log_level level)
{
    log_fn = fn;
    log_fn_max = level;
}

void log_vline(enum log_level level, const char *fmt, va_list ap)
{
    char line[LINE_MAX_];
    int head, n;
    int saved = errno;

    if (level > log_max && !(log_fn && level <= log_fn_max))
        return;
    head = snprintf(line, sizeof(line), "%s[%d]%s%s: %s%s", log_prog, (int)getpid(),
                    log_about[0] ? " " : "", log_about,
                    level == LOG_INFO_ ? "" : level_names[level], level == LOG_INFO_ ? "" : ": ");
    if (head < 0 || head >= (int)sizeof(line) - 2)
        head = 0;
    errno = saved; /* for %m */
    n = vsnprintf(line + head, sizeof(line) - 1 - (size_t)head, fmt, ap);
    if (n < 0)
        n = 0;
    n += head;
    if (n > (int)sizeof(line) - 2)
        n = (int)sizeof(line) - 2;
    for (int i = 0; i < n; i++) {
        unsigned char c = (unsigned char)line[i];

        if (c < 0x20 || c == 0x7f)
            line[i] = '?';
    }
    line[n] = '\n';
    if (level <= log_max) {
        ssize_t r = write(log_fd, line, (size_t)n + 1);

        (void)r; /* nowhere left to complain */
    }
    line[n] = '\0';
    if (log_fn && level <= log_fn_max)
        log_fn(level, line + head);
    errno = saved;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_vline(level, fmt, ap);
    va_end(ap);
}

bool log_rate_ok(struct log_rate *r, uint32_t *dropped)
{
    struct timespec ts;
    uint64_t now;

    *dropped = 0;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    now = (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
    if (r->start_ms == 0 || now - r->start_ms >= r->interval_ms) {
        if (r->seen > r->burst)
            *dropped = r->seen - r->burst;
        r->start_ms = now ? now : 1;
        r->seen = 0;
    }
    if (r->seen < UINT32_MAX)
        r->seen++;
    return r->seen <= r->burst;
}

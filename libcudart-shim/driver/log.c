/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void (*gvm_log_hook)(const char *line);

void gvm_log(const char *fmt, ...)
{
    char line[1024] = "gvm: ";
    size_t at = 5;
    va_list ap;
    int n, err = errno;

    va_start(ap, fmt);
    n = vsnprintf(line + at, sizeof(line) - at - 1, fmt, ap);
    va_end(ap);
    if (n > 0)
        at += (size_t)n < sizeof(line) - at - 1 ? (size_t)n : sizeof(line) - at - 2;
    /* What comes from the other side must not forge lines or send control sequences. */
    for (size_t i = 5; i < at; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = ' ';
    line[at] = 0;
    if (gvm_log_hook)
        gvm_log_hook(line + 5);
    line[at++] = '\n';
    /* One write, so that lines of several threads do not mix. */
    n = (int)write(STDERR_FILENO, line, at);
    (void)n;
    errno = err;
}

int gvm_refuse(const char *name, uint32_t *flag)
{
    if (gvm_once(flag))
        gvm_log("%s is not supported", name);
    return 801;
}

void gvm_env_number(const char *name, uint64_t min, uint64_t max, uint64_t *v)
{
    const char *s = getenv(name);
    unsigned long long n;
    char *end;

    if (!s || !*s)
        return;
    errno = 0;
    n = strtoull(s, &end, 0);
    if (errno || *end || *s == '-' || n < min || n > max) {
        gvm_log("%s=%s is ignored: a number from %llu to %llu is expected", name, s,
                (unsigned long long)min, (unsigned long long)max);
        return;
    }
    *v = n;
}

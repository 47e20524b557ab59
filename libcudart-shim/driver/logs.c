/* SPDX-License-Identifier: MIT */
#include "logs.h"
#include "log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define LINES      100
#define LINE_MAX   256
#define LISTENERS  16
#define LEVEL_WARN 1 /* CU_LOG_LEVEL_WARNING: what really fails is a call's result */

static struct {
    pthread_mutex_t lock;
    char line[LINES][LINE_MAX];
    unsigned n; /* ever written */
    struct {
        gvm_logs_fn *fn;
        void *arg;
    } to[LISTENERS];
} logs = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void add(const char *line)
{
    gvm_logs_fn *fn[LISTENERS];
    void *arg[LISTENERS];
    char text[LINE_MAX];

    snprintf(text, sizeof(text), "%s", line);
    pthread_mutex_lock(&logs.lock);
    memcpy(logs.line[logs.n++ % LINES], text, sizeof(text));
    for (int i = 0; i < LISTENERS; i++) {
        fn[i] = logs.to[i].fn;
        arg[i] = logs.to[i].arg;
    }
    pthread_mutex_unlock(&logs.lock);
    for (int i = 0; i < LISTENERS; i++)
        if (fn[i])
            fn[i](arg[i], LEVEL_WARN, text, strlen(text) + 1);
}

__attribute__((constructor)) static void take_lines(void)
{
    gvm_log_hook = add;
}

int gvm_logs_register(gvm_logs_fn *fn, void *arg, void **handle)
{
    int rc = 2;

    if (!fn)
        return 1;
    pthread_mutex_lock(&logs.lock);
    for (int i = 0; i < LISTENERS && rc; i++) {
        if (logs.to[i].fn)
            continue;
        logs.to[i].fn = fn;
        logs.to[i].arg = arg;
        if (handle)
            *handle = &logs.to[i];
        rc = 0;
    }
    pthread_mutex_unlock(&logs.lock);
    return rc;
}

int gvm_logs_unregister(void *handle)
{
    int rc = 1;

    pthread_mutex_lock(&logs.lock);
    for (int i = 0; i < LISTENERS; i++)
        if (handle == &logs.to[i] && logs.to[i].fn) {
            logs.to[i].fn = NULL;
            rc = 0;
        }
    pthread_mutex_unlock(&logs.lock);
    return rc;
}

int gvm_logs_current(unsigned *at)
{
    if (!at)
        return 1;
    pthread_mutex_lock(&logs.lock);
    *at = logs.n;
    pthread_mutex_unlock(&logs.lock);
    return 0;
}

/* First line to tell, the lock held. */
static unsigned first(const unsigned *at)
{
    unsigned oldest = logs.n > LINES ? logs.n - LINES : 0;

    return at && *at <= logs.n && *at > oldest ? *at : oldest;
}

int gvm_logs_to_file(unsigned *at, const char *path)
{
    FILE *f = path ? fopen(path, "we") : NULL;
    unsigned i;

    if (!f)
        return 1;
    pthread_mutex_lock(&logs.lock);
    for (i = first(at); i < logs.n; i++)
        fprintf(f, "%s\n", logs.line[i % LINES]);
    if (at)
        *at = i;
    pthread_mutex_unlock(&logs.lock);
    return fclose(f) ? 1 : 0;
}

int gvm_logs_to_memory(unsigned *at, char *buf, size_t *size)
{
    size_t need = 1, used = 0;
    unsigned i;

    if (!buf || !size || *size < LINE_MAX)
        return 1;
    pthread_mutex_lock(&logs.lock);
    for (i = logs.n; i > first(at); i--) {
        need += strlen(logs.line[(i - 1) % LINES]) + 1;
        if (need > *size)
            break;
    }
    for (; i < logs.n; i++)
        used += (size_t)snprintf(buf + used, *size - used, "%s\n", logs.line[i % LINES]);
    buf[used] = 0;
    if (at)
        *at = i;
    pthread_mutex_unlock(&logs.lock);
    *size = used;
    return 0;
}

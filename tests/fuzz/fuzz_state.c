/* SPDX-License-Identifier: MIT */
/*
 * A worker's saved state (worker/state_load.c), on the software device: what a guest wrote once, and
 * anybody since who could write to the file. The input is the state without its head, uncompressed and
 * without the words that both workers must have in common; seeds are states of programs
 * (state_seeds.py). Each input meets a worker that was just made.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dom0-backend/common/log.h"
#include "dom0-backend/worker/state_int.h"

#define ORDER 4u /* of the local transport's channels, which the seeds come from */
#define PAGES ((size_t)VGPU_CH_PAGES(ORDER) * VGPU_PAGE_SIZE)
#define MEM   (1ull << 30) /* the device's */

extern const struct dev_ops dev_ptx_ops;

static void *channel, *pool;

static void no_ring(struct transport *t)
{
}

static const struct transport_ops quiet = {.name = "fuzz", .notify = no_ring};

static void no_log(enum log_level level, const char *line)
{
}

static void on_violation(struct wk *w, const char *why)
{
    abort(); /* nothing is drained */
}

/* A worker that cannot read its state ends: what it leaves behind is nobody's loss. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    log_hook(no_log, LOG_DEBUG_);
    channel = mmap(NULL, PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (channel == MAP_FAILED || dev_ptx_ops.reserve(0, WK_POOL_SIZE, &pool))
        abort();
    return 0;
}

/* The file as gvm-backd hands it over, behind its head. */
static int make_file(struct wk *w, const uint8_t *data, size_t size)
{
    int fd = memfd_create("state", MFD_CLOEXEC);
    struct state_ident ident;
    struct wk_state s;

    state_ident(w, &ident);
    if (fd < 0 || wk_state_open(&s, fd, true))
        abort();
    wk_put(&s, &ident, sizeof(ident));
    wk_put(&s, data, size);
    if (wk_state_close(&s) || lseek(fd, 0, SEEK_SET) < 0)
        abort();
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wk w;
    static struct wk_stats stats;
    struct dev_config cfg = {.mem_limit = MEM,
                             .pool_base = pool,
                             .pool_size = WK_POOL_SIZE,
                             .threads = 1,
                             .on_fault = wk_on_fault,
                             .on_output = wk_on_output,
                             .arg = &w};
    const char *why = NULL;
    int fd, err;

    memset(&w, 0, sizeof(w));
    memset(channel, 0, PAGES);
    w.tr.ops = &quiet;
    w.inline_blocking = true;
    w.on_violation = on_violation;
    w.pool_base = pool;
    w.pool_size = WK_POOL_SIZE;
    if (dev_ptx_ops.open(&cfg, &w.dev) ||
        wk_init(&w, &dev_ptx_ops, w.dev, channel, ORDER, &stats) < 0)
        abort();
    fd = make_file(&w, data, size);
    err = wk_state_load(&w, fd, &why);
    close(fd);
    if (getenv("GVM_STATE_SAY"))
        fprintf(stderr, "%d %s\n", err, err ? why : "");
    if (err && (!why || !*why))
        abort(); /* never without a reason */
    wk_fini(&w);
    dev_ptx_ops.close(w.dev);
    return 0;
}

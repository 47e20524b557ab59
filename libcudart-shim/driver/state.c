/* SPDX-License-Identifier: MIT */
#include "state.h"
#include "log.h"
#include "pool.h"
#include "stubs.h"
#include "upcall.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WINDOW_TRIES 16
#define RING_ORDER   9 /* VGPU_LOCAL_RING_ORDER: a prepared one */

struct gvm_state gvm;
struct gvm_ranges gvm_allocs = GVM_RANGES_INIT;

uint32_t gvm_usable_word[VGPU_PAGE_SIZE / sizeof(uint32_t)]
    __attribute__((aligned(VGPU_PAGE_SIZE)));

static pthread_mutex_t connect_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t begin_lock = PTHREAD_MUTEX_INITIALIZER;
static bool exiting, begun, lost, primary_active;
static struct {
    uint64_t base, size;
} pool_window, dev_window;

/* ---- fork and exit ----------------------------------------------------------------------- */

/* A child that forked while another thread was connecting must be able to connect itself. */
static void child_of_fork(void)
{
    pthread_mutex_init(&connect_lock, NULL);
    pthread_mutex_init(&begin_lock, NULL);
}

/* Words of the page that a child gets wiped. */
enum { WORD_USABLE, WORD_BEGUN };

/* The page is whole and of the zeroed part of the library's data, so the kernel takes the advice. */
static void make_word(void)
{
    if (madvise(gvm_usable_word, VGPU_PAGE_SIZE, MADV_WIPEONFORK))
        gvm_log("forked children cannot be told: %s", strerror(errno));
    pthread_atfork(NULL, NULL, child_of_fork);
}

/* What runs after this handler (older ones, destructors) may still call CUDA. Output of kernels
 * that nobody has waited for is not printed, as natively. */
static void at_exit(void)
{
    __atomic_store_n(&exiting, true, __ATOMIC_RELAXED);
    if (gvm_usable()) {
        __atomic_store_n(gvm_usable_word, 0, __ATOMIC_RELEASE);
        gvm_short_ways(gvm.chan, 0);
    }
}

int gvm_mark_begun(void)
{
    if (__atomic_load_n(&begun, __ATOMIC_ACQUIRE))
        return 0;
    pthread_mutex_lock(&begin_lock);
    if (!begun) {
        make_word();
        gvm_usable_word[WORD_BEGUN] = 1;
        atexit(at_exit);
        __atomic_store_n(&begun, true, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&begin_lock);
    return 0;
}

void gvm_mark_lost(void)
{
    __atomic_store_n(&lost, true, __ATOMIC_RELAXED);
}

void gvm_set_primary_active(bool active)
{
    __atomic_store_n(&primary_active, active, __ATOMIC_RELAXED);
    if (gvm_usable()) {
        __atomic_store_n(gvm_usable_word, active ? GVM_USABLE_ACTIVE : GVM_USABLE_IDLE,
                         __ATOMIC_RELEASE);
        gvm_short_ways(gvm.chan, 0);
    }
}

bool gvm_primary_active(void)
{
    return __atomic_load_n(&primary_active, __ATOMIC_RELAXED);
}

int gvm_stale(void)
{
    if (__builtin_expect(__atomic_load_n(&exiting, __ATOMIC_RELAXED), 0))
        return 4;
    if (__atomic_load_n(&begun, __ATOMIC_ACQUIRE) && !gvm_usable_word[WORD_BEGUN])
        return 3;
    return 0;
}

/* ---- address windows --------------------------------------------------------------------- */

/* Takes [base, base+size) out of this process's address space. 0, -EEXIST: something is there,
 * else the process may not (RLIMIT_AS, strange base). */
static int reserve(uint64_t base, uint64_t size)
{
    void *p;

    if (!size)
        return 0;
    if (!base || base % VGPU_PAGE_SIZE || size % VGPU_PAGE_SIZE || base + size < base)
        return -EINVAL;
    p = mmap((void *)(uintptr_t)base, size, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (p == MAP_FAILED)
        return -errno;
    if ((uintptr_t)p != base) { /* a kernel without FIXED_NOREPLACE took it as a hint */
        munmap(p, size);
        return -EEXIST;
    }
    madvise(p, size, MADV_DONTDUMP);
    return 0;
}

static void release_windows(void)
{
    if (pool_window.size)
        munmap((void *)(uintptr_t)pool_window.base, pool_window.size);
    if (dev_window.size)
        munmap((void *)(uintptr_t)dev_window.base, dev_window.size);
    pool_window.size = dev_window.size = 0;
}

/* 0: both windows are ours, or cannot be had in this process at all; -EEXIST: ask for others. */
static int reserve_windows(const struct gvm_conn *conn)
{
    int rc = reserve(conn->pool_base, conn->pool_size);

    if (rc == 0) {
        pool_window.base = conn->pool_base;
        pool_window.size = conn->pool_size;
        rc = reserve(conn->dev_base, conn->dev_size);
    }
    if (rc == 0) {
        dev_window.base = conn->dev_base;
        dev_window.size = conn->dev_size;
        return 0;
    }
    release_windows();
    if (rc == -EEXIST)
        return rc;
    gvm_log("address windows are not to be had (%s): pinned memory is copied", strerror(-rc));
    return 0;
}

/* ---- connecting -------------------------------------------------------------------------- */

static int refused(const struct gvm_conn *conn, int rc)
{
    switch (rc) {
    case -ENOSPC:
        gvm_log("the device accepts no further process (a limit on channels or memory is reached)");
        break;
    case -ETIMEDOUT:
        gvm_log("the backend did not answer in time");
        break;
    default:
        gvm_log("no channel over %s: %s", conn->ops->name, strerror(-rc));
    }
    return rc == -ENODEV || rc == -ENXIO ? 100 : GVM_ERR_GONE;
}

static int open_channel(struct gvm_conn *conn)
{
    uint64_t order = RING_ORDER;
    int rc;

    gvm_env_number("GVM_RING_ORDER", VGPU_RING_ORDER_MIN, VGPU_RING_ORDER_MAX, &order);
    rc = gvm_conn_open(conn);
    if (rc)
        return 100;
    for (uint32_t try = 0; try < WINDOW_TRIES; try++) {
        rc = conn->ops->create(conn, (uint32_t)order, try);
        if (rc) {
            conn->ops->close(conn);
            return refused(conn, rc);
        }
        if (reserve_windows(conn) == 0)
            return 0;
        conn->ops->close(conn);
        rc = conn->ops->open(conn);
        if (rc)
            return refused(conn, rc);
    }
    /* None of the windows is free here: this process lives without. */
    rc = conn->ops->create(conn, (uint32_t)order, 0);
    if (rc) {
        conn->ops->close(conn);
        return refused(conn, rc);
    }
    gvm_log("every address window offered is taken: pinned memory is copied");
    return 0;
}

static int fetch_info(struct gvm_chan *c)
{
    struct gvm_pool_ref ref;
    uint32_t size = 0;
    void *p;
    int rc;

    p = gvm_pool_alloc(sizeof(gvm.info));
    if (!p)
        return 2;
    if (!gvm_pool_find(p, sizeof(gvm.info), &ref)) {
        rc = 2;
        goto out;
    }
    rc = vgpu_Info(c, 0, ref.chunk, ref.off, ref.len, &size);
    if (rc == 0 && size < sizeof(gvm.info)) {
        gvm_log("the backend describes its device in %u bytes, %zu are expected: versions differ",
                size, sizeof(gvm.info));
        rc = GVM_ERR_GONE;
    }
    if (rc == 0) {
        memcpy(&gvm.info, p, sizeof(gvm.info));
        gvm.info.name[sizeof(gvm.info.name) - 1] = 0;
        gvm.info.pci_bus_id[sizeof(gvm.info.pci_bus_id) - 1] = 0;
    }
out:
    gvm_pool_free(p, sizeof(gvm.info));
    return rc;
}

static int connect_locked(void)
{
    struct gvm_conn conn = {0};
    const char *blocking;
    struct gvm_chan *c;
    int rc;

    if (lost)
        return GVM_ERR_GONE;
    rc = gvm_visible(NULL);
    if (rc)
        return rc;
    rc = open_channel(&conn);
    if (rc)
        return rc;
    c = gvm_chan_create(&conn);
    if (!c) {
        conn.ops->close(&conn);
        release_windows();
        return 2;
    }
    gvm_pool_start(c, pool_window.size ? pool_window.base : 0, pool_window.size);
    rc = fetch_info(c);
    if (rc == 0)
        rc = gvm_visible(&gvm.info);
    if (rc) {
        gvm_pool_stop();
        gvm_chan_destroy(c);
        release_windows();
        return rc;
    }
    blocking = getenv("CUDA_LAUNCH_BLOCKING");
    gvm.launch_blocking = blocking && atoi(blocking) != 0;
    gvm.pool_direct = gvm_pool_same_address() && gvm.info.caps & VGPU_DEVICE_POOL_DIRECT;
    gvm_features(&gvm.info, gvm.pool_direct);
    gvm.epoch++;
    __atomic_store_n(&gvm.chan, c, __ATOMIC_RELAXED);
    gvm_objects_reset();
    __atomic_store_n(gvm_usable_word, primary_active ? GVM_USABLE_ACTIVE : GVM_USABLE_IDLE,
                     __ATOMIC_RELEASE);
    gvm_short_ways(c, 0);
    return 0;
}

int gvm_connect(void)
{
    int rc = gvm_stale();

    if (rc == 0)
        rc = gvm_mark_begun();
    if (rc)
        return rc;
    pthread_mutex_lock(&connect_lock);
    if (!gvm_usable())
        rc = connect_locked();
    pthread_mutex_unlock(&connect_lock);
    return rc;
}

void gvm_disconnect(void)
{
    struct gvm_chan *c;

    pthread_mutex_lock(&connect_lock);
    c = gvm_usable();
    if (c) {
        gvm_upcall_stop(c);
        __atomic_store_n(gvm_usable_word, 0, __ATOMIC_RELEASE);
        __atomic_store_n(&gvm.chan, NULL, __ATOMIC_RELAXED);
        gvm_objects_reset();
        gvm_ranges_clear(&gvm_allocs);
        gvm_pool_stop();
        gvm_chan_destroy(c);
        release_windows();
    }
    pthread_mutex_unlock(&connect_lock);
}

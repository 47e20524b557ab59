/* SPDX-License-Identifier: MIT */
/*
 * vgpu_probe.c - asks /dev/vgpuN for what it must do and for what it must refuse. Runs in a guest
 * beside any backend; needs no CUDA.
 *
 *   vgpu_probe rules        every rule of vgpu_ioctl.h that one process can check
 *   vgpu_probe hold PAGES   a channel and a chunk; says "holding" and waits for its end
 *   vgpu_probe wait         waits for an event, without end; says what it got
 *   vgpu_probe connect      one CONNECT; says its result
 *   vgpu_probe add PAGES    CONNECT; at a line or the end of its input POOL_ADD; says their results
 *   vgpu_probe many N       N files, a CONNECT each; says how many succeeded and why one did not
 *   vgpu_probe hog UID      as an ordinary user takes all channels and pages that it gets; says how many
 *                           and why no more, and keeps them until the end of its input
 *   vgpu_probe churn N      N times: connect, add, map, drop, unmap or not, close
 * VGPU_DEVICE names another device than /dev/vgpu0.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/vgpu_ioctl.h"
#include "protocol/vgpuif.h"

#define ORDER 4u

static const char *device = "/dev/vgpu0";
static unsigned failed, passed;

static void check(bool ok, const char *what, int64_t got)
{
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("FAIL %s: got %" PRId64 ", errno %d (%s)\n", what, got, errno, strerror(errno));
}

/* The call must fail with errno `want`. */
static void refused(int rc, int want, const char *what)
{
    check(rc == -1 && errno == want, what, rc);
}

static int open_device(void)
{
    int fd = open(device, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        printf("cannot open %s: %s\n", device, strerror(errno));
    return fd;
}

static int do_connect(int fd, struct vgpu_ioc_connect *c)
{
    *c = (struct vgpu_ioc_connect){.version = VGPU_PROTOCOL_VERSION, .ring_order = ORDER};
    return ioctl(fd, VGPU_IOC_CONNECT, c);
}

static void *map(int fd, uint64_t off, size_t pages, int prot, int flags)
{
    return mmap(NULL, pages * VGPU_PAGE_SIZE, prot, flags, fd, (off_t)off);
}

static void map_refused(int fd, uint64_t off, size_t pages, int prot, int flags, int want,
                        const char *what)
{
    void *p = map(fd, off, pages, prot, flags);

    check(p == MAP_FAILED && errno == want, what, (intptr_t)p);
}

#define RW (PROT_READ | PROT_WRITE)

static void test_before_connect(int fd)
{
    struct vgpu_ioc_connect c = {.version = 2, .ring_order = ORDER};
    struct vgpu_ioc_wait w = {0};
    struct vgpu_ioc_pool p = {.npages = 1};

    refused(ioctl(fd, VGPU_IOC_CONNECT, &c), EINVAL, "CONNECT with version 2");
    c = (struct vgpu_ioc_connect){.version = 1, .ring_order = VGPU_RING_ORDER_MIN - 1};
    refused(ioctl(fd, VGPU_IOC_CONNECT, &c), EINVAL, "CONNECT with ring_order 3");
    c = (struct vgpu_ioc_connect){.version = 1, .ring_order = VGPU_RING_ORDER_MAX + 1};
    refused(ioctl(fd, VGPU_IOC_CONNECT, &c), EINVAL, "CONNECT with ring_order 10");
    refused(ioctl(fd, VGPU_IOC_CONNECT, (void *)8), EFAULT, "CONNECT with a bad pointer");
    refused(ioctl(fd, VGPU_IOC_NOTIFY, 0), ENOTCONN, "NOTIFY before CONNECT");
    refused(ioctl(fd, VGPU_IOC_WAIT, &w), ENOTCONN, "WAIT before CONNECT");
    refused(ioctl(fd, VGPU_IOC_POOL_ADD, &p), ENOTCONN, "POOL_ADD before CONNECT");
    refused(ioctl(fd, VGPU_IOC_POOL_DROP, &p), ENOTCONN, "POOL_DROP before CONNECT");
    refused(ioctl(fd, _IO('V', 0x7f), 0), ENOTTY, "unknown ioctl");
    map_refused(fd, 0, VGPU_CH_PAGES(ORDER), RW, MAP_SHARED, ENOTCONN, "mmap before CONNECT");
}

static void test_mapping(int fd, uint64_t off, size_t pages)
{
    uint8_t *p, *q;
    int status;
    pid_t pid;

    map_refused(fd, off, pages, RW, MAP_PRIVATE, EINVAL, "private mapping");
    map_refused(fd, off, pages, RW | PROT_EXEC, MAP_SHARED, EINVAL, "executable mapping");
    map_refused(fd, off, pages + 1, RW, MAP_SHARED, EINVAL, "mapping too long");
    map_refused(fd, off + VGPU_PAGE_SIZE, pages, RW, MAP_SHARED, EINVAL, "mapping at an offset");
    if (pages > 1)
        map_refused(fd, off, pages - 1, RW, MAP_SHARED, EINVAL, "mapping too short");
    p = map(fd, off, pages, RW, MAP_SHARED);
    check(p != MAP_FAILED, "mapping", (intptr_t)p);
    if (p == MAP_FAILED)
        return;
    map_refused(fd, off, pages, RW, MAP_SHARED, EBUSY, "second mapping");
    p[pages * VGPU_PAGE_SIZE - 1] = 0x5a;
    check(p[pages * VGPU_PAGE_SIZE - 1] == 0x5a, "reading back", 0);
    refused(mprotect(p, pages * VGPU_PAGE_SIZE, RW | PROT_EXEC), EACCES, "mprotect to executable");
    if (pages > 1) {
        refused(munmap(p, VGPU_PAGE_SIZE), EINVAL, "munmap of the first page");
        refused(munmap(p + (pages - 1) * VGPU_PAGE_SIZE, VGPU_PAGE_SIZE), EINVAL,
                "munmap of the last page");
        refused(mprotect(p, VGPU_PAGE_SIZE, PROT_READ), EINVAL, "mprotect of one page");
        q = mremap(p, pages * VGPU_PAGE_SIZE, VGPU_PAGE_SIZE, 0);
        check(q == MAP_FAILED && errno == EINVAL, "mremap to less", (intptr_t)q);
    }
    q = mremap(p, pages * VGPU_PAGE_SIZE, (pages + 1) * VGPU_PAGE_SIZE, MREMAP_MAYMOVE);
    check(q == MAP_FAILED && errno == EFAULT, "mremap to more", (intptr_t)q);
    q = mremap(p, pages * VGPU_PAGE_SIZE, pages * VGPU_PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
               (void *)0x500000000000);
    check(q == MAP_FAILED, "mremap elsewhere", (intptr_t)q);
    check(p[pages * VGPU_PAGE_SIZE - 1] == 0x5a, "memory after refused mremaps", 0);

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(*(volatile uint8_t *)p == 0 ? 1 : 2); /* must fault */
    }
    waitpid(pid, &status, 0);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "mapping in a forked child", status);

    /* Pages are ordinary ones to the kernel: it can write them for read(2) and direct I/O. */
    status = open("/dev/zero", O_RDONLY);
    check(read(status, p + (pages - 1) * VGPU_PAGE_SIZE, VGPU_PAGE_SIZE) == VGPU_PAGE_SIZE,
          "read(2) into the mapping", 0);
    close(status);
    check(p[pages * VGPU_PAGE_SIZE - 1] == 0, "what read(2) wrote", 0);
}

static void test_events(int fd)
{
    struct vgpu_ioc_wait w = {0};
    uint32_t seen;

    /* Binding the port may have been signalled already. */
    if (ioctl(fd, VGPU_IOC_WAIT, &w) == -1)
        check(errno == ETIMEDOUT, "WAIT with timeout 0", -1);
    seen = w.seen;
    w.timeout_ms = 30;
    while (ioctl(fd, VGPU_IOC_WAIT, &w) == 0)
        seen = w.seen;
    check(errno == ETIMEDOUT, "WAIT with timeout 30 ms", -1);
    check(w.seen == seen, "count after a timeout", w.seen);
    w.seen = seen + 1;
    check(ioctl(fd, VGPU_IOC_WAIT, &w) == 0 && w.seen == seen, "WAIT with another count", w.seen);
    check(ioctl(fd, VGPU_IOC_NOTIFY, 0) == 0, "NOTIFY", -1);
    refused(ioctl(fd, VGPU_IOC_WAIT, (void *)8), EFAULT, "WAIT with a bad pointer");
}

static void test_pool(int fd, const struct vgpu_ioc_connect *c)
{
    struct vgpu_ioc_pool p = {.npages = 0}, big = {.npages = 2500};
    uint32_t *m;

    refused(ioctl(fd, VGPU_IOC_POOL_ADD, &p), EINVAL, "chunk of 0 pages");
    p.npages = VGPU_MAX_CHUNK_PAGES + 1;
    refused(ioctl(fd, VGPU_IOC_POOL_ADD, &p), EINVAL, "chunk of 16385 pages");
    map_refused(fd, VGPU_MMAP_CHUNK(0), 3, RW, MAP_SHARED, EINVAL, "mapping of no chunk");
    p.npages = 3;
    check(ioctl(fd, VGPU_IOC_POOL_ADD, &p) == 0, "POOL_ADD", -1);
    check(p.chunk == 0 && p.addr >= c->pool_base && p.addr < c->pool_base + c->pool_size,
          "chunk and addr", (int64_t)p.addr);
    check(ioctl(fd, VGPU_IOC_POOL_ADD, &big) == 0 && big.chunk == 1, "chunk of 3 directories",
          big.chunk);
    test_mapping(fd, VGPU_MMAP_CHUNK(p.chunk), 3);
    m = map(fd, VGPU_MMAP_CHUNK(big.chunk), big.npages, RW, MAP_SHARED);
    check(m != MAP_FAILED, "mapping 2500 pages", (intptr_t)m);
    if (m == MAP_FAILED)
        return;
    m[2499 * 1024 + 1] = 77;
    check(ioctl(fd, VGPU_IOC_POOL_DROP, &big) == 0, "POOL_DROP while mapped", -1);
    check(m[2499 * 1024 + 1] == 77, "memory after POOL_DROP", m[2499 * 1024 + 1]);
    refused(ioctl(fd, VGPU_IOC_POOL_DROP, &big), EINVAL, "POOL_DROP twice");
    big.chunk = VGPU_MAX_CHUNKS;
    refused(ioctl(fd, VGPU_IOC_POOL_DROP, &big), EINVAL, "POOL_DROP of chunk 64");
    check(munmap(m, 2500 * VGPU_PAGE_SIZE) == 0, "munmap after POOL_DROP", -1);
    check(ioctl(fd, VGPU_IOC_POOL_ADD, &big) == 0 && big.chunk == 1, "chunk number again",
          big.chunk);
    /* More than one open file may take, in chunks of 16 MiB. */
    for (unsigned i = 0; i < 10; i++) {
        p.npages = 4096;
        if (ioctl(fd, VGPU_IOC_POOL_ADD, &p))
            break;
    }
    check(errno == ENOSPC, "limit of pages", p.chunk);
}

static int rules(void)
{
    struct vgpu_ioc_connect c;
    struct vgpu_ch_front *f;
    struct stat st;
    int fd = open_device();

    if (fd < 0)
        return 1;
    check(fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0660, "mode 0660", st.st_mode);
    test_before_connect(fd);
    check(do_connect(fd, &c) == 0, "CONNECT", -1);
    if (failed)
        goto out;
    check(c.channel >= 1 && c.channel <= VGPU_MAX_CHANNELS, "channel number", c.channel);
    refused(do_connect(fd, &c), EBUSY, "second CONNECT");
    c.pool_base = 0;
    close(fd);
    /* A file that is closed and opened again can have another; its windows are what is checked. */
    fd = open_device();
    check(do_connect(fd, &c) == 0, "CONNECT of the next file", -1);
    test_events(fd);
    test_pool(fd, &c);
    test_mapping(fd, 0, VGPU_CH_PAGES(ORDER));
    close(fd);

    fd = open_device();
    check(do_connect(fd, &c) == 0, "CONNECT again", -1);
    f = map(fd, 0, VGPU_CH_PAGES(ORDER), RW, MAP_SHARED);
    check(f != MAP_FAILED && f->magic == VGPU_CH_MAGIC && f->ring_order == ORDER, "front page",
          (intptr_t)f);
    close(fd); /* the mapping keeps the file */
    if (f != MAP_FAILED)
        check(f->magic == VGPU_CH_MAGIC, "mapping after close", f->magic);
out:
    printf("rules: %u passed, %u failed\n", passed, failed);
    return failed != 0;
}

static int hold(unsigned pages)
{
    struct vgpu_ioc_connect c;
    struct vgpu_ioc_pool p = {.npages = pages};
    int fd = open_device();

    if (fd < 0 || do_connect(fd, &c) || ioctl(fd, VGPU_IOC_POOL_ADD, &p) ||
        map(fd, 0, VGPU_CH_PAGES(ORDER), RW, MAP_SHARED) == MAP_FAILED ||
        map(fd, VGPU_MMAP_CHUNK(p.chunk), pages, RW, MAP_SHARED) == MAP_FAILED) {
        printf("cannot hold: %s\n", strerror(errno));
        return 1;
    }
    printf("holding channel %u\n", c.channel);
    fflush(stdout);
    for (;;)
        pause();
}

static int wait_event(void)
{
    struct vgpu_ioc_connect c;
    struct vgpu_ioc_wait w = {.timeout_ms = UINT32_MAX};
    struct vgpu_ioc_pool p = {.npages = 1};
    struct vgpu_ch_front *f;
    int fd = open_device();

    if (fd < 0 || do_connect(fd, &c)) {
        printf("cannot connect: %s\n", strerror(errno));
        return 1;
    }
    f = map(fd, 0, VGPU_CH_PAGES(ORDER), RW, MAP_SHARED);
    printf("waiting on channel %u\n", c.channel);
    fflush(stdout);
    while (ioctl(fd, VGPU_IOC_WAIT, &w) == 0) {
        printf("event %u\n", w.seen);
        fflush(stdout);
    }
    printf("WAIT: %s\n", strerror(errno));
    /* The memory stays; nothing else works any more. */
    f->pad0[0] = 1;
    printf("NOTIFY: %s\n", ioctl(fd, VGPU_IOC_NOTIFY, 0) ? strerror(errno) : "0");
    printf("POOL_ADD: %s\n", ioctl(fd, VGPU_IOC_POOL_ADD, &p) ? strerror(errno) : "0");
    fd = open(device, O_RDWR);
    printf("open: %s\n", fd < 0 ? strerror(errno) : "0");
    return 0;
}

static int one_connect(long pages)
{
    struct vgpu_ioc_connect c;
    struct vgpu_ioc_pool p = {.npages = (uint32_t)pages};
    int fd = open_device();

    if (fd < 0)
        return 1;
    printf("connecting\n");
    fflush(stdout);
    if (do_connect(fd, &c)) {
        printf("CONNECT: %s\n", strerror(errno));
        return 1;
    }
    printf("CONNECT: 0 channel %u\n", c.channel);
    if (!pages)
        return 0;
    fflush(stdout);
    getchar();
    if (ioctl(fd, VGPU_IOC_POOL_ADD, &p)) {
        printf("POOL_ADD: %s\n", strerror(errno));
        return 1;
    }
    printf("POOL_ADD: 0\n");
    return 0;
}

static int many(unsigned n)
{
    struct vgpu_ioc_connect c;
    unsigned i;

    for (i = 0; i < n; i++) {
        int fd = open_device();

        if (fd < 0 || do_connect(fd, &c))
            break;
    }
    printf("connected %u: %s\n", i, i < n ? strerror(errno) : "all");
    return 0;
}

/* Pages of one more channel, by hundreds and then one by one. */
static unsigned take_pages(int fd)
{
    unsigned total = 0;

    for (unsigned step = 100; step; step = step == 100 ? 1 : 0) {
        struct vgpu_ioc_pool p = {.npages = step};

        while (ioctl(fd, VGPU_IOC_POOL_ADD, &p) == 0) {
            total += step;
            p = (struct vgpu_ioc_pool){.npages = step};
        }
    }
    return total;
}

static int hog(unsigned uid)
{
    struct vgpu_ioc_connect c;
    unsigned channels = 0, pages = 0;
    struct stat st;

    /* A user who may use the device, by its group, and nothing else. */
    if (stat(device, &st) || chmod(device, 0660) || setgroups(0, NULL) || setgid(st.st_gid) ||
        setuid(uid)) {
        printf("user %u: %s\n", uid, strerror(errno));
        return 1;
    }
    for (;; channels++) {
        int fd = open_device();

        if (fd < 0 || do_connect(fd, &c))
            break;
        pages += VGPU_CH_PAGES(ORDER) + take_pages(fd);
    }
    printf("hog: %u channels, %u pages: %s\n", channels, pages, strerror(errno));
    fflush(stdout);
    getchar();
    return 0;
}

static int churn(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct vgpu_ioc_connect c;
        struct vgpu_ioc_pool p = {.npages = 64};
        int fd = open_device();
        void *m;

        if (fd < 0 || do_connect(fd, &c) || ioctl(fd, VGPU_IOC_POOL_ADD, &p)) {
            printf("churn %u: %s\n", i, strerror(errno));
            return 1;
        }
        m = map(fd, VGPU_MMAP_CHUNK(p.chunk), 64, RW, MAP_SHARED);
        if (m == MAP_FAILED)
            return 1;
        memset(m, 1, 64 * VGPU_PAGE_SIZE);
        if (i & 1)
            ioctl(fd, VGPU_IOC_POOL_DROP, &p);
        if (i & 2)
            munmap(m, 64 * VGPU_PAGE_SIZE);
        if (i & 4)
            munmap(m, 64 * VGPU_PAGE_SIZE);
        close(fd);
        munmap(m, 64 * VGPU_PAGE_SIZE);
    }
    printf("churned %u\n", n);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    long n = argc > 2 ? strtol(argv[2], NULL, 10) : 0;

    if (getenv("VGPU_DEVICE"))
        device = getenv("VGPU_DEVICE");
    if (!strcmp(what, "rules"))
        return rules();
    if (!strcmp(what, "hold"))
        return hold(n > 0 ? (unsigned)n : 1);
    if (!strcmp(what, "wait"))
        return wait_event();
    if (!strcmp(what, "connect"))
        return one_connect(0);
    if (!strcmp(what, "add"))
        return one_connect(n);
    if (!strcmp(what, "many"))
        return many((unsigned)n);
    if (!strcmp(what, "hog"))
        return hog((unsigned)n);
    if (!strcmp(what, "churn"))
        return churn((unsigned)n);
    fprintf(
        stderr,
        "usage: %s rules | hold PAGES | wait | connect | add PAGES | many N | hog UID | churn N\n",
        argv[0]);
    return 2;
}

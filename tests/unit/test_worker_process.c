/* SPDX-License-Identifier: MIT */
/*
 * A whole gvm-worker (with the mock device) and the messages of handoff.h: this test is its broker
 * and its guest process. The worker's path is argv[1], or gvm-worker-mock beside this program; argv[2]
 * chooses a test.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "calls.h"
#include "dom0-backend/common/fdmsg.h"
#include "dom0-backend/transport/handoff.h"
#include "protocol/ring.h"

#define ORDER   VGPU_RING_ORDER_MIN
#define TIMEOUT 10000 /* ms; only a broken worker needs it */

static char worker_path[4096];

struct run {
    pid_t pid;
    int sock;
    int listen;
    struct sockaddr_un addr;
    struct wk_stats *stats;
    int stats_fd;
    uint32_t seq;
    struct wk_msg ready;
    /* guest */
    int ring_fd, guest_fd;
    void *base;
    struct vgpu_channel ch;
    struct vgpu_producer prod;
};

static int readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, TIMEOUT) == 1;
}

static void receive(struct run *r, struct wk_msg *m)
{
    int nfds;

    assert_true(readable(r->sock));
    assert_int_equal(fdmsg_recv(r->sock, m, sizeof(*m), NULL, 0, &nfds, 0), 1);
}

/* Sends a request and returns the worker's answer to it. */
static struct wk_msg ask(struct run *r, struct wk_msg m, const int *fds, int nfds)
{
    struct wk_msg a;

    m.seq = ++r->seq;
    assert_int_equal(fdmsg_send(r->sock, &m, sizeof(m), fds, nfds), 0);
    receive(r, &a);
    assert_int_equal(a.seq, m.seq);
    return a;
}

static void place(int from, int to)
{
    if (from >= 0)
        dup2(from, to);
    else
        close(to);
}

static struct run *start(bool with_listen)
{
    struct run *r = calloc(1, sizeof(*r));
    int pair[2];

    r->ring_fd = r->guest_fd = r->listen = -1;
    r->stats_fd = memfd_create("stats", MFD_CLOEXEC);
    assert_int_equal(ftruncate(r->stats_fd, sizeof(struct wk_stats)), 0);
    r->stats = mmap(NULL, sizeof(struct wk_stats), PROT_READ, MAP_SHARED, r->stats_fd, 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    if (with_listen) {
        r->addr.sun_family = AF_UNIX;
        snprintf(r->addr.sun_path, sizeof(r->addr.sun_path), "/tmp/gvm-test-%d.sock",
                 (int)getpid());
        unlink(r->addr.sun_path);
        r->listen = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(r->listen, (struct sockaddr *)&r->addr, sizeof(r->addr)), 0);
        assert_int_equal(listen(r->listen, 1), 0);
    }
    r->pid = fork();
    if (r->pid == 0) {
        int s = fcntl(pair[1], F_DUPFD, 20), t = fcntl(r->stats_fd, F_DUPFD, 20);
        int l = r->listen >= 0 ? fcntl(r->listen, F_DUPFD, 20) : -1;

        place(s, WK_FD_SOCKET);
        place(t, WK_FD_STATS);
        place(l, WK_FD_LISTEN);
        execl(worker_path, "gvm-worker", "--window-try", "3", "--log-level", "error", NULL);
        _exit(127);
    }
    close(pair[1]);
    r->sock = pair[0];
    receive(r, &r->ready);
    assert_int_equal(r->ready.type, WK_READY);
    assert_int_equal(r->ready.status, 0);
    return r;
}

static int new_memfd(size_t pages, int seals)
{
    int fd = memfd_create("channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_int_equal(ftruncate(fd, (off_t)(pages * VGPU_PAGE_SIZE)), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static struct wk_msg assign_msg(void)
{
    return (struct wk_msg){.type = WK_ASSIGN,
                           .kind = WK_LOCAL,
                           .domid = 0,
                           .channel = 1,
                           .ring_order = ORDER,
                           .npages = VGPU_CH_PAGES(ORDER),
                           .pid = 4711};
}

/* channel: the memfd if the worker has it already, -1: a new one. */
static void assign_to(struct run *r, int channel)
{
    size_t pages = VGPU_CH_PAGES(ORDER);
    int fds[3] = {channel >= 0 ? channel : new_memfd(pages, F_SEAL_SHRINK), eventfd(0, EFD_CLOEXEC),
                  eventfd(0, EFD_CLOEXEC)};
    struct wk_msg m = assign_msg(), a;

    m.prepared = channel >= 0;
    r->base = mmap(NULL, pages * VGPU_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    vgpu_channel_init(&r->ch, r->base, ORDER);
    r->prod.ch = &r->ch;
    a = ask(r, m, fds, 3);
    assert_int_equal(a.type, WK_DONE);
    assert_int_equal(a.status, 0);
    close(fds[0]);
    r->ring_fd = fds[1];
    r->guest_fd = fds[2];
    assert_int_equal(r->ch.back->alive, 1);
}

static void assign(struct run *r)
{
    assign_to(r, -1);
}

/* Exit status of the worker, or 1000 + signal. */
static int finish(struct run *r)
{
    int status;

    if (r->sock >= 0)
        close(r->sock);
    assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
    if (r->listen >= 0) {
        close(r->listen);
        unlink(r->addr.sun_path);
    }
    if (r->base)
        munmap(r->base, VGPU_CH_PAGES(ORDER) * VGPU_PAGE_SIZE);
    munmap(r->stats, sizeof(*r->stats));
    close(r->stats_fd);
    if (r->ring_fd >= 0)
        close(r->ring_fd);
    if (r->guest_fd >= 0)
        close(r->guest_fd);
    free(r);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static uint32_t put(struct run *r, uint16_t op, uint16_t lane, const void *payload, uint32_t len)
{
    uint64_t one = 1;
    uint32_t total = (16 + len + 15) & ~15u;
    uint8_t *p = vgpu_prod_begin(&r->prod, op, lane, total, VGPU_REC_REPLY);

    assert_non_null(p);
    memset(p, 0, total - 16);
    memcpy(p, payload, len);
    if (vgpu_prod_publish(&r->prod))
        assert_int_equal(write(r->ring_fd, &one, sizeof(one)), sizeof(one));
    return r->prod.ticket;
}

/* Sleeps as a guest does; the status of the reply. */
static int wait_reply(struct run *r, uint32_t lane, uint32_t ticket)
{
    uint64_t n;

    VGPU_STORE(&r->ch.front->waiting[lane], 1u);
    VGPU_FENCE();
    while (!vgpu_reply_ready(&r->ch, lane, ticket)) {
        assert_true(vgpu_alive(&r->ch));
        assert_true(readable(r->guest_fd));
        assert_int_equal(read(r->guest_fd, &n, sizeof(n)), sizeof(n));
    }
    VGPU_STORE(&r->ch.front->waiting[lane], 0u);
    return r->ch.replies[lane].status;
}

static uint64_t alloc(struct run *r, uint64_t bytes)
{
    uint64_t dptr;

    assert_int_equal(wait_reply(r, 0, put(r, VGPU_OP_MemAlloc, 0, &bytes, 8)), 0);
    memcpy(&dptr, r->ch.replies[0].payload, 8);
    return dptr;
}

static void test_life(void **state)
{
    struct run *r = start(false);
    struct wk_msg quit = {.type = WK_QUIT};

    assert_true(r->ready.pool_base % VGPU_PAGE_SIZE == 0);
    assert_true(r->ready.pool_size >= (uint64_t)VGPU_MAX_CHUNKS * VGPU_MAX_CHUNK_PAGES * 4096);
    assert_int_not_equal(r->ready.dev_size, 0);
    assign(r);
    for (int i = 0; i < 10; i++)
        assert_int_not_equal(alloc(r, 256), 0);
    assert_int_equal(wait_reply(r, 5, put(r, VGPU_OP_CtxSync, 5, "", 0)), 0);
    assert_int_equal(r->stats->calls, 11);
    assert_int_equal(fdmsg_send(r->sock, &quit, sizeof(quit), NULL, 0), 0);
    assert_int_equal(finish(r), 0);
}

static void test_eof(void **state)
{
    struct run *r = start(false);

    assert_int_equal(finish(r), 0); /* still warm */
    r = start(false);
    assign(r);
    assert_int_equal(finish(r), 0);
}

static void test_chunks(void **state)
{
    struct run *r = start(false);
    struct wk_msg m = {.type = WK_CHUNK_ADD, .kind = WK_LOCAL, .chunk = 3, .npages = 16}, a;
    int fd = new_memfd(16, F_SEAL_SHRINK), bad = new_memfd(15, F_SEAL_SHRINK);
    uint8_t *mem = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct vgpu_in_CopyToDevice to = {.src_chunk = 3, .src_off = 4096, .src_len = 100};
    struct vgpu_in_CopyFromDevice from = {.dst_chunk = 3, .dst_len = 100};

    a = ask(r, m, &fd, 1);
    assert_int_equal(a.status, -EINVAL); /* not assigned yet */
    assign(r);
    m.chunk = VGPU_MAX_CHUNKS;
    assert_int_equal(ask(r, m, &fd, 1).status, -EINVAL);
    m.chunk = 3;
    assert_int_equal(ask(r, m, NULL, 0).status, -EINVAL);
    assert_int_equal(ask(r, m, &bad, 1).status, -EINVAL); /* shorter than announced */
    a = ask(r, m, &fd, 1);
    assert_int_equal(a.status, 0);
    assert_true(a.addr >= r->ready.pool_base && a.addr < r->ready.pool_base + r->ready.pool_size);
    assert_int_equal(ask(r, m, &fd, 1).status, -EEXIST);
    assert_int_equal(r->stats->chunks, 16);

    memset(mem + 4096, 0x5a, 100);
    to.dst = from.src = alloc(r, 256);
    assert_int_equal(wait_reply(r, 0, put(r, VGPU_OP_CopyToDevice, 0, &to, sizeof(to))), 0);
    assert_int_equal(wait_reply(r, 0, put(r, VGPU_OP_CopyFromDevice, 0, &from, sizeof(from))), 0);
    assert_memory_equal(mem, mem + 4096, 100);
    from.dst_off = 65536 - 99;
    assert_int_equal(wait_reply(r, 0, put(r, VGPU_OP_CopyFromDevice, 0, &from, sizeof(from))), 1);
    from.dst_off = ~0ull - 50;
    assert_int_equal(wait_reply(r, 0, put(r, VGPU_OP_CopyFromDevice, 0, &from, sizeof(from))), 1);
    from.dst_chunk = 2;
    from.dst_off = 0;
    assert_int_equal(wait_reply(r, 0, put(r, VGPU_OP_CopyFromDevice, 0, &from, sizeof(from))), 1);

    m.type = WK_CHUNK_DROP;
    assert_int_equal(ask(r, m, NULL, 0).status, 0);
    assert_int_equal(r->stats->chunks, 0);
    assert_int_equal(ask(r, m, NULL, 0).status, 0); /* there is none: done */
    from.dst_chunk = 3;
    assert_int_equal(wait_reply(r, 0, put(r, VGPU_OP_CopyFromDevice, 0, &from, sizeof(from))), 1);
    m.type = WK_CHUNK_ADD; /* its place is free again */
    assert_int_equal(ask(r, m, &fd, 1).status, 0);
    assert_int_equal(wait_reply(r, 0, put(r, VGPU_OP_CopyFromDevice, 0, &from, sizeof(from))), 0);
    munmap(mem, 65536);
    close(fd);
    close(bad);
    assert_int_equal(finish(r), 0);
}

/* By hand, on a GPU: GVM_TEST_PARKER is the worker that takes the other one off it (argv[1] then starts
 * one with --kind cuda --no-pin). */
static void move(const struct run *r, const char *how)
{
    const char *parker = getenv("GVM_TEST_PARKER");
    char line[4200];

    if (!parker)
        return;
    snprintf(line, sizeof(line), "%s %s %d --timeout-ms 5000", parker, how, (int)r->pid);
    assert_int_equal(system(line), 0);
}

/* The guest's domain goes, and comes back with other memory of the same contents. */
static void test_moved(void **state)
{
    const size_t pages = VGPU_CH_PAGES(ORDER), len = pages * VGPU_PAGE_SIZE;
    struct run *r = start(false);
    struct wk_msg add = {.type = WK_CHUNK_ADD, .kind = WK_LOCAL, .chunk = 3, .npages = 16};
    struct wk_msg park = {.type = WK_PARK, .npages = 5000}, go = {.type = WK_GO};
    struct wk_msg detach = {.type = WK_DETACH}, attach = assign_msg(), a;
    struct vgpu_in_CopyToDevice to = {.src_chunk = 3, .src_len = 100};
    struct vgpu_in_CopyFromDevice from = {.dst_chunk = 3, .dst_off = 8192, .dst_len = 100};
    int chunk = new_memfd(16, F_SEAL_SHRINK), again = new_memfd(16, F_SEAL_SHRINK);
    int small = new_memfd(15, F_SEAL_SHRINK), fds[3];
    uint8_t *mem = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, chunk, 0);
    uint8_t *base;
    uint64_t addr;

    attach.type = WK_ATTACH;
    attach.domid = 7;
    attach.pid = 4712;
    assign(r);
    a = ask(r, add, &chunk, 1);
    assert_int_equal(a.status, 0);
    addr = a.addr;
    memset(mem, 0x5a, 100);
    to.dst = from.src = alloc(r, 256);
    assert_int_equal(wait_reply(r, 0, put(r, VGPU_OP_CopyToDevice, 0, &to, sizeof(to))), 0);
    assert_int_equal(ask(r, detach, NULL, 0).status, -EINVAL); /* it is at work */
    assert_int_equal(ask(r, park, NULL, 0).status, 0);
    move(r, "--park");
    for (int i = 0; i < 3; i++)
        fds[i] = i ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : new_memfd(pages, F_SEAL_SHRINK);
    assert_int_equal(ask(r, attach, fds, 3).status, -EINVAL); /* it has one */
    assert_int_equal(ask(r, detach, NULL, 0).status, 0);
    assert_int_equal(ask(r, detach, NULL, 0).status, 0); /* by another broker */
    a = ask(r, go, NULL, 0);
    assert_int_equal(a.status, -EINVAL);
    assert_non_null(strstr(a.text, "missing"));

    base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    memcpy(base, r->base, len);
    memset(r->base, 0xee, len); /* nobody looks there any more */
    munmap(r->base, len);
    r->base = base;
    vgpu_channel_init(&r->ch, base, ORDER);
    close(r->ring_fd);
    close(r->guest_fd);
    r->ring_fd = fds[1];
    r->guest_fd = fds[2];
    attach.ring_order++;
    attach.npages = VGPU_CH_PAGES(ORDER + 1);
    assert_int_equal(ask(r, attach, fds, 3).status, -EINVAL);
    attach.ring_order--;
    attach.npages = pages;
    assert_int_equal(ask(r, attach, fds, 2).status, -EINVAL);
    r->ch.back->alive = 0; /* as the kernel leaves it */
    assert_int_equal(ask(r, attach, fds, 3).status, 0);
    assert_int_equal(r->ch.back->alive, 1);
    assert_int_equal(ask(r, go, NULL, 0).status, -EINVAL); /* the chunk */
    add.npages = 15;
    assert_int_equal(ask(r, add, &small, 1).status, -EINVAL);
    add.npages = 16;
    a = ask(r, add, &again, 1);
    assert_int_equal(a.status, 0);
    assert_true(a.addr == addr);
    move(r, "--unpark");
    assert_int_equal(ask(r, go, NULL, 0).status, 0);
    munmap(mem, 65536);
    mem = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0);
    memset(mem, 0x5a, 100);
    assert_int_equal(wait_reply(r, 0, put(r, VGPU_OP_CopyFromDevice, 0, &from, sizeof(from))), 0);
    assert_int_equal(wait_reply(r, 0, put(r, VGPU_OP_CtxSync, 0, "", 0)), 0);
    assert_memory_equal(mem + 8192, mem, 100);
    a = ask(r, (struct wk_msg){.type = WK_HELLO}, NULL, 0);
    assert_int_equal(a.domid, 7);
    assert_int_equal(a.pid, 4712);
    munmap(mem, 65536);
    close(fds[0]);
    close(chunk);
    close(again);
    close(small);
    assert_int_equal(finish(r), 0);
}

static struct wk_msg prepare_msg(void)
{
    struct wk_msg m = assign_msg();

    m.type = WK_PREPARE;
    m.chunk_pages = 512;
    return m;
}

static void test_prepared(void **state)
{
    struct run *r = start(false);
    struct wk_msg m = {.type = WK_CHUNK_ADD, .kind = WK_LOCAL, .npages = 512, .prepared = 1}, a;
    int fds[2] = {new_memfd(VGPU_CH_PAGES(ORDER), F_SEAL_SHRINK), new_memfd(512, F_SEAL_SHRINK)};
    uint8_t *mem = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
    struct vgpu_in_CopyToDevice to = {.src_len = 100};
    struct vgpu_in_CopyFromDevice from = {.dst_off = 4096, .dst_len = 100};

    assert_int_equal(ask(r, prepare_msg(), fds, 2).status, 0);
    assert_int_equal(ask(r, prepare_msg(), fds, 2).status, -EBUSY);
    assert_int_equal(ask(r, m, &fds[1], 1).status, -EINVAL); /* no guest yet */
    assign_to(r, fds[0]);
    assert_int_equal(r->stats->chunks, 0); /* not asked for yet */
    a = ask(r, m, &fds[1], 1);
    assert_int_equal(a.status, 0);
    assert_int_equal(a.addr, r->ready.pool_base);
    assert_int_equal(r->stats->chunks, 512);
    assert_int_equal(ask(r, m, &fds[1], 1).status, -EEXIST);
    memset(mem, 0x5a, 100);
    to.dst = from.src = alloc(r, 256);
    assert_int_equal(wait_reply(r, 0, put(r, VGPU_OP_CopyToDevice, 0, &to, sizeof(to))), 0);
    assert_int_equal(wait_reply(r, 0, put(r, VGPU_OP_CopyFromDevice, 0, &from, sizeof(from))), 0);
    assert_memory_equal(mem, mem + 4096, 100);
    m.type = WK_CHUNK_DROP;
    assert_int_equal(ask(r, m, NULL, 0).status, 0);
    assert_int_equal(r->stats->chunks, 0);
    m.type = WK_CHUNK_ADD; /* it is prepared no more */
    assert_int_equal(ask(r, m, &fds[1], 1).status, -EINVAL);
    munmap(mem, 2 << 20);
    close(fds[1]);
    assert_int_equal(finish(r), 0);
}

static void test_prepared_in_vain(void **state)
{
    struct run *r = start(false);
    struct wk_msg m = prepare_msg(), add = {.type = WK_CHUNK_ADD, .kind = WK_LOCAL, .npages = 16};
    int fds[2] = {new_memfd(VGPU_CH_PAGES(ORDER), F_SEAL_SHRINK), new_memfd(512, F_SEAL_SHRINK)};
    int small = new_memfd(16, F_SEAL_SHRINK);

    m.chunk_pages = VGPU_MAX_CHUNK_PAGES + 1;
    assert_int_equal(ask(r, m, fds, 2).status, -EINVAL);
    m = prepare_msg();
    m.npages++;
    assert_int_equal(ask(r, m, fds, 2).status, -EINVAL);
    m = prepare_msg();
    m.kind = WK_XEN;
    assert_int_equal(ask(r, m, fds, 2).status, -EINVAL);
    assert_int_equal(ask(r, prepare_msg(), fds, 1).status, -EINVAL);
    assert_int_equal(ask(r, prepare_msg(), NULL, 0).status, 0); /* only the device */
    assert_int_equal(ask(r, prepare_msg(), fds, 2).status, 0);
    assign(r); /* another channel */
    assert_int_equal(ask(r, prepare_msg(), fds, 2).status, -EBUSY);
    assert_int_equal(ask(r, add, &small, 1).status, 0);
    assert_int_equal(r->stats->chunks, 16);
    for (int i = 0; i < 3; i++)
        assert_int_not_equal(alloc(r, 256), 0);
    for (int i = 0; i < 2; i++)
        close(fds[i]);
    close(small);
    assert_int_equal(finish(r), 0);
}

static void test_violation(void **state)
{
    struct run *r = start(false);
    struct wk_msg m;
    uint64_t n;

    assign(r);
    put(r, 0x7777, 0, "", 0);
    receive(r, &m);
    assert_int_equal(m.type, WK_LOG);
    assert_non_null(strstr(m.text, "protocol violation"));
    assert_true(readable(r->guest_fd)); /* the guest is told */
    assert_int_equal(read(r->guest_fd, &n, sizeof(n)), sizeof(n));
    assert_int_equal(r->ch.back->alive, 0);
    assert_int_equal(r->ch.back->sticky, 999);
    assert_int_equal(finish(r), 3);
}

static void test_bad_assign(void **state)
{
    const size_t pages = VGPU_CH_PAGES(ORDER);
    const struct {
        size_t pages;
        int seals, nfds;
        uint32_t order, kind;
    } bad[] = {
        {pages, F_SEAL_SHRINK, 2, ORDER, WK_LOCAL},
        {pages, 0, 3, ORDER, WK_LOCAL},
        {pages - 1, F_SEAL_SHRINK, 3, ORDER, WK_LOCAL},
        {pages, F_SEAL_SHRINK, 3, VGPU_RING_ORDER_MAX + 1, WK_LOCAL},
        {pages, F_SEAL_SHRINK, 3, ORDER, 3},
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct run *r = start(false);
        struct wk_msg m = assign_msg(), a;
        int fds[3] = {new_memfd(bad[i].pages, bad[i].seals), eventfd(0, 0), eventfd(0, 0)};

        m.ring_order = bad[i].order;
        m.kind = bad[i].kind;
        a = ask(r, m, fds, bad[i].nfds);
        assert_int_equal(a.type, WK_DONE);
        assert_int_equal(a.status, -EINVAL);
        assert_int_not_equal(a.text[0], 0);
        fdmsg_close(fds, 3);
        assert_int_equal(finish(r), 0);
    }
}

/* The broker crashes and is started again, while the guest works on. */
static void test_new_broker(void **state)
{
    struct run *r = start(true);
    struct wk_msg a;

    assign(r);
    for (int i = 0; i < 3; i++) {
        close(r->sock);
        alloc(r, 256);
        r->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(r->sock, (struct sockaddr *)&r->addr, sizeof(r->addr)), 0);
        a = ask(r, (struct wk_msg){.type = WK_HELLO}, NULL, 0);
        assert_int_equal(a.type, WK_READY);
        assert_int_equal(a.channel, 1);
        assert_int_equal(a.pid, 4711);
        assert_int_equal(a.ring_order, ORDER);
        assert_true(a.pool_base == r->ready.pool_base && a.dev_base == r->ready.dev_base);
        alloc(r, 256);
    }
    a = ask(r, (struct wk_msg){.type = 99}, NULL, 0);
    assert_int_equal(a.status, -EINVAL);
    /* Without a broker it would wait for the next one: end it. */
    assert_int_equal(
        fdmsg_send(r->sock, &(struct wk_msg){.type = WK_QUIT}, sizeof(struct wk_msg), NULL, 0), 0);
    assert_int_equal(finish(r), 0);
}

static int exit_of(char *const argv[])
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        close(WK_FD_SOCKET);
        dup2(open("/dev/null", O_WRONLY), 2);
        execv(worker_path, argv);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_arguments(void **state)
{
    char *a[] = {"gvm-worker", "--mem", "-1", NULL};
    char *b[] = {"gvm-worker", "--kind", "opencl", NULL};
    char *c[] = {"gvm-worker", "--window-try", "16", NULL};
    char *d[] = {"gvm-worker", "extra", NULL};
    char *e[] = {"gvm-worker", NULL}; /* no socket */

    assert_int_equal(exit_of(a), 2);
    assert_int_equal(exit_of(b), 2);
    assert_int_equal(exit_of(c), 2);
    assert_int_equal(exit_of(d), 2);
    assert_int_equal(exit_of(e), 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),       cmocka_unit_test(test_eof),
        cmocka_unit_test(test_chunks),     cmocka_unit_test(test_violation),
        cmocka_unit_test(test_prepared),   cmocka_unit_test(test_prepared_in_vain),
        cmocka_unit_test(test_bad_assign), cmocka_unit_test(test_new_broker),
        cmocka_unit_test(test_arguments),  cmocka_unit_test(test_moved),
    };
    char *slash = strrchr(argv[0], '/');

#ifdef __SANITIZE_THREAD__
    printf("skipped: the thread sanitizer's memory layout has no room for address windows\n");
    return 0;
#endif
    if (argc > 1)
        snprintf(worker_path, sizeof(worker_path), "%s", argv[1]);
    else
        snprintf(worker_path, sizeof(worker_path), "%.*sgvm-worker-mock",
                 slash ? (int)(slash - argv[0]) + 1 : 0, argv[0]);
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    if (access(worker_path, X_OK) < 0) {
        fprintf(stderr, "%s: %s\n", worker_path, strerror(errno));
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The broker's answers to workers that export and import: of one guest, of another, of nobody. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/broker/broker.h"
#include "dom0-backend/broker/tenant.h"

static struct broker b;
static struct host hosts[3];
static struct chan chans[4];
static struct worker workers[4];
static struct tenant tenants[2];
static uint64_t twice;
static struct wk_msg answer;
static int answer_fd;
static unsigned answers;

void tenant_count_holds(struct tenant *t)
{
    twice = holds_credit(&t->holds);
}

int worker_send(struct worker *w, const struct wk_msg *m, const int *fds, int nfds)
{
    answers++;
    answer = *m;
    answer_fd = nfds ? dup(fds[0]) : -1;
    return 0;
}

/* Workers 0 and 1 of domain 5, 2 of domain 6, 3 of the local socket; all serve. */
static int setup(void **state)
{
    static const uint64_t guests[3] = {GUEST_DOMAIN(5), GUEST_DOMAIN(6), GUEST_LOCAL};
    static const unsigned of[4] = {0, 0, 1, 2};

    memset(&b, 0, sizeof(b));
    memset(workers, 0, sizeof(workers));
    for (unsigned i = 0; i < 3; i++)
        hosts[i] = (struct host){.b = &b, .guest = guests[i]};
    for (unsigned i = 0; i < 4; i++) {
        chans[i] = (struct chan){.host = &hosts[of[i]]};
        workers[i] = (struct worker){
            .b = &b, .state = WORKER_SERVING, .ch = &chans[i], .params = {.device = "0"}};
    }
    answers = 0;
    return 0;
}

static int teardown(void **state)
{
    for (unsigned i = 0; i < 4; i++)
        shares_drop_owner(&b.shares, &workers[i]);
    assert_int_equal(b.shares.n, 0);
    return 0;
}

static struct wk_msg ask(unsigned from, struct wk_msg m, int fd)
{
    m.seq = 77;
    answer_fd = -1;
    assert_true(share_message(&workers[from], &m, &fd, fd >= 0));
    if (m.type != WK_UNEXPORT && m.type != WK_GONE) {
        assert_int_equal(answer.type, WK_ANSWER);
        assert_int_equal(answer.seq, 77);
    }
    if (fd >= 0) /* not taken: the caller closes it */
        close(fd);
    return answer;
}

/* Exports a file of `size` octets; the message that imports it. */
static struct wk_msg export(unsigned from, off_t size)
{
    struct wk_msg m = {.type = WK_EXPORT, .share = {.kind = WK_SHARE_MEM, .meta = {11, 22}}};
    int fd = memfd_create("x", MFD_CLOEXEC);

    assert_int_equal(ftruncate(fd, size), 0);
    m = ask(from, m, fd);
    assert_int_equal(m.status, 0);
    m.type = WK_IMPORT;
    m.share.kind = WK_SHARE_MEM;
    return m;
}

static void refused(unsigned from, const struct wk_msg *m)
{
    struct wk_msg a = ask(from, *m, -1);

    assert_int_equal(a.status, -ENOENT);
    assert_int_equal(answer_fd, -1);
    assert_int_equal(a.share.meta[0], 0);
}

static void test_same_guest(void **state)
{
    struct wk_msg m = export(0, 4096), a = ask(1, m, -1);
    struct stat st;

    assert_int_equal(a.status, 0);
    assert_int_equal(a.share.meta[1], 22);
    assert_int_equal(a.share.own, 0);
    assert_int_equal(fstat(answer_fd, &st), 0);
    assert_int_equal(st.st_size, 4096);
    close(answer_fd);
    a = ask(0, m, -1);
    assert_int_equal(a.share.own, 1);
    close(answer_fd);
}

static void test_foreign_guest(void **state)
{
    struct wk_msg m = export(0, 4096);

    refused(2, &m); /* another domain */
    refused(3, &m); /* a process of this machine */
    m = export(3, 4096);
    refused(0, &m);
    assert_int_equal(ask(3, m, -1).status, 0);
    close(answer_fd);
}

static void test_invented_token(void **state)
{
    struct wk_msg m = export(0, 4096), bad = m;

    bad.share.token[15] ^= 0x80;
    refused(1, &bad);
    memset(bad.share.token, 0, sizeof(bad.share.token));
    refused(1, &bad);
    bad = m;
    bad.share.kind = WK_SHARE_MEMORY; /* exported as something else */
    refused(1, &bad);
    strcpy(workers[1].params.device, "1"); /* on another device */
    refused(1, &m);
}

static void test_after_death(void **state)
{
    struct wk_msg m = export(0, 4096), n = export(1, 8192);

    shares_drop_owner(&b.shares, &workers[0]);
    refused(1, &m);
    assert_int_equal(ask(1, n, -1).status, 0);
    close(answer_fd);
    n.type = WK_UNEXPORT; /* of another worker's: without effect */
    workers[0].state = WORKER_SERVING;
    ask(0, n, -1);
    n.type = WK_IMPORT;
    assert_int_equal(ask(1, n, -1).status, 0);
    close(answer_fd);
    n.type = WK_UNEXPORT;
    ask(1, n, -1);
    n.type = WK_IMPORT;
    refused(0, &n);
}

/* What several processes of a guest have is counted once, if it is of the same quota. */
static void test_counted_once(void **state)
{
    struct wk_msg m = {.type = WK_EXPORT, .share = {.kind = WK_SHARE_MEM, .size = 1000}};

    twice = 0;
    memset(tenants, 0, sizeof(tenants));
    workers[0].tenant = workers[1].tenant = &tenants[0];
    m = ask(0, m, -1);
    m.type = WK_IMPORT;
    m.share.kind = WK_SHARE_MEM;
    ask(0, m, -1); /* which it may not */
    assert_int_equal(twice, 0);
    ask(1, m, -1);
    ask(1, m, -1);
    assert_int_equal(twice, 2000);
    m.type = WK_GONE;
    ask(1, m, -1);
    assert_int_equal(twice, 1000);
    workers[1].tenant = &tenants[1]; /* of another vgpu of the guest */
    ask(1, m, -1);
    m.type = WK_IMPORT;
    ask(1, m, -1);
    assert_int_equal(holds_credit(&tenants[0].holds), 1000);
    assert_int_equal(twice, 0);
    workers[1].tenant = &tenants[0];
    m.type = WK_UNEXPORT;
    ask(1, m, -1); /* of no effect: it is not its own */
    ask(0, m, -1);
    m.type = WK_GONE;
    ask(0, m, -1);
    ask(1, m, -1);
    assert_null(tenants[0].holds.list);
    /* More than there is: not to be believed. */
    workers[0].params.mem = 100;
    m = (struct wk_msg){.type = WK_EXPORT, .share = {.kind = WK_SHARE_MEM, .size = 101}};
    ask(0, m, -1);
    assert_null(tenants[0].holds.list);
}

/* A worker that breaks the rules is told nothing (it is killed). */
static void test_rules(void **state)
{
    struct wk_msg m = {.type = WK_EXPORT, .share = {.kind = 0}};
    int fd = -1;

    assert_false(share_message(&workers[0], &m, &fd, 0));
    m.share.kind = WK_SHARE_KINDS;
    assert_false(share_message(&workers[0], &m, &fd, 0));
    m.share.kind = WK_SHARE_MEM;
    workers[0].state = WORKER_WARM; /* serves nobody */
    assert_false(share_message(&workers[0], &m, &fd, 0));
    workers[0].state = WORKER_SERVING;
    workers[0].ch = NULL;
    assert_false(share_message(&workers[0], &m, &fd, 0));
    m.type = WK_IMPORT; /* takes no descriptor */
    fd = 0;
    assert_false(share_message(&workers[1], &m, &fd, 1));
    assert_int_equal(answers, 0);
}

static void test_segments(void **state)
{
    struct wk_msg m = {.type = WK_SEGMENT, .share = {.size = 3 * 4096}};
    struct stat st;

    assert_int_equal(ask(0, m, -1).status, 0);
    assert_int_equal(fstat(answer_fd, &st), 0);
    assert_int_equal(st.st_size, 3 * 4096);
    assert_int_equal(ftruncate(answer_fd, 4096), -1); /* sealed */
    assert_int_equal(ftruncate(answer_fd, 1 << 20), -1);
    close(answer_fd);
    m.share.size = 0;
    assert_int_equal(ask(0, m, -1).status, -EINVAL);
    m.share.size = 100;
    assert_int_equal(ask(0, m, -1).status, -EINVAL);
    m.share.size = 1ull << 50;
    assert_int_equal(ask(0, m, -1).status, -EINVAL);
    workers[0].params.mem = 1 << 20; /* its quota */
    m.share.size = 2 << 20;
    assert_int_equal(ask(0, m, -1).status, -EINVAL);
    assert_int_equal(answer_fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_guest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_guest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_invented_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_after_death, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counted_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(test_segments, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

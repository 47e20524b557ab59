/* SPDX-License-Identifier: MIT */
/* The end of a connection to XenStore is noticed: a daemon that answers, and then hangs up. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/common/xslife.h"

struct header { /* xs_wire.h's xsd_sockmsg */
    uint32_t type, req, tx, len;
};

static struct {
    int listen, conn;
    pthread_t thread;
    char dir[64], path[80];
} d;

/* Answers whatever is asked with the same type and a short text. */
static void *serve(void *arg)
{
    struct header h;
    char body[4096];

    d.conn = accept(d.listen, NULL, NULL);
    while (recv(d.conn, &h, sizeof(h), MSG_WAITALL) == (ssize_t)sizeof(h) &&
           (h.len == 0 || recv(d.conn, body, h.len, MSG_WAITALL) == (ssize_t)h.len)) {
        h.len = 3;
        memcpy(body, "OK", 3);
        if (send(d.conn, &h, sizeof(h), MSG_NOSIGNAL) < 0 ||
            send(d.conn, body, 3, MSG_NOSIGNAL) < 0)
            break;
    }
    return NULL;
}

static int start(void **state)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    strcpy(d.dir, "/tmp/gvm-xslife-XXXXXX");
    if (!mkdtemp(d.dir))
        return -1;
    snprintf(d.path, sizeof(d.path), "%s/socket", d.dir);
    setenv("XENSTORED_RUNDIR", d.dir, 1);
    strcpy(a.sun_path, d.path);
    d.listen = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(d.listen, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(d.listen, 4) < 0)
        return -1;
    return pthread_create(&d.thread, NULL, serve, NULL);
}

static int stop(void **state)
{
    close(d.listen);
    unlink(d.path);
    rmdir(d.dir);
    return 0;
}

static int readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, ms);
}

static void test_hangup(void **state)
{
    int hangup = -1;
    struct xs_handle *xs = xs_open_watched(&hangup);

    assert_non_null(xs);
    assert_true(hangup >= 0);
    assert_true(xs_watch(xs, "@releaseDomain", "t")); /* the library's thread reads from now on */
    assert_false(xs_lost(xs));
    assert_int_equal(readable(hangup, 0), 0); /* answers are not what it tells */
    shutdown(d.conn, SHUT_RDWR);
    pthread_join(d.thread, NULL);
    assert_int_equal(readable(hangup, 5000), 1);
    assert_true(xs_lost(xs));
    assert_true(xs_lost(xs));
    assert_int_equal(readable(hangup, 0), 1);
    close(hangup);
    xs_close(xs);
}

static void test_no_daemon(void **state)
{
    int hangup = 7;

    setenv("XENSTORED_RUNDIR", "/nonexistent", 1);
    setenv("XENSTORED_PATH", "/nonexistent", 1);
    assert_null(xs_open_watched(&hangup));
    assert_int_equal(hangup, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hangup, start, stop),
        cmocka_unit_test(test_no_daemon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* A socket's path is there only once it can be connected to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dom0-backend/broker/listen.h"

static char dir[] = "/tmp/test_listen.XXXXXX", path[64];

static int setup(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/sock", dir);
    return 0;
}

static int teardown(void **state)
{
    unlink(path);
    return rmdir(dir);
}

static int try_connect(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), err;

    strcpy(a.sun_path, path);
    err = connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? errno : 0;
    close(fd);
    return err;
}

static unsigned entries(void)
{
    DIR *d = opendir(dir);
    unsigned n = 0;

    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(d);
    return n;
}

static atomic_uint refused;
static atomic_bool done;

/* Connects whenever the path is there. */
static void *knock(void *arg)
{
    while (!atomic_load(&done))
        if (try_connect() == ECONNREFUSED)
            atomic_fetch_add(&refused, 1);
    return NULL;
}

static void test_never_refused(void **state)
{
    pthread_t t;
    int fd[500];

    pthread_create(&t, NULL, knock, NULL);
    for (int i = 0; i < 500; i++) {
        fd[i] = listen_at(path, SOCK_STREAM, 128);
        unlink(path);
    }
    atomic_store(&done, true);
    pthread_join(t, NULL);
    /* Not before: who has found a path may still be on his way. */
    for (int i = 0; i < 500; i++) {
        assert_true(fd[i] >= 0);
        close(fd[i]);
    }
    assert_int_equal(atomic_load(&refused), 0);
}

static void test_what_is_there(void **state)
{
    char longest[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    struct stat st;
    mode_t old = umask(0177);
    int fd = listen_at(path, SOCK_STREAM | SOCK_NONBLOCK, 1);

    umask(old);
    assert_true(fd >= 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(try_connect(), 0);
    /* One that is there stays, and nothing is left beside it. */
    assert_int_equal(listen_at(path, SOCK_STREAM, 1), -EADDRINUSE);
    assert_int_equal(try_connect(), 0);
    assert_int_equal(entries(), 1);
    close(fd);
    /* One that nobody serves any more too: it may not be ours. */
    assert_int_equal(listen_at(path, SOCK_STREAM, 1), -EADDRINUSE);
    unlink(path);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(listen_at(longest, SOCK_STREAM, 1), -ENAMETOOLONG);
    /* A short name in a long folder too: another name comes first there. */
    memset(longest, 'x', sizeof(longest));
    strcpy(longest + LISTEN_DIR_MAX, "/s");
    assert_int_equal(listen_at(longest, SOCK_STREAM, 1), -ENAMETOOLONG);
    strcpy(longest + LISTEN_DIR_MAX - 1, "/s");
    assert_int_equal(listen_at(longest, SOCK_STREAM, 1), -ENOENT);
    assert_int_equal(listen_at("/there/is/no/such", SOCK_STREAM, 1), -ENOENT);
    assert_int_equal(entries(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_refused),
        cmocka_unit_test(test_what_is_there),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

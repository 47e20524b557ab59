/* SPDX-License-Identifier: MIT */
/* Whether an MPS control daemon listens, and what is said if not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/broker/mps.h"

static char dir[] = "/tmp/gvm-mps-XXXXXX";
static struct sockaddr_un a = {.sun_family = AF_UNIX};
static char why[320];

static int setup(void **state)
{
    strcpy(dir + sizeof(dir) - 7, "XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(a.sun_path, sizeof(a.sun_path), "%s/control", dir);
    return 0;
}

static int teardown(void **state)
{
    unlink(a.sun_path);
    return rmdir(dir);
}

static void refused(const char *reason)
{
    assert_false(mps_found(dir, why, sizeof(why)));
    assert_non_null(strstr(why, dir));
    assert_non_null(strstr(why, "nvidia-cuda-mps-control -d"));
    if (!strstr(why, reason))
        fail_msg("%s", why);
}

static int listening(int type)
{
    int fd = socket(AF_UNIX, type, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void test_absent(void **state)
{
    char path[200];

    refused("No such file");
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_false(mps_found(path, why, sizeof(why)));
    assert_non_null(strstr(why, "at most 100 octets"));
    assert_false(mps_found("relative", why, sizeof(why)));
}

static void test_socket(void **state)
{
    int fd = listening(SOCK_STREAM);

    refused("refused"); /* bound, nobody listens */
    assert_int_equal(listen(fd, 1), 0);
    for (int i = 0; i < 10; i++) /* whatever its queue holds */
        assert_true(mps_found(dir, why, sizeof(why)));
    close(fd);
    refused("refused"); /* left behind */
}

static void test_other_socket(void **state)
{
    int fd = listening(SOCK_SEQPACKET);

    assert_int_equal(listen(fd, 1), 0);
    assert_true(mps_found(dir, why, sizeof(why)));
    close(fd);
}

static void test_pipe(void **state)
{
    int fd;

    assert_int_equal(mkfifo(a.sun_path, 0600), 0);
    refused("No such device"); /* nobody reads */
    fd = open(a.sun_path, O_RDONLY | O_NONBLOCK);
    assert_true(mps_found(dir, why, sizeof(why)));
    close(fd);
}

static void test_file(void **state)
{
    close(open(a.sun_path, O_WRONLY | O_CREAT, 0600));
    refused("ocket");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_absent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

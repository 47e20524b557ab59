/* SPDX-License-Identifier: MIT */
/*
 * What a worker cannot do after its lock-down, and what it still can. Each case runs in a child,
 * as the filter cannot be taken off again.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <xen/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntdev.h>

#include "dom0-backend/common/log.h"
#include "dom0-backend/transport/handoff.h"
#include "dom0-backend/worker/worker.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FILTERED 0
#else
#define FILTERED 1
#endif

#define SKIP_UNFILTERED()                                                                          \
    do {                                                                                           \
        if (!FILTERED) {                                                                           \
            print_message("skipped: sanitizers do not work behind the filter\n");                  \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

/* Runs fn behind the filter; returns the wait status. fn returns 0 when all is as expected, else
 * the number of what was not. */
static int locked_for(bool xen, bool driver, bool jit, int (*fn)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        const struct rlimit none = {0, 0};

        setrlimit(RLIMIT_CORE, &none);
        if (confine_lock(xen, driver, jit) != 0)
            _exit(100);
        _exit(fn());
    }
    assert_int_not_equal(pid, -1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int locked(bool xen, int (*fn)(void))
{
    return locked_for(xen, false, false, fn);
}

static void assert_ok(int status)
{
    if (WIFSIGNALED(status))
        fail_msg("killed by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status))
        fail_msg("check %d failed", WEXITSTATUS(status));
}

#define DENIED(n, call)                                                                            \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if ((long)(call) != -1 || errno != EPERM)                                                  \
            return (n);                                                                            \
    } while (0)

static int forbidden(void)
{
    void *p;

    DENIED(1, open("/dev/null", O_RDONLY));
    DENIED(2, syscall(SYS_open, "/etc/passwd", O_RDONLY));
    DENIED(3, socket(AF_UNIX, SOCK_STREAM, 0));
    DENIED(4, socket(AF_INET, SOCK_STREAM, 0));
    DENIED(5, mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                   0));
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 6;
    DENIED(7, mprotect(p, 4096, PROT_READ | PROT_EXEC));
    DENIED(8, syscall(SYS_kill, 1, 0));
    DENIED(9, fcntl(0, F_SETFL, 0));
    DENIED(10, fcntl(0, F_DUPFD, 3));
    DENIED(11, fcntl(0, F_ADD_SEALS, 0));
    DENIED(12, fcntl(0, F_SETPIPE_SZ, 4096));
    DENIED(13, syscall(SYS_memfd_create, "x", 0));
    /* What sharing memory needs. */
    if (fcntl(0, F_DUPFD_CLOEXEC, 3) < 0)
        return 14;
    errno = 0;
    if (fcntl(0, F_GET_SEALS) == -1 && errno == EPERM)
        return 15;
    return 0;
}

/* The kernel takes a command's low 32 bits: a set bit above must not get one past the filter. */
static int ioctls(void)
{
    const unsigned long high = 1ul << 32;

    DENIED(1, syscall(SYS_ioctl, 0, IOCTL_GNTDEV_MAP_GRANT_REF, NULL));
    DENIED(2, syscall(SYS_ioctl, 0, IOCTL_GNTDEV_MAP_GRANT_REF | high, NULL));
    DENIED(3, syscall(SYS_ioctl, 0, IOCTL_EVTCHN_BIND_INTERDOMAIN, NULL));
    DENIED(4, syscall(SYS_ioctl, 0, IOCTL_EVTCHN_BIND_INTERDOMAIN | high, NULL));
    DENIED(5, syscall(SYS_ioctl, 0, IOCTL_EVTCHN_UNBIND, NULL));
    DENIED(6, syscall(SYS_ioctl, 0, IOCTL_EVTCHN_RESET | high << 7, NULL));
    DENIED(7, syscall(SYS_ioctl, 0, TIOCSTI, ""));
    DENIED(8, syscall(SYS_ioctl, 0, TIOCSTI | high << 3, ""));
    DENIED(9, syscall(SYS_ioctl, 0, 0, NULL));
    return 0;
}

static int notify_passes(void)
{
    /* Not an event channel, so the kernel answers, and not the filter. */
    errno = 0;
    if (syscall(SYS_ioctl, -1, IOCTL_EVTCHN_NOTIFY, NULL) != -1 || errno != EBADF)
        return 20;
    return ioctls();
}

static int notify_denied(void)
{
    DENIED(20, syscall(SYS_ioctl, -1, IOCTL_EVTCHN_NOTIFY, NULL));
    return ioctls();
}

static void *thread_main(void *arg)
{
    *(int *)arg = open("/dev/null", O_RDONLY) == -1 && errno == EPERM;
    return arg;
}

static int useful(void)
{
    char *big = malloc(8 << 20);
    pthread_t t;
    int seen = 0;

    if (!big)
        return 1;
    memset(big, 1, 8 << 20);
    big = realloc(big, 32 << 20);
    if (!big)
        return 2;
    free(big);
    if (pthread_create(&t, NULL, thread_main, &seen) != 0)
        return 3;
    pthread_join(t, NULL);
    if (FILTERED && !seen)
        return 4;
    log_info("%s", "a line from behind the filter");
    return 0;
}

static int executes(void)
{
    char *argv[] = {"/bin/true", NULL};

    execv(argv[0], argv);
    return 1;
}

static int forks(void)
{
    fork();
    return 1;
}

static int ptraces(void)
{
    syscall(SYS_ptrace, 0, 0, 0, 0);
    return 1;
}

/* A thread that exists before the filter is behind it too (TSYNC). */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *gated_main(void *arg)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return thread_main(arg);
}

static void test_older_threads(void **state)
{
    int status;
    pid_t pid;

    SKIP_UNFILTERED();
    pid = fork();
    if (pid == 0) {
        pthread_t t;
        int seen = 0;

        pthread_mutex_lock(&gate);
        if (pthread_create(&t, NULL, gated_main, &seen) != 0 ||
            confine_lock(false, false, false) != 0)
            _exit(100);
        pthread_mutex_unlock(&gate);
        pthread_join(t, NULL);
        _exit(seen ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_ok(status);
}

static void test_forbidden(void **state)
{
    SKIP_UNFILTERED();
    assert_ok(locked(false, forbidden));
    assert_ok(locked(true, forbidden));
}

static void test_ioctl(void **state)
{
    SKIP_UNFILTERED();
    assert_ok(locked(true, notify_passes));
    assert_ok(locked(false, notify_denied));
}

/* A client of MPS talks to its server, and to nobody else. */
static int mps_sockets(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/nowhere"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0)
        return 1;
    errno = 0;
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != -1 || errno != ENOENT)
        return 2;
    errno = 0;
    if (socket(AF_INET, SOCK_STREAM, 0) != -1 || errno != EACCES)
        return 3;
    errno = 0;
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != -1 || errno != EPERM)
        return 4;
    return 0;
}

static int no_sockets(void)
{
    DENIED(1, socket(AF_UNIX, SOCK_STREAM, 0));
    return 0;
}

static void test_mps(void **state)
{
    SKIP_UNFILTERED();
    assert_ok(locked_for(true, true, false, no_sockets));
    setenv("CUDA_MPS_PIPE_DIRECTORY", "/nowhere", 1);
    assert_ok(locked_for(true, true, false, mps_sockets));
    /* The software device is no client. */
    assert_ok(locked_for(true, false, false, no_sockets));
    unsetenv("CUDA_MPS_PIPE_DIRECTORY");
}

static void test_useful(void **state)
{
    assert_ok(locked(false, useful));
}

static void test_killed(void **state)
{
    int (*const fns[])(void) = {executes, forks, ptraces};

    SKIP_UNFILTERED();
    for (size_t i = 0; i < sizeof(fns) / sizeof(fns[0]); i++) {
        int status = locked(false, fns[i]);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
}

#define REFUSED(n, call)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if ((long)(call) != -1 || (errno != EPERM && errno != EACCES))                             \
            return (n);                                                                            \
    } while (0)

/* Behind a GPU's driver more passes, but nothing of Xen's, and no program is started. */
static int driver_forbidden(void)
{
    const unsigned long high = 1ul << 32;
    char *argv[] = {"/bin/true", NULL};

    REFUSED(1, syscall(SYS_ioctl, 0, IOCTL_GNTDEV_MAP_GRANT_REF, NULL));
    REFUSED(2, syscall(SYS_ioctl, 0, IOCTL_GNTDEV_MAP_GRANT_REF | high, NULL));
    REFUSED(3, syscall(SYS_ioctl, 0, IOCTL_EVTCHN_BIND_INTERDOMAIN, NULL));
    REFUSED(4, syscall(SYS_ioctl, 0, IOCTL_EVTCHN_BIND_INTERDOMAIN | high, NULL));
    REFUSED(5, syscall(SYS_ioctl, 0, TIOCSTI, ""));
    REFUSED(6, socket(AF_INET, SOCK_STREAM, 0));
    REFUSED(7, execv(argv[0], argv));
    REFUSED(8, fork());
    REFUSED(9, syscall(SYS_ptrace, 0, 0, 0, 0));
    REFUSED(10, mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0));
    /* The driver's own: the kernel answers that this is no such device. */
    errno = 0;
    if (syscall(SYS_ioctl, -1, 'F' << 8 | 0x2a, NULL) != -1 || errno != EBADF)
        return 11;
    return 0;
}

static void test_driver(void **state)
{
    SKIP_UNFILTERED();
    assert_ok(locked_for(false, true, false, driver_forbidden));
    assert_ok(locked_for(true, true, false, driver_forbidden));
}

/* With a compiler: pages become executable, but are never writable at the same time. */
static int makes_code(void)
{
    static const unsigned char ret[] = {0xb8, 7, 0, 0, 0, 0xc3}; /* mov eax, 7; ret */
    const size_t page = 4096;
    void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int (*fn)(void);

    if (p == MAP_FAILED)
        return 1;
    memcpy(p, ret, sizeof(ret));
    DENIED(2, mprotect(p, page, PROT_READ | PROT_WRITE | PROT_EXEC));
    DENIED(3, mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (mprotect(p, page, PROT_READ | PROT_EXEC))
        return 4;
    memcpy(&fn, &p, sizeof(fn));
    return fn() == 7 ? 0 : 5;
}

static void test_code(void **state)
{
    SKIP_UNFILTERED();
    assert_ok(locked_for(false, false, true, makes_code));
    assert_ok(locked_for(true, false, true, makes_code));
}

/* An ordinary user, without privileges: the early half must not fail, whatever the host allows. */
static void test_start(void **state)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct rlimit r;

        if (getuid() == 0 && setuid(65534) < 0)
            _exit(100);
        confine_start();
        getrlimit(RLIMIT_CORE, &r);
        _exit(r.rlim_max == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_ok(status);
}

/* The threads' descriptor is there until the lock-down; whatever else has its number is not kept. */
static int names_kept(void)
{
    struct stat st;
    int fd;

    if (getuid() == 0 && setuid(65534) < 0)
        return 1;
    if (dup2(0, WK_FD_NAMES) < 0)
        return 2;
    confine_start();
    if (fstat(WK_FD_NAMES, &st) == 0)
        return 3;
    fd = open("/proc/self/task", O_PATH | O_DIRECTORY);
    if (fd < 0 || (fd != WK_FD_NAMES && dup2(fd, WK_FD_NAMES) < 0))
        return 4;
    confine_start();
    if (fstat(WK_FD_NAMES, &st) < 0 || fstat(WK_FD_NAMES + 1, &st) == 0)
        return 5;
    if (confine_lock(false, true, false) != 0)
        return 6;
    return fstat(WK_FD_NAMES, &st) == 0 ? 7 : 0;
}

static void test_names(void **state)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(names_kept());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_ok(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forbidden),     cmocka_unit_test(test_ioctl),
        cmocka_unit_test(test_mps),           cmocka_unit_test(test_useful),
        cmocka_unit_test(test_killed),        cmocka_unit_test(test_start),
        cmocka_unit_test(test_older_threads), cmocka_unit_test(test_driver),
        cmocka_unit_test(test_code),          cmocka_unit_test(test_names),
    };

    log_init("test", LOG_INFO_);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

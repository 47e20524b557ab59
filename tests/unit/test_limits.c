/* SPDX-License-Identifier: MIT */
/* What a confined worker sees of the file system, and the files of its cgroup. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/broker/cgroup.h"
#include "dom0-backend/broker/root.h"
#include "dom0-backend/common/log.h"

static char dir[64];

static int set_up(void **state)
{
    strcpy(dir, "/tmp/gvm-limits-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[96];

    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void put(const char *name, const char *text)
{
    char path[200];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static const char *get(const char *name)
{
    static char text[200];
    char path[200];
    size_t n = 0;
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "r");
    if (f) {
        n = fread(text, 1, sizeof(text) - 1, f);
        fclose(f);
    }
    text[n] = '\0';
    return text;
}

static void make_dir(const char *name)
{
    char path[200];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

/* ---- which GPU */

static void test_gpu_minor(void **state)
{
    assert_int_equal(root_gpu_minor("/nowhere", "0"), -1);
    make_dir("0000:01:00.0");
    put("0000:01:00.0/information", "Model: \t\t NVIDIA H200\nIRQ:   \t\t 5\nGPU UUID: \t GPU-11\n"
                                    "Bus Location: \t 0000:01:00.0\nDevice Minor: \t 3\n");
    assert_int_equal(root_gpu_minor(dir, "0"), 3);
    assert_int_equal(root_gpu_minor(dir, "GPU-11"), 3);
    assert_int_equal(root_gpu_minor(dir, "GPU-1"), -1);
    make_dir("0000:02:00.0");
    put("0000:02:00.0/information", "GPU UUID: \t GPU-22\nDevice Minor: \t 0\n");
    assert_int_equal(root_gpu_minor(dir, "GPU-22"), 0);
    assert_int_equal(root_gpu_minor(dir, "GPU-11"), 3);
    assert_int_equal(root_gpu_minor(dir, "1"), -1); /* whose order is not known */
    make_dir("0000:03:00.0");
    put("0000:03:00.0/information", "garbage");
    assert_int_equal(root_gpu_minor(dir, "GPU-22"), 0);
}

/* ---- the file system */

#define GONE(n, path)                                                                              \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if (open(path, O_RDONLY) >= 0 || errno != ENOENT)                                          \
            return n;                                                                              \
    } while (0)

/* What a client of MPS has besides. */
static int look_mps(void)
{
    int fd;

    root_make(true, -1, dir);
    GONE(1, "/dev/shm");
    if (access(dir, R_OK) < 0)
        return 2;
    errno = 0;
    fd = creat("/x", 0600);
    if (fd >= 0 || errno != EROFS)
        return 3;
    if (open("/proc/self/comm", O_RDWR) < 0)
        return 6;
    if (open("/proc/sys/kernel/hostname", O_WRONLY) >= 0 || errno != EROFS)
        return 7;
    if (chdir(dir) < 0 || open("pipe", O_RDWR) < 0 || open("control_lock", O_RDWR) < 0)
        return 4;
    return setresuid(60000, 60000, 60000) == 0 && creat("x", 0600) >= 0 ? 5 : 0;
}

static void *own_name(void *arg)
{
    *(pid_t *)arg = gettid();
    pause();
    return NULL;
}

/* By the descriptor a worker, which is not root, names its threads, and no more. */
static int look_names(int names)
{
    static const char *const above[] = {"../status", "../../sys/kernel/hostname", "../cmdline",
                                        "../../../etc/passwd"};
    static const char name[] = "cuda-EvtHandlr";
    volatile pid_t tid = 0;
    char path[64], got[32] = "";
    pthread_t t;
    int fd;

    if (names < 0 || openat(names, "1/comm", O_RDONLY) < 0)
        return 40;
    if (setresuid(60000, 60000, 60000) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        pthread_create(&t, NULL, own_name, (void *)(uintptr_t)&tid) != 0)
        return 41;
    while (!tid)
        sched_yield();
    snprintf(path, sizeof(path), "%d/comm", (int)tid);
    fd = openat(names, path, O_WRONLY);
    if (fd < 0 || write(fd, name, strlen(name)) < 0)
        return 42;
    snprintf(path, sizeof(path), "/proc/self/task/%d/comm", (int)tid);
    fd = open(path, O_RDONLY);
    if (fd < 0 || read(fd, got, sizeof(got) - 1) < 0 || strncmp(got, name, strlen(name)) != 0)
        return 43;
    if (open(path, O_WRONLY) >= 0 || errno != EROFS)
        return 44;
    if (openat(names, "1/mem", O_RDWR) >= 0 || errno != EACCES)
        return 45;
    for (size_t i = 0; i < sizeof(above) / sizeof(above[0]); i++)
        if (openat(names, above[i], O_RDONLY) >= 0 || errno != ENOENT)
            return 46;
    if (open("/proc/self/mem", O_RDWR) >= 0)
        return 47;
    return 0;
}

static int look(bool driver)
{
    int fd, names = root_make(driver, -1, NULL);
    char c;

    GONE(1, "/etc/passwd");
    GONE(2, "/run");
    GONE(3, "/tmp");
    GONE(4, "/sys");
    GONE(5, "/dev/mem");
    GONE(6, "/dev/xen");
    GONE(14, "/dev/shm");
    GONE(7, "/dev/tty");
    GONE(8, "/root");
    GONE(9, "/var");
    if (open("/dev/null", O_RDWR) < 0 || open("/usr/lib", O_RDONLY) < 0)
        return 10;
    if (open("/x", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EROFS)
        return 11;
    if (open("/usr/lib/x", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EROFS)
        return 12;
    if (open("/proc/sys/kernel/hostname", O_WRONLY) >= 0)
        return 13;
    if (!driver) {
        GONE(20, "/proc/meminfo");
        GONE(21, "/proc/keys");
        GONE(22, "/proc/sys");
        return names < 0 ? 0 : 23;
    }
    if (open("/proc/meminfo", O_RDONLY) < 0)
        return 30;
    fd = open("/proc/keys", O_RDONLY); /* covered: /dev/null */
    if (fd >= 0 && read(fd, &c, 1) != 0)
        return 31;
    GONE(32, "/proc/bus/pci");
    GONE(33, "/proc/irq/0");
    fd = open("/proc/kallsyms", O_RDONLY);
    if (fd >= 0 && read(fd, &c, 1) != 0)
        return 34;
    return look_names(names);
}

/* 200: this user, or this machine, has no namespaces to give. */
static int in_namespaces(bool driver, bool mps)
{
    int status;
    pid_t pid = fork(), inner;

    if (pid == 0) {
        if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWPID) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            _exit(200);
        root_prepare();
        inner = fork();
        if (inner == 0)
            _exit(mps ? look_mps() : look(driver));
        waitpid(inner, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 201);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 202;
}

static void test_root(void **state)
{
    int plain = in_namespaces(false, false);
    char path[200];

    if (plain == 200) {
        print_message("skipped: no namespaces without privileges\n");
        skip();
    }
    assert_int_equal(plain, 0);
    assert_int_equal(in_namespaces(true, false), 0);
    snprintf(path, sizeof(path), "%s/pipe", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    put("control_lock", "");
    assert_int_equal(in_namespaces(true, true), 0);
}

/* ---- cgroups; files that are just files */

static unsigned lines;
static char last[256];

static void count_line(enum log_level level, const char *line)
{
    lines++;
    snprintf(last, sizeof(last), "%s", line);
}

static void test_cgroup_none(void **state)
{
    lines = 0;
    log_hook(count_line, LOG_DEBUG_);
    cgroup_start("/proc/nowhere");
    assert_int_equal(lines, 1);
    assert_non_null(strstr(last, "/proc/nowhere"));
    assert_int_equal(cgroup_make(1, 1 << 20), -1);
    cgroup_weigh(1, 1);
    cgroup_remove(1);
    assert_int_equal(lines, 1);
}

static void test_cgroup(void **state)
{
    int fd;

    lines = 0;
    log_hook(count_line, LOG_DEBUG_);
    put("cgroup.subtree_control", "");
    make_dir("gvm");
    put("gvm/cgroup.subtree_control", "");
    make_dir("gvm/w7"); /* of an earlier broker, its process gone */
    cgroup_start(dir);
    assert_int_equal(lines, 0);
    assert_string_equal(get("gvm/cgroup.subtree_control"), "+cpu"); /* the last of three */
    assert_int_equal(access(dir, F_OK), 0);
    assert_int_equal(cgroup_make(1, 64 << 20), -1); /* a directory is no cgroup by itself */
    assert_int_equal(lines, 1);
    put("gvm/w1/memory.max", "max");
    put("gvm/w1/pids.max", "max");
    put("gvm/w1/cpu.weight", "100");
    put("gvm/w1/cgroup.procs", "");
    fd = cgroup_make(1, 64 << 20);
    assert_true(fd >= 0);
    close(fd);
    assert_string_equal(get("gvm/w1/memory.max"), "67108864");
    assert_string_equal(get("gvm/w1/pids.max"), "1024");
    cgroup_weigh(1, 4);
    assert_string_equal(get("gvm/w1/cpu.weight"), "25");
    put("gvm/w1/cpu.weight", "");
    cgroup_weigh(1, 5000);
    assert_string_equal(get("gvm/w1/cpu.weight"), "1");
    assert_string_equal(get("gvm/w7/cgroup.procs"), "");

    /* A worker that is taken off its GPU has that in its own memory meanwhile. */
    put("gvm/w1/memory.current", "1000000");
    cgroup_limit(1, 128 << 20);
    assert_string_equal(get("gvm/w1/memory.max"), "134217728");
    put("gvm/w1/memory.max", "");
    put("gvm/w1/memory.current", "200000000");
    cgroup_limit(1, 64 << 20);
    assert_string_equal(get("gvm/w1/memory.max"), "200000000"); /* nothing is taken from it */
    /* The least that what they are in has left. */
    assert_true(cgroup_room() == UINT64_MAX);
    put("gvm/memory.max", "max");
    put("gvm/memory.current", "5000");
    assert_true(cgroup_room() == UINT64_MAX);
    put("memory.max", "10000");
    put("memory.current", "7000");
    assert_int_equal(cgroup_room(), 3000);
    put("gvm/memory.max", "6000");
    assert_int_equal(cgroup_room(), 1000);
    put("gvm/memory.max", "4000");
    assert_int_equal(cgroup_room(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_gpu_minor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cgroup, set_up, tear_down),
        cmocka_unit_test(test_cgroup_none),
        cmocka_unit_test_setup_teardown(test_root, set_up, tear_down),
    };

    log_init("test", LOG_INFO_);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

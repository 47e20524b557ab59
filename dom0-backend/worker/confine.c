/* SPDX-License-Identifier: MIT */
/*
 * confine.c - what a worker gives up before it reads the first octet of a guest.
 *
 * The user id, the cgroup and, where the broker is privileged, the namespaces are set by the broker
 * at exec. What the worker can do for itself is here and works for an ordinary user too.
 *
 * The filter is an allow-list over all threads. A call that a library may try and can do without
 * (open, socket, ioctl, a mapping with PROT_EXEC...) fails with EPERM; what has no business in a
 * worker at all (execve, ptrace, mount...) kills the process. Descriptors are capabilities: a
 * gntdev descriptor maps any grant made to this domain and an evtchn descriptor binds any port of
 * its guest, therefore of all ioctls only evtchn's NOTIFY passes. The kernel looks at the low 32
 * bits of a command, so those are what is compared.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/sys/evtchn.h>

#include "dom0-backend/common/log.h"
#include "dom0-backend/worker/worker.h"

/* Sanitizers open files, use ptrace and personality, and die behind the filter. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONFINE_OFF 1
#else
#define CONFINE_OFF 0
#endif

/* Whether the driver's library looks for an MPS server, to which it shows its user id. */
static bool is_mps_client(void)
{
    return getenv("CUDA_MPS_PIPE_DIRECTORY") != NULL;
}

/* Whether the broker gave this worker its threads in a /proc that can be written. */
static bool has_names(void)
{
    struct statfs fs;

    return fstatfs(WK_FD_NAMES, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC &&
           (fcntl(WK_FD_NAMES, F_GETFL) & O_PATH);
}

void confine_start(void)
{
    const struct rlimit none = {0, 0};
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none_at_all[2] = {{0}, {0}};
    int flags = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

    close_range(WK_FD_NAMES + !!has_names(), ~0u, 0);
    if (setrlimit(RLIMIT_CORE, &none) < 0)
        log_warn("core dumps cannot be turned off: %m");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        log_warn("PR_SET_NO_NEW_PRIVS: %m");
    if (CONFINE_OFF)
        return;
    /* Another worker of the same user must not look into this one. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        log_warn("PR_SET_DUMPABLE: %m");
    /* The first process of a namespace has had all of them from the broker. Without privileges they
     * come inside a new user namespace, and with them capabilities there. */
    if (getpid() != 1 && unshare(flags) < 0 &&
        (is_mps_client() || unshare(CLONE_NEWUSER | flags) < 0))
        log_info("no namespaces of its own for this worker (%m); the system call filter remains");
    if (syscall(SYS_capset, &h, none_at_all) < 0)
        log_warn("capabilities cannot be given up: %m");
}

/* Needed by the C library, the worker and the software device, whatever the arguments. */
static const int plain[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(accept4),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(lseek),
    SCMP_SYS(futex),
    SCMP_SYS(munmap),
    SCMP_SYS(brk),
    SCMP_SYS(madvise),
    SCMP_SYS(mremap),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(membarrier),
    SCMP_SYS(getrusage),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* Refused in a way that a library survives. */
static const int harmless[] = {
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(openat2),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(pipe2),
    SCMP_SYS(dup),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(prlimit64),
    SCMP_SYS(getrlimit),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_setscheduler),
    SCMP_SYS(setpriority),
    SCMP_SYS(unlink),
    SCMP_SYS(memfd_create),
    SCMP_SYS(kill),
};

/* What the NVIDIA driver's library needs besides, once it is initialised: it opens its device nodes
 * for new mappings, looks things up in /proc and makes threads and eventfds as it goes. Its process
 * checkpoint closes its descriptors and puts them back with dup2 and dup3. */
static const int driver_needs[] = {
    SCMP_SYS(openat),        SCMP_SYS(open),
    SCMP_SYS(stat),          SCMP_SYS(lstat),
    SCMP_SYS(access),        SCMP_SYS(faccessat),
    SCMP_SYS(readlink),      SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64),    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),         SCMP_SYS(dup),
    SCMP_SYS(dup2),          SCMP_SYS(dup3),
    SCMP_SYS(uname),         SCMP_SYS(sysinfo),
    SCMP_SYS(getrlimit),     SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),       SCMP_SYS(pread64),
    SCMP_SYS(geteuid),       SCMP_SYS(getuid),
    SCMP_SYS(getgid),        SCMP_SYS(getegid),
    SCMP_SYS(getppid),       SCMP_SYS(sched_getscheduler),
    SCMP_SYS(getcpu),        SCMP_SYS(mlock),
    SCMP_SYS(munlock),       SCMP_SYS(sched_setaffinity),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),    SCMP_SYS(epoll_pwait),
    SCMP_SYS(get_mempolicy), SCMP_SYS(set_mempolicy),
    SCMP_SYS(mbind),         SCMP_SYS(mincore),
};

/* Of a client of MPS: sockets to its server, of which there is one in this process's file system. */
static const int mps_needs[] = {
    SCMP_SYS(connect),     SCMP_SYS(getsockopt),  SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(recvfrom),
    SCMP_SYS(shutdown),    SCMP_SYS(unlink),      SCMP_SYS(ftruncate),
};

static int add_mps_rules(scmp_filter_ctx f)
{
    int err = 0;

    for (size_t i = 0; i < sizeof(mps_needs) / sizeof(mps_needs[0]); i++)
        err |= seccomp_rule_add(f, SCMP_ACT_ALLOW, mps_needs[i], 0);
    err |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
    return err;
}

/* The driver's ioctls have type 'F', those of its unified memory none at all. Never 'E' (evtchn) or
 * 'G' (gntdev): the types are told apart in the low 32 bits, as the kernel does. */
static int add_driver_rules(scmp_filter_ctx f)
{
    static const uint64_t types[] = {'F' << 8, 0};
    int err = 0;

    for (size_t i = 0; i < sizeof(driver_needs) / sizeof(driver_needs[0]); i++)
        err |= seccomp_rule_add(f, SCMP_ACT_ALLOW, driver_needs[i], 0);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        err |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00, types[i]));
    err |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 0);
    return err;
}

static bool among(const int *calls, size_t n, int call)
{
    for (size_t i = 0; i < n; i++)
        if (calls[i] == call)
            return true;
    return false;
}

/* Has a rule of its own. */
static bool driver_has(int call)
{
    const size_t mps = is_mps_client() ? sizeof(mps_needs) / sizeof(mps_needs[0]) : 0;

    return among(driver_needs, sizeof(driver_needs) / sizeof(driver_needs[0]), call) ||
           (mps && (call == SCMP_SYS(socket) || among(mps_needs, mps, call)));
}

static int add_rules(scmp_filter_ctx f, bool xen, bool driver, bool jit)
{
    const uint64_t low = 0xffffffffu;
    int err = 0;

    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        err |= seccomp_rule_add(f, SCMP_ACT_ALLOW, plain[i], 0);
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
        if (!driver || !driver_has(harmless[i]))
            err |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), harmless[i], 0);
    if (driver)
        err |= add_driver_rules(f);
    if (driver && is_mps_client())
        err |= add_mps_rules(f);

    /* Memory, but never executable; a device that makes code may turn pages from writable to
     * executable, never both at once. */
    err |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    err |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mmap), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
    err |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (jit) {
        const uint64_t xw = PROT_EXEC | PROT_WRITE;

        err |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                SCMP_A2(SCMP_CMP_EQ, PROT_READ | PROT_EXEC));
        err |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mprotect), 1,
                                SCMP_A2(SCMP_CMP_MASKED_EQ, xw, xw));
    } else {
        err |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mprotect), 1,
                                SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
    }

    /* Threads, not processes. clone3's flags are in memory that a filter cannot read: the C library
     * falls back to clone when it is told that there is no clone3. */
    err |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    err |= seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    err |=
        seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));

    /* abort() and the device's fault handling signal this process only. */
    err |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));

    /* The seals of a chunk's memfd; a second descriptor of memory that is shared. */
    if (!driver) {
        const uint64_t lowest = F_DUPFD_CLOEXEC, seals = F_GET_SEALS;

        err |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, seals));
        err |=
            seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, lowest));
        /* All others, as there is no "neither": below, between and above the two. */
        err |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fcntl), 1,
                                SCMP_A1(SCMP_CMP_LT, lowest));
        err |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fcntl), 1,
                                SCMP_A1(SCMP_CMP_GT, seals));
        for (uint64_t c = lowest + 1; c < seals; c++)
            err |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fcntl), 1,
                                    SCMP_A1(SCMP_CMP_EQ, c));
    }

    if (xen && driver) {
        /* Everything else falls to the default. */
        err |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                SCMP_A1(SCMP_CMP_MASKED_EQ, low, IOCTL_EVTCHN_NOTIFY));
    } else if (driver) {
        /* likewise */
    } else if (xen) {
        err |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                SCMP_A1(SCMP_CMP_MASKED_EQ, low, IOCTL_EVTCHN_NOTIFY));
        /* The complement, bit by bit: libseccomp has no masked "not equal". */
        for (int b = 0; b < 32; b++) {
            uint64_t bit = 1ull << b;

            err |= seccomp_rule_add(
                f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                SCMP_A1(SCMP_CMP_MASKED_EQ, bit, ~(uint64_t)IOCTL_EVTCHN_NOTIFY & bit));
        }
    } else {
        err |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 0);
    }
    return err ? -EINVAL : 0;
}

int confine_lock(bool xen, bool driver, bool jit)
{
    const rlim_t most = 1024; /* each thing that is shared may have one */
    const struct rlimit files = {most, most};
    scmp_filter_ctx f;
    int err;

    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        log_warn("RLIMIT_NOFILE: %m");
    /* The device's threads have their names. */
    if (has_names())
        close(WK_FD_NAMES);
    if (CONFINE_OFF) {
        log_info("built with a sanitizer: no system call filter");
        return 0;
    }
    /* A driver's library is not ours to know in full: what it may not do fails, and it copes or says
     * so. */
    f = seccomp_init(driver ? SCMP_ACT_ERRNO(EACCES) : SCMP_ACT_KILL_PROCESS);
    if (!f)
        return -ENOMEM;
    /* All threads, those of the device included. */
    err = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
    /* Calls of the 32-bit and x32 tables have other numbers; by default only the thread would end. */
    if (!err)
        err = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (!err)
        err = add_rules(f, xen, driver, jit);
    if (!err)
        err = seccomp_load(f);
    seccomp_release(f);
    if (err)
        log_error("the system call filter cannot be set: error %d", -err);
    return err;
}

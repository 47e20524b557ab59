/* SPDX-License-Identifier: MIT */
/*
 * hostile.c - a worker in which somebody else's code runs once it is locked down: it tries what a
 * compromised worker would, says what came of it, and then serves its guest as if nothing had been.
 * Linked from the objects of gvm-worker and this file; never installed.
 *
 * confine_lock() is wrapped at link time: what comes before it meets the namespaces alone, what comes
 * behind it the filter as well. The quota of the guest (--mem, in MiB) says what is tried:
 *   1024      everything that the filter refuses with an error
 *   1025      everything; what would kill the process is answered with ENODATA instead
 *   1026      everything, behind the filter of a worker with a GPU's driver
 *   2000 + n  attempt n alone, with the filter as it is: the process is killed
 * Each line on standard error starts with "hostile:".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntdev.h>

#include "dom0-backend/transport/handoff.h"

#define MIB    (1ull << 20)
#define PAGE   4096
#define HIGH   (1ul << 32)
#define HIGHER (1ul << 63)
#define KILLED (-1) /* instead of an error */
#define MARK   ENODATA

int __real_confine_lock(bool xen, bool driver, bool jit);
int __wrap_confine_lock(bool xen, bool driver, bool jit);
void __real_confine_start(void);
void __wrap_confine_start(void);
int __real_close(int fd);
int __wrap_close(int fd);
scmp_filter_ctx __real_seccomp_init(uint32_t action);
scmp_filter_ctx __wrap_seccomp_init(uint32_t action);

static unsigned mode; /* MiB of the quota */
static int out = 2;   /* the broker's standard error */
static bool on_xen;
static int gntdev = -1, evtchn = -1; /* descriptors that the worker was given, on Xen */
static unsigned tried, refused, wrong;
static void *page;

static void say(const char *fmt, ...)
{
    char line[256];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
    va_end(ap);
    line[n++] = '\n';
    if (write(out, line, (size_t)n) < 0)
        return;
}

__attribute__((constructor)) static void read_mode(int argc, char **argv, char **env)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--mem") == 0)
            mode = (unsigned)(strtoull(argv[i + 1], NULL, 10) / MIB);
}

/* Before a driver's output is caught. */
void __wrap_confine_start(void)
{
    __real_confine_start();
    out = fcntl(2, F_DUPFD_CLOEXEC, 201);
}

/* The worker closes what it has mapped; this one keeps it. Only gntdev finds fault with an address:
 * others do not know the command (ENOTTY, ENOSYS). */
int __wrap_close(int fd)
{
    struct ioctl_gntdev_get_offset_for_vaddr nowhere = {.vaddr = 0};
    struct stat st;

    if (gntdev < 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
        ioctl(fd, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &nowhere) < 0 && errno == EINVAL)
        gntdev = fcntl(fd, F_DUPFD_CLOEXEC, 200);
    return __real_close(fd);
}

scmp_filter_ctx __wrap_seccomp_init(uint32_t action)
{
    return __real_seccomp_init(
        mode == 1025 && action == SCMP_ACT_KILL_PROCESS ? SCMP_ACT_ERRNO(MARK) : action);
}

/* ---- files ----------------------------------------------------------------------------------- */

static long read_of(const char *path)
{
    char c;
    int fd = open(path, O_RDONLY);

    if (fd < 0)
        return -1;
    if (read(fd, &c, 1) > 0)
        return fd;
    errno = ENOENT; /* covered: there is nothing in it */
    return -1;
}

#define READS(name, path)                                                                          \
    static long name(void)                                                                         \
    {                                                                                              \
        return read_of(path);                                                                      \
    }

READS(read_passwd, "/etc/passwd")
READS(read_shadow, "/etc/shadow")
READS(read_mem, "/dev/mem")
READS(read_gntdev, "/dev/xen/gntdev")
READS(read_evtchn, "/dev/xen/evtchn")
READS(read_privcmd, "/dev/xen/privcmd")
READS(read_xenbus, "/dev/xen/xenbus")
READS(read_xenstored, "/run/xenstored/socket")
READS(read_broker, "/run/gvm/backd.lock")
READS(read_kcore, "/proc/kcore")
READS(read_keys, "/proc/keys")
READS(read_other, "/proc/29999/maps")
READS(read_other_mem, "/proc/29999/mem")
READS(read_dots, "/../../../../etc/passwd")
READS(read_cwd, "/proc/1/cwd/etc/passwd")
READS(read_sys, "/sys/kernel/notes")

static long create_file(void)
{
    return open("/tmp/hostile", O_WRONLY | O_CREAT, 0600);
}

static long write_library(void)
{
    return open("/usr/lib/hostile.so", O_WRONLY | O_CREAT, 0600);
}

/* Pages that cannot be written can be written there. */
static long write_own_mem(void)
{
    return open("/proc/self/mem", O_RDWR);
}

/* By whatever directory has been left open. */
static long write_own_mem_by_fd(void)
{
    static const char *const at[] = {"mem", "1/mem", "self/mem", "1/comm"};

    for (int fd = 0; fd < 1024; fd++)
        for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
            if (openat(fd, at[i], O_WRONLY) >= 0)
                return 0;
    return -1;
}

static long by_openat2(void)
{
    struct {
        uint64_t flags, mode, resolve;
    } how = {0};

    return syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof(how));
}

static long by_handle(void)
{
    return syscall(SYS_open_by_handle_at, AT_FDCWD, page, O_RDONLY);
}

static long new_root(void)
{
    return chroot("/usr");
}

/* ---- other processes --------------------------------------------------------------------------- */

static long kill_one(void)
{
    return kill(2, SIGKILL);
}

static long kill_all(void)
{
    return kill(-1, SIGKILL);
}

static long kill_thread(void)
{
    return syscall(SYS_tgkill, 2, 2, SIGKILL);
}

static long trace(void)
{
    return syscall(SYS_ptrace, 16 /* PTRACE_ATTACH */, 2, 0, 0);
}

static long peek(void)
{
    struct iovec v = {page, 8};

    return syscall(SYS_process_vm_readv, 2, &v, 1, &v, 1, 0);
}

#define CALLS(name, ...)                                                                           \
    static long name(void)                                                                         \
    {                                                                                              \
        return syscall(__VA_ARGS__);                                                               \
    }

CALLS(open_pid, SYS_pidfd_open, 1, 0)
CALLS(signal_pid, SYS_pidfd_send_signal, 0, SIGKILL, NULL, 0)
CALLS(take_fd, 438 /* pidfd_getfd */, 0, 0, 0)
CALLS(compare, SYS_kcmp, 1, 2, 0, 0, 0)
CALLS(limit_other, SYS_prlimit64, 2, RLIMIT_NOFILE, NULL, page)
CALLS(do_fork, SYS_fork)
CALLS(do_vfork, SYS_vfork)
CALLS(do_clone, SYS_clone, SIGCHLD, 0, 0, 0, 0)
CALLS(clone_user, SYS_clone, SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0)
CALLS(do_clone3, SYS_clone3, page, 88)
CALLS(do_execveat, SYS_execveat, 0, "", page, page, AT_EMPTY_PATH)

static long do_execve(void)
{
    char *argv[] = {"/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", NULL};

    return execve(argv[0], argv, argv + 1);
}

/* ---- networks -------------------------------------------------------------------------------- */

CALLS(unix_socket, SYS_socket, AF_UNIX, SOCK_STREAM, 0)
CALLS(inet_socket, SYS_socket, AF_INET, SOCK_STREAM, 0)
CALLS(netlink_socket, SYS_socket, AF_NETLINK, SOCK_RAW, 0)
CALLS(packet_socket, SYS_socket, AF_PACKET, SOCK_RAW, 0)
CALLS(vsock_socket, SYS_socket, AF_VSOCK, SOCK_STREAM, 0)
CALLS(connect_it, SYS_connect, WK_FD_SOCKET, page, sizeof(struct sockaddr_un))
CALLS(bind_it, SYS_bind, WK_FD_SOCKET, page, sizeof(struct sockaddr_un))
CALLS(set_option, SYS_setsockopt, WK_FD_SOCKET, SOL_SOCKET, SO_SNDBUF, page, 4)

/* ---- code ------------------------------------------------------------------------------------ */

static long map_wx(void)
{
    return (long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);
}

CALLS(map_x, SYS_mmap, 0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
CALLS(map_x_high, SYS_mmap, 0, PAGE, PROT_READ | PROT_EXEC | HIGH, MAP_PRIVATE | MAP_ANONYMOUS, -1,
      0)
CALLS(protect_x, SYS_mprotect, page, PAGE, PROT_READ | PROT_EXEC)
CALLS(protect_wx, SYS_mprotect, page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC)
CALLS(protect_x_high, SYS_mprotect, page, PAGE, PROT_READ | PROT_EXEC | HIGHER)
CALLS(protect_key, SYS_pkey_mprotect, page, PAGE, PROT_READ | PROT_EXEC, -1)
CALLS(implied, SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */)
CALLS(memory_file, SYS_memfd_create, "x", 0)
CALLS(shm_exec, SYS_shmat, 0, 0, 0100000 /* SHM_EXEC */)
CALLS(shm_make, SYS_shmget, 0, PAGE, 0)

/* ---- the kernel's wide doors ------------------------------------------------------------------- */

CALLS(do_bpf, SYS_bpf, 0, page, 64)
CALLS(do_uffd, SYS_userfaultfd, 0)
CALLS(do_uring, SYS_io_uring_setup, 1, page)
CALLS(uring_register, SYS_io_uring_register, 0, 0, page, 1)
CALLS(do_aio, SYS_io_setup, 1, page)
CALLS(do_perf, SYS_perf_event_open, page, 0, -1, -1, 0)
CALLS(do_vmsplice, SYS_vmsplice, 0, page, 1, 0)
CALLS(do_splice, SYS_splice, 0, 0, 1, 0, 1, 0)
CALLS(do_keyctl, SYS_keyctl, 0, -4, 1)
CALLS(do_add_key, SYS_add_key, "user", "x", "y", 1, -4)
CALLS(do_mount, SYS_mount, "x", "/usr", "tmpfs", 0, 0)
CALLS(do_umount, SYS_umount2, "/proc", 2)
CALLS(do_move_mount, SYS_move_mount, -1, "", -1, "/", 0)
CALLS(do_pivot, SYS_pivot_root, "/", "/")
CALLS(do_unshare, SYS_unshare, CLONE_NEWUSER)
CALLS(do_setns, SYS_setns, 0, 0)
CALLS(do_module, SYS_init_module, page, PAGE, "")
CALLS(do_finit, SYS_finit_module, 0, "", 0)
CALLS(do_kexec, SYS_kexec_load, 0, 0, 0, 0)
CALLS(do_reboot, SYS_reboot, 0, 0, 0, 0)
CALLS(do_iopl, SYS_iopl, 3)
CALLS(do_ioperm, SYS_ioperm, 0, 1, 1)
CALLS(do_ldt, SYS_modify_ldt, 0, page, 16)
CALLS(do_setuid, SYS_setuid, 0)
CALLS(do_setgroups, SYS_setgroups, 0, 0)
CALLS(do_capset, SYS_capset, page, page)
CALLS(do_seccomp, SYS_seccomp, 1, 0, page)
CALLS(undump, SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)
CALLS(set_mm, SYS_prctl, PR_SET_MM, 1, 0, 0, 0)
CALLS(set_ptracer, SYS_prctl, PR_SET_PTRACER, -1, 0, 0, 0)
CALLS(do_fanotify, SYS_fanotify_init, 0, 0)
CALLS(do_inotify, SYS_inotify_init1, 0)
CALLS(do_settime, SYS_clock_settime, 0, page)
CALLS(do_swapon, SYS_swapon, "/", 0)
CALLS(do_msgget, SYS_msgget, 0, 0)
CALLS(do_semget, SYS_semget, 0, 1, 0)
CALLS(do_syslog, SYS_syslog, 3, page, PAGE)
CALLS(do_quota, SYS_quotactl, 0, "/", 0, page)
CALLS(raise_limit, SYS_prlimit64, 0, RLIMIT_NOFILE, page, 0)
CALLS(raise_priority, SYS_setpriority, PRIO_PROCESS, 0, -20)
CALLS(x32_getpid, 0x40000000 | SYS_getpid)

static long old_getpid(void)
{
    long r;

    /* A 32-bit call in a 64-bit process: 20 is getpid there. */
    __asm__ volatile("int $0x80" : "=a"(r) : "0"(20L) : "memory", "r8", "r9", "r10", "r11");
    if (r < 0)
        errno = (int)-r;
    return r < 0 ? -1 : r;
}

/* ---- Xen ------------------------------------------------------------------------------------- */

static struct ioctl_gntdev_map_grant_ref map_ref = {.count = 1, .refs[0] = {.domid = 0, .ref = 8}};
static struct ioctl_gntdev_unmap_grant_ref unmap_ref = {.count = 1};
static struct ioctl_gntdev_unmap_notify unmap_notify;
static struct ioctl_gntdev_get_offset_for_vaddr offset_of;
static struct ioctl_evtchn_bind_interdomain bind_inter = {.remote_domain = 0, .remote_port = 1};
static struct ioctl_evtchn_bind_unbound_port bind_unbound;
static struct ioctl_evtchn_bind_virq bind_virq = {.virq = 0};
static struct ioctl_evtchn_unbind unbind_port = {.port = 1};
static struct ioctl_evtchn_restrict_domid restrict_to;
static struct ioctl_evtchn_notify notify_other = {.port = 1};

#define GNT(name, cmd, arg) CALLS(name, SYS_ioctl, gntdev, cmd, arg)
#define EVT(name, cmd, arg) CALLS(name, SYS_ioctl, evtchn, cmd, arg)
GNT(gnt_map, IOCTL_GNTDEV_MAP_GRANT_REF, &map_ref)
GNT(gnt_map_high, IOCTL_GNTDEV_MAP_GRANT_REF | HIGH, &map_ref)
GNT(gnt_map_higher, IOCTL_GNTDEV_MAP_GRANT_REF | HIGHER, &map_ref)
GNT(gnt_unmap, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap_ref)
GNT(gnt_unmap_high, IOCTL_GNTDEV_UNMAP_GRANT_REF | HIGH, &unmap_ref)
GNT(gnt_notify, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &unmap_notify)
GNT(gnt_notify_high, IOCTL_GNTDEV_SET_UNMAP_NOTIFY | HIGH, &unmap_notify)
GNT(gnt_offset, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &offset_of)
GNT(gnt_copy, _IOC(_IOC_NONE, 'G', 8, 16), page)
GNT(gnt_copy_high, _IOC(_IOC_NONE, 'G', 8, 16) | HIGH, page)
GNT(gnt_dmabuf, _IOC(_IOC_NONE, 'G', 9, 20), page)
EVT(evt_inter, IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind_inter)
EVT(evt_inter_high, IOCTL_EVTCHN_BIND_INTERDOMAIN | HIGH, &bind_inter)
EVT(evt_inter_higher, IOCTL_EVTCHN_BIND_INTERDOMAIN | HIGHER, &bind_inter)
EVT(evt_unbound, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &bind_unbound)
EVT(evt_unbound_high, IOCTL_EVTCHN_BIND_UNBOUND_PORT | HIGH, &bind_unbound)
EVT(evt_virq, IOCTL_EVTCHN_BIND_VIRQ, &bind_virq)
EVT(evt_virq_high, IOCTL_EVTCHN_BIND_VIRQ | HIGH, &bind_virq)
EVT(evt_unbind, IOCTL_EVTCHN_UNBIND, &unbind_port)
EVT(evt_reset, IOCTL_EVTCHN_RESET, 0)
EVT(evt_reset_high, IOCTL_EVTCHN_RESET | HIGH, 0)
EVT(evt_restrict, IOCTL_EVTCHN_RESTRICT_DOMID, &restrict_to)
EVT(privcmd_call, _IOC(_IOC_NONE, 'P', 0, 48), page)
EVT(tty_push, TIOCSTI, "x")
EVT(tty_push_high, TIOCSTI | HIGH, "x")
/* Let through, as the filter cannot see which port: the kernel knows which are this descriptor's. */
EVT(evt_other, IOCTL_EVTCHN_NOTIFY, &notify_other)
EVT(evt_other_high, IOCTL_EVTCHN_NOTIFY | HIGH, &notify_other)

/* The descriptor of the channel's grants, mapped once already, at its own and at other places. The
 * kernel knows a mapping by its offset and its length. */
static long gnt_again(void)
{
    for (size_t n = 1; n <= 4096; n++)
        if (mmap(NULL, n * PAGE, PROT_READ, MAP_SHARED, gntdev, 0) != MAP_FAILED)
            return 0;
    return -1;
}

static long gnt_beyond(void)
{
    for (off_t at = PAGE; at < (off_t)(64 * MIB); at *= 2)
        if (mmap(NULL, PAGE, PROT_READ, MAP_SHARED, gntdev, at) != MAP_FAILED)
            return 0;
    return -1;
}

/* ---- the table ------------------------------------------------------------------------------- */

enum group { FILES, PROCESSES, NETWORK, CODE, KERNEL, GRANTS, EVENTS, GROUPS };
static const char *const group_name[GROUPS] = {"files",  "processes", "network", "code",
                                               "kernel", "grants",    "events"};

static const struct attempt {
    enum group group;
    const char *name;
    long (*fn)(void);
    int plain, driver; /* error expected behind either filter */
    bool xen;          /* needs descriptors of Xen's */
} attempts[] = {
#define OPENS(fn, name)                                                                            \
    {                                                                                              \
        FILES, name, fn, EPERM, ENOENT, false                                                      \
    }
    OPENS(read_passwd, "read /etc/passwd"),
    OPENS(read_shadow, "read /etc/shadow"),
    OPENS(read_mem, "read /dev/mem"),
    OPENS(read_gntdev, "open /dev/xen/gntdev"),
    OPENS(read_evtchn, "open /dev/xen/evtchn"),
    OPENS(read_privcmd, "open /dev/xen/privcmd"),
    OPENS(read_xenbus, "open /dev/xen/xenbus"),
    OPENS(read_xenstored, "open xenstored's socket"),
    OPENS(read_broker, "open the broker's files"),
    OPENS(read_kcore, "read /proc/kcore"),
    OPENS(read_keys, "read /proc/keys"),
    OPENS(read_other, "read /proc of another process"),
    OPENS(read_other_mem, "read another process's memory by /proc"),
    OPENS(read_dots, "climb out of the root"),
    OPENS(read_cwd, "climb out by /proc/1/cwd"),
    OPENS(read_sys, "read /sys"),
    OPENS(create_file, "create a file"),
    {FILES, "write among the libraries", write_library, EPERM, EROFS, false},
    {FILES, "write its own code by /proc/self/mem", write_own_mem, EPERM, EROFS, false},
    {FILES, "write its own code by a descriptor", write_own_mem_by_fd, EPERM, EBADF, false},
    {FILES, "openat2", by_openat2, EPERM, EPERM, false},
#define KILLS(g, fn, name)                                                                         \
    {                                                                                              \
        g, name, fn, KILLED, EACCES, false                                                         \
    }
    KILLS(FILES, by_handle, "open_by_handle_at"),
    KILLS(FILES, new_root, "chroot"),
#define DENIES(g, fn, name)                                                                        \
    {                                                                                              \
        g, name, fn, EPERM, EPERM, false                                                           \
    }
    DENIES(PROCESSES, kill_one, "kill another process"),
    DENIES(PROCESSES, kill_all, "kill every process"),
    KILLS(PROCESSES, kill_thread, "tgkill another process"),
    KILLS(PROCESSES, trace, "ptrace"),
    KILLS(PROCESSES, peek, "process_vm_readv"),
    KILLS(PROCESSES, open_pid, "pidfd_open"),
    KILLS(PROCESSES, signal_pid, "pidfd_send_signal"),
    KILLS(PROCESSES, take_fd, "pidfd_getfd"),
    KILLS(PROCESSES, compare, "kcmp"),
    DENIES(PROCESSES, limit_other, "prlimit of another process"),
    KILLS(PROCESSES, do_fork, "fork"),
    KILLS(PROCESSES, do_vfork, "vfork"),
    KILLS(PROCESSES, do_clone, "clone a process"),
    KILLS(PROCESSES, clone_user, "clone with a user namespace"),
    {PROCESSES, "clone3", do_clone3, ENOSYS, ENOSYS, false},
    KILLS(PROCESSES, do_execve, "execve"),
    KILLS(PROCESSES, do_execveat, "execveat"),
    DENIES(NETWORK, unix_socket, "Unix socket"),
    DENIES(NETWORK, inet_socket, "TCP socket"),
    DENIES(NETWORK, netlink_socket, "netlink socket"),
    DENIES(NETWORK, packet_socket, "packet socket"),
    DENIES(NETWORK, vsock_socket, "vsock socket"),
    DENIES(NETWORK, connect_it, "connect"),
    DENIES(NETWORK, bind_it, "bind"),
    KILLS(NETWORK, set_option, "setsockopt"),
    DENIES(CODE, map_wx, "mmap writable and executable"),
    DENIES(CODE, map_x, "mmap executable"),
    DENIES(CODE, map_x_high, "mmap executable, high bits set"),
    DENIES(CODE, protect_x, "mprotect executable"),
    DENIES(CODE, protect_wx, "mprotect writable and executable"),
    DENIES(CODE, protect_x_high, "mprotect executable, high bits set"),
    KILLS(CODE, protect_key, "pkey_mprotect executable"),
    KILLS(CODE, implied, "personality READ_IMPLIES_EXEC"),
    DENIES(CODE, memory_file, "memfd_create"),
    KILLS(CODE, shm_exec, "shmat executable"),
    KILLS(CODE, shm_make, "shmget"),
    KILLS(KERNEL, do_bpf, "bpf"),
    KILLS(KERNEL, do_uffd, "userfaultfd"),
    KILLS(KERNEL, do_uring, "io_uring_setup"),
    KILLS(KERNEL, uring_register, "io_uring_register"),
    KILLS(KERNEL, do_aio, "io_setup"),
    KILLS(KERNEL, do_perf, "perf_event_open"),
    KILLS(KERNEL, do_vmsplice, "vmsplice"),
    KILLS(KERNEL, do_splice, "splice"),
    KILLS(KERNEL, do_keyctl, "keyctl"),
    KILLS(KERNEL, do_add_key, "add_key"),
    KILLS(KERNEL, do_mount, "mount"),
    KILLS(KERNEL, do_umount, "umount"),
    KILLS(KERNEL, do_move_mount, "move_mount"),
    KILLS(KERNEL, do_pivot, "pivot_root"),
    KILLS(KERNEL, do_unshare, "unshare"),
    KILLS(KERNEL, do_setns, "setns"),
    KILLS(KERNEL, do_module, "init_module"),
    KILLS(KERNEL, do_finit, "finit_module"),
    KILLS(KERNEL, do_kexec, "kexec_load"),
    KILLS(KERNEL, do_reboot, "reboot"),
    KILLS(KERNEL, do_iopl, "iopl"),
    KILLS(KERNEL, do_ioperm, "ioperm"),
    KILLS(KERNEL, do_ldt, "modify_ldt"),
    KILLS(KERNEL, do_setuid, "setuid 0"),
    KILLS(KERNEL, do_setgroups, "setgroups"),
    KILLS(KERNEL, do_capset, "capset"),
    KILLS(KERNEL, do_seccomp, "another seccomp filter"),
    KILLS(KERNEL, undump, "prctl PR_SET_DUMPABLE"),
    KILLS(KERNEL, set_mm, "prctl PR_SET_MM"),
    KILLS(KERNEL, set_ptracer, "prctl PR_SET_PTRACER"),
    KILLS(KERNEL, do_fanotify, "fanotify_init"),
    KILLS(KERNEL, do_inotify, "inotify_init"),
    KILLS(KERNEL, do_settime, "clock_settime"),
    KILLS(KERNEL, do_swapon, "swapon"),
    KILLS(KERNEL, do_msgget, "msgget"),
    KILLS(KERNEL, do_semget, "semget"),
    KILLS(KERNEL, do_syslog, "syslog"),
    KILLS(KERNEL, do_quota, "quotactl"),
    DENIES(KERNEL, raise_limit, "raise a limit"),
    DENIES(KERNEL, raise_priority, "raise its priority"),
    {KERNEL, "call of the x32 table", x32_getpid, KILLED, KILLED, false},
    {KERNEL, "call of the 32-bit table", old_getpid, KILLED, KILLED, false},
#define IOCTLS(g, fn, name)                                                                        \
    {                                                                                              \
        g, name, fn, EPERM, EACCES, false                                                          \
    }
    IOCTLS(GRANTS, gnt_map, "map a grant"),
    IOCTLS(GRANTS, gnt_map_high, "map a grant, bit 32 set"),
    IOCTLS(GRANTS, gnt_map_higher, "map a grant, bit 63 set"),
    IOCTLS(GRANTS, gnt_unmap, "unmap a grant"),
    IOCTLS(GRANTS, gnt_unmap_high, "unmap a grant, bit 32 set"),
    IOCTLS(GRANTS, gnt_notify, "set an unmap notification"),
    IOCTLS(GRANTS, gnt_notify_high, "set an unmap notification, bit 32 set"),
    IOCTLS(GRANTS, gnt_offset, "look up a grant mapping"),
    IOCTLS(GRANTS, gnt_copy, "copy by grants"),
    IOCTLS(GRANTS, gnt_copy_high, "copy by grants, bit 32 set"),
    IOCTLS(GRANTS, gnt_dmabuf, "export grants"),
    {GRANTS, "map the channel's grants again", gnt_again, EINVAL, EINVAL, true},
    {GRANTS, "map at other offsets", gnt_beyond, EINVAL, EINVAL, true},
    IOCTLS(EVENTS, evt_inter, "bind an event channel"),
    IOCTLS(EVENTS, evt_inter_high, "bind an event channel, bit 32 set"),
    IOCTLS(EVENTS, evt_inter_higher, "bind an event channel, bit 63 set"),
    IOCTLS(EVENTS, evt_unbound, "make an event channel"),
    IOCTLS(EVENTS, evt_unbound_high, "make an event channel, bit 32 set"),
    IOCTLS(EVENTS, evt_virq, "bind a VIRQ"),
    IOCTLS(EVENTS, evt_virq_high, "bind a VIRQ, bit 32 set"),
    IOCTLS(EVENTS, evt_unbind, "unbind a port"),
    IOCTLS(EVENTS, evt_reset, "reset the descriptor"),
    IOCTLS(EVENTS, evt_reset_high, "reset the descriptor, bit 32 set"),
    IOCTLS(EVENTS, evt_restrict, "restrict to another domain"),
    IOCTLS(EVENTS, privcmd_call, "privcmd's ioctl"),
    IOCTLS(EVENTS, tty_push, "TIOCSTI"),
    IOCTLS(EVENTS, tty_push_high, "TIOCSTI, bit 32 set"),
    {EVENTS, "notify another port", evt_other, ENOTCONN, ENOTCONN, true},
    {EVENTS, "notify another port, bit 32 set", evt_other_high, ENOTCONN, ENOTCONN, true},
};

#define NATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

static void check(const char *group, const char *name, bool failed, int got, int want)
{
    tried++;
    if (failed && got == want) {
        refused++;
        say("hostile: %-9s %-42s %s", group, name,
            want == MARK ? "kills the process" : strerrorname_np(got));
        return;
    }
    wrong++;
    say("hostile: %-9s %-42s WRONG: %s, not %s", group, name,
        failed ? strerrorname_np(got) : "it works", strerrorname_np(want));
}

static void try_all(bool driver, bool confined)
{
    for (size_t i = 0; i < NATTEMPTS; i++) {
        const struct attempt *a = &attempts[i];
        int want = driver ? a->driver : a->plain;
        long r;

        if (a->xen && !on_xen)
            continue;
        /* Without a root of its own it may open what its user may. */
        if (driver && !confined && a->group == FILES && a->driver != EPERM && a->driver != EACCES)
            continue;
        if (want == KILLED && mode != 1025)
            continue;
        if (want == KILLED && (a->fn == x32_getpid || a->fn == old_getpid))
            continue; /* whatever the filter's default */
        errno = 0;
        r = a->fn();
        check(group_name[a->group], a->name, r == -1, errno, want == KILLED ? MARK : want);
    }
}

/* ---- namespaces alone: before there is a filter ------------------------------------------------- */

static unsigned entries(const char *path, bool numbers)
{
    struct dirent *e;
    unsigned n = 0;
    DIR *d = opendir(path);

    while (d && (e = readdir(d)))
        n += e->d_name[0] != '.' && (!numbers || (e->d_name[0] >= '0' && e->d_name[0] <= '9'));
    if (d)
        closedir(d);
    return n;
}

static void try_namespaces(void)
{
    static const char *const gone[] = {"/etc/passwd", "/etc/xen", "/root", "/run", "/tmp",
                                       "/sys",        "/var",     "/home", "/boot"};
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2] = {{0}, {0}};
    unsigned others = 0;
    bool failed;

    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        failed = access(gone[i], F_OK) < 0;
        check("namespace", gone[i], failed, errno, ENOENT);
    }
    for (pid_t p = 2; p < 33000; p++) {
        char task[40];

        snprintf(task, sizeof(task), "/proc/self/task/%d", (int)p); /* a thread of its own */
        others += (kill(p, 0) == 0 || errno != ESRCH) && access(task, F_OK) < 0;
    }
    check("namespace", "any other process", others == 0, ESRCH, ESRCH);
    check("namespace", "other processes in /proc", entries("/proc", true) == 1, ENOENT, ENOENT);
    check("namespace", "Xen's devices", entries("/dev/xen", false) == 0, ENOENT, ENOENT);
    check("namespace", "a user id of others", getuid() != 0 && getuid() == geteuid(), EPERM, EPERM);
    syscall(SYS_capget, &h, caps);
    check("namespace", "a capability", !(caps[0].permitted | caps[1].permitted), EPERM, EPERM);
    failed = open("/hostile", O_WRONLY | O_CREAT, 0600) < 0;
    check("namespace", "create a file", failed, errno, EROFS);
    failed = write_library() < 0;
    check("namespace", "write among the libraries", failed, errno, EROFS);
}

/* The descriptor of the event channel: a character device that is not one of the standard three. */
static void find_evtchn(void)
{
    for (int fd = 3; fd < 64 && evtchn < 0; fd++) {
        struct stat st;

        if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && fd != gntdev)
            evtchn = fd;
    }
}

int __wrap_confine_lock(bool xen, bool driver, bool jit)
{
    bool confined = getpid() == 1, as_driver = driver || mode == 1026;
    int err;

    if (mode != 1024 && mode != 1025 && mode != 1026 && mode < 2000)
        return __real_confine_lock(xen, driver, jit);
    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    on_xen = xen;
    if (xen)
        find_evtchn();
    if (xen && (gntdev < 0 || evtchn < 0))
        say("hostile: WRONG: no descriptors of Xen's are left to try with");
    if (mode == 1024 && confined)
        try_namespaces();
    err = __real_confine_lock(xen, as_driver, jit);
    if (err)
        return err;
    if (mode >= 2000) {
        const struct attempt *a = &attempts[(mode - 2000) % NATTEMPTS];

        say("hostile: alone: %s", a->name);
        a->fn();
        say("hostile: alone: WRONG: %s: still here", a->name);
        return 0;
    }
    try_all(as_driver, confined);
    say("hostile: %u attempts, %u refused as they must be, %u not; %s filter, %s", tried, refused,
        wrong, as_driver ? "driver's" : "plain", confined ? "own namespaces" : "no namespaces");
    return 0;
}

/* For the test: `gvm-worker-hostile --list`. */
__attribute__((constructor)) static void list(int argc, char **argv, char **env)
{
    if (argc != 2 || strcmp(argv[1], "--list") != 0)
        return;
    for (size_t i = 0; i < NATTEMPTS; i++)
        if (attempts[i].plain == KILLED)
            printf("%zu %s\n", i, attempts[i].name);
    exit(0);
}

/* SPDX-License-Identifier: MIT */
/*
 * doctor_guest.c - a guest: has it a vgpu, a driver for it, the right to use it, and are GVM's
 * libraries the ones that programs find?
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/gvm/doctor.h"

#define BUS "/sys/bus/xen/devices"

static const char *const lib_dirs[] = {"/usr/lib/x86_64-linux-gnu/gvm", "/usr/lib/gvm",
                                       "/usr/local/lib/gvm", NULL};

/* How many there are; the first one's name. */
static unsigned vgpus(const struct doctor *d, char *first, size_t n)
{
    char path[4096];
    struct dirent *e;
    unsigned count = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "%s" BUS, d->root);
    dir = opendir(path);
    while (dir && (e = readdir(dir))) {
        if (strncmp(e->d_name, "vgpu-", 5) != 0 || strlen(e->d_name) >= n)
            continue;
        if (!count++ || strcmp(e->d_name, first) < 0)
            memcpy(first, e->d_name, strlen(e->d_name) + 1);
    }
    if (dir)
        closedir(dir);
    return count;
}

static bool check_module(struct doctor *d)
{
    char path[512];

    if (doc_module(d, "xen_vgpufront")) {
        doc_good(d, "module", "xen-vgpufront is loaded");
        return true;
    }
    if (doc_module_file(d, "xen_vgpufront")) {
        doc_bad(d, "module", "modprobe xen-vgpufront",
                "xen-vgpufront is installed, but not loaded");
        return false;
    }
    snprintf(path, sizeof(path), "/lib/modules/%s/build", doc_kernel(d));
    if (!doc_exists(d, path))
        doc_bad(
            d, "module",
            "apt install linux-headers-$(uname -r) && dkms autoinstall && modprobe xen-vgpufront",
            "there is no xen-vgpufront for Linux %s, and no headers to build it with",
            doc_kernel(d));
    else
        doc_bad(d, "module", "apt install xen-vgpufront-dkms && modprobe xen-vgpufront",
                "there is no xen-vgpufront for Linux %s", doc_kernel(d));
    return false;
}

static void check_device(struct doctor *d, const char *name)
{
    char path[256], state[32] = "";

    snprintf(path, sizeof(path), BUS "/%.60s/state", name);
    doc_read(d, path, state, sizeof(state));
    if (doc_exists(d, "/dev/vgpu0"))
        doc_good(d, "device", "%s is /dev/vgpu0", name);
    else
        doc_bad(d, "device", "systemctl start gvm-backd   (in dom0; gvm doctor there says more)",
                "%s%s%s, but no /dev/vgpu0: the other end has not connected", name,
                state[0] ? " is " : " is there", state);
}

static bool in_group(gid_t gid)
{
    gid_t list[256];
    int n = getgroups(256, list);

    for (int i = 0; i < n; i++)
        if (list[i] == gid)
            return true;
    return getegid() == gid;
}

static void check_rights(struct doctor *d)
{
    const struct passwd *pw = getpwuid(getuid());
    struct group *g = getgrnam("gvm");
    char mend[120];
    struct stat st;

    if (!doc_live(d) || stat("/dev/vgpu0", &st) < 0)
        return;
    if (!g) {
        doc_warn(d, "group", "groupadd --system gvm, and load the module again",
                 "there is no group gvm: only root may use /dev/vgpu0");
    } else if (st.st_gid != g->gr_gid || (st.st_mode & 0060) != 0060) {
        doc_warn(d, "group", "chgrp gvm /dev/vgpu0 && chmod 660 /dev/vgpu0",
                 "/dev/vgpu0 is not the group gvm's (is the udev rule installed?)");
    }
    if (access("/dev/vgpu0", R_OK | W_OK) == 0) {
        doc_good(d, "rights", "%s may use /dev/vgpu0", pw ? pw->pw_name : "this user");
        return;
    }
    snprintf(mend, sizeof(mend), "usermod -aG gvm %s, and log in again", pw ? pw->pw_name : "USER");
    doc_bad(d, "rights", mend, "this user may not use /dev/vgpu0%s",
            g && !in_group(g->gr_gid) ? ": it is not in the group gvm" : "");
}

static void check_limits(struct doctor *d)
{
    struct rlimit r;

    if (doc_live(d) && getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur != RLIM_INFINITY)
        doc_warn(d, "address space", "ulimit -v unlimited",
                 "limited to %" PRIu64 " MiB: the windows of addresses that CUDA needs may not fit",
                 (uint64_t)r.rlim_cur >> 20);
}

void doctor_guest(struct doctor *d)
{
    char name[64] = "";
    unsigned n = vgpus(d, name, sizeof(name));
    bool module;

    if (n)
        doc_good(d, "vgpu", "%u, the first is %s", n, name);
    else
        doc_bad(d, "vgpu", "gvm attach DOMAIN   (in dom0; for ever: vgpu = [ '' ] in its xl.cfg)",
                "this guest has none");
    module = check_module(d);
    if (n && module)
        check_device(d, name);
    check_rights(d);
    check_limits(d);
}

/* ---- libraries */

/* In a child: whatever a library does when it is opened, or says, stays there. Writes one line. */
static void probe(int fd)
{
    int (*init)(unsigned), (*get)(int *, int), (*name)(char *, int, int), (*mem)(size_t *, int);
    char text[128] = "?";
    size_t bytes = 0;
    void *h = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    int dev = 0, err;
    Dl_info info;

    if (!h) {
        dprintf(fd, "none %s\n", dlerror());
        return;
    }
    *(void **)&init = dlsym(h, "cuInit");
    *(void **)&get = dlsym(h, "cuDeviceGet");
    *(void **)&name = dlsym(h, "cuDeviceGetName");
    *(void **)&mem = dlsym(h, "cuDeviceTotalMem_v2");
    if (!init || !get || !name || !mem || !dladdr(*(void **)&init, &info)) {
        dprintf(fd, "none it is not a libcuda.so.1\n");
        return;
    }
    if (!dlsym(h, "gvm_private_abi")) {
        dprintf(fd, "foreign %s\n", info.dli_fname);
        return;
    }
    dprintf(fd, "ours %s\n", info.dli_fname);
    err = init(0);
    if (!err)
        err = get(&dev, 0);
    if (!err)
        err = name(text, sizeof(text), dev) || mem(&bytes, dev);
    if (err)
        dprintf(fd, "error %d\n", err);
    else
        dprintf(fd, "device %s, %zu MiB\n", text, bytes >> 20);
}

static void run_probe(char *out, size_t n)
{
    size_t used = 0;
    int fds[2];
    ssize_t r;
    pid_t pid;

    out[0] = '\0';
    fflush(stdout);
    if (pipe(fds) < 0)
        return;
    pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        alarm(60);
        if (null >= 0)
            dup2(null, STDERR_FILENO); /* what the library says, this program says better */
        close(fds[0]);
        setenv("GVM_WAIT_MS", "0", 0);
        probe(fds[1]);
        _exit(0);
    }
    close(fds[1]);
    while (pid > 0 && used < n - 1 && (r = read(fds[0], out + used, n - 1 - used)) > 0)
        used += (size_t)r;
    out[used] = '\0';
    close(fds[0]);
    if (pid > 0)
        waitpid(pid, NULL, 0);
}

static const char *rest(const char *text, const char *word)
{
    static char buf[512];
    const char *at = strstr(text, word);

    if (!at)
        return NULL;
    snprintf(buf, sizeof(buf), "%.*s", (int)strcspn(at + strlen(word), "\n"), at + strlen(word));
    return buf;
}

static void check_probe(struct doctor *d, const char *mend)
{
    char out[2048];
    const char *r;

    run_probe(out, sizeof(out));
    if ((r = rest(out, "foreign "))) {
        doc_bad(d, "libcuda.so.1", mend, "programs find %s, which is not GVM's", r);
        return;
    }
    r = rest(out, "ours ");
    if (!r) {
        r = rest(out, "none ");
        doc_bad(d, "libcuda.so.1", mend, "programs do not find one: %s", r ? r : "the probe died");
        return;
    }
    doc_good(d, "libcuda.so.1", "programs find %s", r);
    if ((r = rest(out, "device ")))
        doc_good(d, "CUDA", "cuInit works: %s", r);
    else if ((r = rest(out, "error ")))
        doc_bad(d, "CUDA", NULL, "cuInit fails with error %s", r);
    else
        doc_bad(d, "CUDA", NULL, "cuInit does not return");
}

void doctor_libs(struct doctor *d)
{
    char path[128], mend[256];
    const char *dir = NULL;

    for (unsigned i = 0; lib_dirs[i] && !dir; i++) {
        snprintf(path, sizeof(path), "%s/libcuda.so.1", lib_dirs[i]);
        if (doc_exists(d, path))
            dir = lib_dirs[i];
    }
    if (dir)
        doc_good(d, "libraries", "GVM's are in %s", dir);
    if (d->role == DOC_LOCAL) { /* gvm run sets the path itself */
        if (!dir)
            doc_good(d, "libraries", "not installed; gvm run uses those beside it");
        return;
    }
    if (!dir)
        doc_bad(d, "libraries", "apt install gvm-guest", "GVM's are in none of %s, %s, %s",
                lib_dirs[0], lib_dirs[1], lib_dirs[2]);
    if (!doc_live(d))
        return;
    snprintf(mend, sizeof(mend), "gvm-guest enable   (for one shell: export LD_LIBRARY_PATH=%s)",
             dir ? dir : lib_dirs[0]);
    check_probe(d, mend);
}

/* SPDX-License-Identifier: MIT */
#include "tools/gvm/doctor.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "gvm_version.h"
#include "tools/gvm/gvm.h"

static const char usage[] =
    "usage: gvm doctor [--as dom0|backend|guest|local] [--root DIR] [PROGRAM]\n"
    "Looks at what GVM needs here, says what is missing and the command that mends it. It finds "
    "out\n"
    "by itself whether this is dom0, a guest or a machine without Xen; a driver domain is a "
    "`backend`.\n"
    "--root: looks at the files of another root directory. PROGRAM: is it linked so that it can "
    "run?\n"
    "Exit status 0: programs should work; 1: something is wrong.\n";

static void line(const char *verdict, const char *what, const char *fmt, va_list ap)
{
    printf("%-5s %-16s ", verdict, what);
    vprintf(fmt, ap);
    printf("\n");
}

static void mending(const char *mend)
{
    if (mend)
        printf("      %-16s mend: %s\n", "", mend);
}

void doc_good(struct doctor *d, const char *what, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line("ok", what, fmt, ap);
    va_end(ap);
    d->good++;
}

void doc_warn(struct doctor *d, const char *what, const char *mend, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line("warn", what, fmt, ap);
    va_end(ap);
    mending(mend);
    d->warned++;
}

void doc_bad(struct doctor *d, const char *what, const char *mend, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line("BAD", what, fmt, ap);
    va_end(ap);
    mending(mend);
    d->bad++;
}

static bool full(const struct doctor *d, const char *path, char *buf, size_t n)
{
    return (size_t)snprintf(buf, n, "%s%s", d->root, path) < n;
}

bool doc_exists(const struct doctor *d, const char *path)
{
    char p[4096];

    return full(d, path, p, sizeof(p)) && access(p, F_OK) == 0;
}

bool doc_read(const struct doctor *d, const char *path, char *buf, size_t n)
{
    char p[4096];
    ssize_t r;
    int fd = full(d, path, p, sizeof(p)) ? open(p, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

    if (fd < 0)
        return false;
    r = read(fd, buf, n - 1);
    close(fd);
    if (r < 0)
        return false;
    buf[r] = '\0';
    if (r && buf[r - 1] == '\n')
        buf[r - 1] = '\0';
    return true;
}

bool doc_module(const struct doctor *d, const char *name)
{
    char p[128];

    snprintf(p, sizeof(p), "/sys/module/%s", name);
    return doc_exists(d, p);
}

const char *doc_kernel(const struct doctor *d)
{
    static char release[256];
    static struct utsname u;
    char p[4096];
    struct dirent *e;
    DIR *dir;

    if (doc_live(d))
        return uname(&u) == 0 ? u.release : "?";
    snprintf(release, sizeof(release), "?");
    dir = full(d, "/lib/modules", p, sizeof(p)) ? opendir(p) : NULL;
    while (dir && (e = readdir(dir)))
        if (e->d_name[0] != '.')
            snprintf(release, sizeof(release), "%s", e->d_name);
    if (dir)
        closedir(dir);
    return release;
}

static const char *wanted;

/* A file name says - where the module says _. */
static int is_wanted(const char *path, const struct stat *st, int type, struct FTW *f)
{
    const char *base = path + f->base;
    size_t n = strlen(wanted);

    if (type != FTW_F)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (base[i] != wanted[i] && !(base[i] == '-' && wanted[i] == '_'))
            return 0;
    }
    return strncmp(base + n, ".ko", 3) == 0;
}

bool doc_module_file(const struct doctor *d, const char *name)
{
    char p[4096], dir[512];

    wanted = name;
    snprintf(dir, sizeof(dir), "/lib/modules/%s", doc_kernel(d));
    return full(d, dir, p, sizeof(p)) && nftw(p, is_wanted, 16, FTW_PHYS) == 1;
}

const char *doc_first(const struct doctor *d, const char *const *paths)
{
    for (; *paths; paths++)
        if (doc_exists(d, *paths))
            return *paths;
    return NULL;
}

bool doc_field(const struct doctor *d, const char *path, const char *key, uint64_t *out)
{
    char buf[16384], *at;

    if (!doc_read(d, path, buf, sizeof(buf)))
        return false;
    for (at = buf; (at = strstr(at, key)); at++)
        if (at == buf || at[-1] == '\n')
            break;
    return at && sscanf(at + strlen(key), " %" SCNu64, out) == 1;
}

static enum doctor_role find_role(const struct doctor *d)
{
    char text[64] = "";

    if (doc_read(d, "/proc/xen/capabilities", text, sizeof(text)) && strstr(text, "control_d"))
        return DOC_DOM0;
    if (!doc_read(d, "/sys/hypervisor/type", text, sizeof(text)) || strcmp(text, "xen") != 0)
        return DOC_LOCAL;
    return doc_exists(d, "/run/gvm/backd.lock") ? DOC_BACKEND : DOC_GUEST;
}

static void check_program(struct doctor *d, const char *path)
{
    const char *why = access(path, R_OK) == 0 ? elf_why_not(path) : "cannot be read";

    if (why)
        doc_bad(d, "program", NULL, "%s %s", path, why);
    else
        doc_good(d, "program", "%s is not linked with NVIDIA's static runtime", path);
}

int cmd_doctor(int argc, char **argv)
{
    static const char *const roles[] = {"dom0", "backend", "guest", "local"};
    static const char *const titles[] = {"dom0", "a domain with a backend", "a Xen guest",
                                         "a machine without Xen"};
    static const struct option opts[] = {
        {"help", 0, NULL, 'h'}, {"as", 1, NULL, 'a'}, {"root", 1, NULL, 'r'}, {NULL, 0, NULL, 0}};
    struct doctor d = {.root = ""};
    char type[16] = "?";
    int c, role = -1;

    while ((c = getopt_long(argc, argv, "h", opts, NULL)) != -1) {
        switch (c) {
        case 'h':
            fputs(usage, stdout);
            return 0;
        case 'a':
            for (role = 3; role >= 0 && strcmp(optarg, roles[role]) != 0; role--)
                ;
            if (role < 0) {
                fprintf(stderr, "gvm doctor: --as %s: allowed are dom0, backend, guest and local\n",
                        optarg);
                return 2;
            }
            break;
        case 'r':
            d.root = strcmp(optarg, "/") == 0 ? "" : optarg;
            break;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (argc - optind > 1) {
        fputs(usage, stderr);
        return 2;
    }
    d.role = role >= 0 ? (enum doctor_role)role : find_role(&d);
    doc_read(&d, "/sys/hypervisor/guest_type", type, sizeof(type));
    d.pv = strcmp(type, "PV") == 0;
    printf("gvm doctor %s: %s%s%s%s, Linux %s\n", GVM_VERSION, titles[d.role],
           d.role == DOC_LOCAL ? "" : " (", d.role == DOC_LOCAL ? "" : type,
           d.role == DOC_LOCAL ? "" : ")", doc_kernel(&d));
    if (d.role == DOC_GUEST) {
        doctor_guest(&d);
        doctor_libs(&d);
    } else {
        if (d.role != DOC_LOCAL)
            doctor_back(&d);
        doctor_gpu(&d);
        if (d.role == DOC_LOCAL)
            doctor_libs(&d);
    }
    if (optind < argc)
        check_program(&d, argv[optind]);
    printf("%u good, %u warnings, %u bad\n", d.good, d.warned, d.bad);
    return d.bad ? 1 : 0;
}

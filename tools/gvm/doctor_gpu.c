/* SPDX-License-Identifier: MIT */
/*
 * doctor_gpu.c - is there a GPU, who drives it, and can it work under Xen?
 *
 * NVIDIA's driver refuses to be built for a kernel with Xen unless IGNORE_XEN_PRESENCE is set; in a PV
 * domain it has met trouble with the page attribute table; a GPU that is given to a driver domain
 * belongs to xen-pciback in dom0.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/gvm/doctor.h"

#define PCI "/sys/bus/pci/devices"

/* The oldest major version of the driver for CUDA 13. */
#define DRIVER_MIN 580

/* Name of the driver that has the device, "" : none. */
static void driver_of(const struct doctor *d, const char *dev, char *buf, size_t n)
{
    char path[4096], to[4096];
    ssize_t r;

    buf[0] = '\0';
    snprintf(path, sizeof(path), "%s" PCI "/%.60s/driver", d->root, dev);
    r = readlink(path, to, sizeof(to) - 1);
    if (r > 0) {
        to[r] = '\0';
        snprintf(buf, n, "%s", basename(to));
    }
}

/* Memory windows without an address: the BIOS or Xen found no room for them. */
static bool bars_missing(const struct doctor *d, const char *dev)
{
    char path[160], text[4096];
    unsigned long long start, end, flags;

    snprintf(path, sizeof(path), PCI "/%.60s/resource", dev);
    if (!doc_read(d, path, text, sizeof(text)))
        return false;
    for (const char *at = text; at && *at; at = strchr(at, '\n'), at += at != NULL) {
        if (sscanf(at, "%llx %llx %llx", &start, &end, &flags) != 3)
            break;
        if ((flags & 0x200) && start == 0) /* IORESOURCE_MEM */
            return true;
    }
    return false;
}

/* "NVRM version: NVIDIA UNIX ... Kernel Module for x86_64  580.159.04  Release Build ...": a word that
 * begins with a digit and has a dot. */
static bool module_version(const struct doctor *d, char *buf, size_t n)
{
    char text[1024], *word, *save = NULL;

    if (!doc_read(d, "/proc/driver/nvidia/version", text, sizeof(text)))
        return false;
    text[strcspn(text, "\n")] = '\0';
    for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        if (isdigit((unsigned char)word[0]) && strchr(word, '.')) {
            snprintf(buf, n, "%s", word);
            return true;
        }
    }
    return false;
}

/* The library's version is the end of the name of the file that the link leads to. */
static bool library_version(const struct doctor *d, char *path, size_t n, char *version, size_t vn)
{
    static const char *const dirs[] = {"/usr/local/nvidia/lib64",
                                       "/usr/lib/x86_64-linux-gnu/nvidia/current",
                                       "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"};

    for (unsigned i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        char link[4096], real[PATH_MAX], *at;

        snprintf(link, sizeof(link), "%s%s/libcuda.so.1", d->root, dirs[i]);
        if (!realpath(link, real))
            continue;
        at = strstr(real, "libcuda.so.");
        if (!at || !isdigit((unsigned char)at[11]) || !strchr(at + 11, '.'))
            continue; /* ours, or a stub */
        snprintf(path, n, "%s/libcuda.so.1", dirs[i]);
        snprintf(version, vn, "%s", at + 11);
        return true;
    }
    return false;
}

static void check_nodes(struct doctor *d)
{
    static const char *const nodes[] = {"/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm"};

    for (unsigned i = 0; i < 3; i++) {
        if (!doc_exists(d, nodes[i])) {
            doc_bad(d, "NVIDIA nodes", "nvidia-modprobe -c 0 -u", "%s is not there", nodes[i]);
            return;
        }
    }
    doc_good(d, "NVIDIA nodes", "/dev/nvidiactl, /dev/nvidia0, /dev/nvidia-uvm");
}

static void check_versions(struct doctor *d)
{
    char module[64], path[256], library[64];

    if (!module_version(d, module, sizeof(module))) {
        doc_bad(d, "NVIDIA driver", "modprobe nvidia; dmesg | grep NVRM",
                "the module is bound, but /proc/driver/nvidia/version is not there");
        return;
    }
    if (atoi(module) < DRIVER_MIN)
        doc_bad(d, "NVIDIA driver", "install version 580 or newer",
                "version %s is too old for CUDA 13", module);
    else
        doc_good(d, "NVIDIA driver", "version %s", module);
    if (!library_version(d, path, sizeof(path), library, sizeof(library)))
        doc_bad(d, "libcuda.so.1", "apt install libcuda1   (of the module's version)",
                "NVIDIA's library is not installed: workers cannot open the GPU");
    else if (strcmp(module, library) != 0)
        doc_bad(d, "libcuda.so.1", "reboot, or reload the nvidia modules",
                "%s is of version %s, the module of %s: the driver refuses that", path, library,
                module);
    else
        doc_good(d, "libcuda.so.1", "%s, of the same version", path);
}

/* Nobody drives it: why not? */
static void check_unbound(struct doctor *d, const char *dev)
{
    bool xen = d->role != DOC_LOCAL;

    if (doc_module_file(d, "nvidia"))
        doc_bad(d, "NVIDIA driver", "modprobe nvidia; dmesg | grep NVRM",
                "GPU %s has no driver; the module is there, but not loaded or not willing", dev);
    else if (xen)
        doc_bad(
            d, "NVIDIA driver",
            "IGNORE_XEN_PRESENCE=1 dkms autoinstall   (or for NVIDIA's installer: "
            "IGNORE_XEN_PRESENCE=1 "
            "sh NVIDIA-Linux-*.run)",
            "GPU %s has no driver: there is no nvidia.ko for Linux %s. Its build refuses kernels "
            "with Xen unless it is told not to",
            dev, doc_kernel(d));
    else
        doc_bad(d, "NVIDIA driver", "apt install nvidia-open-kernel-dkms libcuda1",
                "GPU %s has no driver: there is no nvidia.ko for Linux %s", dev, doc_kernel(d));
}

/* True if the driver's own state is worth a look. */
static bool check_gpu(struct doctor *d, const char *dev)
{
    char driver[64];

    driver_of(d, dev, driver, sizeof(driver));
    if (bars_missing(d, dev))
        doc_bad(d, "GPU memory",
                "enable 'Above 4G decoding' in the firmware; add pci=realloc to Linux",
                "a memory window of GPU %s has no address", dev);
    if (strcmp(driver, "nvidia") == 0) {
        doc_good(d, "GPU", "%s, driven by nvidia", dev);
        return true;
    }
    if (strcmp(driver, "pciback") == 0 || strcmp(driver, "xen-pciback") == 0 ||
        strcmp(driver, "vfio-pci") == 0)
        doc_good(d, "GPU",
                 "%s is set aside for another domain (%s): its gvm-backd serves it, with "
                 "backend=NAME in vgpu=",
                 dev, driver);
    else if (driver[0])
        doc_bad(d, "GPU",
                "printf 'blacklist nouveau\\noptions nouveau modeset=0\\n' > "
                "/etc/modprobe.d/nouveau.conf; update-initramfs -u; reboot",
                "%s is driven by %s: NVIDIA's driver cannot have it", dev, driver);
    else
        check_unbound(d, dev);
    return false;
}

void doctor_gpu(struct doctor *d)
{
    char path[4096], text[64];
    unsigned gpus = 0;
    bool driven = false;
    struct dirent *e;
    DIR *dir;

    snprintf(path, sizeof(path), "%s" PCI, d->root);
    dir = opendir(path);
    while (dir && (e = readdir(dir))) {
        snprintf(path, sizeof(path), PCI "/%.60s/vendor", e->d_name);
        if (!doc_read(d, path, text, sizeof(text)) || strcmp(text, "0x10de") != 0)
            continue;
        snprintf(path, sizeof(path), PCI "/%.60s/class", e->d_name);
        if (!doc_read(d, path, text, sizeof(text)) || strncmp(text, "0x03", 4) != 0)
            continue;
        gpus++;
        driven |= check_gpu(d, e->d_name);
    }
    if (dir)
        closedir(dir);
    /* A container has the nodes, but often not the PCI tree. */
    if (!gpus && doc_exists(d, "/proc/driver/nvidia/version"))
        driven = true;
    if (!gpus && !driven) {
        doc_good(d, "GPU", "none of NVIDIA's here: programs run on the software device (CPU)");
        return;
    }
    if (!driven)
        return;
    check_versions(d);
    check_nodes(d);
    if (d->pv)
        doc_warn(d, "PV domain",
                 "dom0=pvh in GRUB_CMDLINE_XEN, or a driver domain that has the GPU (backend=NAME)",
                 "NVIDIA does not support its driver in a PV domain, and GVM must not pin guests' "
                 "memory "
                 "in one: copies are staged");
}

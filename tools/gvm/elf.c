/* SPDX-License-Identifier: MIT */
/*
 * elf.c - tells a CUDA program that was linked with the static runtime. Such a program never calls
 * our libcudart, and would fail in a way that says nothing.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/gvm/gvm.h"

struct image {
    const uint8_t *p;
    uint64_t len;
};

static const void *at(const struct image *f, uint64_t off, uint64_t len)
{
    return off <= f->len && len <= f->len - off ? f->p + off : NULL;
}

/* A string in the file; NULL unless it ends inside [off, off+max). */
static const char *str(const struct image *f, uint64_t off, uint64_t max)
{
    const char *s = at(f, off, max);

    return s && memchr(s, '\0', max) ? s : NULL;
}

static bool needs_runtime(const struct image *f, const Elf64_Shdr *sh, const Elf64_Shdr *dyn)
{
    const Elf64_Shdr *tab = sh + dyn->sh_link;
    const Elf64_Dyn *d = at(f, dyn->sh_offset, dyn->sh_size);

    for (uint64_t i = 0; d && i < dyn->sh_size / sizeof(*d) && d[i].d_tag != DT_NULL; i++) {
        const char *name;

        if (d[i].d_tag != DT_NEEDED || d[i].d_un.d_val >= tab->sh_size)
            continue;
        name = str(f, tab->sh_offset + d[i].d_un.d_val, tab->sh_size - d[i].d_un.d_val);
        /* libcuda.so: a driver API program carries images of its own too. */
        if (name &&
            (strncmp(name, "libcudart.so", 12) == 0 || strncmp(name, "libcuda.so", 10) == 0))
            return true;
    }
    return false;
}

static bool is_static_cuda(const struct image *f)
{
    const Elf64_Ehdr *eh = at(f, 0, sizeof(*eh));
    const Elf64_Shdr *sh, *names;
    bool fatbin = false, shared = false;

    if (!eh || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 || eh->e_ident[EI_CLASS] != ELFCLASS64 ||
        eh->e_shentsize != sizeof(*sh) || eh->e_shstrndx >= eh->e_shnum)
        return false;
    sh = at(f, eh->e_shoff, (uint64_t)eh->e_shnum * sizeof(*sh));
    if (!sh || eh->e_shoff % _Alignof(Elf64_Shdr))
        return false;
    names = sh + eh->e_shstrndx;
    for (unsigned i = 0; i < eh->e_shnum; i++) {
        const char *n = sh[i].sh_name < names->sh_size ? str(f, names->sh_offset + sh[i].sh_name,
                                                             names->sh_size - sh[i].sh_name)
                                                       : NULL;

        if (n && (strcmp(n, ".nv_fatbin") == 0 || strcmp(n, ".nvFatBinSegment") == 0))
            fatbin = true;
        if (n && strcmp(n, ".gvm_cudart") == 0) /* our libcudart_static.a */
            shared = true;
        if (sh[i].sh_type == SHT_DYNAMIC && sh[i].sh_link < eh->e_shnum && sh[i].sh_offset % 8 == 0)
            shared |= needs_runtime(f, sh, &sh[i]);
    }
    return fatbin && !shared;
}

const char *elf_why_not(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *why = NULL;
    struct image f;
    struct stat st;
    void *p;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p != MAP_FAILED) {
            f = (struct image){p, (uint64_t)st.st_size};
            if (is_static_cuda(&f))
                why = "has NVIDIA's runtime linked in (nvcc's default) and cannot use this device: "
                      "link it again with nvcc -cudart shared "
                      "(CMake: CUDA_RUNTIME_LIBRARY Shared), or with GVM's own "
                      "libcudart_static.a (-L and its folder)";
            munmap(p, (size_t)st.st_size);
        }
    }
    close(fd);
    return why;
}

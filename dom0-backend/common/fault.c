/* SPDX-License-Identifier: MIT */
#include "dom0-backend/common/fault.h"

#ifdef GVM_FAULTS
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dom0-backend/common/log.h"

#define WK_FD_FAULT 60 /* beyond those of handoff.h */

static struct fault_page *page;
static int page_fd = -1;

static void map(int fd)
{
    void *p = mmap((void *)FAULT_ADDR, sizeof(*page), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);

    if (p == MAP_FAILED)
        log_warn("fault points: %m");
    else
        page = p;
}

void fault_open(void)
{
    const char *path = getenv("GVM_FAULT_FILE");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

    if (fd < 0)
        return;
    if (ftruncate(fd, sizeof(*page)) == 0)
        map(fd);
    page_fd = fcntl(fd, F_DUPFD_CLOEXEC, 200);
    close(fd);
    log_warn("built with fault points, for tests only");
}

void fault_hand_on(void)
{
    if (page_fd >= 0)
        dup2(page_fd, WK_FD_FAULT);
}

void fault_take_over(void)
{
    if (fcntl(WK_FD_FAULT, F_GETFD) < 0)
        return;
    map(WK_FD_FAULT);
    close(WK_FD_FAULT);
}

static long wait_on(uint32_t *word, uint32_t value)
{
    return syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

void fault_point(const char *name, uint32_t domid)
{
    uint32_t n, last, go;

    if (!page)
        return;
    n = __atomic_load_n(&page->armed, __ATOMIC_ACQUIRE);
    last = __atomic_load_n(&page->hit, __ATOMIC_ACQUIRE);
    if (n == 0 || n == last || strncmp(page->name, name, FAULT_NAME) != 0 ||
        (domid && page->domid && domid != page->domid))
        return;
    if (!__atomic_compare_exchange_n(&page->hit, &last, n, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return;
    syscall(SYS_futex, &page->hit, FUTEX_WAKE, 1, NULL, NULL, 0);
    while ((go = __atomic_load_n(&page->go, __ATOMIC_ACQUIRE)) != n)
        wait_on(&page->go, go);
}
#endif

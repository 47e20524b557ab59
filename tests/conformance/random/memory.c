/* SPDX-License-Identifier: MIT */
/* memory.c - allocations, copies, fills and questions about pointers. */
#include "random.h"

static const size_t sizes[] = {1, 4, 100, 512, 4096, 4097, 65536, 70001, 300000, MAX};

static size_t any_size(struct sequence *q)
{
    return sizes[random_below(q, sizeof(sizes) / sizeof(sizes[0]))];
}

static int index_of(const struct memory *m, const struct memory *first)
{
    return (int)(m - first);
}

/* Room for a new one: an index, or that of one that is in use. */
static int slot(struct sequence *q, struct memory *m, int n)
{
    for (int i = 0; i < n; i++)
        if (!m[i].p)
            return i;
    return (int)random_below(q, (unsigned)n);
}

static void free_device(struct sequence *q, int i)
{
    struct memory *m = &q->device[i];

    if (m->pooled && random_below(q, 2)) {
        struct random_stream s = random_stream(q);

        touch(q, m, s.key);
        R(cudaFreeAsync(m->p, s.s), "cudaFreeAsync(d%d, %s)", i, s.name);
        m->p = NULL;
        return;
    }
    if (m->pooled && m->dirty) {
        /* not waited for by cudaFree: whoever frees memory of a pool says that it is idle */
        R(cudaDeviceSynchronize(), "cudaDeviceSynchronize()");
        all_clean(q);
    }
    if (random_below(q, 2)) {
        R(cudaFree(m->p), "cudaFree(d%d)", i);
        if (random_once_in(q, 5) && !m->pooled)
            R(cudaFree(m->p), "cudaFree(d%d), freed", i);
    } else {
        R(cuMemFree((CUdeviceptr)m->p), "cuMemFree(d%d)", i);
        if (random_once_in(q, 5) && !m->pooled)
            R(cuMemFree((CUdeviceptr)m->p), "cuMemFree(d%d), freed", i);
    }
    m->p = NULL;
}

static void allocate(struct sequence *q)
{
    int i = slot(q, q->device, BUFFERS), rc;
    struct memory *m = &q->device[i];
    struct random_stream s = {NULL, 1, ""};
    size_t n = any_size(q);

    if (m->p)
        free_device(q, i);
    memset(m, 0, sizeof(*m));
    switch (random_below(q, 4)) {
    case 0:
        rc = R(cuMemAlloc((CUdeviceptr *)&m->p, n), "cuMemAlloc(d%d, %zu)", i, n);
        break;
    case 1:
        s = random_stream(q);
        m->pooled = 1;
        rc = R(cudaMallocAsync((void **)&m->p, n, s.s), "cudaMallocAsync(d%d, %zu, %s)", i, n,
               s.name);
        break;
    default:
        rc = R(cudaMalloc((void **)&m->p, n), "cudaMalloc(d%d, %zu)", i, n);
        break;
    }
    if (rc) {
        m->p = NULL;
        return;
    }
    m->size = n;
    m->dirty = s.key;
    R(cudaMemsetAsync(m->p, i, n, s.s), "cudaMemsetAsync(d%d, %d, %zu, %s)", i, i, n, s.name);
}

void step_memory(struct sequence *q)
{
    struct memory *m = some(q, q->device, BUFFERS);
    uint8_t *p = (uint8_t *)16;

    if (!m || random_below(q, 2)) {
        allocate(q);
        return;
    }
    switch (random_below(q, 14)) {
    case 0:
        R(cudaFree(m->p + 1), "cudaFree(d + 1)");
        break;
    case 1:
        R(cudaFree(q->paged[0].p), "cudaFree(paged)");
        break;
    case 2:
        R(cudaFree(NULL), "cudaFree(NULL)");
        break;
    case 3:
        R(cudaMalloc((void **)&p, 0), "cudaMalloc(&p, 0)");
        T_BOOL("p", p != NULL);
        break;
    case 4:
        R(cudaMalloc((void **)&p, (size_t)1 << 45), "cudaMalloc(&p, 1 << 45)");
        break;
    case 5:
        R(cudaMalloc(NULL, 16), "cudaMalloc(NULL, 16)");
        break;
    case 6:
        R(cuMemAlloc((CUdeviceptr *)&p, 0), "cuMemAlloc(&p, 0)");
        break;
    case 7:
        R(cuMemFree((CUdeviceptr)m->p + 1), "cuMemFree(d + 1)");
        break;
    case 8:
        R(cuMemFree(0), "cuMemFree(0)");
        break;
    case 9:
        if (q->pinned[0].p)
            R(cudaFree(q->pinned[0].p), "cudaFree(h0)");
        break;
    default:
        free_device(q, index_of(m, q->device));
        break;
    }
}

void step_host_memory(struct sequence *q)
{
    static const unsigned flags[] = {0, 1, 2, 3, 4, 7, 0x80, 0x100};
    int i = slot(q, q->pinned, PINNED), rc;
    struct memory *m = &q->pinned[i];
    size_t n = any_size(q);
    unsigned f = flags[random_below(q, 8)];
    void *p = NULL;

    if (m->p) {
        if (random_once_in(q, 4))
            R(cudaFreeHost(m->p + 1), "cudaFreeHost(h + 1)");
        R(random_below(q, 2) ? (int)cudaFreeHost(m->p) : (int)cuMemFreeHost(m->p), "free h%d", i);
        if (random_once_in(q, 4))
            R(cudaFreeHost(m->p), "cudaFreeHost(h%d), freed", i);
        m->p = NULL;
        return;
    }
    switch (random_below(q, 6)) {
    case 0:
        rc = R(cudaMallocHost((void **)&m->p, n), "cudaMallocHost(h%d, %zu)", i, n);
        break;
    case 1:
        rc = R(cuMemAllocHost((void **)&m->p, n), "cuMemAllocHost(h%d, %zu)", i, n);
        break;
    case 2:
        R(cudaHostAlloc(&p, 0, f), "cudaHostAlloc(&p, 0, %#x)", f);
        R(cudaFreeHost(NULL), "cudaFreeHost(NULL)");
        R(cudaFreeHost(q->paged[0].p), "cudaFreeHost(paged)");
        return;
    default:
        rc = R(cudaHostAlloc((void **)&m->p, n, f), "cudaHostAlloc(h%d, %zu, %#x)", i, n, f);
        break;
    }
    if (rc) {
        m->p = NULL;
        return;
    }
    m->size = n;
    m->dirty = 0;
    memset(m->p, 0x40 + i, n);
}

/* A range inside m, and once in a while one that is not. */
static void range(struct sequence *q, const struct memory *m, size_t limit, size_t *at, size_t *n)
{
    *n = any_size(q) % (m->size + 1);
    *at = *n < m->size ? random_below(q, (unsigned)(m->size - *n)) : 0;
    if (*n > limit)
        *n = limit;
}

void step_copy(struct sequence *q)
{
    struct memory *d = some(q, q->device, BUFFERS), *e = some(q, q->device, BUFFERS);
    struct memory *h = random_below(q, 2) ? some(q, q->pinned, PINNED) : NULL;
    struct random_stream s = {NULL, 1, "sync"};
    int async = random_below(q, 2) != 0, rc, pinned = h != NULL;
    enum cudaMemcpyKind kind;
    size_t at, n;

    if (!d || !e)
        return;
    if (!h)
        h = &q->paged[random_below(q, PAGED)];
    if (async)
        s = random_stream(q);
    switch (random_below(q, 9)) {
    case 0:
    case 1:
        range(q, d, h->size, &at, &n);
        touch(q, d, s.key);
        touch(q, h, s.key);
        d->dirty = h->dirty = s.key; /* touching h may have cleaned d */
        kind = random_once_in(q, 3) ? cudaMemcpyDefault : cudaMemcpyHostToDevice;
        rc = async ? cudaMemcpyAsync(d->p + at, h->p, n, kind, s.s)
                   : cudaMemcpy(d->p + at, h->p, n, kind);
        R(rc, "cudaMemcpy(d%d + %zu, %s, %zu, %d, %s)", index_of(d, q->device), at,
          pinned ? "pinned" : "paged", n, kind, s.name);
        if (!pinned)
            h->dirty = 0;
        break;
    case 2:
    case 3:
    case 4:
        range(q, d, h->size, &at, &n);
        touch(q, d, s.key);
        touch(q, h, s.key);
        d->dirty = s.key;
        kind = random_once_in(q, 3) ? cudaMemcpyDefault : cudaMemcpyDeviceToHost;
        rc = async ? cudaMemcpyAsync(h->p, d->p + at, n, kind, s.s)
                   : cudaMemcpy(h->p, d->p + at, n, kind);
        R(rc, "cudaMemcpy(%s, d%d + %zu, %zu, %d, %s)", pinned ? "pinned" : "paged",
          index_of(d, q->device), at, n, kind, s.name);
        if (async && pinned)
            R(cudaStreamSynchronize(s.s), "cudaStreamSynchronize(%s)", s.name);
        h->dirty = 0;
        T_DIGEST("host", h->p, n);
        break;
    case 5:
        range(q, d, e->size, &at, &n);
        if (d == e) /* not onto itself */
            n = n / 2 < at ? n / 2 : at;
        touch(q, d, s.key);
        touch(q, e, s.key);
        d->dirty = e->dirty = s.key;
        rc = async ? cudaMemcpyAsync(e->p, d->p + at, n, cudaMemcpyDeviceToDevice, s.s)
                   : cuMemcpyDtoD((CUdeviceptr)e->p, (CUdeviceptr)d->p + at, n);
        R(rc, "copy(d%d, d%d + %zu, %zu, %s)", index_of(e, q->device), index_of(d, q->device), at,
          n, s.name);
        break;
    case 6: /* past the end */
        touch(q, d, s.key);
        R(async ? cudaMemcpyAsync(d->p + 1, q->paged[0].p, d->size, cudaMemcpyHostToDevice, s.s)
                : cudaMemcpy(d->p + 1, q->paged[0].p, d->size, cudaMemcpyHostToDevice),
          "cudaMemcpy(d + 1, paged, %zu, %s)", d->size, s.name);
        break;
    case 7: /* a kind that the pointers are not, or that there is not */
        touch(q, d, s.key);
        kind = random_below(q, 2) ? cudaMemcpyDeviceToHost : (enum cudaMemcpyKind)9;
        R(async ? cudaMemcpyAsync(d->p, q->paged[0].p, 1, kind, s.s)
                : cudaMemcpy(d->p, q->paged[0].p, 1, kind),
          "cudaMemcpy(d, paged, 1, %d, %s)", kind, s.name);
        break;
    default:
        R(cudaMemcpy(NULL, NULL, 0, cudaMemcpyHostToDevice), "cudaMemcpy(NULL, NULL, 0)");
        R(cudaMemcpy(NULL, q->paged[0].p, 4, cudaMemcpyHostToDevice), "cudaMemcpy(NULL, paged)");
        R(cuMemcpyHtoD(16, q->paged[0].p, 4), "cuMemcpyHtoD(16, paged, 4)");
        R(cuMemcpyDtoH(q->paged[0].p, 0, 4), "cuMemcpyDtoH(paged, 0, 4)");
        break;
    }
}

void step_box(struct sequence *q)
{
    struct memory *d = some(q, q->device, BUFFERS), *h = &q->paged[random_below(q, PAGED)];
    size_t pitch = 1 + random_below(q, 700), width = 1 + random_below(q, (unsigned)pitch);
    size_t rows = 1 + random_below(q, 20), pitch2 = 512;
    void *p = NULL;

    if (!d || pitch * rows > d->size)
        return;
    touch(q, d, 1);
    switch (random_below(q, 6)) {
    case 0:
        R(cudaMemcpy2D(d->p, pitch, h->p, 701, width, rows, cudaMemcpyHostToDevice),
          "cudaMemcpy2D(d, %zu, paged, 701, %zu, %zu)", pitch, width, rows);
        break;
    case 1:
        R(cudaMemcpy2D(h->p, 703, d->p, pitch, width, rows, cudaMemcpyDeviceToHost),
          "cudaMemcpy2D(paged, 703, d, %zu, %zu, %zu)", pitch, width, rows);
        T_DIGEST("host", h->p, 703 * rows);
        break;
    case 2:
        R(cudaMemset2D(d->p, pitch, 0x33, width, rows), "cudaMemset2D(d, %zu, 0x33, %zu, %zu)",
          pitch, width, rows);
        break;
    case 3:
        R(cudaMemcpy2D(d->p, pitch, h->p, 701, pitch + 1, rows, cudaMemcpyHostToDevice),
          "cudaMemcpy2D, too wide");
        break;
    case 4:
        R(cudaMemset2D(d->p, pitch, 0x33, width, d->size), "cudaMemset2D, too high");
        break;
    default:
        R(cudaMallocPitch(&p, &pitch2, width, rows), "cudaMallocPitch(%zu, %zu)", width, rows);
        T_INT("pitch", pitch2);
        R(cudaFree(p), "cudaFree(pitched)");
        R(cudaMallocPitch(&p, NULL, width, rows), "cudaMallocPitch(&p, NULL)");
        break;
    }
}

void step_fill(struct sequence *q)
{
    struct memory *d = some(q, q->device, BUFFERS);
    struct random_stream s = random_stream(q);
    size_t at, n;

    if (!d)
        return;
    range(q, d, MAX, &at, &n);
    switch (random_below(q, 7)) {
    case 0:
        touch(q, d, 1);
        R(cudaMemset(d->p + at, 0x77, n), "cudaMemset(d + %zu, 0x77, %zu)", at, n);
        break;
    case 1:
        at &= ~(size_t)3;
        touch(q, d, s.key);
        R(cuMemsetD32Async((CUdeviceptr)d->p + at, 0x12345678, (d->size - at) / 4, (CUstream)s.s),
          "cuMemsetD32Async(d + %zu, ..., %zu, %s)", at, (d->size - at) / 4, s.name);
        break;
    case 2:
        R(cudaMemset(d->p + 1, 0, d->size), "cudaMemset(d + 1, 0, %zu)", d->size);
        break;
    case 3:
        R(cudaMemsetAsync(NULL, 0, 4, s.s), "cudaMemsetAsync(NULL, 0, 4, %s)", s.name);
        R(cudaMemset(NULL, 0, 0), "cudaMemset(NULL, 0, 0)");
        break;
    case 4:
        R(cuMemsetD32((CUdeviceptr)d->p + 1, 0, 1), "cuMemsetD32(d + 1, 0, 1)");
        break;
    default:
        touch(q, d, s.key);
        R(cudaMemsetAsync(d->p + at, 0x88, n, s.s), "cudaMemsetAsync(d + %zu, 0x88, %zu, %s)", at,
          n, s.name);
        break;
    }
}

static void attributes(struct sequence *q, const char *name, const uint8_t *p)
{
    struct cudaPointerAttributes a;

    memset(&a, 0x55, sizeof(a));
    if (R(cudaPointerGetAttributes(&a, p), "cudaPointerGetAttributes(%s)", name) == 0)
        printf("%s = type %d, device %d, device pointer %s, host pointer %s\n", name, a.type,
               a.device,
               a.devicePointer == p ? "same"
               : a.devicePointer    ? "other"
                                    : "none",
               a.hostPointer == p ? "same"
               : a.hostPointer    ? "other"
                                  : "none");
}

void step_query(struct sequence *q)
{
    struct memory *d = some(q, q->device, BUFFERS), *h = some(q, q->pinned, PINNED);
    size_t n = 0, m = 0;
    CUdeviceptr base = 0;
    void *p = NULL;
    unsigned f = 0;
    int v = 0, device = -1;

    switch (random_below(q, 10)) {
    case 0:
        if (d)
            attributes(q, "d", d->p + random_below(q, (unsigned)d->size));
        break;
    case 1:
        if (h)
            attributes(q, "h", h->p);
        break;
    case 2:
        attributes(q, "paged", q->paged[0].p + 100);
        attributes(q, "NULL", NULL);
        break;
    case 3:
        if (d && !d->pooled &&
            !R(cuMemGetAddressRange(&base, &n, (CUdeviceptr)d->p + d->size / 2),
               "cuMemGetAddressRange(d)"))
            printf("range = %s, %zu\n", base == (CUdeviceptr)d->p ? "from d" : "other", n);
        break;
    case 4:
        if (h) {
            R(cudaHostGetFlags(&f, h->p), "cudaHostGetFlags(h)");
            /* cudaHostAllocPortable is that of the chunk which the driver took the memory from: of
             * whatever was allocated there first */
            T_HEX("flags", f & ~1u);
            R(cudaHostGetDevicePointer(&p, h->p, 0), "cudaHostGetDevicePointer(h)");
            T_BOOL("same", p == h->p);
            R(cudaHostGetDevicePointer(&p, h->p, 1), "cudaHostGetDevicePointer(h, 1)");
        }
        break;
    case 5:
        R(cudaHostGetFlags(&f, q->paged[0].p), "cudaHostGetFlags(paged)");
        R(cudaHostGetDevicePointer(&p, q->paged[0].p, 0), "cudaHostGetDevicePointer(paged)");
        break;
    case 6:
        R(cudaMemGetInfo(&n, &m), "cudaMemGetInfo");
        T_BOOL("free is not more than all", n && n <= m);
        break;
    case 7:
        v = (int)random_below(q, 160) - 5;
        R(cudaDeviceGetAttribute(&device, (enum cudaDeviceAttr)v, 0), "cudaDeviceGetAttribute(%d)",
          v);
        R(cudaDeviceGetAttribute(&device, cudaDevAttrWarpSize, 77), "cudaDeviceGetAttribute, 77");
        break;
    case 8:
        v = random_below(q, 2) ? -1 : 1000;
        R(cudaSetDevice(v), "cudaSetDevice(%d)", v);
        R(cudaGetDevice(&device), "cudaGetDevice");
        T_INT("device", device);
        break;
    default:
        v = (int)random_below(q, 12) - 1;
        R(cudaDeviceGetLimit(&n, (enum cudaLimit)v), "cudaDeviceGetLimit(%d)", v);
        R(cudaDeviceGetLimit(NULL, cudaLimitStackSize), "cudaDeviceGetLimit(NULL)");
        break;
    }
}

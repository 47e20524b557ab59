/* SPDX-License-Identifier: MIT */
/*
 * array_copy.c - copies from and to arrays in one and two dimensions. Offsets and widths count
 * octets.
 */
#include "../driver/box.h"
#include "array.h"

static uint64_t id(const void *array)
{
    return (uintptr_t)array;
}

/* Direction of a copy to or from an array, which is the device's; -1: it contradicts that. */
static int array_dir(enum cudaMemcpyKind kind, bool to_array)
{
    int dir = rt_dir(kind);

    if (dir == GVM_D2D || dir == GVM_ANY || dir == (to_array ? GVM_H2D : GVM_D2H))
        return dir;
    return -1;
}

/* ---- runs -------------------------------------------------------------------------------- */

static cudaError_t run(cudaArray_const_t array, size_t x, size_t y, const void *p, size_t n,
                       bool to_array, enum cudaMemcpyKind kind, cudaStream_t s, bool sync)
{
    int dir = array_dir(kind, to_array);

    if (dir < 0)
        return rt_done(cudaErrorInvalidMemcpyDirection);
    return rt_done(gvm_array_copy(id(array), x, y, rt_addr(p), n, to_array, (enum gvm_dir)dir,
                                  rt_stream(s), sync));
}

cudaError_t cudaMemcpyToArray(cudaArray_t dst, size_t x, size_t y, const void *src, size_t n,
                              enum cudaMemcpyKind kind)
{
    return run(dst, x, y, src, n, true, kind, NULL, true);
}

RT_API cudaError_t cudaMemcpyToArray_ptds(cudaArray_t dst, size_t x, size_t y, const void *src,
                                          size_t n, enum cudaMemcpyKind kind)
{
    return run(dst, x, y, src, n, true, kind, cudaStreamPerThread, true);
}

cudaError_t cudaMemcpyToArrayAsync(cudaArray_t dst, size_t x, size_t y, const void *src, size_t n,
                                   enum cudaMemcpyKind kind, cudaStream_t s)
{
    return run(dst, x, y, src, n, true, kind, s, false);
}

RT_API cudaError_t cudaMemcpyToArrayAsync_ptsz(cudaArray_t dst, size_t x, size_t y, const void *src,
                                               size_t n, enum cudaMemcpyKind kind, cudaStream_t s)
{
    return run(dst, x, y, src, n, true, kind, rt_own(s), false);
}

cudaError_t cudaMemcpyFromArray(void *dst, cudaArray_const_t src, size_t x, size_t y, size_t n,
                                enum cudaMemcpyKind kind)
{
    return run(src, x, y, dst, n, false, kind, NULL, true);
}

RT_API cudaError_t cudaMemcpyFromArray_ptds(void *dst, cudaArray_const_t src, size_t x, size_t y,
                                            size_t n, enum cudaMemcpyKind kind)
{
    return run(src, x, y, dst, n, false, kind, cudaStreamPerThread, true);
}

cudaError_t cudaMemcpyFromArrayAsync(void *dst, cudaArray_const_t src, size_t x, size_t y, size_t n,
                                     enum cudaMemcpyKind kind, cudaStream_t s)
{
    return run(src, x, y, dst, n, false, kind, s, false);
}

RT_API cudaError_t cudaMemcpyFromArrayAsync_ptsz(void *dst, cudaArray_const_t src, size_t x,
                                                 size_t y, size_t n, enum cudaMemcpyKind kind,
                                                 cudaStream_t s)
{
    return run(src, x, y, dst, n, false, kind, rt_own(s), false);
}

static cudaError_t array_to_array(cudaArray_t dst, size_t dx, size_t dy, cudaArray_const_t src,
                                  size_t sx, size_t sy, size_t n, enum cudaMemcpyKind kind,
                                  cudaStream_t s)
{
    if (kind != cudaMemcpyDeviceToDevice && kind != cudaMemcpyDefault)
        return rt_done(cudaErrorInvalidMemcpyDirection);
    return rt_done(gvm_array_copy_array(id(dst), dx, dy, id(src), sx, sy, n, rt_stream(s), true));
}

cudaError_t cudaMemcpyArrayToArray(cudaArray_t dst, size_t dx, size_t dy, cudaArray_const_t src,
                                   size_t sx, size_t sy, size_t n, enum cudaMemcpyKind kind)
{
    return array_to_array(dst, dx, dy, src, sx, sy, n, kind, NULL);
}

RT_API cudaError_t cudaMemcpyArrayToArray_ptds(cudaArray_t dst, size_t dx, size_t dy,
                                               cudaArray_const_t src, size_t sx, size_t sy,
                                               size_t n, enum cudaMemcpyKind kind)
{
    return array_to_array(dst, dx, dy, src, sx, sy, n, kind, cudaStreamPerThread);
}

/* ---- rectangles -------------------------------------------------------------------------- */

static int array_end(cudaArray_const_t array, size_t x, size_t y, struct gvm_end *e)
{
    unsigned elem;

    *e = (struct gvm_end){.array = true, .x = x, .y = y};
    return gvm_array_look(id(array), &e->id, &elem);
}

static cudaError_t rectangle(cudaArray_const_t array, size_t x, size_t y, const void *p,
                             size_t pitch, size_t width, size_t height, bool to_array,
                             enum cudaMemcpyKind kind, cudaStream_t s, bool sync)
{
    struct gvm_box b = {.width = width, .height = height, .depth = 1};
    struct gvm_end in, out = {.addr = rt_addr(p), .pitch = pitch, .height = height};
    int dir = array_dir(kind, to_array), err;

    if (dir < 0)
        return rt_done(cudaErrorInvalidMemcpyDirection);
    b.dir = (enum gvm_dir)dir;
    err = gvm_init();
    if (err == 0)
        err = array_end(array, x, y, &in);
    if (err == 0 && width && height && pitch < width)
        err = cudaErrorInvalidPitchValue;
    b.dst = to_array ? in : out;
    b.src = to_array ? out : in;
    return rt_done(err ? err : gvm_copy_box(&b, rt_stream(s), sync));
}

cudaError_t cudaMemcpy2DToArray(cudaArray_t dst, size_t x, size_t y, const void *src, size_t pitch,
                                size_t width, size_t height, enum cudaMemcpyKind kind)
{
    return rectangle(dst, x, y, src, pitch, width, height, true, kind, NULL, true);
}

RT_API cudaError_t cudaMemcpy2DToArray_ptds(cudaArray_t dst, size_t x, size_t y, const void *src,
                                            size_t pitch, size_t width, size_t height,
                                            enum cudaMemcpyKind kind)
{
    return rectangle(dst, x, y, src, pitch, width, height, true, kind, cudaStreamPerThread, true);
}

cudaError_t cudaMemcpy2DToArrayAsync(cudaArray_t dst, size_t x, size_t y, const void *src,
                                     size_t pitch, size_t width, size_t height,
                                     enum cudaMemcpyKind kind, cudaStream_t s)
{
    return rectangle(dst, x, y, src, pitch, width, height, true, kind, s, false);
}

RT_API cudaError_t cudaMemcpy2DToArrayAsync_ptsz(cudaArray_t dst, size_t x, size_t y,
                                                 const void *src, size_t pitch, size_t width,
                                                 size_t height, enum cudaMemcpyKind kind,
                                                 cudaStream_t s)
{
    return rectangle(dst, x, y, src, pitch, width, height, true, kind, rt_own(s), false);
}

cudaError_t cudaMemcpy2DFromArray(void *dst, size_t pitch, cudaArray_const_t src, size_t x,
                                  size_t y, size_t width, size_t height, enum cudaMemcpyKind kind)
{
    return rectangle(src, x, y, dst, pitch, width, height, false, kind, NULL, true);
}

RT_API cudaError_t cudaMemcpy2DFromArray_ptds(void *dst, size_t pitch, cudaArray_const_t src,
                                              size_t x, size_t y, size_t width, size_t height,
                                              enum cudaMemcpyKind kind)
{
    return rectangle(src, x, y, dst, pitch, width, height, false, kind, cudaStreamPerThread, true);
}

cudaError_t cudaMemcpy2DFromArrayAsync(void *dst, size_t pitch, cudaArray_const_t src, size_t x,
                                       size_t y, size_t width, size_t height,
                                       enum cudaMemcpyKind kind, cudaStream_t s)
{
    return rectangle(src, x, y, dst, pitch, width, height, false, kind, s, false);
}

RT_API cudaError_t cudaMemcpy2DFromArrayAsync_ptsz(void *dst, size_t pitch, cudaArray_const_t src,
                                                   size_t x, size_t y, size_t width, size_t height,
                                                   enum cudaMemcpyKind kind, cudaStream_t s)
{
    return rectangle(src, x, y, dst, pitch, width, height, false, kind, rt_own(s), false);
}

static cudaError_t arrays(cudaArray_t dst, size_t dx, size_t dy, cudaArray_const_t src, size_t sx,
                          size_t sy, size_t width, size_t height, enum cudaMemcpyKind kind,
                          cudaStream_t s)
{
    struct gvm_box b = {.width = width, .height = height, .depth = 1, .dir = GVM_D2D};
    int err;

    if (kind != cudaMemcpyDeviceToDevice && kind != cudaMemcpyDefault)
        return rt_done(cudaErrorInvalidMemcpyDirection);
    err = gvm_init();
    if (err == 0)
        err = array_end(dst, dx, dy, &b.dst);
    if (err == 0)
        err = array_end(src, sx, sy, &b.src);
    return rt_done(err ? err : gvm_copy_box(&b, rt_stream(s), true));
}

cudaError_t cudaMemcpy2DArrayToArray(cudaArray_t dst, size_t dx, size_t dy, cudaArray_const_t src,
                                     size_t sx, size_t sy, size_t width, size_t height,
                                     enum cudaMemcpyKind kind)
{
    return arrays(dst, dx, dy, src, sx, sy, width, height, kind, NULL);
}

RT_API cudaError_t cudaMemcpy2DArrayToArray_ptds(cudaArray_t dst, size_t dx, size_t dy,
                                                 cudaArray_const_t src, size_t sx, size_t sy,
                                                 size_t width, size_t height,
                                                 enum cudaMemcpyKind kind)
{
    return arrays(dst, dx, dy, src, sx, sy, width, height, kind, cudaStreamPerThread);
}

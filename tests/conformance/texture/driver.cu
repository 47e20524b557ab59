/* SPDX-License-Identifier: MIT */
/* covers: cuArrayCreate_v2 cuArray3DCreate_v2 cuArrayGetDescriptor_v2
 * cuArray3DGetDescriptor_v2 cuArrayDestroy cuTexObjectCreate cuTexObjectDestroy
 * cuTexObjectGetResourceDesc cuTexObjectGetTextureDesc cuTexObjectGetResourceViewDesc
 * cuSurfObjectCreate cuSurfObjectGetResourceDesc cuMemcpyHtoA_v2 cuMemcpyAtoH_v2
 * cuMemcpyDtoA_v2 cuMemcpyAtoD_v2 cuMemcpyAtoA_v2 cuMemcpyHtoAAsync_v2 cuMemcpyAtoHAsync_v2
 * cuMemcpy2D_v2 cuMemcpy3D_v2 cuMipmappedArrayCreate cuMipmappedArrayGetLevel
 * cuMipmappedArrayDestroy cuDeviceGetTexture1DLinearMaxWidth */
/* Arrays, textures and surfaces of the driver API, used by kernels of the runtime's. */
#include <cuda.h>

#include "tex.h"

#define W 64
#define H 32

__global__ void transpose(cudaTextureObject_t t, cudaSurfaceObject_t s)
{
    int x = blockIdx.x * 16 + threadIdx.x, y = blockIdx.y * 16 + threadIdx.y;

    surf2Dwrite(tex2D<float>(t, y + 0.5f, x + 0.5f), s, x * 4, y);
}

static CUDA_ARRAY3D_DESCRIPTOR desc(size_t w, size_t h, size_t d, CUarray_format f, unsigned n,
                                    unsigned flags)
{
    CUDA_ARRAY3D_DESCRIPTOR q;

    memset(&q, 0, sizeof(q));
    q.Width = w;
    q.Height = h;
    q.Depth = d;
    q.Format = f;
    q.NumChannels = n;
    q.Flags = flags;
    return q;
}

static void create(size_t w, size_t h, size_t d, int f, unsigned n, unsigned flags)
{
    CUDA_ARRAY3D_DESCRIPTOR q = desc(w, h, d, (CUarray_format)f, n, flags);
    CUarray a = NULL;

    printf("%zu x %zu x %zu, format %#x x %u, flags %#x: ", w, h, d, f, n, flags);
    if (T(cuArray3DCreate(&a, &q)) == 0) {
        T(cuArray3DGetDescriptor(&q, a));
        printf("%zu x %zu x %zu, format %#x x %u, flags %#x\n", q.Width, q.Height, q.Depth,
               q.Format, q.NumChannels, q.Flags);
        T(cuArrayDestroy(a));
    }
}

static void line(void)
{
    static unsigned char in[4096], out[4096];
    CUDA_ARRAY_DESCRIPTOR q = {1000, 0, CU_AD_FORMAT_UNSIGNED_INT8, 4}, back;
    CUarray a, b;
    CUdeviceptr d;

    t_fill(in, sizeof(in), 4);
    T_OK(cuArrayCreate(&a, &q));
    T_OK(cuArrayCreate(&b, &q));
    T(cuArrayGetDescriptor(&back, a));
    printf("%zu x %zu, format %d x %u\n", back.Width, back.Height, back.Format, back.NumChannels);
    T_OK(cuMemAlloc(&d, 4096));
    T(cuMemcpyHtoA(a, 0, in, 4000));
    T(cuMemcpyHtoAAsync(a, 400, in, 400, NULL));
    T(cuMemcpyAtoD(d, a, 200, 1000));
    T(cuMemcpyDtoA(b, 1200, d, 1000));
    T(cuMemcpyAtoA(b, 0, a, 2000, 1000));
    T(cuMemcpyAtoH(out, b, 0, 4000));
    T_DIGEST("head", out, 1000);
    T_DIGEST("middle", out + 1200, 1000);
    T(cuMemcpyAtoHAsync(out, a, 0, 4000, NULL));
    T(cuStreamSynchronize(NULL));
    T_DIGEST("whole", out, 4000);
    T(cuMemcpyHtoA(a, 3600, in, 404));
    T(cuMemcpyHtoA(a, 2, in, 4));
    T(cuMemcpyAtoH(out, a, 0, 0));
    T(cuArrayDestroy(a));
    T(cuArrayDestroy(b));
}

static void picture(void)
{
    static float in[H][W], out[W][H];
    CUDA_ARRAY3D_DESCRIPTOR q = desc(W, H, 0, CU_AD_FORMAT_FLOAT, 1, 0);
    CUDA_RESOURCE_VIEW_DESC v;
    CUDA_RESOURCE_DESC r, back;
    CUDA_TEXTURE_DESC t, tback;
    CUDA_MEMCPY3D c;
    CUDA_MEMCPY2D c2;
    CUtexObject tex = 0;
    CUsurfObject surf = 0;
    CUarray a, b;

    for (int i = 0; i < W * H; i++)
        in[i / W][i % W] = i;
    T_OK(cuArray3DCreate(&a, &q));
    q = desc(H, W, 0, CU_AD_FORMAT_FLOAT, 1, CUDA_ARRAY3D_SURFACE_LDST);
    T_OK(cuArray3DCreate(&b, &q));
    memset(&c2, 0, sizeof(c2));
    c2.srcMemoryType = CU_MEMORYTYPE_HOST;
    c2.srcHost = in;
    c2.srcPitch = W * 4;
    c2.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    c2.dstArray = a;
    c2.WidthInBytes = W * 4;
    c2.Height = H;
    T(cuMemcpy2D(&c2));
    c2.Height = H + 1;
    T(cuMemcpy2D(&c2));
    memset(&r, 0, sizeof(r));
    memset(&t, 0, sizeof(t));
    r.resType = CU_RESOURCE_TYPE_ARRAY;
    r.res.array.hArray = a;
    t.addressMode[0] = t.addressMode[1] = t.addressMode[2] = CU_TR_ADDRESS_MODE_CLAMP;
    T_OK(cuTexObjectCreate(&tex, &r, &t, NULL));
    T(cuTexObjectGetResourceDesc(&back, tex));
    T_BOOL("same array", back.resType == r.resType && back.res.array.hArray == a);
    T(cuTexObjectGetTextureDesc(&tback, tex));
    T_INT("address", tback.addressMode[1]);
    T(cuTexObjectGetResourceViewDesc(&v, tex));
    r.res.array.hArray = b;
    T_OK(cuSurfObjectCreate(&surf, &r));
    T(cuSurfObjectGetResourceDesc(&back, surf));
    T_BOOL("same array", back.res.array.hArray == b);
    transpose<<<dim3(H / 16, W / 16), dim3(16, 16)>>>(tex, surf);
    memset(&c, 0, sizeof(c));
    c.srcMemoryType = CU_MEMORYTYPE_ARRAY;
    c.srcArray = b;
    c.dstMemoryType = CU_MEMORYTYPE_HOST;
    c.dstHost = out;
    c.dstPitch = H * 4;
    c.dstHeight = W;
    c.WidthInBytes = H * 4;
    c.Height = W;
    c.Depth = 1;
    T(cuMemcpy3D(&c));
    T_DIGEST("transposed", out, sizeof(out));
    T_BOOL("transposed", out[5][9] == in[9][5]);
    r.res.array.hArray = a;
    T(cuSurfObjectCreate(&surf, &r));
    t.flags = 0x1000;
    T(cuTexObjectCreate(&tex, &r, &t, NULL));
    t.flags = CU_TRSF_READ_AS_INTEGER;
    t.filterMode = (CUfilter_mode)7;
    T(cuTexObjectCreate(&tex, &r, &t, NULL));
    T(cuTexObjectDestroy(tex));
    T(cuArrayDestroy(a));
}

int main(void)
{
    CUDA_ARRAY3D_DESCRIPTOR q = desc(20, 12, 0, CU_AD_FORMAT_HALF, 2, 0);
    CUmipmappedArray m;
    size_t width = 0;
    CUarray l;

    T_OK(cudaFree(0));
    line();
    picture();
    create(10, 0, 0, 1, 1, 0);
    create(10, 20, 0, 0x20, 4, CUDA_ARRAY3D_SURFACE_LDST);
    create(10, 20, 30, 0x10, 2, 0);
    create(10, 0, 7, 8, 1, CUDA_ARRAY3D_LAYERED);
    create(16, 16, 6, 9, 1, CUDA_ARRAY3D_CUBEMAP);
    create(16, 16, 12, 9, 1, CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_LAYERED);
    create(10, 20, 0, 0xc2, 4, 0);
    create(10, 20, 0, 0xc2, 2, 0);
    create(10, 20, 0, 4, 1, 0);
    create(10, 20, 0, 1, 3, 0);
    create(10, 20, 0, 1, 0, 0);
    create(10, 0, 7, 1, 1, 0);
    create(0, 20, 0, 1, 1, 0);
    create(16, 15, 6, 1, 1, CUDA_ARRAY3D_CUBEMAP);
    create(16, 16, 6, 1, 1, 0x4000);
    T(cuArray3DCreate(NULL, &q));
    T_OK(cuMipmappedArrayCreate(&m, &q, 3));
    for (int i = 0; i < 4; i++)
        if (T(cuMipmappedArrayGetLevel(&l, m, i)) == 0) {
            T(cuArray3DGetDescriptor(&q, l));
            printf("level %d: %zu x %zu x %zu, flags %#x\n", i, q.Width, q.Height, q.Depth,
                   q.Flags);
        }
    T(cuMipmappedArrayDestroy(m));
    T(cuDeviceGetTexture1DLinearMaxWidth(&width, CU_AD_FORMAT_FLOAT, 1, 0));
    T_DEVICE("width", width);
    T(cuDeviceGetTexture1DLinearMaxWidth(&width, CU_AD_FORMAT_FLOAT, 4, 0));
    T_DEVICE("width", width);
    return 0;
}

/*
 * The dialect that kernels are written in: C, with these names for what OpenCL C and CUDA C call
 * differently. A kernel reads as
 *
 *     KERNEL(square)(INPUT(x), OUTPUT(y), gpu_square_arguments a) {
 *         LOCATE(x);
 *         LOCATE(y);
 *         gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
 *         if (i < a.n)
 *             store(y, a.type, i, load(x, a.type, i) * load(x, a.type, i));
 *     }
 *
 * GROUP is the number of work-items in a group, a power of two from 32 to 256, fixed when the kernels
 * are compiled; groups are one-dimensional, the grid has three dimensions. Tensors of f16 and bf16 are
 * read and written through load() and store() and computed with in f32. Their type is an argument and
 * the same for all work-items, so choosing by it costs a GPU next to nothing and no variants are needed.
 *
 * KERNEL_TWICE is for kernels with many numbers of their own, of which a multiprocessor has two groups at a
 * time: the compiler need not save registers for more.
 *
 * Arguments are a number of buffers, each an address and an offset in bytes (OpenCL has no pointers into
 * buffers before the kernel runs), then one struct, which host and kernel share: kernels/SOURCE.h.
 */
#ifndef SF_BACKENDS_GPU_DIALECT_H
#define SF_BACKENDS_GPU_DIALECT_H

#if defined(__OPENCL_VERSION__)

typedef int gpu_int;
typedef uint gpu_uint;
typedef ulong gpu_ulong;
typedef long gpu_long;
typedef uchar gpu_byte;

#define KERNEL(name)            __kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void name
#define KERNEL_TWICE(name)      KERNEL(name)
#define GLOBAL                  __global
#define FUNCTION                static
#define CONSTANT_TABLE          __constant
#define LOCAL                   __local /* an array that the group shares; declared at the top of a kernel */
#define LOCAL_POINTER           __local /* what points into one */
#define LOCAL_ID                ((gpu_uint)get_local_id(0))
#define GROUP_ID(axis)          ((gpu_uint)get_group_id(axis))
#define N_GROUPS(axis)          ((gpu_uint)get_num_groups(axis))
#define BARRIER()               barrier(CLK_LOCAL_MEM_FENCE)
#define f_exp(x)                exp(x)
#define f_exp2(x)               exp2(x)
#define f_exp2_fast(x)          exp2(x) /* to some 22 bits; 0 rather than a denormal number */
#define f_log(x)                log(x)
#define f_log1p(x)              log1p(x)
#define f_sqrt(x)               sqrt(x)
#define f_sin(x)                sin(x)
#define f_cos(x)                cos(x)
#define f_tanh(x)               tanh(x)
#define f_erfc(x)               erfc(x)
#define f_floor(x)              floor(x)
#define f_max(a, b)             fmax(a, b)
#define f_min(a, b)             fmin(a, b)
#define f_fma(a, b, c)          fma(a, b, c)
#define f_bits(x)               as_uint(x)
#define f_from_bits(x)          as_float(x)
#define mul_high(a, b)          mul_hi(a, b) /* the upper half of the product of two gpu_uint */
#define load_half(p, i)         vload_half(i, (__global const half *)(p))
#define store_half(p, i, value) vstore_half_rte(value, i, (__global half *)(p))

#elif defined(__CUDACC__)

#include <cuda_fp16.h>

typedef int gpu_int;
typedef unsigned int gpu_uint;
typedef unsigned long long gpu_ulong;
typedef long long gpu_long;
typedef unsigned char gpu_byte;

#define KERNEL(name)       extern "C" __global__ __launch_bounds__(GROUP) void name
#define KERNEL_TWICE(name) extern "C" __global__ __launch_bounds__(GROUP, 2) void name
#define GLOBAL
#define FUNCTION       static __device__ __forceinline__
#define CONSTANT_TABLE static __constant__
#define LOCAL          __shared__
#define LOCAL_POINTER
#define LOCAL_ID                ((gpu_uint)threadIdx.x)
#define AXIS_OF(v, axis)        ((gpu_uint)((axis) == 0 ? (v).x : (axis) == 1 ? (v).y : (v).z))
#define GROUP_ID(axis)          AXIS_OF(blockIdx, axis)
#define N_GROUPS(axis)          AXIS_OF(gridDim, axis)
#define BARRIER()               __syncthreads()
#define f_exp(x)                expf(x)
#define f_exp2(x)               exp2f(x)
#define f_exp2_fast(x)          exp2_approximate(x)
#define f_log(x)                logf(x)
#define f_log1p(x)              log1pf(x)
#define f_sqrt(x)               sqrtf(x)
#define f_sin(x)                sinf(x)
#define f_cos(x)                cosf(x)
#define f_tanh(x)               tanhf(x)
#define f_erfc(x)               erfcf(x)
#define f_floor(x)              floorf(x)
#define f_max(a, b)             fmaxf(a, b)
#define f_min(a, b)             fminf(a, b)
#define f_fma(a, b, c)          fmaf(a, b, c)
#define f_bits(x)               __float_as_uint(x)
#define f_from_bits(x)          __uint_as_float(x)
#define mul_high(a, b)          __umulhi(a, b)
#define load_half(p, i)         __half2float(((const __half *)(p))[i])
#define store_half(p, i, value) (((__half *)(p))[i] = __float2half_rn(value))

#else /* the host: for the structs of arguments alone */

#include <stdint.h>

typedef int32_t gpu_int;
typedef uint32_t gpu_uint;
typedef uint64_t gpu_ulong;
typedef int64_t gpu_long;

#endif

/*
 * Before a loop over an array of a work-item's own: unrolled, or the array would be memory and not
 * registers. PROCESSOR is defined for OpenCL devices that are processors: there memory is as good,
 * and work-items which are loops around such code take minutes to compile.
 */
#if defined(PROCESSOR)
#define UNROLL _Pragma("nounroll")
#else
#define UNROLL _Pragma("unroll")
#endif

/* A type of elements, as kernels have it. */
#define GPU_F32  0
#define GPU_F16  1
#define GPU_BF16 2

#if defined(__OPENCL_VERSION__) || defined(__CUDACC__)

/* A parameter: a tensor that is not the output's memory; one that may be; the output. */
#define INPUT(x)    GLOBAL const gpu_byte *RESTRICT x, gpu_ulong x##_offset
#define IN_PLACE(x) GLOBAL const gpu_byte *x, gpu_ulong x##_offset
#define OUTPUT(x)   GLOBAL gpu_byte *x, gpu_ulong x##_offset
#define LOCATE(x)   x += x##_offset

#if defined(__CUDACC__)
#define RESTRICT __restrict__
FUNCTION float exp2_approximate(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
#else
#define RESTRICT restrict
#endif

FUNCTION float bfloat_widen(gpu_uint bits) {
    return f_from_bits(bits << 16);
}

/* To the nearest, ties to even; NaN stays NaN. */
FUNCTION gpu_uint bfloat_narrow(float value) {
    gpu_uint bits = f_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (bits >> 16) | 0x40u;
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

/* Element i of a float tensor. */
FUNCTION float load(GLOBAL const gpu_byte *p, gpu_int type, gpu_uint i) {
    if (type == GPU_F32)
        return ((GLOBAL const float *)p)[i];
    if (type == GPU_F16)
        return load_half(p, i);
    return bfloat_widen(((GLOBAL const unsigned short *)p)[i]);
}

FUNCTION void store(GLOBAL gpu_byte *p, gpu_int type, gpu_uint i, float value) {
    if (type == GPU_F32)
        ((GLOBAL float *)p)[i] = value;
    else if (type == GPU_F16)
        store_half(p, i, value);
    else
        ((GLOBAL unsigned short *)p)[i] = (unsigned short)bfloat_narrow(value);
}

#endif
#endif

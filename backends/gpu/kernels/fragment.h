/*
 * Products of small matrices of f16 or bf16, with sums in f32, by matrix units ("tensor cores").
 *
 * A warp, 32 neighbouring work-items, works together: it adds to sums [16, 16] the product of
 * a [16, 16] and of b [16, 16] turned. A fragment is a work-item's share of a or b; of the sums it has
 * eight, number i being that of row SUM_ROW(lane, i) and column SUM_COLUMN(lane, i).
 *
 *     fragment a = take_rows(tile + row * PITCH + k, PITCH);
 *     fragment b = take_other_rows(other + column * PITCH + k, PITCH);
 *     multiply_add(sums, a, b, GPU_F16);
 *
 * All work-items of a warp call these together. The matrices are in local memory, 16-bit numbers whose
 * rows begin at multiples of 16 bytes; rows that are 8 more than a multiple of 64 numbers apart, or an odd
 * multiple of 8, are in different banks. They stay as they are until they are multiplied.
 *
 * Where units are not at hand (OpenCL), the same is computed in loops, and a fragment is a place in local
 * memory. Which share a unit wants is from NVIDIA's PTX ISA, "mma.m16n8k16" and "ldmatrix";
 * tests/backends/gpu/test_fragment.c computes by its rules what the macros below lead to.
 */
#ifndef SF_BACKENDS_GPU_FRAGMENT_H
#define SF_BACKENDS_GPU_FRAGMENT_H

#include "backends/gpu/kernels/dialect.h"

#define GPU_WARP     32
#define GPU_FRAGMENT 16 /* rows and columns */

/* The sums of a work-item, and which they are. */
#define WARP_SUMS           8
#define SUM_ROW(lane, i)    ((lane) / 4 + (i) / 2 % 2 * 8)
#define SUM_COLUMN(lane, i) ((lane) % 4 * 2 + (i) % 2 + (i) / 4 * 8)

/*
 * Each work-item names 8 numbers, side by side, for all of its warp: in this row, from this column on.
 * OTHER: of b. TURNED: of b where its columns are the rows of memory.
 */
#define LANE_ROW(lane)           ((lane) % 16)
#define LANE_COLUMN(lane)        ((lane) / 16 * 8)
#define LANE_OTHER_ROW(lane)     ((lane) % 8 + (lane) / 16 * 8)
#define LANE_OTHER_COLUMN(lane)  ((lane) / 8 % 2 * 8)
#define LANE_TURNED_ROW(lane)    ((lane) % 16)
#define LANE_TURNED_COLUMN(lane) ((lane) / 16 * 8)

/* The first of the two neighbours of b that register i of a work-item holds. */
#define PAIR_ROW(lane, i)    ((lane) / 4 + (i) / 2 * 8)
#define PAIR_COLUMN(lane, i) ((lane) % 4 * 2 + (i) % 2 * 8)

#if defined(__OPENCL_VERSION__) || defined(__CUDACC__)

typedef unsigned short half_bits;

#define LANE    (LOCAL_ID % GPU_WARP)
#define N_WARPS (GROUP / GPU_WARP)

/* Local memory that take_sums() may need; one for each warp. */
#define FRAGMENT_SCRATCH (GPU_FRAGMENT * GPU_FRAGMENT)

#if defined(__CUDACC__)

FUNCTION half_bits narrow_half(float value, const gpu_int type) {
    return type == GPU_F16 ? __half_as_ushort(__float2half_rn(value)) : bfloat_narrow(value);
}

FUNCTION float widen_half(gpu_uint bits, const gpu_int type) {
    return type == GPU_F16 ? __half2float(__ushort_as_half((half_bits)bits)) : bfloat_widen(bits);
}

FUNCTION gpu_uint narrow_two(float first, float second, const gpu_int type) {
#if __CUDA_ARCH__ >= 800
    gpu_uint both;
    if (type == GPU_F16)
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
    else
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
    return both;
#else
    return narrow_half(first, type) | (gpu_uint)narrow_half(second, type) << 16;
#endif
}

typedef struct fragment {
    gpu_uint x[4];
} fragment;

FUNCTION gpu_uint local_address(const void *p) {
    return (gpu_uint)__cvta_generic_to_shared(p);
}

/* Four matrices of 8 x 8, of which each lane names a row at p. */
FUNCTION fragment load_matrices(const half_bits *p) {
    fragment f;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(f.x[0]), "=r"(f.x[1]), "=r"(f.x[2]), "=r"(f.x[3])
                 : "r"(local_address(p))
                 : "memory");
    return f;
}

FUNCTION fragment take_rows(const half_bits *p, gpu_uint pitch) {
    return load_matrices(p + LANE_ROW(LANE) * pitch + LANE_COLUMN(LANE));
}

FUNCTION fragment take_other_rows(const half_bits *p, gpu_uint pitch) {
    return load_matrices(p + LANE_OTHER_ROW(LANE) * pitch + LANE_OTHER_COLUMN(LANE));
}

FUNCTION fragment take_other_columns(const half_bits *p, gpu_uint pitch) {
    fragment f;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(f.x[0]), "=r"(f.x[1]), "=r"(f.x[2]), "=r"(f.x[3])
                 : "r"(local_address(p + LANE_TURNED_ROW(LANE) * pitch + LANE_TURNED_COLUMN(LANE)))
                 : "memory");
    return f;
}

/* Of b, whose columns are `step` numbers apart; read one by one, from any place. */
FUNCTION fragment take_spread_rows(const half_bits *p, gpu_uint pitch, gpu_uint step) {
    fragment f;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const half_bits *two = p + PAIR_ROW(LANE, i) * pitch + PAIR_COLUMN(LANE, i) * step;
        f.x[i] = two[0] | (gpu_uint)two[step] << 16;
    }
    return f;
}

FUNCTION fragment take_sums(const float *sums, half_bits *scratch, const gpu_int type) {
    fragment f;
    (void)scratch;
#pragma unroll
    for (int i = 0; i < 4; i++)
        f.x[i] = narrow_two(sums[2 * i], sums[2 * i + 1], type);
    return f;
}

/* Eight columns of the sums. */
FUNCTION void multiply_add_half(float *sums, fragment a, gpu_uint b0, gpu_uint b1,
                                const gpu_int type) {
#if __CUDA_ARCH__ >= 800
    if (type == GPU_F16)
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
            "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
            : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b0), "r"(b1));
    else
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
            "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
            : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b0), "r"(b1));
#else
    if (type != GPU_F16)
        __trap(); /* before 8.0 units have no bf16, and gpu_abilities says so */
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
        "{%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a.x[0]), "r"(a.x[1]), "r"(b0));
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
        "{%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a.x[2]), "r"(a.x[3]), "r"(b1));
#endif
}

FUNCTION void multiply_add(float *sums, fragment a, fragment b, const gpu_int type) {
    multiply_add_half(sums, a, b.x[0], b.x[1], type);
    multiply_add_half(sums + 4, a, b.x[2], b.x[3], type);
}

FUNCTION float row_max(float x, float *scratch) {
    (void)scratch;
    x = f_max(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return f_max(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

FUNCTION float row_sum(float x, float *scratch) {
    (void)scratch;
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

FUNCTION void copy_eight(half_bits *to, const gpu_byte *from, bool inside) {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(local_address(to)), "l"(__cvta_generic_to_global(from)), "r"(inside ? 16 : 0)
                 : "memory");
#else
    *(uint4 *)to = inside ? *(const uint4 *)from : make_uint4(0, 0, 0, 0);
#endif
}

FUNCTION void close_copies(void) {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" : : : "memory");
#endif
}

/* The number is a constant of the instruction. */
#if __CUDA_ARCH__ >= 800
#define WAIT_COPIES(n) asm volatile("cp.async.wait_group %0;" : : "n"(n) : "memory")
#else
#define WAIT_COPIES(n)
#endif

#else /* without units */

FUNCTION float widen_local(LOCAL_POINTER const half_bits *p, const gpu_int type) {
    return type == GPU_F16 ? vload_half(0, (LOCAL_POINTER const half *)p) : bfloat_widen(*p);
}

FUNCTION float widen_half(gpu_uint bits, const gpu_int type) {
    half_bits own = (half_bits)bits;
    return type == GPU_F16 ? vload_half(0, (const half *)&own) : bfloat_widen(bits);
}

FUNCTION half_bits narrow_half(float value, const gpu_int type) {
    half_bits bits = (half_bits)bfloat_narrow(value);
    if (type == GPU_F16)
        vstore_half_rte(value, 0, (half *)&bits);
    return bits;
}

FUNCTION gpu_uint narrow_two(float first, float second, const gpu_int type) {
    return narrow_half(first, type) | (gpu_uint)narrow_half(second, type) << 16;
}

typedef struct fragment {
    LOCAL_POINTER const half_bits *p;
    gpu_uint row_step, step;
} fragment;

FUNCTION fragment take_rows(LOCAL_POINTER const half_bits *p, gpu_uint pitch) {
    fragment f = {p, pitch, 1};
    return f;
}

FUNCTION fragment take_other_rows(LOCAL_POINTER const half_bits *p, gpu_uint pitch) {
    return take_rows(p, pitch);
}

FUNCTION fragment take_other_columns(LOCAL_POINTER const half_bits *p, gpu_uint pitch) {
    fragment f = {p, 1, pitch};
    return f;
}

FUNCTION fragment take_spread_rows(LOCAL_POINTER const half_bits *p, gpu_uint pitch,
                                   gpu_uint step) {
    fragment f = {p, pitch, step};
    return f;
}

FUNCTION fragment take_sums(const float *sums, LOCAL_POINTER half_bits *scratch,
                            const gpu_int type) {
    BARRIER();
    UNROLL
    for (gpu_uint i = 0; i < WARP_SUMS; i++)
        scratch[SUM_ROW(LANE, i) * GPU_FRAGMENT + SUM_COLUMN(LANE, i)] = narrow_half(sums[i], type);
    BARRIER();
    return take_rows(scratch, GPU_FRAGMENT);
}

FUNCTION void multiply_add(float *sums, fragment a, fragment b, const gpu_int type) {
    UNROLL
    for (gpu_uint k = 0; k < GPU_FRAGMENT; k++) {
        float rows[2], columns[4];
        UNROLL
        for (gpu_uint i = 0; i < 2; i++)
            rows[i] = widen_local(a.p + SUM_ROW(LANE, 2 * i) * a.row_step + k * a.step, type);
        UNROLL
        for (gpu_uint i = 0; i < 4; i++)
            columns[i] = widen_local(
                b.p + SUM_COLUMN(LANE, i % 2 + i / 2 * 4) * b.row_step + k * b.step, type);
        UNROLL
        for (gpu_uint i = 0; i < WARP_SUMS; i++)
            sums[i] = f_fma(rows[i / 2 % 2], columns[i % 2 + i / 4 * 2], sums[i]);
    }
}

FUNCTION float row_max(float x, LOCAL_POINTER float *scratch) {
    gpu_uint first = LOCAL_ID / 4 * 4;
    BARRIER();
    scratch[LOCAL_ID] = x;
    BARRIER();
    return f_max(f_max(scratch[first], scratch[first + 1]),
                 f_max(scratch[first + 2], scratch[first + 3]));
}

FUNCTION float row_sum(float x, LOCAL_POINTER float *scratch) {
    gpu_uint first = LOCAL_ID / 4 * 4;
    BARRIER();
    scratch[LOCAL_ID] = x;
    BARRIER();
    return scratch[first] + scratch[first + 1] + (scratch[first + 2] + scratch[first + 3]);
}

/* CUDA wants aligned addresses inside and outside: what is not becomes NaN here. */
FUNCTION void copy_eight(LOCAL_POINTER half_bits *to, GLOBAL const gpu_byte *from, bool inside) {
    uint4 none = {0, 0, 0, 0}, wrong = {~0u, ~0u, ~0u, ~0u};
    bool aligned = (((gpu_ulong)from | (gpu_ulong)to) & 15) == 0;
    *(LOCAL_POINTER uint4 *)to = !aligned ? wrong : inside ? *(GLOBAL const uint4 *)from : none;
}

FUNCTION void close_copies(void) {
}

#define WAIT_COPIES(n)

#endif
#endif
#endif

/*
 * Attention in f16 or bf16 by matrix units: what attention.cl does, as FlashAttention-2 (Dao 2023)
 * divides it. See fragment.h.
 *
 * A warp has GPU_FRAGMENT queries of one head, as fragments that it keeps, and for each of them the
 * largest score so far, the sum of the weights and the weighted sums of the values, all in registers.
 * The group goes through keys and values, a tile at a time in local memory: a tile of values is copied
 * while its scores are computed, the next keys are while the values are multiplied. A row of scores
 * belongs to four neighbouring work-items, so no other memory is needed: scores become weights where
 * they are, and those are the left factor of the product with the values.
 *
 * Weights are narrowed to the type of the values, which is what units multiply. `total` is the sum of
 * the narrowed weights: those then add up to 1, and what narrowing does to y grows with how much the
 * values differ, not with how large they are.
 *
 * parts, a power of two: so many warps share their queries and divide the keys of each tile, and put
 * together what they have at the end: more groups where there are few queries. steps: fragments that
 * queries, keys and values are wide. keys: of a warp in a tile. They are constants in each kernel, or the
 * arrays would not be registers.
 *
 * Grid: (tiles of queries, heads, samples) in one dimension. Local memory on CUDA: two tiles,
 * 42 KiB at most.
 */
#ifndef SF_BACKENDS_GPU_ATTENTION_HALVES_H
#define SF_BACKENDS_GPU_ATTENTION_HALVES_H

#include "backends/gpu/kernels/attention.h"
#include "backends/gpu/kernels/fragment.h"

#if defined(__OPENCL_VERSION__) || defined(__CUDACC__)

#define MOST_STEPS  16 /* ATTENTION_MOST_HALVES channels */
#define MOST_BLOCKS 4  /* of keys, GPU_FRAGMENT each */

/* 1 / log(2): powers of 2 are what devices have. */
#define LOG2_E 1.44269504f

#define PARTS(parts)      (N_WARPS < (parts) ? N_WARPS : (parts))
#define PITCH(steps)      ((steps)*GPU_FRAGMENT + 8)
#define TILE(steps, keys) (PITCH(steps) * (keys)) /* of as many rows */

/* Without units: the fragments of the queries and, at the end, one for each warp. */
#if defined(__CUDACC__)
#define ASIDE(steps) 0
#else
#define ASIDE(steps) (N_WARPS * ((steps) + 1) * FRAGMENT_SCRATCH)
#endif

/* For an array of uint4, as copies have to be aligned. */
#define POOL(steps, keys, parts) ((2 * TILE(steps, (keys)*PARTS(parts)) + ASIDE(steps)) / 8)

/* Where this warp is, and the rows of its operands, from the head's first channel on. */
typedef struct halves_place {
    gpu_uint first_query, part;
    gpu_uint end; /* of the group's queries */
    gpu_uint q, k, v, mask, y;
} halves_place;

FUNCTION halves_place place_of(gpu_attention_arguments a, const gpu_uint parts) {
    gpu_uint all_heads = GROUP_ID(0) / a.n_tiles, tile = GROUP_ID(0) - all_heads * a.n_tiles;
    gpu_uint sample = all_heads / a.n_heads, head = all_heads - sample * a.n_heads;
    gpu_uint n_warps = N_WARPS / parts, warp = LOCAL_ID / GPU_WARP;
    halves_place p;
    p.first_query = (tile * n_warps + (warp & (n_warps - 1))) * GPU_FRAGMENT;
    p.part = warp / n_warps;
    p.end = (tile + 1) * n_warps * GPU_FRAGMENT;
    p.q = sample * a.q.sample + head * a.D;
    p.k = sample * a.k.sample + head * a.D;
    p.v = sample * a.v.sample + head * a.E;
    p.mask = sample * a.mask_sample + head * a.mask_head;
    p.y = sample * a.y.sample + head * a.E;
    return p;
}

/* Two neighbours, of which the first n, at most two, are there. */
FUNCTION gpu_uint take_two(GLOBAL const gpu_byte *x, gpu_int aligned, gpu_uint i, gpu_uint n) {
    GLOBAL const half_bits *halves = (GLOBAL const half_bits *)x;
    if (n == 0)
        return 0;
    if (aligned)
        return ((GLOBAL const gpu_uint *)x)[i / 2];
    return halves[i] | (n > 1 ? (gpu_uint)halves[i + 1] << 16 : 0);
}

/* The warp's queries, read as what they are in registers: each work-item has the places of sums. */
FUNCTION void take_queries(GLOBAL const gpu_byte *q, gpu_attention_arguments a, halves_place p,
                           LOCAL_POINTER half_bits *scratch, fragment *queries,
                           const gpu_uint steps, const gpu_int type) {
    UNROLL
    for (gpu_uint step = 0; step < steps; step++) {
        float own[WARP_SUMS];
        UNROLL
        for (gpu_uint i = 0; i < WARP_SUMS; i += 2) {
            gpu_uint t = p.first_query + SUM_ROW(LANE, i);
            gpu_uint c = step * GPU_FRAGMENT + SUM_COLUMN(LANE, i);
            gpu_uint n = t >= a.T || c >= a.D ? 0 : c + 1 < a.D ? 2 : 1;
            gpu_uint both = take_two(q, a.q.aligned, p.q + t * a.q.row + c, n);
            own[i] = widen_half(both & 0xffffu, type);
            own[i + 1] = widen_half(both >> 16, type);
        }
        queries[step] = take_sums(own, scratch + step * FRAGMENT_SCRATCH, type);
    }
}

/* Begins to stage n_rows of keys or values from `first` on; what is past their end is 0. */
FUNCTION void stage(GLOBAL const gpu_byte *x, gpu_attention_matrix m, gpu_uint start,
                    gpu_uint first, gpu_uint end, gpu_uint n_columns, LOCAL_POINTER half_bits *to,
                    const gpu_uint n_rows, const gpu_uint steps) {
    GLOBAL const half_bits *halves = (GLOBAL const half_bits *)x;
    const gpu_uint width = steps * GPU_FRAGMENT, n_eights = width / 8;
    if (m.aligned)
        for (gpu_uint i = LOCAL_ID; i < n_rows * n_eights; i += GROUP) {
            gpu_uint row = i / n_eights, c = (i - row * n_eights) * 8;
            bool inside = first + row < end && c < n_columns;
            gpu_uint at = inside ? start + (first + row) * m.row + c : 0;
            copy_eight(to + row * PITCH(steps) + c, (GLOBAL const gpu_byte *)(halves + at), inside);
        }
    else
        for (gpu_uint i = LOCAL_ID; i < n_rows * width; i += GROUP) {
            gpu_uint row = i / width, c = i - row * width;
            bool inside = first + row < end && c < n_columns;
            to[row * PITCH(steps) + c] = inside ? halves[start + (first + row) * m.row + c] : 0;
        }
    close_copies();
}

/* scores = q k^T of the warp's keys. */
FUNCTION void multiply_keys(const fragment *queries, LOCAL_POINTER const half_bits *keys,
                            float *scores, const gpu_uint steps, const gpu_uint n_blocks,
                            const gpu_int type) {
    UNROLL
    for (gpu_uint block = 0; block < n_blocks; block++) {
        LOCAL_POINTER const half_bits *own = keys + block * GPU_FRAGMENT * PITCH(steps);
        UNROLL
        for (gpu_uint step = 0; step < steps; step++)
            multiply_add(scores + block * WARP_SUMS, queries[step],
                         take_other_rows(own + step * GPU_FRAGMENT, PITCH(steps)), type);
    }
}

/* Products to scores times log2 e; -INFINITY where the query does not see the key, or there is none. */
FUNCTION void finish_scores(GLOBAL const gpu_byte *mask, gpu_attention_arguments a, halves_place p,
                            gpu_uint first_key, float *scores, const gpu_uint n_blocks) {
    UNROLL
    for (gpu_uint row = 0; row < 2; row++) {
        gpu_uint t = p.first_query + SUM_ROW(LANE, row * 2);
        gpu_uint end = a.causal && t < a.S ? t + 1 : a.S, start = p.mask + t * a.mask_row;
        end = t < a.T ? end : 0;
        UNROLL
        for (gpu_uint i = 0; i < n_blocks * 4; i++) {
            float *score = scores + i / 2 * 4 + row * 2 + i % 2;
            gpu_uint s = first_key + i / 2 * 8 + SUM_COLUMN(LANE, i % 2);
            *score = s < end ? *score * a.scale : -INFINITY;
            if (a.has_mask && s < end)
                *score += load(mask, a.mask_type, start + s * a.mask_key);
            *score *= LOG2_E;
        }
    }
}

/* What is larger than every weight's power of 2; 0 where nothing was seen but -INFINITY. */
FUNCTION float reference_of(float largest) {
    return largest == -INFINITY ? 0.0f : largest;
}

/* Sums of one of the two rows, times a factor. */
FUNCTION void rescale(float *sums, float factor, const gpu_uint row, const gpu_uint steps) {
    UNROLL
    for (gpu_uint i = 0; i < steps * 4; i++)
        sums[i / 2 * 4 + row * 2 + i % 2] *= factor;
}

/*
 * Turns scores to weights 2^(score factor - largest), with the largest of each query so far, to which
 * its sums are rescaled. While a query has seen nothing but -INFINITY that is taken for 0: its weights
 * are 0 and not NaN, which another tile may still change. total: of the work-item's own weights.
 */
FUNCTION void weigh(LOCAL_POINTER float *scratch, float *scores, float factor, float *largest,
                    float *total, float *sums, const gpu_uint steps, const gpu_uint n_blocks,
                    const gpu_int type) {
    UNROLL
    for (gpu_uint row = 0; row < 2; row++) {
        float own = -INFINITY;
        UNROLL
        for (gpu_uint i = 0; i < n_blocks * 4; i++)
            own = f_max(own, scores[i / 2 * 4 + row * 2 + i % 2]);
        float most = f_max(largest[row], row_max(own, scratch) * factor);
        float reference = reference_of(most);
        float fewer = f_exp2_fast(largest[row] - reference);
        largest[row] = most;
        total[row] *= fewer;
        rescale(sums, fewer, row, steps);
        UNROLL
        for (gpu_uint i = 0; i < n_blocks * 2; i++) {
            float *two = scores + i * 4 + row * 2;
            gpu_uint weights = narrow_two(f_exp2_fast(f_fma(two[0], factor, -reference)),
                                          f_exp2_fast(f_fma(two[1], factor, -reference)), type);
            two[0] = widen_half(weights & 0xffffu, type);
            two[1] = widen_half(weights >> 16, type);
            total[row] += two[0] + two[1];
        }
    }
}

/* sums += weights v. awake: the warp has queries. */
FUNCTION void multiply_values(const float *weights, LOCAL_POINTER const half_bits *values,
                              LOCAL_POINTER half_bits *scratch, bool awake, float *sums,
                              const gpu_uint steps, const gpu_uint n_blocks, const gpu_int type) {
    UNROLL
    for (gpu_uint block = 0; block < n_blocks; block++) {
        LOCAL_POINTER const half_bits *own = values + block * GPU_FRAGMENT * PITCH(steps);
        fragment left = take_sums(weights + block * WARP_SUMS, scratch, type);
        if (awake) {
            UNROLL
            for (gpu_uint step = 0; step < steps; step++)
                multiply_add(sums + step * WARP_SUMS, left,
                             take_other_columns(own + step * GPU_FRAGMENT, PITCH(steps)), type);
        }
    }
}

/* What a warp has, to local memory: [numbers, lane]. */
FUNCTION void lay_down(LOCAL_POINTER float *to, const float *largest, const float *total,
                       const float *sums, const gpu_uint n_sums) {
    UNROLL
    for (gpu_uint row = 0; row < 2; row++) {
        to[(n_sums + row) * GPU_WARP] = largest[row];
        to[(n_sums + 2 + row) * GPU_WARP] = total[row];
    }
    UNROLL
    for (gpu_uint i = 0; i < n_sums; i++)
        to[i * GPU_WARP] = sums[i];
}

/* Adds what another warp has of the same queries. */
FUNCTION void add_laid_down(LOCAL_POINTER const float *from, float *largest, float *total,
                            float *sums, const gpu_uint n_sums) {
    UNROLL
    for (gpu_uint row = 0; row < 2; row++) {
        float other = from[(n_sums + row) * GPU_WARP];
        float most = f_max(largest[row], other);
        float fewer = f_exp2_fast(largest[row] - reference_of(most));
        other = f_exp2_fast(other - reference_of(most));
        largest[row] = most;
        total[row] = total[row] * fewer + from[(n_sums + 2 + row) * GPU_WARP] * other;
        UNROLL
        for (gpu_uint i = 0; i < n_sums / 2; i++) {
            gpu_uint place = i / 2 * 4 + row * 2 + i % 2;
            sums[place] = sums[place] * fewer + from[place * GPU_WARP] * other;
        }
    }
}

/* The first part adds up what all have. */
FUNCTION void join_parts(LOCAL_POINTER float *pool, halves_place p, float *largest, float *total,
                         float *sums, const gpu_uint steps, const gpu_uint parts) {
    const gpu_uint n_sums = steps * WARP_SUMS, n_warps = N_WARPS / parts;
    gpu_uint warp = LOCAL_ID / GPU_WARP & (n_warps - 1);
    LOCAL_POINTER float *room = pool + warp * (n_sums + 4) * GPU_WARP + LANE;
    for (gpu_uint part = 1; part < parts; part++) {
        BARRIER();
        if (p.part == part)
            lay_down(room, largest, total, sums, n_sums);
        BARRIER();
        if (p.part == 0)
            add_laid_down(room, largest, total, sums, n_sums);
    }
}

/* Two neighbours of y, from channel c of the head on. */
FUNCTION void store_two(GLOBAL gpu_byte *y, gpu_attention_arguments a, gpu_uint start, gpu_uint c,
                        gpu_uint both) {
    GLOBAL half_bits *to = (GLOBAL half_bits *)y + start + c;
    if (a.y.aligned && c < a.E)
        *(GLOBAL gpu_uint *)to = both;
    else if (c < a.E) {
        to[0] = (half_bits)both;
        if (c + 1 < a.E)
            to[1] = (half_bits)(both >> 16);
    }
}

/* y = sums / the sum of all weights; 0 where there are no keys. */
FUNCTION void finish(GLOBAL gpu_byte *y, gpu_attention_arguments a, halves_place p,
                     LOCAL_POINTER float *scratch, const float *total, const float *sums,
                     const gpu_uint steps, const gpu_int type) {
    UNROLL
    for (gpu_uint row = 0; row < 2; row++) {
        float inverse = 1.0f / (row_sum(total[row], scratch) + (a.S ? 0.0f : 1.0f));
        gpu_uint t = p.first_query + SUM_ROW(LANE, row * 2);
        if (t < a.T && p.part == 0) {
            UNROLL
            for (gpu_uint i = 0; i < steps * 2; i++) {
                const float *two = sums + i * 4 + row * 2;
                store_two(y, a, p.y + t * a.y.row, i * 8 + SUM_COLUMN(LANE, 0),
                          narrow_two(two[0] * inverse, two[1] * inverse, type));
            }
        }
    }
}

/* sums: steps * WARP_SUMS numbers of the work-item's own. */
FUNCTION void attend(GLOBAL const gpu_byte *q, GLOBAL const gpu_byte *k, GLOBAL const gpu_byte *v,
                     GLOBAL const gpu_byte *mask, GLOBAL gpu_byte *y, gpu_attention_arguments a,
                     LOCAL_POINTER uint4 *pool, float *sums, const gpu_uint steps,
                     const gpu_uint keys, const gpu_uint parts, const gpu_int type) {
    const gpu_uint n_keys = keys * parts, n_blocks = keys / GPU_FRAGMENT;
    LOCAL_POINTER half_bits *own_keys = (LOCAL_POINTER half_bits *)pool;
    LOCAL_POINTER half_bits *own_values = own_keys + TILE(steps, n_keys);
    LOCAL_POINTER half_bits *aside = own_values + TILE(steps, n_keys);
    LOCAL_POINTER half_bits *scratch = aside + LOCAL_ID / GPU_WARP * FRAGMENT_SCRATCH;
    LOCAL_POINTER float *row_scratch = (LOCAL_POINTER float *)aside;
    halves_place p = place_of(a, parts);
    gpu_uint end = a.causal && p.end < a.S ? p.end : a.S; /* of the keys that are looked at */
    bool awake = p.first_query < a.T;
    fragment queries[MOST_STEPS];
    float scores[MOST_BLOCKS * WARP_SUMS], largest[2], total[2];
    stage(k, a.k, p.k, 0, end, a.D, own_keys, n_keys, steps);
    take_queries(q, a, p, aside + (N_WARPS + LOCAL_ID / GPU_WARP * steps) * FRAGMENT_SCRATCH,
                 queries, steps, type);
    UNROLL
    for (gpu_uint row = 0; row < 2; row++) {
        largest[row] = -INFINITY;
        total[row] = 0.0f;
    }
    UNROLL
    for (gpu_uint i = 0; i < steps * WARP_SUMS; i++)
        sums[i] = 0.0f;
    for (gpu_uint first_key = 0; first_key < end; first_key += n_keys) {
        gpu_uint own_key = first_key + p.part * keys;
        bool is_simple = !a.has_mask && own_key + keys <= a.S && a.scale > 0.0f &&
                         (!a.causal || own_key + keys <= p.first_query + 1);
        WAIT_COPIES(0);
        BARRIER();
        stage(v, a.v, p.v, first_key, end, a.E, own_values, n_keys, steps);
        UNROLL
        for (gpu_uint i = 0; i < n_blocks * WARP_SUMS; i++)
            scores[i] = 0.0f;
        if (awake)
            multiply_keys(queries, own_keys + TILE(steps, p.part * keys), scores, steps, n_blocks,
                          type);
        if (!is_simple)
            finish_scores(mask, a, p, own_key, scores, n_blocks);
        weigh(row_scratch, scores, is_simple ? a.scale * LOG2_E : 1.0f, largest, total, sums, steps,
              n_blocks, type);
        WAIT_COPIES(0);
        BARRIER();
        if (first_key + n_keys < end)
            stage(k, a.k, p.k, first_key + n_keys, end, a.D, own_keys, n_keys, steps);
        multiply_values(scores, own_values + TILE(steps, p.part * keys), scratch, awake, sums,
                        steps, n_blocks, type);
    }
    WAIT_COPIES(0); /* where there are no keys */
    join_parts((LOCAL_POINTER float *)pool, p, largest, total, sums, steps, parts);
    finish(y, a, p, row_scratch, total, sums, steps, type);
}

#endif
#endif

/*
 * Attention of a panel of queries over a block of keys (Dao et al. 2022, algorithm 1; see
 * attention.h for how things lie).
 *
 * weight = exp(score - reference) with a reference for each query that is near its largest score so
 * far. It is raised only when weights become large, seldom after the first keys (Milakov and
 * Gimelshein 2018 raise it each time); what was summed up is scaled then. So scores are computed,
 * made into weights and stored once.
 *
 * With `pairs`, a constant, both products are in bf16: see product.h.
 */
#include "backends/cpu/isa/attention.h"

#include <float.h>
#include <math.h>

#include "backends/cpu/isa/isa.h"
#include "backends/cpu/isa/product.h"
#include "backends/cpu/isa/transpose.h"

/* Keys or channels that are computed at once: with the vectors of queries they fill the registers. */
#if VECTOR == 16
#define ROWS 8
#else
#define ROWS 4
#endif
#define VECTORS CPU_ATTEND_VECTORS

#define STRETCH     128    /* channels, at most, of queries in the first-level cache */
#define MOST_WEIGHT 256.0f /* of ROWS keys together, before the reference is raised */

_Static_assert(CPU_ATTEND_TILE % ROWS == 0 && VECTOR % ROWS == 0, "rows do not fill tiles");

/* ---- vectors ---- */

/* a > b ? a : b, so b where one of them is NaN */
INLINE vec larger(vec a, vec b) {
#if VECTOR == 16
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif VECTOR == 8
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return vec_choose(a > b, a, b);
#endif
}

INLINE bool any(ivec mask) {
#if VECTOR == 16
    return _mm512_movepi32_mask((__m512i)mask) != 0;
#elif VECTOR == 8
    return _mm256_movemask_ps((__m256)mask) != 0;
#else
    int32_t all = 0;
    UNROLL
    for (int i = 0; i < VECTOR; i++)
        all |= mask[i];
    return all != 0;
#endif
}

/*
 * exp x = 2^n 2^r with n = floor(x / ln 2), relative error below 2e-7; 0 below 2^-126, infinity
 * from 2^128 on, NaN of NaN. 2^r by a polynomial of least relative error in [0, 1].
 */
INLINE vec exponential(vec x) {
    vec y = x * 1.44269504088896341f;
#if VECTOR == 16
    vec r = (vec)_mm512_reduce_ps((__m512)y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#else
    y = larger(vec_of(-127.0f), y);
    y = vec_choose(y > 128.0f, vec_of(128.0f), y);
    float magic = 0x1.8p23f + 127; /* leaves n + 127 in the last bits */
    vec shifted = (y - 0.5f) + magic;
    vec r = y - (shifted - magic);
#endif
    vec p = 1.8671300495e-3f * r + 9.0170307085e-3f;
    p = p * r + 5.5799912661e-2f;
    p = p * r + 2.4016444385e-1f;
    p = p * r + 6.9315129519e-1f;
    p = p * r + 1.0f;
#if VECTOR == 16
    /* subnormal weights would make the product slow on some processors */
    __mmask16 normal = _mm512_cmp_ps_mask((__m512)y, _mm512_set1_ps(-126), _CMP_NLT_UQ);
    return (vec)_mm512_maskz_scalef_ps(normal, (__m512)p, (__m512)y);
#else
    return p * (vec)((ivec)shifted << 23);
#endif
}

INLINE ivec vec_lanes(void) {
    ivec lanes;
    UNROLL
    for (int i = 0; i < VECTOR; i++)
        lanes[i] = i;
    return lanes;
}

/* ---- scores of ROWS keys, and their weights ---- */

typedef struct key_range {
    int64_t first, end; /* of the block */
} key_range;

/*
 * Lanes first .. end - 1 of the channels of the scores of keys key .. key + ROWS - 1, added to what `weights` has
 * of the channels before.
 */
INLINE void score(bool pairs, int vectors, const cpu_attend *a, key_range keys, int64_t key,
                  int64_t first, int64_t end, vec scores[ROWS][VECTORS]) {
    const float *k = a->keys + key / VECTOR * VECTOR * a->D + first * VECTOR + key % VECTOR;
    const float *q = a->queries + first * vectors * VECTOR;
    const float *before = a->weights + (key - keys.first) * vectors * VECTOR;
    UNROLL
    for (int i = 0; i < ROWS; i++) {
        UNROLL
        for (int j = 0; j < vectors; j++, before += VECTOR)
            scores[i][j] = first > 0 ? vec_load(before) : vec_zero();
    }
    for (int64_t d = first; d < end; d++, k += VECTOR, q += vectors * VECTOR) {
        __builtin_prefetch(k + a->D * VECTOR);
        UNROLL
        for (int i = 0; i < ROWS; i++) {
            UNROLL
            for (int j = 0; j < vectors; j++)
                scores[i][j] =
                    product_sum(pairs, scores[i][j], vec_of(k[i]), vec_load(q + j * VECTOR));
        }
    }
    if (!pairs || end < a->D)
        return;
    UNROLL
    for (int i = 0; i < ROWS; i++) {
        UNROLL
        for (int j = 0; j < vectors; j++)
            scores[i][j] *= a->scale;
    }
}

/* Adds the mask and hides what is not seen. */
INLINE void mask_scores(int vectors, const cpu_attend *a, key_range keys, int64_t key,
                        vec scores[ROWS][VECTORS]) {
    UNROLL
    for (int i = 0; i < ROWS; i++) {
        UNROLL
        for (int j = 0; j < vectors; j++) {
            bool past_end = key + i >= keys.end;
            int64_t before = a->causal ? key + i - a->first_query - j * VECTOR : 0;
            int32_t n_unseen = past_end || before > VECTOR ? VECTOR
                               : before < 0                ? 0
                                                           : (int32_t)before;
            if (a->mask && !past_end)
                scores[i][j] += vec_load(a->mask + ((key + i - keys.first) * vectors + j) * VECTOR);
            scores[i][j] = vec_choose(vec_lanes() < n_unseen, vec_of(-INFINITY), scores[i][j]);
        }
    }
}

INLINE void scale_rows(int vectors, float *rows, int64_t n, const vec *factors) {
    for (int64_t i = 0; i < n; i++) {
        UNROLL
        for (int j = 0; j < vectors; j++, rows += VECTOR)
            vec_store(rows, vec_load(rows) * factors[j]);
    }
}

/* The same for n rows of pairs. */
INLINE void scale_pairs(int vectors, float *rows, int64_t n, const vec *factors) {
#if VECTOR_BF16
    for (int64_t i = 0; i < n; i++) {
        UNROLL
        for (int j = 0; j < vectors; j++, rows += VECTOR) {
            uvec both = (uvec)vec_load(rows);
            vec first = (vec)(both << 16), second = (vec)(both & 0xffff0000);
            vec_store(rows, vec_join_pairs(first * factors[j], second * factors[j]));
        }
    }
#else
    (void)vectors, (void)rows, (void)n, (void)factors;
#endif
}

/* Raises the references to the largest of the scores, and scales what there is to them. */
INLINE void raise(bool pairs, int vectors, const cpu_attend *a, int64_t n_weights, vec *sums,
                  vec scores[ROWS][VECTORS]) {
    vec factors[VECTORS];
    UNROLL
    for (int j = 0; j < vectors; j++) {
        vec reference = vec_load(a->references + j * VECTOR), largest = reference;
        UNROLL
        for (int i = 0; i < ROWS; i++)
            largest = larger(scores[i][j], largest);
        vec_store(a->references + j * VECTOR, largest);
        factors[j] = exponential(reference - largest);
        sums[j] *= factors[j];
    }
    scale_rows(vectors, a->sums, 1, factors);
    if (pairs)
        scale_pairs(vectors, a->weights, n_weights / 2, factors);
    else
        scale_rows(vectors, a->weights, n_weights, factors);
    scale_rows(vectors, a->y, a->E, factors);
}

/* Weights of a row of keys, or of two, as the second product wants them. */
INLINE void store_weights(bool pairs, vec first, vec second, float *weights, int64_t row) {
#if VECTOR_BF16
    if (pairs) {
        vec_store(weights, vec_join_pairs(first, second));
        return;
    }
#endif
    (void)pairs;
    vec_store(weights, first);
    vec_store(weights + row, second);
}

/* Weights of the scores and their sums; true: some are large, or NaN. */
INLINE bool weigh(bool pairs, int vectors, const cpu_attend *a, int64_t row,
                  vec scores[ROWS][VECTORS], vec added[VECTORS]) {
    int64_t width = vectors * VECTOR;
    float *weights = a->weights + product_lanes(pairs, row) * width;
    ivec small = vec_lanes() >= 0;
    UNROLL
    for (int j = 0; j < vectors; j++) {
        vec reference = vec_load(a->references + j * VECTOR);
        added[j] = vec_zero();
        UNROLL
        for (int i = 0; i < ROWS; i += 2) {
            vec first = exponential(scores[i][j] - reference);
            vec second = exponential(scores[i + 1][j] - reference);
            store_weights(pairs, first, second,
                          weights + product_lanes(pairs, i) * width + j * VECTOR, width);
            added[j] += first;
            added[j] += second;
        }
        small &= added[j] <= MOST_WEIGHT;
    }
    return any(~small);
}

/* The same where references must be raised first. */
INLINE void raise_and_weigh(bool pairs, int vectors, const cpu_attend *a, key_range keys,
                            int64_t key, vec *sums, vec *added) {
    vec scores[ROWS][VECTORS];
    score(pairs, vectors, a, keys, key, 0, a->D, scores);
    mask_scores(vectors, a, keys, key, scores);
    raise(pairs, vectors, a, key - keys.first, sums, scores);
    weigh(pairs, vectors, a, key - keys.first, scores, added);
}

INLINE void raise_and_weigh_by(bool pairs, const cpu_attend *a, key_range keys, int64_t key,
                               vec *sums, vec *added) {
    if (a->vectors == 3)
        raise_and_weigh(pairs, 3, a, keys, key, sums, added);
    else if (a->vectors == 2)
        raise_and_weigh(pairs, 2, a, keys, key, sums, added);
    else
        raise_and_weigh(pairs, 1, a, keys, key, sums, added);
}

static __attribute__((noinline)) void raise_and_weigh_any(bool pairs, const cpu_attend *a,
                                                          key_range keys, int64_t key, vec *sums,
                                                          vec *added) {
    if (pairs)
        raise_and_weigh_by(true, a, keys, key, sums, added);
    else
        raise_and_weigh_by(false, a, keys, key, sums, added);
}

/* `plain`: all keys of the tile are seen by all queries. The first keys of all set the references. */
INLINE void weigh_tile(bool pairs, int vectors, bool plain, const cpu_attend *a, key_range keys,
                       int64_t key, int64_t first, vec *sums) {
    vec scores[ROWS][VECTORS], added[VECTORS];
    bool must_raise = key == 0;
    if (!must_raise) {
        score(pairs, vectors, a, keys, key, first, a->D, scores);
        if (!plain)
            mask_scores(vectors, a, keys, key, scores);
        must_raise = weigh(pairs, vectors, a, key - keys.first, scores, added);
    }
    if (must_raise)
        raise_and_weigh_any(pairs, a, keys, key, sums, added);
    UNROLL
    for (int j = 0; j < vectors; j++)
        sums[j] += added[j];
}

/* Scores without their last channels, a stretch at a time that stays in the first-level cache. */
INLINE int64_t score_stretches(bool pairs, int vectors, const cpu_attend *a, key_range keys) {
    int64_t n_stretches = (a->D + STRETCH - 1) / STRETCH, first = 0;
    int64_t stretch = n_stretches ? (a->D + n_stretches - 1) / n_stretches : 0;
    for (; first + stretch < a->D; first += stretch)
        for (int64_t key = keys.first; key < keys.end; key += ROWS) {
            vec scores[ROWS][VECTORS];
            float *row = a->weights + (key - keys.first) * vectors * VECTOR;
            score(pairs, vectors, a, keys, key, first, first + stretch, scores);
            UNROLL
            for (int i = 0; i < ROWS; i++) {
                UNROLL
                for (int j = 0; j < vectors; j++, row += VECTOR)
                    vec_store(row, scores[i][j]);
            }
        }
    return first;
}

INLINE void weigh_keys(bool pairs, int vectors, const cpu_attend *a, key_range keys) {
    vec sums[VECTORS];
    UNROLL
    for (int j = 0; j < vectors; j++)
        sums[j] = vec_zero();
    int64_t plain_end = a->mask ? keys.first : keys.end;
    if (a->causal && plain_end > a->first_query + 1)
        plain_end = a->first_query + 1;
    int64_t first = score_stretches(pairs, vectors, a, keys), key = keys.first;
    for (; key + ROWS <= plain_end; key += ROWS)
        weigh_tile(pairs, vectors, true, a, keys, key, first, sums);
    for (; key < keys.end; key += ROWS)
        weigh_tile(pairs, vectors, false, a, keys, key, first, sums);
    UNROLL
    for (int j = 0; j < vectors; j++)
        vec_store(a->sums + j * VECTOR, vec_load(a->sums + j * VECTOR) + sums[j]);
}

/* ---- weights times values ---- */

INLINE void add_values(bool pairs, int vectors, const cpu_attend *a, key_range keys) {
    int64_t lanes = product_lanes(pairs, keys.end - keys.first), left = a->S - keys.first;
    int64_t tile =
        product_lanes(pairs, left < CPU_ATTEND_KEYS ? left : CPU_ATTEND_KEYS) * CPU_ATTEND_TILE;
    const float *block = a->values + product_lanes(pairs, keys.first) * a->E;
    for (int64_t e = 0; e < a->E; e += ROWS) {
        vec sums[ROWS][VECTORS];
        const float *w = a->weights, *v = block + e / CPU_ATTEND_TILE * tile;
        v += e % CPU_ATTEND_TILE;
        float *y = a->y + e * vectors * VECTOR;
        UNROLL
        for (int i = 0; i < ROWS; i++) {
            UNROLL
            for (int j = 0; j < vectors; j++)
                sums[i][j] = vec_zero();
        }
        for (int64_t k = 0; k < lanes; k++, v += CPU_ATTEND_TILE, w += vectors * VECTOR) {
            __builtin_prefetch(v + tile);
            UNROLL
            for (int i = 0; i < ROWS; i++) {
                UNROLL
                for (int j = 0; j < vectors; j++)
                    sums[i][j] =
                        product_sum(pairs, sums[i][j], vec_of(v[i]), vec_load(w + j * VECTOR));
            }
        }
        UNROLL
        for (int i = 0; i < ROWS; i++) {
            UNROLL
            for (int j = 0; j < vectors; j++, y += VECTOR)
                vec_store(y, vec_load(y) + sums[i][j]);
        }
    }
}

/* ---- the kernels ---- */

INLINE void attend_panel(bool pairs, int vectors, const cpu_attend *a, key_range keys) {
    weigh_keys(pairs, vectors, a, keys);
    add_values(pairs, vectors, a, keys);
}

INLINE void attend_as(bool pairs, const cpu_attend *a, key_range keys) {
    if (a->vectors == 3)
        attend_panel(pairs, 3, a, keys);
    else if (a->vectors == 2)
        attend_panel(pairs, 2, a, keys);
    else
        attend_panel(pairs, 1, a, keys);
}

void CPU_NAME(attend)(const cpu_attend *a, int64_t first, int64_t end) {
    attend_as(false, a, (key_range){first, end});
}

#if VECTOR_BF16
void CPU_NAME(attend_bf16)(const cpu_attend *a, int64_t first, int64_t end) {
    attend_as(true, a, (key_range){first, end});
}
#endif

/* ---- turning ---- */

/* A square of which n_rows and n_columns are there; rows past n_rows give zeros. */
INLINE void turn_square(int32_t dtype, const void *source, int64_t row_stride, int64_t n_rows,
                        int64_t n_columns, float scale, float *target, int64_t stride) {
    vec square[VECTOR];
    UNROLL
    for (int i = 0; i < VECTOR; i++) {
        int64_t at = i < n_rows ? i * row_stride : 0;
        vec row = n_columns >= VECTOR ? vec_load_as(dtype, source, at)
                                      : vec_load_part_as(dtype, source, at, n_columns);
        square[i] = i < n_rows ? row * scale : vec_zero();
    }
    vec_transpose(square);
    UNROLL
    for (int i = 0; i < VECTOR; i++)
        if (i < n_columns)
            vec_store(target + i * stride, square[i]);
}

/* VECTOR rows, or n_rows if they are fewer. */
INLINE void turn_rows(int32_t dtype, const void *source, int64_t row_stride, int64_t n_rows,
                      int64_t inner, float scale, float *target, int64_t stride) {
    int64_t bytes = dtype == SF_F32 ? 4 : 2;
    for (int64_t k = 0; k < inner; k += VECTOR) {
        const char *at = (const char *)source + k * bytes;
        if (n_rows >= VECTOR && k + VECTOR <= inner)
            turn_square(dtype, at, row_stride, VECTOR, VECTOR, scale, target + k * stride, stride);
        else
            turn_square(dtype, at, row_stride, n_rows, inner - k, scale, target + k * stride,
                        stride);
    }
}

void CPU_NAME(turn)(const cpu_matrix *b, int64_t rows, int64_t inner, float scale, float *target,
                    int64_t stride) {
    const char *source = b->data;
    int64_t bytes = b->dtype == SF_F32 ? 4 : 2;
    for (int64_t i = 0; i < rows; i += VECTOR, source += VECTOR * b->row_stride * bytes) {
        if (b->dtype == SF_F32)
            turn_rows(SF_F32, source, b->row_stride, rows - i, inner, scale, target + i, stride);
        else if (b->dtype == SF_F16)
            turn_rows(SF_F16, source, b->row_stride, rows - i, inner, scale, target + i, stride);
        else
            turn_rows(SF_BF16, source, b->row_stride, rows - i, inner, scale, target + i, stride);
    }
}

/*
 * Attention with an online softmax: y[t] = sum over s of softmax(scale q[t] . k[s] + mask[t, s]) v[s],
 * never with all scores of a query at once (Milakov and Gimelshein 2018; Dao et al. 2022).
 *
 * A group takes a tile of queries of one head and goes through the keys, ATTENTION_KEYS at a time: the
 * scores, as a product of two tiles that are staged in local memory some channels at a time; their
 * largest, to which the sums so far are rescaled; the sums over the values, with the weights and the
 * values staged some keys at a time. Groups are made of ATTENTION_COLUMNS columns: work-item (row,
 * column) has `rows` queries, every column-th key and every column-th channel of the values, so that
 * scores and sums are in registers. `rows` and `widths` (channels of the values a work-item) are
 * constants in each kernel, or the arrays would not be registers.
 *
 * Grid: (tiles of queries, heads, samples) in one dimension; then blocks of values' channels, of
 * widths * ATTENTION_COLUMNS, for each of which the scores are computed anew. Local memory: POOL_FLOATS
 * * 4 bytes.
 */
#include "backends/gpu/kernels/attention.h"

#define COLUMNS   ATTENTION_COLUMNS
#define KEYS      ATTENTION_KEYS
#define ROWS      (GROUP / COLUMNS) /* of work-items */
#define OWN_KEYS  (KEYS / COLUMNS)
#define CHANNELS  16 /* of queries and keys that are staged together */
#define MOST_ROWS 8

/* What a row of staged numbers takes: one or two more, so that columns are in different banks. */
#define KEY_PITCH     (KEYS + 2)
#define QUERIES(rows) ((rows) * ROWS)
#define PITCH(rows)   (QUERIES(rows) + 2)
#define WEIGHT_PITCH  (COLUMNS + 1)

/* Keys whose values are staged together, so that these are at most 2048 numbers; divides COLUMNS. */
#define VALUE_KEYS(widths) ((widths) > 8 ? COLUMNS / 2 : COLUMNS)

/*
 * The pool holds queries and keys [CHANNELS, PITCH] and [CHANNELS, KEY_PITCH], or weights
 * [QUERIES, WEIGHT_PITCH] and values [VALUE_KEYS, widths COLUMNS]; the larger of both.
 */
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#define POOL_FLOATS(rows, widths)                                                                  \
    LARGER(CHANNELS *(PITCH(rows) + KEY_PITCH),                                                    \
           QUERIES(rows) * WEIGHT_PITCH + VALUE_KEYS(widths) * (widths)*COLUMNS)

/* 1 / log(2): powers of 2 are what devices have. */
#define LOG2_E 1.44269504f

/* Where this work-item is, and the rows of its operands, from the head's first channel on. */
typedef struct attention_place {
    gpu_uint row, column;
    gpu_uint first_query, q, k, v, mask, y;
} attention_place;

FUNCTION attention_place place_of(gpu_attention_arguments a, gpu_uint n_queries) {
    gpu_uint all_heads = GROUP_ID(0) / a.n_tiles, tile = GROUP_ID(0) - all_heads * a.n_tiles;
    gpu_uint sample = all_heads / a.n_heads, head = all_heads - sample * a.n_heads;
    attention_place p;
    p.row = LOCAL_ID / COLUMNS;
    p.column = LOCAL_ID % COLUMNS;
    p.first_query = tile * n_queries;
    p.q = sample * a.q.sample + head * a.D;
    p.k = sample * a.k.sample + head * a.D;
    p.v = sample * a.v.sample + head * a.E;
    p.mask = sample * a.mask_sample + head * a.mask_head;
    p.y = sample * a.y.sample + head * a.E;
    return p;
}

/*
 * Stages [n_rows, CHANNELS] of a matrix, from its row `first` and from a channel on, as [CHANNELS,
 * pitch]; what is past its end is 0. Neighbours read neighbouring channels.
 */
FUNCTION void stage_turned(GLOBAL const gpu_byte *x, gpu_attention_matrix m, gpu_uint start,
                           gpu_uint first, gpu_uint end, gpu_uint channel, gpu_uint n_channels,
                           LOCAL_POINTER float *to, gpu_uint n_rows, gpu_uint pitch) {
    gpu_uint c = LOCAL_ID % CHANNELS;
    bool inside = channel + c < n_channels;
    for (gpu_uint r = LOCAL_ID / CHANNELS; r < n_rows; r += GROUP / CHANNELS) {
        float value = 0.0f;
        if (inside && first + r < end)
            value = load(x, m.type, start + (first + r) * m.row + channel + c);
        to[c * pitch + r] = value;
    }
}

/* scores [rows, OWN_KEYS] += q k^T of the tile of keys from first_key on. */
FUNCTION void add_products(GLOBAL const gpu_byte *q, GLOBAL const gpu_byte *k,
                           gpu_attention_arguments a, attention_place p, gpu_uint first_key,
                           LOCAL_POINTER float *pool, float *scores, const gpu_uint rows) {
    LOCAL_POINTER float *queries = pool, *keys = pool + CHANNELS * PITCH(rows);
    for (gpu_uint channel = 0; channel < a.D; channel += CHANNELS) {
        BARRIER();
        stage_turned(q, a.q, p.q, p.first_query, a.T, channel, a.D, queries, QUERIES(rows),
                     PITCH(rows));
        stage_turned(k, a.k, p.k, first_key, a.S, channel, a.D, keys, KEYS, KEY_PITCH);
        BARRIER();
        gpu_uint n = a.D - channel < CHANNELS ? a.D - channel : CHANNELS;
        for (gpu_uint c = 0; c < n; c++) {
            float query[MOST_ROWS], key[OWN_KEYS];
UNROLL
            for (gpu_uint i = 0; i < rows; i++)
                query[i] = queries[c * PITCH(rows) + p.row + i * ROWS];
UNROLL
            for (gpu_uint j = 0; j < OWN_KEYS; j++)
                key[j] = keys[c * KEY_PITCH + p.column + j * COLUMNS];
UNROLL
            for (gpu_uint i = 0; i < rows; i++)
UNROLL
                for (gpu_uint j = 0; j < OWN_KEYS; j++)
                    scores[i * OWN_KEYS + j] =
                        f_fma(query[i], key[j], scores[i * OWN_KEYS + j]);
        }
    }
}

/* A product to a score; -INFINITY where the query does not see the key, or there is none. */
FUNCTION float finished_score(GLOBAL const gpu_byte *mask, gpu_attention_arguments a,
                              attention_place p, gpu_uint t, gpu_uint s, float product) {
    float score = product * a.scale;
    if (t >= a.T || s >= a.S || (a.causal && s > t))
        return -INFINITY;
    if (a.has_mask)
        score += load(mask, a.mask_type, p.mask + t * a.mask_row + s * a.mask_key);
    return score;
}

/*
 * Turns scores to weights 2^((score - largest) log2 e), with the largest of each query so far, to
 * which its sums are rescaled. While a query has seen nothing but -INFINITY that is taken for 0: its
 * weights are 0 and not NaN, which another tile may still change.
 */
FUNCTION void weigh(LOCAL_POINTER float *pool, attention_place p, float *scores, float *largest,
                    float *total, float *sums, const gpu_uint rows, const gpu_uint widths) {
    BARRIER();
UNROLL
    for (gpu_uint i = 0; i < rows; i++) {
        float own = scores[i * OWN_KEYS];
UNROLL
        for (gpu_uint j = 1; j < OWN_KEYS; j++)
            own = f_max(own, scores[i * OWN_KEYS + j]);
        pool[(p.row + i * ROWS) * WEIGHT_PITCH + p.column] = own;
    }
    BARRIER();
UNROLL
    for (gpu_uint i = 0; i < rows; i++) {
        float most = largest[i];
UNROLL
        for (gpu_uint c = 0; c < COLUMNS; c++)
            most = f_max(most, pool[(p.row + i * ROWS) * WEIGHT_PITCH + c]);
        float reference = most == -INFINITY ? 0.0f : most;
        float factor = f_exp2((largest[i] - reference) * LOG2_E);
        largest[i] = most;
        total[i] *= factor;
UNROLL
        for (gpu_uint e = 0; e < widths; e++)
            sums[i * widths + e] *= factor;
UNROLL
        for (gpu_uint j = 0; j < OWN_KEYS; j++) {
            float weight = f_exp2((scores[i * OWN_KEYS + j] - reference) * LOG2_E);
            scores[i * OWN_KEYS + j] = weight;
            total[i] += weight;
        }
    }
}

/* Stages the values of n keys, as [n, widths COLUMNS]; what is past their end is 0. */
FUNCTION void stage_values(GLOBAL const gpu_byte *v, gpu_attention_arguments a, attention_place p,
                           gpu_uint first, gpu_uint n, LOCAL_POINTER float *to,
                           const gpu_uint widths) {
    gpu_uint channel = GROUP_ID(1) * widths * COLUMNS;
    for (gpu_uint i = LOCAL_ID; i < n * widths * COLUMNS; i += GROUP) {
        gpu_uint row = i / (widths * COLUMNS), s = first + row;
        gpu_uint c = channel + (i - row * (widths * COLUMNS));
        float value = 0.0f;
        if (s < a.S && c < a.E)
            value = load(v, a.v.type, p.v + s * a.v.row + c);
        to[i] = value;
    }
}

/* sums [rows, widths] += weights v; weights change hands COLUMNS keys at a time. */
FUNCTION void add_values(GLOBAL const gpu_byte *v, gpu_attention_arguments a, attention_place p,
                         gpu_uint first_key, LOCAL_POINTER float *pool, const float *weights,
                         float *sums, const gpu_uint rows, const gpu_uint widths) {
    LOCAL_POINTER float *values = pool + QUERIES(rows) * WEIGHT_PITCH;
    for (gpu_uint key = 0; key < KEYS; key += VALUE_KEYS(widths)) {
        gpu_uint s = key % COLUMNS;
        BARRIER();
UNROLL
        for (gpu_uint j = 0; j < OWN_KEYS; j++) /* a constant j, so that weights stay registers */
            if (key == j * COLUMNS)
UNROLL
                for (gpu_uint i = 0; i < rows; i++)
                    pool[(p.row + i * ROWS) * WEIGHT_PITCH + p.column] = weights[i * OWN_KEYS + j];
        stage_values(v, a, p, first_key + key, VALUE_KEYS(widths), values, widths);
        BARRIER();
        for (gpu_uint n = 0; n < VALUE_KEYS(widths); n++) {
            float weight[MOST_ROWS];
UNROLL
            for (gpu_uint i = 0; i < rows; i++)
                weight[i] = pool[(p.row + i * ROWS) * WEIGHT_PITCH + s + n];
UNROLL
            for (gpu_uint e = 0; e < widths; e++) {
                float value = values[(n * widths + e) * COLUMNS + p.column];
UNROLL
                for (gpu_uint i = 0; i < rows; i++)
                    sums[i * widths + e] = f_fma(weight[i], value, sums[i * widths + e]);
            }
        }
    }
}

/* y = sums / the sum of all weights; 0 where there are no keys. */
FUNCTION void finish(GLOBAL gpu_byte *y, gpu_attention_arguments a, attention_place p,
                     LOCAL_POINTER float *pool, const float *total, const float *sums,
                     const gpu_uint rows, const gpu_uint widths) {
    BARRIER();
UNROLL
    for (gpu_uint i = 0; i < rows; i++)
        pool[(p.row + i * ROWS) * WEIGHT_PITCH + p.column] = total[i];
    BARRIER();
UNROLL
    for (gpu_uint i = 0; i < rows; i++) {
        gpu_uint t = p.first_query + p.row + i * ROWS;
        float all = a.S ? 0.0f : 1.0f;
        for (gpu_uint c = 0; c < COLUMNS; c++)
            all += pool[(p.row + i * ROWS) * WEIGHT_PITCH + c];
UNROLL
        for (gpu_uint e = 0; e < widths; e++) {
            gpu_uint c = GROUP_ID(1) * widths * COLUMNS + p.column + e * COLUMNS;
            if (t < a.T && c < a.E)
                store(y, a.y.type, p.y + t * a.y.row + c, sums[i * widths + e] / all);
        }
    }
}

/* sums: rows * widths numbers of the work-item's own. */
FUNCTION void attend(GLOBAL const gpu_byte *q, GLOBAL const gpu_byte *k, GLOBAL const gpu_byte *v,
                     GLOBAL const gpu_byte *mask, GLOBAL gpu_byte *y, gpu_attention_arguments a,
                     LOCAL_POINTER float *pool, float *sums, const gpu_uint rows,
                     const gpu_uint widths) {
    attention_place p = place_of(a, QUERIES(rows));
    float scores[MOST_ROWS * OWN_KEYS], largest[MOST_ROWS], total[MOST_ROWS];
    gpu_uint end = p.first_query + QUERIES(rows);
    end = a.causal && end < a.S ? end : a.S;
UNROLL
    for (gpu_uint i = 0; i < rows; i++) {
        largest[i] = -INFINITY;
        total[i] = 0.0f;
    }
UNROLL
    for (gpu_uint i = 0; i < rows * widths; i++)
        sums[i] = 0.0f;
    for (gpu_uint first_key = 0; first_key < end; first_key += KEYS) {
UNROLL
        for (gpu_uint i = 0; i < rows * OWN_KEYS; i++)
            scores[i] = 0.0f;
        add_products(q, k, a, p, first_key, pool, scores, rows);
UNROLL
        for (gpu_uint i = 0; i < rows; i++)
UNROLL
            for (gpu_uint j = 0; j < OWN_KEYS; j++)
                scores[i * OWN_KEYS + j] = finished_score(
                    mask, a, p, p.first_query + p.row + i * ROWS,
                    first_key + p.column + j * COLUMNS, scores[i * OWN_KEYS + j]);
        weigh(pool, p, scores, largest, total, sums, rows, widths);
        add_values(v, a, p, first_key, pool, scores, sums, rows, widths);
    }
    finish(y, a, p, pool, total, sums, rows, widths);
}

/* attention_N: for up to N channels of the values at once. */

KERNEL(attention_48)(INPUT(q), INPUT(k), INPUT(v), INPUT(mask), OUTPUT(y),
                     gpu_attention_arguments a) {
    LOCAL float pool[POOL_FLOATS(8, 3)];
    float sums[8 * 3];
    attend(q + q_offset, k + k_offset, v + v_offset, mask + mask_offset, y + y_offset, a, pool,
           sums, 8, 3);
}

KERNEL(attention_64)(INPUT(q), INPUT(k), INPUT(v), INPUT(mask), OUTPUT(y),
                     gpu_attention_arguments a) {
    LOCAL float pool[POOL_FLOATS(8, 4)];
    float sums[8 * 4];
    attend(q + q_offset, k + k_offset, v + v_offset, mask + mask_offset, y + y_offset, a, pool,
           sums, 8, 4);
}

KERNEL(attention_80)(INPUT(q), INPUT(k), INPUT(v), INPUT(mask), OUTPUT(y),
                     gpu_attention_arguments a) {
    LOCAL float pool[POOL_FLOATS(8, 5)];
    float sums[8 * 5];
    attend(q + q_offset, k + k_offset, v + v_offset, mask + mask_offset, y + y_offset, a, pool,
           sums, 8, 5);
}

KERNEL(attention_128)(INPUT(q), INPUT(k), INPUT(v), INPUT(mask), OUTPUT(y),
                      gpu_attention_arguments a) {
    LOCAL float pool[POOL_FLOATS(4, 8)];
    float sums[4 * 8];
    attend(q + q_offset, k + k_offset, v + v_offset, mask + mask_offset, y + y_offset, a, pool,
           sums, 4, 8);
}

KERNEL(attention_160)(INPUT(q), INPUT(k), INPUT(v), INPUT(mask), OUTPUT(y),
                      gpu_attention_arguments a) {
    LOCAL float pool[POOL_FLOATS(4, 10)];
    float sums[4 * 10];
    attend(q + q_offset, k + k_offset, v + v_offset, mask + mask_offset, y + y_offset, a, pool,
           sums, 4, 10);
}

KERNEL(attention_256)(INPUT(q), INPUT(k), INPUT(v), INPUT(mask), OUTPUT(y),
                      gpu_attention_arguments a) {
    LOCAL float pool[POOL_FLOATS(4, 16)];
    float sums[4 * 16];
    attend(q + q_offset, k + k_offset, v + v_offset, mask + mask_offset, y + y_offset, a, pool,
           sums, 4, 16);
}

/*
 * What attention's kernels work on: a panel of queries of one head, against a block of its keys.
 *
 * All is turned over, so that a query is a lane: scores are [keys, queries], the result is
 * [channels, queries]. Then largest score and sum need nothing across lanes, scores become weights
 * in the registers in which they were computed, and the weights lie as the second product wants
 * them.
 */
#ifndef SF_BACKENDS_CPU_ISA_ATTENTION_H
#define SF_BACKENDS_CPU_ISA_ATTENTION_H

#include <stdbool.h>
#include <stdint.h>

#define CPU_ATTEND_VECTORS 3   /* of queries in a panel, at most */
#define CPU_ATTEND_KEYS    128 /* in a block, at most; a multiple of all vectors */
#define CPU_ATTEND_TILE    8 /* channels that lie together in `values`, and are computed together */

/*
 * In f32; for attend_bf16 queries, keys, values and weights are in pairs of bf16, of the dimension that
 * is summed over, as product.h has them, with D and the numbers of keys rounded up and halved, and scores
 * are scaled.
 *
 * vectors: of the panel; width = vectors * the instruction set's vector. S keys of D channels, zeros
 * behind the last one; E is D of the values, rounded up to tiles.
 */
typedef struct cpu_attend {
    int vectors;
    int64_t S, D, E;
    float scale;              /* for attend_bf16 */
    const float *queries;     /* [D, width], scaled */
    const float *keys;        /* [keys / vector, D, vector] */
    const float *values;      /* of each block: [E / CPU_ATTEND_TILE, keys, CPU_ATTEND_TILE] */
    const float *mask;        /* of the block: [keys, width], added to the scores; NULL: none */
    bool causal;              /* query i sees key j only for j <= first_query + i */
    int64_t first_query;      /* of the panel */
    float *weights;           /* [CPU_ATTEND_KEYS, width]: scratch */
    float *references, *sums; /* [width]: what was taken off the scores; sums of the weights */
    float *y;                 /* [E, width] */
} cpu_attend;

#endif

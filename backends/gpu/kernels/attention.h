/*
 * Arguments of attention.cl.
 */
#ifndef SF_BACKENDS_GPU_ATTENTION_H
#define SF_BACKENDS_GPU_ATTENTION_H

#include "backends/gpu/kernels/dialect.h"

/* Work-items that share a query, each with some of the keys and of the channels of the values. */
#define ATTENTION_COLUMNS 16

/* Keys that are looked at together. */
#define ATTENTION_KEYS 64

/* attention_halves.h: channels of a head, of keys and of values, at most. */
#define ATTENTION_MOST_HALVES 256

/*
 * Of [B, T, heads D]: elements between samples and between rows; columns lie side by side. aligned: each
 * head's rows begin at multiples of 16 bytes, and are such multiples long.
 */
typedef struct gpu_attention_matrix {
    gpu_uint sample, row;
    gpu_int type, aligned;
} gpu_attention_matrix;

typedef struct gpu_attention_arguments {
    gpu_attention_matrix q, k, v, y;
    gpu_int has_mask, mask_type;
    gpu_uint mask_sample, mask_head, mask_row, mask_key; /* elements between two; 0 repeats */
    gpu_uint T, S, D, E, n_heads;
    gpu_uint n_tiles; /* of queries */
    gpu_int causal;
    float scale;
} gpu_attention_arguments;

#endif

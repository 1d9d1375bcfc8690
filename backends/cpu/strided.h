/*
 * Walks over tensors of one shape with strides of their own: dimensions that lie like one in all of
 * them become one, and what is left is walked in rows of the last dimension, long rows in pieces.
 */
#ifndef SF_BACKENDS_CPU_STRIDED_H
#define SF_BACKENDS_CPU_STRIDED_H

#include "backends/cpu/items.h"

#define CPU_WALK_OPERANDS 3

typedef struct cpu_walk {
    int n_dims; /* at least 1 */
    int n_operands;
    int64_t dims[SF_MAX_DIMS];
    int64_t strides[CPU_WALK_OPERANDS][SF_MAX_DIMS]; /* elements */
    int64_t piece, n_pieces;                         /* of a row; the last may be shorter */
    int64_t n_units, n_items;                        /* a unit is a piece */
} cpu_walk;

/* strides[k] are those of operand k. Pure; dims may have zeros, but there is nothing to walk then. */
cpu_walk cpu_walk_over(int n_dims, const int64_t *dims, int n_operands,
                       const int64_t *const *strides);

/* Where piece `unit` begins in each operand (elements); returns how many elements it has. */
int64_t cpu_walk_at(const cpu_walk *walk, int64_t unit, int64_t *offsets);

/* Moves elements of 1, 2, 4 or 8 bytes from operand 0 of the walk to operand 1. */
void cpu_move(cpu_backend *backend, int64_t bytes, const cpu_walk *walk, const void *from,
              void *to);

#endif

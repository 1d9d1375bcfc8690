/*
 * Small graphs drawn at random, and a slow way to compute any graph: what plans are compared with.
 */
#ifndef SF_TESTS_SUPPORT_RANDOM_GRAPH_H
#define SF_TESTS_SUPPORT_RANDOM_GRAPH_H

#include "core/backend.h"
#include "core/graph.h"

/* SplitMix64 (Steele, Lea and Flood, 2014). */
typedef struct test_random {
    uint64_t state;
} test_random;

uint64_t random_bits(test_random *random);
int64_t random_below(test_random *random, int64_t limit);            /* 0 .. limit - 1 */
void random_floats(test_random *random, float *data, int64_t count); /* in -2 .. 2 */

/*
 * A graph with 1 to 3 f32 inputs, some 5 to 25 nodes of nearly every op and 1 to 4 outputs, some of
 * which are views, inputs, weights or the same value. The same seed gives the same graph. Values
 * stay within some tens, so that no step multiplies rounding errors much.
 */
void random_graph(sf_context *ctx, uint64_t seed, sf_graph **graph);

/*
 * Computes all nodes of a graph one at a time, each into memory of its own: ops as single ops on
 * the backend, views here, element by element. values[node] is a new block of the node's bytes,
 * freed with free_values().
 */
void evaluate_graph(sf_context *ctx, sf_backend *backend, const sf_graph *graph,
                    const void *const *inputs, void **values);
void free_values(const sf_graph *graph, void **values);

#endif

/*
 * An allocator that counts live blocks and fails on demand, to check that every allocation failure
 * ends in SF_ERROR_MEMORY and leaks nothing.
 *
 *     struct failing_allocator allocator = {.fail_at = n};   n-th allocation fails, 0: none
 *     sf_context *ctx = failing_context(&allocator);
 */
#ifndef SF_TESTS_SUPPORT_FAILING_H
#define SF_TESTS_SUPPORT_FAILING_H

#include "sfumato.h"

struct failing_allocator {
    long fail_at; /* counted from 1, in calls that ask for memory */
    long calls;
    long live; /* blocks not freed yet */
};

/* A context on that allocator. The counts start after it was made; its own block is not counted. */
sf_context *failing_context(struct failing_allocator *allocator);

/*
 * Runs body with the 1st, 2nd, ... allocation failing until it gets by without meeting the failure.
 * Each run must end in SF_OK or SF_ERROR_MEMORY (with a message) and leave no block behind. A run
 * that met the failure may be SF_OK only up to n_tolerated times (blocks that can be done without).
 */
void check_each_allocation(sf_status (*body)(sf_context *ctx, void *user), void *user,
                           int n_tolerated);

#endif

/*
 * How many work-items share a row, for the ops whose kernels give each row to a team
 * (kernels/reduce.h).
 */
#ifndef SF_BACKENDS_GPU_ROWS_H
#define SF_BACKENDS_GPU_ROWS_H

#include "backends/gpu/gpu.h"

/* Work-items from which on a device has enough to do; a large GPU runs about so many at once. */
#define GPU_MANY_ITEMS 131072

/* Numbers of a row that a work-item takes at most, unless the team is a whole group. */
#define GPU_NUMBERS_AN_ITEM 16

/*
 * The logarithm of the size of a team for rows of n numbers: at least a number for each work-item, 32
 * of them or more where the row is that long, so that they read memory side by side, and more where
 * numbers are many or rows are few.
 */
static inline uint32_t gpu_log_lanes(const gpu_backend *backend, uint64_t n_rows, uint64_t n) {
    uint32_t log_lanes = 0, size = backend->abilities.group_size;
    for (uint64_t lanes = 2; lanes <= size && lanes <= n; lanes *= 2)
        if (lanes <= 32 || n > lanes / 2 * GPU_NUMBERS_AN_ITEM || n_rows * lanes <= GPU_MANY_ITEMS)
            log_lanes++;
    return log_lanes;
}

static inline gpu_grid gpu_groups_for_rows(const gpu_backend *backend, uint64_t n_rows,
                                           uint32_t log_lanes) {
    return gpu_groups_for(backend, n_rows << log_lanes);
}

#endif

/*
 * y = activation(scale a b^T + bias) + residual for a of a few rows: b is read once, which is what it
 * costs. A team of work-items adds up one column, each every 32nd product of all rows; a group has
 * GROUP / 32 teams. Local memory: 8 floats a work-item.
 */
#include "backends/gpu/kernels/few_rows.h"

#define TEAM GPU_FEW_ROWS_TEAM
#define ROWS GPU_FEW_ROWS

KERNEL(few_rows)
(INPUT(a), INPUT(b), INPUT(bias), IN_PLACE(residual), OUTPUT(y), gpu_few_rows_arguments p) {
    LOCAL float parts[ROWS * GROUP]; /* [row][work-item] */
    float sums[ROWS];
    LOCATE(a);
    LOCATE(b);
    LOCATE(bias);
    LOCATE(residual);
    LOCATE(y);
    gpu_uint lane = LOCAL_ID % TEAM;
    gpu_uint column = GROUP_ID(0) * (GROUP / TEAM) + LOCAL_ID / TEAM;
#pragma unroll
    for (int row = 0; row < ROWS; row++)
        sums[row] = 0.0f;
    for (gpu_uint k = lane; k < p.k && column < p.n; k += TEAM) {
        float weight = load(b, p.b_type, column * p.b_stride + k);
#pragma unroll
        for (gpu_uint row = 0; row < ROWS; row++)
            if (row < p.m)
                sums[row] += weight * load(a, p.a_type, row * p.a_stride + k);
    }
#pragma unroll
    for (int row = 0; row < ROWS; row++)
        parts[row * GROUP + LOCAL_ID] = sums[row];
    for (gpu_uint half_team = TEAM / 2; half_team > 0; half_team /= 2) {
        BARRIER();
        if (lane < half_team)
            for (gpu_uint row = 0; row < p.m; row++)
                parts[row * GROUP + LOCAL_ID] += parts[row * GROUP + LOCAL_ID + half_team];
    }
    if (lane > 0 || column >= p.n)
        return;
    for (gpu_uint row = 0; row < p.m; row++)
        finish_sum(bias, residual, y, p.epilogue, column, row * p.n + column,
                   parts[row * GROUP + LOCAL_ID]);
}

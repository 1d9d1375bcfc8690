/*
 * What comes after a product that a library computed. Work-item i finishes element i.
 */
#include "backends/gpu/kernels/finish.h"

KERNEL(finish)
(IN_PLACE(sums), INPUT(bias), IN_PLACE(residual), OUTPUT(y), gpu_finish_arguments a) {
    LOCATE(sums);
    LOCATE(bias);
    LOCATE(residual);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    if (i < a.n)
        finish_sum(bias, residual, y, a.epilogue, i % a.columns, i, load(sums, a.sum_type, i));
}

/* y = u gelu(v), u and v the halves of each row of sums. */
KERNEL(finish_geglu)(INPUT(sums), INPUT(bias), OUTPUT(y), gpu_finish_arguments a) {
    LOCATE(sums);
    LOCATE(bias);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    if (i >= a.n)
        return;
    gpu_uint column = i % a.columns, at = 2 * (i - column) + column;
    float u = add_bias(bias, a.epilogue, column, load(sums, a.sum_type, at));
    float v = add_bias(bias, a.epilogue, a.columns + column,
                       load(sums, a.sum_type, at + a.columns));
    store(y, a.epilogue.y_type, i, u * activate(GPU_GELU, v));
}

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

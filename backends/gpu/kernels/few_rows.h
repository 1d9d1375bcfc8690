/*
 * Arguments of few_rows.cl.
 */
#ifndef SF_BACKENDS_GPU_FEW_ROWS_H
#define SF_BACKENDS_GPU_FEW_ROWS_H

#include "backends/gpu/kernels/epilogue.h"

#define GPU_FEW_ROWS      8  /* the most */
#define GPU_FEW_ROWS_TEAM 32 /* work-items that add up one column */

/* y [m, n] from a [m, k] and b [n, k], whose rows are that far apart, in elements. */
typedef struct gpu_few_rows_arguments {
    gpu_uint m, n, k;
    gpu_uint a_stride, b_stride;
    gpu_int a_type, b_type;
    gpu_epilogue epilogue;
} gpu_few_rows_arguments;

#endif

/*
 * Arguments of finish.cl.
 */
#ifndef SF_BACKENDS_GPU_FINISH_H
#define SF_BACKENDS_GPU_FINISH_H

#include "backends/gpu/kernels/epilogue.h"

/* y [n / columns, columns] */
typedef struct gpu_finish_arguments {
    gpu_uint n, columns;
    gpu_int sum_type;
    gpu_epilogue epilogue;
} gpu_finish_arguments;

#endif

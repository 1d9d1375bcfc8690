/*
 * Arguments of embedding.cl.
 */
#ifndef SF_BACKENDS_GPU_EMBEDDING_H
#define SF_BACKENDS_GPU_EMBEDDING_H

#include "backends/gpu/kernels/view.h"

typedef struct gpu_embedding_arguments {
    gpu_dims row_dims, id_dims;
    gpu_strides row, ids; /* of an element within its row; of an id */
    gpu_uint n;           /* elements of the output */
    gpu_uint row_elements;
    gpu_uint row_stride, n_rows; /* of the table */
    gpu_uint unit_bytes;         /* of an element: 1, 2, 4 or 8 */
    gpu_uint id_bytes;           /* 4 or 8 */
} gpu_embedding_arguments;

#endif

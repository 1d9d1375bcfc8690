/*
 * y = x[..., :D] gelu(x[..., D:]). Work-item i computes number i.
 */
#include "backends/gpu/kernels/geglu.h"

KERNEL(geglu)(INPUT(x), OUTPUT(y), gpu_geglu_arguments a) {
    LOCATE(x);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    if (i >= a.n)
        return;
    gpu_uint at = element_at(a.dims, a.x, i);
    store(y, a.y_type, i,
          load(x, a.x_type, at) * activate(GPU_GELU, load(x, a.x_type, at + a.gate)));
}

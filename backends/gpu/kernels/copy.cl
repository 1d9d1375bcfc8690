/*
 * Moving elements without looking at them, from any strides to any strides.
 */
#include "backends/gpu/kernels/copy.h"

/* Work-item i moves element i. */
KERNEL(copy_elements)(INPUT(x), OUTPUT(y), gpu_copy_elements_arguments a) {
    LOCATE(x);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    if (i >= a.n)
        return;
    gpu_uint from = element_at(a.dims, a.from, i), to = element_at(a.dims, a.to, i);
    if (a.unit_bytes == 4)
        ((GLOBAL gpu_uint *)y)[to] = ((GLOBAL const gpu_uint *)x)[from];
    else if (a.unit_bytes == 2)
        ((GLOBAL unsigned short *)y)[to] = ((GLOBAL const unsigned short *)x)[from];
    else if (a.unit_bytes == 8)
        ((GLOBAL gpu_ulong *)y)[to] = ((GLOBAL const gpu_ulong *)x)[from];
    else
        y[to] = x[from];
}

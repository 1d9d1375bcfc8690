/*
 * y = f(x), number by number. Work-item i computes number i.
 */
#include "backends/gpu/kernels/unary.h"

KERNEL(unary)(IN_PLACE(x), OUTPUT(y), gpu_unary_arguments a) {
    LOCATE(x);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    if (i < a.n)
        store(y, a.y_type, i,
              activate(a.function, load(x, a.x_type, element_at(a.dims, a.x, i))));
}

/* y = scale x + shift */
KERNEL(affine)(IN_PLACE(x), OUTPUT(y), gpu_range_arguments a) {
    LOCATE(x);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    if (i < a.n)
        store(y, a.y_type, i,
              a.first * load(x, a.x_type, element_at(a.dims, a.x, i)) + a.second);
}

/* y = min(max(x, low), high); NaN stays NaN */
KERNEL(clamp_range)(IN_PLACE(x), OUTPUT(y), gpu_range_arguments a) {
    LOCATE(x);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    if (i >= a.n)
        return;
    float value = load(x, a.x_type, element_at(a.dims, a.x, i));
    value = value < a.first ? a.first : value;
    store(y, a.y_type, i, value > a.second ? a.second : value);
}

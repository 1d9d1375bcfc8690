/*
 * Elements in another type. Work-item i converts element i. Floats go through f32, integers through 64
 * bits; what is out of range is as core/ops/copy.c says.
 */
#include "backends/gpu/kernels/cast.h"

FUNCTION gpu_long load_integer(GLOBAL const gpu_byte *p, gpu_int type, gpu_uint i) {
    if (type == GPU_I32)
        return ((GLOBAL const gpu_int *)p)[i];
    if (type == GPU_I64)
        return ((GLOBAL const gpu_long *)p)[i];
    return p[i];
}

/* Keeps the low bits. */
FUNCTION void store_integer(GLOBAL gpu_byte *p, gpu_int type, gpu_uint i, gpu_long value) {
    if (type == GPU_I32)
        ((GLOBAL gpu_uint *)p)[i] = (gpu_uint)value;
    else if (type == GPU_I64)
        ((GLOBAL gpu_long *)p)[i] = value;
    else
        p[i] = (gpu_byte)value;
}

/* Toward zero; the nearest that the type has where that is out of range, 0 for NaN. */
FUNCTION gpu_long truncate_to(gpu_int type, float value) {
    const gpu_long most = 0x7fffffffffffffff;
    gpu_long low = type == GPU_I64 ? -most - 1 : type == GPU_I32 ? -2147483647 - 1 : 0;
    gpu_long high = type == GPU_I64 ? most : type == GPU_I32 ? 2147483647 : 255;
    if (value != value)
        return 0;
    if (value <= (float)low)
        return low;
    return value >= (float)high ? high : (gpu_long)value;
}

KERNEL(cast)(INPUT(x), OUTPUT(y), gpu_cast_arguments a) {
    LOCATE(x);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    if (i >= a.n)
        return;
    gpu_uint from = element_at(a.dims, a.x, i);
    if (a.x_type <= GPU_BF16) {
        float value = load(x, a.x_type, from);
        if (a.y_type <= GPU_BF16)
            store(y, a.y_type, i, value);
        else
            store_integer(y, a.y_type, i, truncate_to(a.y_type, value));
    } else {
        gpu_long value = load_integer(x, a.x_type, from);
        if (a.y_type <= GPU_BF16)
            store(y, a.y_type, i, (float)value);
        else
            store_integer(y, a.y_type, i, value);
    }
}

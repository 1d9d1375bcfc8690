/*
 * Moving elements without looking at them, from any strides to any strides.
 */
#include "backends/gpu/kernels/copy.h"

FUNCTION void move_unit(GLOBAL const gpu_byte *x, GLOBAL gpu_byte *y, gpu_copy_elements_arguments a,
                        gpu_uint i) {
    if (i >= a.n)
        return;
    gpu_uint from = element_at(a.dims, a.from, i), to = a.begin + element_at(a.dims, a.to, i);
    if (a.unit_bytes == 4)
        ((GLOBAL gpu_uint *)y)[to] = ((GLOBAL const gpu_uint *)x)[from];
    else if (a.unit_bytes == 2)
        ((GLOBAL unsigned short *)y)[to] = ((GLOBAL const unsigned short *)x)[from];
    else if (a.unit_bytes == 8)
        ((GLOBAL gpu_ulong *)y)[to] = ((GLOBAL const gpu_ulong *)x)[from];
    else
        y[to] = x[from];
}

/* Work-item i moves unit i. */
KERNEL(copy_elements)(INPUT(x), OUTPUT(y), gpu_copy_elements_arguments a) {
    LOCATE(x);
    LOCATE(y);
    move_unit(x, y, a, GROUP_ID(0) * GROUP + LOCAL_ID);
}

/*
 * Several tensors into one: groups [.., k] move input k, as many as the largest one takes. Inputs that
 * are not there are copies of another one's address, of 0 units.
 */
KERNEL(concat)(INPUT(x0), INPUT(x1), INPUT(x2), INPUT(x3), INPUT(x4), INPUT(x5), INPUT(x6),
               INPUT(x7), INPUT(x8), OUTPUT(y), gpu_concat_arguments a) {
    gpu_uint part = GROUP_ID(1);
    GLOBAL const gpu_byte *x = x0 + x0_offset;
    LOCATE(y);
    switch (part) {
    case 1:
        x = x1 + x1_offset;
        break;
    case 2:
        x = x2 + x2_offset;
        break;
    case 3:
        x = x3 + x3_offset;
        break;
    case 4:
        x = x4 + x4_offset;
        break;
    case 5:
        x = x5 + x5_offset;
        break;
    case 6:
        x = x6 + x6_offset;
        break;
    case 7:
        x = x7 + x7_offset;
        break;
    case 8:
        x = x8 + x8_offset;
        break;
    default:
        break;
    }
    move_unit(x, y, a.part[part], GROUP_ID(0) * GROUP + LOCAL_ID);
}

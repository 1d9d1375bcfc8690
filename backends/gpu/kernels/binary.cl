/*
 * y = a op b, number by number, a and b broadcast by their strides. Work-item i computes number i.
 */
#include "backends/gpu/kernels/binary.h"

KERNEL(binary)(IN_PLACE(a), IN_PLACE(b), OUTPUT(y), gpu_binary_arguments args) {
    LOCATE(a);
    LOCATE(b);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    if (i >= args.n)
        return;
    float left = load(a, args.a_type, element_at(args.dims, args.a, i));
    float right = load(b, args.b_type, element_at(args.dims, args.b, i));
    float result = args.function == GPU_ADD        ? left + right
                   : args.function == GPU_SUBTRACT ? left - right
                   : args.function == GPU_MULTIPLY ? left * right
                                                   : left / right;
    store(y, args.y_type, i, result);
}

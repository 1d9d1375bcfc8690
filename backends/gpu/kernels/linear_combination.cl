/*
 * y = c_1 x_1 + ... + c_n x_n in one pass. Work-item i reads number i of all terms, then writes it: y
 * may be one of them. Terms that are not there are copies of another one's address and not read.
 */
#include "backends/gpu/kernels/linear_combination.h"

#define TERM(k)                                                                                    \
    if (a.n_terms > (k))                                                                           \
    sum = f_fma(load(c, a.coefficient_type, (k) * a.coefficient_stride),                           \
                load(x##k + x##k##_offset, a.x_type, element_at(a.dims, a.x[k], i)), sum)

KERNEL(linear_combination)(INPUT(c), IN_PLACE(x0), IN_PLACE(x1), IN_PLACE(x2), IN_PLACE(x3),
                           IN_PLACE(x4), IN_PLACE(x5), IN_PLACE(x6), IN_PLACE(x7), OUTPUT(y),
                           gpu_linear_combination_arguments a) {
    LOCATE(c);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    float sum = 0.0f;
    if (i >= a.n)
        return;
    TERM(0);
    TERM(1);
    TERM(2);
    TERM(3);
    TERM(4);
    TERM(5);
    TERM(6);
    TERM(7);
    store(y, a.y_type, i, sum);
}

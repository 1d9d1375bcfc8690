/*
 * A square of VECTOR x VECTOR numbers turned over in registers: log2(VECTOR) rounds, in which blocks
 * of 1, 2, 4, ... change places across the diagonal.
 */
#ifndef SF_BACKENDS_CPU_ISA_TRANSPOSE_H
#define SF_BACKENDS_CPU_ISA_TRANSPOSE_H

#include "backends/cpu/isa/vector.h"

/* Lane i of a and b joined: LOW keeps a's lanes with bit `step` clear and brings b's there to the
 * others; HIGH the other way round. */
#define V VECTOR
#if VECTOR == 16
#define LANES(f, s)                                                                                \
    f(0, s), f(1, s), f(2, s), f(3, s), f(4, s), f(5, s), f(6, s), f(7, s), f(8, s), f(9, s),      \
        f(10, s), f(11, s), f(12, s), f(13, s), f(14, s), f(15, s)
#elif VECTOR == 8
#define LANES(f, s) f(0, s), f(1, s), f(2, s), f(3, s), f(4, s), f(5, s), f(6, s), f(7, s)
#else
#define LANES(f, s) f(0, s), f(1, s), f(2, s), f(3, s)
#endif
#define LOW(i, s)  (((i) & (s)) ? V + (i) - (s) : (i))
#define HIGH(i, s) (((i) & (s)) ? V + (i) : (i) + (s))

#if defined(__clang__) || __GNUC__ >= 12
#define JOIN(a, b, lanes, s) __builtin_shufflevector(a, b, LANES(lanes, s))
#else
#define JOIN(a, b, lanes, s) __builtin_shuffle(a, b, (ivec){LANES(lanes, s)})
#endif

#define SWAP_BLOCKS(s)                                                                             \
    UNROLL                                                                                         \
    for (int i = 0; i < V; i++)                                                                    \
        if (!(i & (s))) {                                                                          \
            vec a = x[i], b = x[i + (s)];                                                          \
            x[i] = JOIN(a, b, LOW, s);                                                             \
            x[i + (s)] = JOIN(a, b, HIGH, s);                                                      \
        }

INLINE void vec_transpose(vec x[VECTOR]) {
    SWAP_BLOCKS(1)
    SWAP_BLOCKS(2)
#if VECTOR >= 8
    SWAP_BLOCKS(4)
#endif
#if VECTOR >= 16
    SWAP_BLOCKS(8)
#endif
}

#undef V
#undef LANES
#undef LOW
#undef HIGH
#undef JOIN
#undef SWAP_BLOCKS

#endif

/*
 * Functions of one number, arithmetic of two, and geglu.
 */
#include <math.h>

#include "backends/cpu/isa/functions.h"
#include "backends/cpu/isa/isa.h"

/* ---- one number ---- */

INLINE vec vec_sqrt(vec x) {
#if VECTOR == 16
    return (vec)_mm512_sqrt_ps((__m512)x);
#elif VECTOR == 8
    return (vec)_mm256_sqrt_ps((__m256)x);
#else
    for (int i = 0; i < VECTOR; i++)
        x[i] = sqrtf(x[i]);
    return x;
#endif
}

/* The C library's, for what is rare. */
INLINE vec one_by_one(int32_t function, vec x) {
    for (int i = 0; i < VECTOR; i++)
        x[i] = function == CPU_LOG ? logf(x[i]) : function == CPU_SIN ? sinf(x[i]) : cosf(x[i]);
    return x;
}

/* Call it with a constant function. */
INLINE vec apply(int32_t function, const cpu_unary *u, vec x) {
    switch (function) {
    case CPU_SIGMOID:
        return vec_sigmoid(x);
    case CPU_TANH:
        return vec_tanh(x);
    case CPU_EXP:
        return vec_exp(x);
    case CPU_SQRT:
        return vec_sqrt(x);
    case CPU_SQUARE:
        return x * x;
    case CPU_AFFINE:
        return u->a * x + u->b;
    case CPU_CLAMP:
        return vec_choose(x < u->a, vec_of(u->a), vec_choose(x > u->b, vec_of(u->b), x));
    case CPU_LOG:
    case CPU_SIN:
    case CPU_COS:
        return one_by_one(function, x);
    default:
        return vec_activation(function, x);
    }
}

INLINE void apply_all(int32_t function, const cpu_unary *u, int32_t from, int32_t to, int64_t i,
                      int64_t n) {
    for (int64_t end = i + n; i < end; i += VECTOR) {
        vec x = vec_load_up_to(from, u->x.data, i, end - i);
        vec_store_up_to(to, u->y.data, i, apply(function, u, x), end - i);
    }
}

void CPU_NAME(unary)(const cpu_unary *unary, int64_t first, int64_t n) {
    bool plain = unary->x.dtype == SF_F32 && unary->y.dtype == SF_F32;
    switch (unary->function) {
#define APPLY(name, value, op)                                                                     \
    case value:                                                                                    \
        if (plain)                                                                                 \
            apply_all(value, unary, SF_F32, SF_F32, first, n);                                     \
        else                                                                                       \
            apply_all(value, unary, unary->x.dtype, unary->y.dtype, first, n);                     \
        break;
        APPLY(none, SF_ACTIVATION_NONE, none)
        SF_ACTIVATION_LIST(APPLY)
        APPLY(sigmoid, CPU_SIGMOID, sigmoid)
        APPLY(tanh, CPU_TANH, tanh)
        APPLY(exp, CPU_EXP, exp)
        APPLY(log, CPU_LOG, log)
        APPLY(sqrt, CPU_SQRT, sqrt)
        APPLY(square, CPU_SQUARE, square)
        APPLY(sin, CPU_SIN, sin)
        APPLY(cos, CPU_COS, cos)
        APPLY(affine, CPU_AFFINE, affine)
        APPLY(clamp, CPU_CLAMP, clamp)
#undef APPLY
    }
}

/* ---- two numbers ---- */

INLINE vec combine(int32_t operation, vec a, vec b) {
    switch (operation) {
    case CPU_ADD:
        return a + b;
    case CPU_SUBTRACT:
        return a - b;
    case CPU_MULTIPLY:
        return a * b;
    default:
        return a / b;
    }
}

INLINE void combine_all(int32_t operation, int32_t as, const cpu_matrix *a, int64_t first_a,
                        int64_t step_a, const cpu_matrix *b, int64_t first_b, int64_t step_b,
                        const cpu_matrix *y, int64_t first, int64_t n) {
    int32_t from_a = as ? as : a->dtype, from_b = as ? as : b->dtype, to = as ? as : y->dtype;
    vec one_a = vec_of(vec_load_part_as(from_a, a->data, first_a, 1)[0]);
    vec one_b = vec_of(vec_load_part_as(from_b, b->data, first_b, 1)[0]);
    for (int64_t i = 0; i < n; i += VECTOR) {
        vec left = step_a ? vec_load_up_to(from_a, a->data, first_a + i, n - i) : one_a;
        vec right = step_b ? vec_load_up_to(from_b, b->data, first_b + i, n - i) : one_b;
        vec_store_up_to(to, y->data, first + i, combine(operation, left, right), n - i);
    }
}

void CPU_NAME(binary)(int32_t operation, const cpu_matrix *a, int64_t first_a, int64_t step_a,
                      const cpu_matrix *b, int64_t first_b, int64_t step_b, const cpu_matrix *y,
                      int64_t first, int64_t n) {
    bool plain = a->dtype == SF_F32 && b->dtype == SF_F32 && y->dtype == SF_F32;
#define COMBINE(value)                                                                             \
    case value:                                                                                    \
        if (plain)                                                                                 \
            combine_all(value, SF_F32, a, first_a, step_a, b, first_b, step_b, y, first, n);       \
        else                                                                                       \
            combine_all(value, SF_NONE, a, first_a, step_a, b, first_b, step_b, y, first, n);      \
        break;
    switch (operation) {
        COMBINE(CPU_ADD)
        COMBINE(CPU_SUBTRACT)
        COMBINE(CPU_MULTIPLY)
        COMBINE(CPU_DIVIDE)
    }
#undef COMBINE
}

/* ---- geglu ---- */

void CPU_NAME(geglu)(const cpu_matrix *x, const cpu_matrix *y, int64_t columns, int64_t first,
                     int64_t rows) {
    for (int64_t i = first; i < first + rows; i++) {
        int64_t value = i * x->row_stride, gate = value + columns, result = i * y->row_stride;
        for (int64_t j = 0; j < columns; j += VECTOR) {
            int64_t left = columns - j;
            vec product = vec_load_up_to(x->dtype, x->data, value + j, left) *
                          vec_gelu(vec_load_up_to(x->dtype, x->data, gate + j, left));
            vec_store_up_to(y->dtype, y->data, result + j, product, left);
        }
    }
}

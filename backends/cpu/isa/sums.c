/*
 * Sums in double, in vectors of half as many elements; and counts.
 */
#include "backends/cpu/isa/isa.h"
#include "backends/cpu/isa/vector.h"

#define DOUBLES (VECTOR / 2)
#define BLOCK   256 /* elements of a half type that are widened at once */

typedef double dvec __attribute__((vector_size(4 * VECTOR)));
typedef double dvec_unaligned __attribute__((vector_size(4 * VECTOR), aligned(8), may_alias));
typedef float svec __attribute__((vector_size(2 * VECTOR)));
typedef float svec_unaligned __attribute__((vector_size(2 * VECTOR), aligned(4), may_alias));

INLINE dvec load_doubles(const float *p) {
    return __builtin_convertvector((svec)(*(const svec_unaligned *)p), dvec);
}

/* n elements from `first` on as f32: where they are, or widened into block [BLOCK]. */
INLINE const float *as_floats(const cpu_matrix *x, int64_t first, int64_t n, float *block) {
    if (x->dtype == SF_F32)
        return (const float *)x->data + first;
    CPU_NAME(widen)(x->dtype, (const uint16_t *)x->data + first, block, n);
    return block;
}

INLINE int64_t block_size(int64_t n, int64_t done) {
    return n - done < BLOCK ? n - done : BLOCK;
}

/* ---- moments ---- */

void CPU_NAME(moments)(const cpu_matrix *x, int64_t first, int64_t n, double shift,
                       double sums[2]) {
    float block[BLOCK];
    dvec s = {0}, q = {0};
    double rest = 0, rest_square = 0;
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t size = block_size(n, i), j = 0;
        const float *values = as_floats(x, first + i, size, block);
        for (; j + DOUBLES <= size; j += DOUBLES) {
            dvec d = load_doubles(values + j) - shift;
            s += d;
            q += d * d;
        }
        for (; j < size; j++) {
            double d = (double)values[j] - shift;
            rest += d;
            rest_square += d * d;
        }
    }
    for (int i = 0; i < DOUBLES; i++) {
        rest += s[i];
        rest_square += q[i];
    }
    sums[0] += rest;
    sums[1] += rest_square;
}

/* ---- element by element ---- */

void CPU_NAME(add_scaled)(const cpu_matrix *x, int64_t first, int64_t n, double coefficient,
                          double *sums) {
    float block[BLOCK];
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t size = block_size(n, i), j = 0;
        const float *values = as_floats(x, first + i, size, block);
        for (; j + DOUBLES <= size; j += DOUBLES)
            *(dvec_unaligned *)(sums + i + j) += coefficient * load_doubles(values + j);
        for (; j < size; j++)
            sums[i + j] += coefficient * (double)values[j];
    }
}

void CPU_NAME(narrow_sums)(const double *sums, double divisor, const cpu_matrix *y, int64_t first,
                           int64_t n) {
    for (int64_t i = 0; i < n; i += VECTOR) {
        vec values = vec_zero();
        int64_t size = n - i < VECTOR ? n - i : VECTOR;
        for (int64_t j = 0; j < size; j++)
            values[j] = (float)(sums[i + j] / divisor);
        if (size == VECTOR)
            vec_store_as(y->dtype, y->data, first + i, values);
        else
            vec_store_part_as(y->dtype, y->data, first + i, values, size);
    }
}

/* ---- counts ---- */

/* -1 where the exponent has all its bits. */
INLINE ivec is_nonfinite(vec x) {
    return (vec_bits(x) & 0x7f800000) == 0x7f800000;
}

int64_t CPU_NAME(count_nonfinite)(const cpu_matrix *x, int64_t first, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n;) {
        ivec counts = {0};
        int64_t end = n - i < (INT64_C(1) << 24) ? n : i + (INT64_C(1) << 24);
        for (; i + VECTOR <= end; i += VECTOR)
            counts -= is_nonfinite(vec_load_as(x->dtype, x->data, first + i));
        if (i < end) {
            counts -= is_nonfinite(vec_load_part_as(x->dtype, x->data, first + i, end - i));
            i = end;
        }
        for (int j = 0; j < VECTOR; j++)
            count += counts[j];
    }
    return count;
}

/*
 * Norms: sums over columns, and what is done with means and deviations once they are known.
 */
#include <math.h>

#include "backends/cpu/isa/functions.h"
#include "backends/cpu/isa/isa.h"

/* ---- sums over columns ---- */

/* Adds n rows, n constant, at columns first .. first + VECTOR - 1 or `part` of them. */
INLINE void add_rows(int32_t dtype, const cpu_matrix *x, int n, int64_t first, int64_t part,
                     const float *shift, float *sum, float *square) {
    vec s = vec_load(sum), q = vec_load(square), k = vec_load(shift);
    for (int i = 0; i < n; i++, first += x->row_stride) {
        vec d = (part ? vec_load_part_as(dtype, x->data, first, part)
                      : vec_load_as(dtype, x->data, first)) -
                k;
        s += d;
        q += d * d;
    }
    vec_store(sum, s);
    vec_store(square, q);
}

INLINE void add_all_columns(int32_t dtype, const cpu_matrix *x, int n, int64_t first,
                            int64_t columns, const float *shifts, float *sums, float *squares) {
    int64_t j = 0;
    for (; j + VECTOR <= columns; j += VECTOR)
        add_rows(dtype, x, n, first + j, 0, shifts + j, sums + j, squares + j);
    if (j < columns)
        add_rows(dtype, x, n, first + j, columns - j, shifts + j, sums + j, squares + j);
}

#define ROWS_AT_ONCE 4

INLINE void column_moments_as(int32_t dtype, const cpu_matrix *x, int64_t first_row, int64_t rows,
                              int64_t first_column, int64_t columns, const float *shifts,
                              float *sums, float *squares) {
    int64_t first = first_row * x->row_stride + first_column, i = 0;
    for (; i + ROWS_AT_ONCE <= rows; i += ROWS_AT_ONCE, first += ROWS_AT_ONCE * x->row_stride)
        add_all_columns(dtype, x, ROWS_AT_ONCE, first, columns, shifts, sums, squares);
    for (; i < rows; i++, first += x->row_stride)
        add_all_columns(dtype, x, 1, first, columns, shifts, sums, squares);
}

void CPU_NAME(column_moments)(const cpu_matrix *x, int64_t first_row, int64_t rows,
                              int64_t first_column, int64_t columns, const float *shifts,
                              float *sums, float *squares) {
    for (int64_t j = 0; j < columns; j += VECTOR) {
        vec_store(sums + j, vec_zero());
        vec_store(squares + j, vec_zero());
    }
    if (x->dtype == SF_F32)
        column_moments_as(SF_F32, x, first_row, rows, first_column, columns, shifts, sums, squares);
    else if (x->dtype == SF_F16)
        column_moments_as(SF_F16, x, first_row, rows, first_column, columns, shifts, sums, squares);
    else
        column_moments_as(SF_BF16, x, first_row, rows, first_column, columns, shifts, sums,
                          squares);
}

/* ---- means and factors by column ---- */

INLINE void normalize_rows(const cpu_normalization *n, int32_t activation, int32_t from, int32_t to,
                           int64_t first, int64_t rows) {
    for (int64_t i = first; i < first + rows; i++)
        for (int64_t j = 0; j < n->columns; j += VECTOR) {
            int64_t left = n->columns - j;
            vec x = vec_load_up_to(from, n->x.data, i * n->x.row_stride + j, left);
            vec mean = vec_load_up_to(SF_F32, n->mean, j, left);
            vec scale = vec_load_up_to(SF_F32, n->scale, j, left);
            vec shift = vec_load_up_to(SF_F32, n->shift, j, left);
            vec y = vec_activation(activation, (x - mean) * scale + shift);
            vec_store_up_to(to, n->y.data, i * n->y.row_stride + j, y, left);
        }
}

void CPU_NAME(normalize)(const cpu_normalization *norm, int64_t first, int64_t rows) {
    bool plain = norm->x.dtype == SF_F32 && norm->y.dtype == SF_F32;
    switch (norm->activation) {
#define NORMALIZE(name, value, op)                                                                 \
    case value:                                                                                    \
        if (plain)                                                                                 \
            normalize_rows(norm, value, SF_F32, SF_F32, first, rows);                              \
        else                                                                                       \
            normalize_rows(norm, value, norm->x.dtype, norm->y.dtype, first, rows);                \
        break;
        NORMALIZE(none, SF_ACTIVATION_NONE, none)
        SF_ACTIVATION_LIST(NORMALIZE)
#undef NORMALIZE
    }
}

/* ---- each row by itself ---- */

#define VECTORS_AT_ONCE 64 /* summed in f32 */

/* Adds the sums of x - shift and of its square to sums. */
static void row_moments(const cpu_matrix *x, int64_t first, int64_t n, float shift,
                        double sums[2]) {
    for (int64_t i = 0; i < n; i += VECTORS_AT_ONCE * VECTOR) {
        vec s = vec_zero(), q = vec_zero();
        int64_t end = n - i < VECTORS_AT_ONCE * VECTOR ? n : i + VECTORS_AT_ONCE * VECTOR, j = i;
        for (; j + VECTOR <= end; j += VECTOR) {
            vec d = vec_load_as(x->dtype, x->data, first + j) - shift;
            s += d;
            q += d * d;
        }
        sums[0] += (double)vec_sum(s);
        sums[1] += (double)vec_sum(q);
        for (; j < end; j++) {
            float d = vec_load_part_as(x->dtype, x->data, first + j, 1)[0] - shift;
            sums[0] += (double)d;
            sums[1] += (double)d * (double)d;
        }
    }
}

/* t = (x - mean) factor + rest */
typedef struct row_statistics {
    float mean, factor, rest;
} row_statistics;

/* In f32 around a first mean; all in double where squares leave the range of f32. */
static row_statistics measure_row(const cpu_row_norm *norm, int64_t first) {
    double n = (double)norm->columns, mean = 0, about[2] = {0};
    double sums[2] = {0};
    if (norm->centred) {
        row_moments(&norm->x, first, norm->columns, 0, sums);
        mean = sums[0] / n;
    }
    row_statistics row = {.mean = (float)mean};
    row_moments(&norm->x, first, norm->columns, row.mean, about);
    if (!(about[1] < 1e35) || (about[1] < 1e-28 && norm->epsilon < 1e-20)) {
        sums[0] = sums[1] = 0;
        CPU_NAME(moments)(&norm->x, first, norm->columns, 0, sums);
        mean = norm->centred ? sums[0] / n : 0;
        row.mean = (float)mean;
        about[0] = about[1] = 0;
        CPU_NAME(moments)(&norm->x, first, norm->columns, (double)row.mean, about);
    }
    double rest = norm->centred ? about[0] / n : 0;
    double factor = 1 / sqrt(about[1] / n - rest * rest + norm->epsilon);
    row.factor = (float)factor;
    row.rest = (float)(-rest * factor);
    return row;
}

INLINE void finish_row(const cpu_row_norm *n, int32_t activation, row_statistics row, int64_t x,
                       int64_t y) {
    for (int64_t j = 0; j < n->columns; j += VECTOR) {
        int64_t left = n->columns - j;
        vec t = vec_load_up_to(n->x.dtype, n->x.data, x + j, left);
        t = (t - row.mean) * row.factor + row.rest;
        if (n->scale)
            t *= vec_load_up_to(SF_F32, n->scale, j, left);
        if (n->shift)
            t += vec_load_up_to(SF_F32, n->shift, j, left);
        vec_store_up_to(n->y.dtype, n->y.data, y + j, vec_activation(activation, t), left);
    }
}

void CPU_NAME(normalize_each)(const cpu_row_norm *norm, int64_t first, int64_t rows) {
    for (int64_t i = first; i < first + rows; i++) {
        int64_t x = i * norm->x.row_stride, y = i * norm->y.row_stride;
        row_statistics row = measure_row(norm, x);
        switch (norm->activation) {
#define FINISH(name, value, op)                                                                    \
    case value:                                                                                    \
        finish_row(norm, value, row, x, y);                                                        \
        break;
            FINISH(none, SF_ACTIVATION_NONE, none)
            SF_ACTIVATION_LIST(FINISH)
#undef FINISH
        }
    }
}

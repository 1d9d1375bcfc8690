/*
 * Softmax of rows: the largest number, the sum of the exponentials, then each of them divided by it.
 * They are computed twice rather than kept, as there may be no room for a row of f32.
 */
#include "backends/cpu/isa/functions.h"
#include "backends/cpu/isa/isa.h"

#define VECTORS_AT_ONCE 64 /* summed in f32, then in double */

/* NaN is passed over here and comes in with the sum. */
static float largest_of(const cpu_matrix *x, int64_t first, int64_t n) {
    vec largest = vec_of(-__builtin_inff());
    float most;
    int64_t i = 0;
    for (; i + VECTOR <= n; i += VECTOR)
        largest = vec_max(largest, vec_load_as(x->dtype, x->data, first + i));
    most = vec_largest(largest);
    for (; i < n; i++) {
        float value = vec_load_part_as(x->dtype, x->data, first + i, 1)[0];
        most = value > most ? value : most;
    }
    return most;
}

static double sum_of_exponentials(const cpu_matrix *x, int64_t first, int64_t n, float largest) {
    double total = 0;
    for (int64_t i = 0; i < n;) {
        int64_t end = n - i < VECTORS_AT_ONCE * VECTOR ? n : i + VECTORS_AT_ONCE * VECTOR;
        vec sum = vec_zero();
        for (; i + VECTOR <= end; i += VECTOR)
            sum += vec_exp(vec_load_as(x->dtype, x->data, first + i) - largest);
        total += (double)vec_sum(sum);
        if (i < end) {
            vec last = vec_exp(vec_load_part_as(x->dtype, x->data, first + i, end - i) - largest);
            for (int64_t j = 0; j < end - i; j++)
                total += (double)last[j];
            i = end;
        }
    }
    return total;
}

void CPU_NAME(softmax)(const cpu_matrix *x, const cpu_matrix *y, int64_t columns, int64_t first,
                       int64_t rows) {
    for (int64_t i = first; i < first + rows; i++) {
        int64_t from = i * x->row_stride, to = i * y->row_stride;
        float largest = largest_of(x, from, columns);
        float factor = (float)(1 / sum_of_exponentials(x, from, columns, largest));
        for (int64_t j = 0; j < columns; j += VECTOR) {
            vec value = vec_load_up_to(x->dtype, x->data, from + j, columns - j);
            vec_store_up_to(y->dtype, y->data, to + j, vec_exp(value - largest) * factor,
                            columns - j);
        }
    }
}

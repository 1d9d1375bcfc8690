/*
 * softmax over the last axis; the sum in double.
 */
#include "backends/ref/ref.h"

#include <math.h>

void ref_softmax_row(const float *x, float *y, int64_t n) {
    float largest = -INFINITY;
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    for (int64_t i = 0; i < n; i++) {
        y[i] = expf(x[i] - largest);
        sum += (double)y[i];
    }
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)((double)y[i] / sum);
}

static sf_status run(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const float *x = ref_load(&scratch, ref_input(call, 0));
    float *y = ref_result(&scratch, call->output);
    int64_t n = ref_columns(call->output);
    for (int64_t row = 0; row < ref_rows(call->output); row++)
        ref_softmax_row(x + row * n, y + row * n, n);
    ref_store(y, call->output);
    return SF_OK;
}

const sf_op_entry ref_softmax = {
    .struct_size = sizeof(sf_op_entry),
    .op = "softmax",
    .supports = ref_supports_floats,
    .workspace = ref_workspace,
    .run = run,
    .in_place = SF_IN_PLACE(0),
};

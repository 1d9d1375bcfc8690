/*
 * sum and mean over an axis, in double; count_nonfinite.
 */
#include "backends/ref/ref.h"

#include <math.h>

/* The number of elements behind one step of the axis: x is [outer, n, inner]. */
static int64_t inner_size(const sf_op_call *call) {
    const sf_axis_attributes *attributes = call->attributes;
    int64_t inner = 1;
    for (int axis = attributes->axis + 1; axis < call->output->n_dims; axis++)
        inner *= call->output->dims[axis];
    return inner;
}

static uint64_t workspace(const sf_op_call *call) {
    return ref_add_bytes(ref_workspace(call), ref_room(inner_size(call), sizeof(double)));
}

static sf_status reduce(const sf_op_call *call, bool divide) {
    ref_scratch scratch = ref_scratch_of(call);
    const sf_axis_attributes *attributes = call->attributes;
    int64_t n = ref_input(call, 0)->dims[attributes->axis], inner = inner_size(call);
    int64_t outer = inner ? ref_elements(call->output) / inner : 0;
    const float *x = ref_load(&scratch, ref_input(call, 0));
    float *y = ref_result(&scratch, call->output);
    double *sum = ref_take(&scratch, inner, sizeof(double));
    double divisor = divide ? (double)n : 1;
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < inner; i++)
            sum[i] = 0;
        for (int64_t k = 0; k < n; k++)
            for (int64_t i = 0; i < inner; i++)
                sum[i] += (double)x[(o * n + k) * inner + i];
        for (int64_t i = 0; i < inner; i++)
            y[o * inner + i] = (float)(sum[i] / divisor);
    }
    ref_store(y, call->output);
    return SF_OK;
}

static sf_status run_sum(void *backend, const sf_op_call *call) {
    (void)backend;
    return reduce(call, false);
}

static sf_status run_mean(void *backend, const sf_op_call *call) {
    (void)backend;
    return reduce(call, true);
}

const sf_op_entry ref_sum = {
    .struct_size = sizeof(sf_op_entry),
    .op = "sum",
    .supports = ref_supports_floats,
    .workspace = workspace,
    .run = run_sum,
};

const sf_op_entry ref_mean = {
    .struct_size = sizeof(sf_op_entry),
    .op = "mean",
    .supports = ref_supports_floats,
    .workspace = workspace,
    .run = run_mean,
};

/* ---- count_nonfinite ---- */

static int supports_count(const sf_op_call *call) {
    return ref_is_float(ref_input(call, 0)->dtype) && call->output->dtype == SF_I32;
}

static sf_status run_count(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const float *x = ref_load(&scratch, ref_input(call, 0));
    int32_t count = 0, *y = ref_address(call->output);
    for (int64_t i = 0; i < ref_elements(ref_input(call, 0)); i++)
        count += !isfinite(x[i]) && count < INT32_MAX;
    *y = count;
    return SF_OK;
}

const sf_op_entry ref_count_nonfinite = {
    .struct_size = sizeof(sf_op_entry),
    .op = "count_nonfinite",
    .supports = supports_count,
    .workspace = ref_workspace,
    .run = run_count,
};

/*
 * group_norm, layer_norm, rms_norm. Means and variances are summed in double, the variance around the
 * mean, so that a large mean costs no digits.
 */
#include "backends/ref/ref.h"

#include <math.h>

static void finish(const sf_op_call *call, const float *scale, const float *shift, float *y) {
    const sf_norm_attributes *attributes = call->attributes;
    int64_t n_rows = ref_rows(call->output), C = ref_columns(call->output);
    for (int64_t row = 0; row < n_rows; row++) {
        for (int64_t c = 0; scale && c < C; c++)
            y[row * C + c] *= scale[c];
        for (int64_t c = 0; shift && c < C; c++)
            y[row * C + c] += shift[c];
    }
    ref_activate(y, n_rows * C, attributes->activation);
    ref_store(y, call->output);
}

/* ---- group_norm ---- */

/* One sample: x [P, C] -> y, with sums [C] as scratch. */
static void normalize_sample(const float *x, float *y, int64_t P, int64_t C, int64_t groups,
                             double epsilon, double *mean, double *square) {
    int64_t size = C / groups;
    for (int64_t c = 0; c < C; c++)
        mean[c] = square[c] = 0;
    for (int64_t p = 0; p < P; p++)
        for (int64_t c = 0; c < C; c++)
            mean[c] += (double)x[p * C + c];
    for (int64_t g = 0; g < groups; g++) {
        double sum = 0;
        for (int64_t c = g * size; c < (g + 1) * size; c++)
            sum += mean[c];
        for (int64_t c = g * size; c < (g + 1) * size; c++)
            mean[c] = sum / (double)(P * size);
    }
    for (int64_t p = 0; p < P; p++)
        for (int64_t c = 0; c < C; c++) {
            double d = (double)x[p * C + c] - mean[c];
            square[c] += d * d;
        }
    for (int64_t g = 0; g < groups; g++) {
        double sum = 0;
        for (int64_t c = g * size; c < (g + 1) * size; c++)
            sum += square[c];
        for (int64_t c = g * size; c < (g + 1) * size; c++)
            square[c] = 1 / sqrt(sum / (double)(P * size) + epsilon);
    }
    for (int64_t p = 0; p < P; p++)
        for (int64_t c = 0; c < C; c++)
            y[p * C + c] = (float)(((double)x[p * C + c] - mean[c]) * square[c]);
}

static uint64_t workspace_group_norm(const sf_op_call *call) {
    uint64_t sums = ref_room(ref_columns(call->output), sizeof(double));
    return ref_add_bytes(ref_workspace(call), ref_add_bytes(sums, sums));
}

static sf_status run_group_norm(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const sf_norm_attributes *attributes = call->attributes;
    int64_t N = call->output->dims[0], C = ref_columns(call->output);
    int64_t P = N ? ref_rows(call->output) / N : 0;
    const float *x = ref_load(&scratch, ref_input(call, 0));
    const float *scale = ref_load(&scratch, ref_input(call, 1));
    const float *shift = ref_load(&scratch, ref_input(call, 2));
    float *y = ref_result(&scratch, call->output);
    double *mean = ref_take(&scratch, C, sizeof(double));
    double *square = ref_take(&scratch, C, sizeof(double));
    for (int64_t n = 0; n < N; n++)
        normalize_sample(x + n * P * C, y + n * P * C, P, C, attributes->groups,
                         (double)attributes->epsilon, mean, square);
    finish(call, scale, shift, y);
    return SF_OK;
}

const sf_op_entry ref_group_norm = {
    .struct_size = sizeof(sf_op_entry),
    .op = "group_norm",
    .supports = ref_supports_floats,
    .workspace = workspace_group_norm,
    .run = run_group_norm,
    .in_place = SF_IN_PLACE(0),
};

/* ---- layer_norm and rms_norm ---- */

static void normalize_row(const float *x, float *y, int64_t n, double mean, double epsilon) {
    double square = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)x[i] - mean;
        square += d * d;
    }
    double factor = 1 / sqrt(square / (double)n + epsilon);
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(((double)x[i] - mean) * factor);
}

static double mean_of_row(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum / (double)n;
}

/* rms_norm is layer_norm with a mean of 0. */
static sf_status run_rows(const sf_op_call *call, bool centred) {
    ref_scratch scratch = ref_scratch_of(call);
    const sf_norm_attributes *attributes = call->attributes;
    int64_t n = ref_columns(call->output);
    const float *x = ref_load(&scratch, ref_input(call, 0));
    const float *scale = ref_load(&scratch, ref_input(call, 1));
    const float *shift = ref_load(&scratch, ref_input(call, 2));
    float *y = ref_result(&scratch, call->output);
    for (int64_t row = 0; row < ref_rows(call->output); row++) {
        double mean = centred ? mean_of_row(x + row * n, n) : 0;
        normalize_row(x + row * n, y + row * n, n, mean, (double)attributes->epsilon);
    }
    finish(call, scale, shift, y);
    return SF_OK;
}

static sf_status run_layer_norm(void *backend, const sf_op_call *call) {
    (void)backend;
    return run_rows(call, true);
}

static sf_status run_rms_norm(void *backend, const sf_op_call *call) {
    (void)backend;
    return run_rows(call, false);
}

const sf_op_entry ref_layer_norm = {
    .struct_size = sizeof(sf_op_entry),
    .op = "layer_norm",
    .supports = ref_supports_floats,
    .workspace = ref_workspace,
    .run = run_layer_norm,
    .in_place = SF_IN_PLACE(0),
};

const sf_op_entry ref_rms_norm = {
    .struct_size = sizeof(sf_op_entry),
    .op = "rms_norm",
    .supports = ref_supports_floats,
    .workspace = ref_workspace,
    .run = run_rms_norm,
    .in_place = SF_IN_PLACE(0),
};

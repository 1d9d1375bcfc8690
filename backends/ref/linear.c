/*
 * linear: y = activation(x W^T + b) + residual, with the weight turned to [K, N] first. With a residual
 * some rows at a time are computed apart, as the output may be where the residual is.
 */
#include "backends/ref/ref.h"

#define ROWS_APART 64

static sf_tensor_desc turned(const sf_tensor_desc *weight) {
    return ref_permuted(weight, (const int[]){1, 0});
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Elements of the rows that are computed apart; 0 where none are. */
static int64_t apart_elements(const sf_op_call *call) {
    if (!ref_is_present(ref_input(call, 3)))
        return 0;
    return smaller(ROWS_APART, ref_rows(call->output)) * ref_columns(call->output);
}

static uint64_t workspace(const sf_op_call *call) {
    sf_tensor_desc weight = turned(ref_input(call, 1));
    uint64_t bytes = ref_load_room(call->output);
    bytes = ref_add_bytes(bytes, ref_load_room(ref_input(call, 0)));
    bytes = ref_add_bytes(bytes, ref_load_room(&weight));
    bytes = ref_add_bytes(bytes, ref_load_room(ref_input(call, 2)));
    bytes = ref_add_bytes(bytes, ref_load_room(ref_input(call, 3)));
    return ref_add_bytes(bytes, ref_room(apart_elements(call), sizeof(float)));
}

/* y [rows, N] = x [rows, K] w [K, N] + bias */
static void multiply(int64_t rows, int64_t N, int64_t K, const float *x, const float *w,
                     const float *bias, float *y) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t n = 0; n < N; n++)
            y[row * N + n] = bias ? bias[n] : 0;
    ref_add_product(rows, N, K, x, K, w, N, y, N);
}

static sf_status run(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const sf_linear_attributes *attributes = call->attributes;
    sf_tensor_desc weight = turned(ref_input(call, 1)); /* [K, N] */
    int64_t K = weight.dims[0], N = weight.dims[1], n_rows = ref_rows(call->output);
    const float *x = ref_load(&scratch, ref_input(call, 0));
    const float *w = ref_load(&scratch, &weight);
    const float *bias = ref_load(&scratch, ref_input(call, 2));
    const float *residual = ref_load(&scratch, ref_input(call, 3));
    float *y = ref_result(&scratch, call->output);
    float *apart = ref_take(&scratch, apart_elements(call), sizeof(float));
    int64_t n_at_once = residual ? ROWS_APART : n_rows;
    for (int64_t row = 0; row < n_rows; row += n_at_once) {
        int64_t n = smaller(n_at_once, n_rows - row);
        float *result = y + row * N;
        float *product = residual ? apart : result;
        multiply(n, N, K, x + row * K, w, bias, product);
        ref_activate(product, n * N, attributes->activation);
        for (int64_t i = 0; residual && i < n * N; i++)
            result[i] = product[i] + residual[row * N + i];
    }
    ref_store(y, call->output);
    return SF_OK;
}

const sf_op_entry ref_linear = {
    .struct_size = sizeof(sf_op_entry),
    .op = "linear",
    .supports = ref_supports_floats,
    .workspace = workspace,
    .run = run,
    .in_place = SF_IN_PLACE(3),
};

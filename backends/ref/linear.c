/*
 * linear: y = activation(x W^T + b) + residual, with the weight turned to [K, N] first.
 */
#include "backends/ref/ref.h"

static sf_tensor_desc turned(const sf_tensor_desc *weight) {
    return ref_permuted(weight, (const int[]){1, 0});
}

static uint64_t workspace(const sf_op_call *call) {
    sf_tensor_desc weight = turned(ref_input(call, 1));
    uint64_t bytes = ref_load_room(call->output);
    bytes = ref_add_bytes(bytes, ref_load_room(ref_input(call, 0)));
    bytes = ref_add_bytes(bytes, ref_load_room(&weight));
    bytes = ref_add_bytes(bytes, ref_load_room(ref_input(call, 2)));
    return ref_add_bytes(bytes, ref_load_room(ref_input(call, 3)));
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
    for (int64_t row = 0; row < n_rows; row++)
        for (int64_t n = 0; n < N; n++)
            y[row * N + n] = bias ? bias[n] : 0;
    ref_add_product(n_rows, N, K, x, K, w, N, y, N);
    ref_activate(y, n_rows * N, attributes->activation);
    for (int64_t i = 0; residual && i < n_rows * N; i++)
        y[i] += residual[i];
    ref_store(y, call->output);
    return SF_OK;
}

const sf_op_entry ref_linear = {
    .struct_size = sizeof(sf_op_entry),
    .op = "linear",
    .supports = ref_supports_floats,
    .workspace = workspace,
    .run = run,
};

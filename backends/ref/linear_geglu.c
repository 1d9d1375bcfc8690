/*
 * linear_geglu: the product of twice the width row by row, then the first half times the gelu of the
 * second. The weight is turned to [K, 2N] first.
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
    return ref_add_bytes(bytes, ref_room(weight.dims[1], sizeof(float)));
}

static sf_status run(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    sf_tensor_desc weight = turned(ref_input(call, 1)); /* [K, 2N] */
    int64_t K = weight.dims[0], N = weight.dims[1] / 2;
    const float *x = ref_load(&scratch, ref_input(call, 0));
    const float *w = ref_load(&scratch, &weight);
    const float *bias = ref_load(&scratch, ref_input(call, 2));
    float *y = ref_result(&scratch, call->output);
    float *h = ref_take(&scratch, 2 * N, sizeof(float));
    ref_function gelu = ref_unary_function("gelu");
    for (int64_t row = 0; row < ref_rows(call->output); row++) {
        for (int64_t n = 0; n < 2 * N; n++)
            h[n] = bias ? bias[n] : 0;
        ref_add_product(1, 2 * N, K, x + row * K, K, w, 2 * N, h, 2 * N);
        for (int64_t n = 0; n < N; n++)
            y[row * N + n] = h[n] * gelu(h[N + n]);
    }
    ref_store(y, call->output);
    return SF_OK;
}

const sf_op_entry ref_linear_geglu = {
    .struct_size = sizeof(sf_op_entry),
    .op = "linear_geglu",
    .supports = ref_supports_floats,
    .workspace = workspace,
    .run = run,
};

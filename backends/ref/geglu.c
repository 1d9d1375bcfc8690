/*
 * geglu: the first half of each row times the gelu of the second.
 */
#include "backends/ref/ref.h"

static sf_status run(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const float *x = ref_load(&scratch, ref_input(call, 0));
    float *y = ref_result(&scratch, call->output);
    ref_function gelu = ref_unary_function("gelu");
    int64_t D = ref_columns(call->output);
    for (int64_t row = 0; row < ref_rows(call->output); row++)
        for (int64_t d = 0; d < D; d++)
            y[row * D + d] = x[row * 2 * D + d] * gelu(x[row * 2 * D + D + d]);
    ref_store(y, call->output);
    return SF_OK;
}

const sf_op_entry ref_geglu = {
    .struct_size = sizeof(sf_op_entry),
    .op = "geglu",
    .supports = ref_supports_floats,
    .workspace = ref_workspace,
    .run = run,
};

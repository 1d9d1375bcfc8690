/*
 * linear_combination: the sum of coefficients times tensors, in double. Element i is read from all
 * tensors before it is written, so the output may be one of them.
 */
#include "backends/ref/ref.h"

#define MOST_TERMS 16

static int supports(const sf_op_call *call) {
    return ref_supports_floats(call) && call->n_inputs <= 1 + MOST_TERMS;
}

static sf_status run(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const float *coefficients = ref_load(&scratch, ref_input(call, 0));
    const float *x[MOST_TERMS];
    uint32_t n_terms = call->n_inputs - 1;
    for (uint32_t k = 0; k < n_terms; k++)
        x[k] = ref_load(&scratch, ref_input(call, 1 + k));
    float *y = ref_result(&scratch, call->output);
    for (int64_t i = 0; i < ref_elements(call->output); i++) {
        double sum = 0;
        for (uint32_t k = 0; k < n_terms; k++)
            sum += (double)coefficients[k] * (double)x[k][i];
        y[i] = (float)sum;
    }
    ref_store(y, call->output);
    return SF_OK;
}

const sf_op_entry ref_linear_combination = {
    .struct_size = sizeof(sf_op_entry),
    .op = "linear_combination",
    .supports = supports,
    .workspace = ref_workspace,
    .run = run,
};

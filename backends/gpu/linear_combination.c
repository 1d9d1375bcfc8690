/*
 * linear_combination: a sum of coefficients times tensors in one launch. Element i is read from all
 * tensors before it is written, so the output may be one of them. Summed in f32.
 */
#include "backends/gpu/kernels/linear_combination.h"
#include "backends/gpu/gpu.h"

/* The terms have one type, as the op has it. */
static int supports(const sf_op_call *call) {
    for (uint32_t i = 2; i < call->n_inputs; i++)
        if (call->inputs[i].dtype != call->inputs[1].dtype)
            return 0;
    return call->n_inputs >= 2 && call->n_inputs <= 1 + GPU_MOST_TERMS && gpu_supports_floats(call);
}

static sf_status run(void *backend, const sf_op_call *call) {
    const sf_tensor_desc *coefficients = ref_input(call, 0), *y = call->output;
    gpu_strides *strides[GPU_MOST_TERMS];
    gpu_place places[2 + GPU_MOST_TERMS] = {gpu_place_of(coefficients)};
    uint32_t n_terms = call->n_inputs - 1;
    gpu_linear_combination_arguments a = {
        .dims = gpu_dims_of(y),
        .n = (uint32_t)ref_elements(y),
        .n_terms = n_terms,
        .coefficient_stride = (uint32_t)coefficients->strides[0],
        .coefficient_type = gpu_type_of(coefficients),
        .x_type = gpu_type_of(ref_input(call, 1)),
        .y_type = gpu_type_of(y),
    };
    for (uint32_t k = 0; k < GPU_MOST_TERMS; k++) {
        const sf_tensor_desc *x = ref_input(call, k < n_terms ? 1 + k : 1);
        places[1 + k] = gpu_place_of(x);
        a.x[k] = gpu_strides_of(x);
        strides[k] = &a.x[k];
    }
    places[1 + GPU_MOST_TERMS] = gpu_place_of(y);
    gpu_merge_dims(&a.dims, GPU_MOST_TERMS, strides);
    return gpu_run(backend, GPU_KERNEL_linear_combination, gpu_groups_for(backend, a.n), &a,
                   sizeof a, 2 + GPU_MOST_TERMS, places);
}

const sf_op_entry gpu_linear_combination = {
    GPU_ENTRY("linear_combination"),
    .supports = supports,
    .run = run,
};

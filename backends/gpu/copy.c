/*
 * copy: elements are moved as bytes, whatever their type and strides.
 */
#include "backends/gpu/kernels/copy.h"
#include "backends/gpu/gpu.h"

static int supports_copy(const sf_op_call *call) {
    const sf_tensor_desc *x = ref_input(call, 0);
    return x->dtype == call->output->dtype && ref_element_bytes(x->dtype) > 0 &&
           gpu_is_countable(call);
}

static sf_status run_copy(void *backend, const sf_op_call *call) {
    const sf_tensor_desc *x = ref_input(call, 0), *y = call->output;
    const gpu_copy_elements_arguments a = {
        .dims = gpu_dims_of(x),
        .from = gpu_strides_of(x),
        .to = gpu_strides_of(y),
        .n = (uint32_t)ref_elements(x),
        .unit_bytes = (uint32_t)ref_element_bytes(x->dtype),
    };
    return gpu_run(backend, GPU_KERNEL_copy_elements, gpu_groups_for(backend, a.n), &a, sizeof a, 2,
                   (const gpu_place[]){gpu_place_of(x), gpu_place_of(y)});
}

const sf_op_entry gpu_copy = {
    GPU_ENTRY("copy"),
    .supports = supports_copy,
    .run = run_copy,
};

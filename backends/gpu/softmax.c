/*
 * softmax over the last axis.
 */
#include "backends/gpu/kernels/softmax.h"
#include "backends/gpu/rows.h"

static sf_status run_softmax(void *backend, const sf_op_call *call) {
    const sf_tensor_desc *x = ref_input(call, 0), *y = call->output;
    gpu_softmax_arguments a = {
        .n_rows = (uint32_t)ref_rows(y),
        .n = (uint32_t)ref_columns(y),
        .x_type = gpu_type_of(x),
        .y_type = gpu_type_of(y),
    };
    a.log_lanes = gpu_log_lanes(backend, a.n_rows, a.n);
    return gpu_run(backend, GPU_KERNEL_softmax, gpu_groups_for_rows(backend, a.n_rows, a.log_lanes),
                   &a, sizeof a, 2, (const gpu_place[]){gpu_place_of(x), gpu_place_of(y)});
}

const sf_op_entry gpu_softmax = {
    GPU_ENTRY("softmax"),
    .supports = gpu_supports_plain_floats,
    .run = run_softmax,
    .in_place = SF_IN_PLACE(0),
};

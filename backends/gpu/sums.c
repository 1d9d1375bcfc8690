/*
 * sum and mean over an axis; count_nonfinite.
 */
#include "backends/gpu/kernels/sums.h"
#include "backends/gpu/rows.h"

/* Sums that lie side by side and are read by neighbours, so that reads of memory are whole. */
#define SIDE_BY_SIDE 32

/* As gpu_log_lanes() where neighbours in a group are of different sums. */
static uint32_t log_lanes_across(const gpu_backend *backend, uint64_t n_sums, uint64_t n,
                                 uint64_t inner) {
    uint32_t log_lanes = 0, size = backend->abilities.group_size;
    uint64_t side = inner < SIDE_BY_SIDE ? inner : SIDE_BY_SIDE;
    for (uint64_t lanes = 2; lanes * side <= size && lanes <= n; lanes *= 2)
        if (n_sums * lanes <= GPU_MANY_ITEMS)
            log_lanes++;
    return log_lanes;
}

static sf_status run_sums(gpu_backend *backend, const sf_op_call *call, bool divide) {
    const sf_tensor_desc *x = ref_input(call, 0), *y = call->output;
    const sf_axis_attributes *attributes = call->attributes;
    int64_t n = x->dims[attributes->axis], inner = 1;
    for (int axis = attributes->axis + 1; axis < y->n_dims; axis++)
        inner *= y->dims[axis];
    gpu_sum_axis_arguments a = {
        .n_sums = (uint32_t)ref_elements(y),
        .n = (uint32_t)n,
        .inner = (uint32_t)inner,
        .x_type = gpu_type_of(x),
        .y_type = gpu_type_of(y),
        .divisor = divide ? (float)n : 1.0f,
    };
    a.log_lanes = inner == 1 ? gpu_log_lanes(backend, a.n_sums, a.n)
                             : log_lanes_across(backend, a.n_sums, a.n, a.inner);
    return gpu_run(backend, GPU_KERNEL_sum_axis,
                   gpu_groups_for_rows(backend, a.n_sums, a.log_lanes), &a, sizeof a, 2,
                   (const gpu_place[]){gpu_place_of(x), gpu_place_of(y)});
}

static sf_status run_sum(void *backend, const sf_op_call *call) {
    return run_sums(backend, call, false);
}

const sf_op_entry gpu_sum = {
    GPU_ENTRY("sum"),
    .supports = gpu_supports_plain_floats,
    .run = run_sum,
};

static sf_status run_mean(void *backend, const sf_op_call *call) {
    return run_sums(backend, call, true);
}

const sf_op_entry gpu_mean = {
    GPU_ENTRY("mean"),
    .supports = gpu_supports_plain_floats,
    .run = run_mean,
};

/* ---- count_nonfinite ---- */

static int supports_count(const sf_op_call *call) {
    const sf_tensor_desc *x = ref_input(call, 0);
    return ref_is_float(x->dtype) && (ref_elements(x) == 0 || ref_is_contiguous(x)) &&
           call->output->dtype == SF_I32 && gpu_is_countable(call);
}

static sf_status run_count(void *backend, const sf_op_call *call) {
    const sf_tensor_desc *x = ref_input(call, 0);
    const gpu_count_nonfinite_arguments a = {
        .n = (uint32_t)ref_elements(x),
        .x_type = gpu_type_of(x),
    };
    return gpu_run(backend, GPU_KERNEL_count_nonfinite, (gpu_grid){{1, 1, 1}}, &a, sizeof a, 2,
                   (const gpu_place[]){gpu_place_of(x), gpu_place_of(call->output)});
}

const sf_op_entry gpu_count_nonfinite = {
    GPU_ENTRY("count_nonfinite"),
    .supports = supports_count,
    .run = run_count,
};

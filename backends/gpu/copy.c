/*
 * copy and concat: elements are moved as bytes, whatever their type and strides.
 */
#include "backends/gpu/kernels/copy.h"
#include "backends/gpu/gpu.h"

/* To the place of x within y that begins at element `begin`. */
static gpu_copy_elements_arguments move_of(const sf_tensor_desc *x, const sf_tensor_desc *y,
                                           uint32_t begin) {
    uint32_t bytes = (uint32_t)ref_element_bytes(x->dtype);
    gpu_copy_elements_arguments a = {
        .dims = gpu_dims_of(x),
        .from = gpu_strides_of(x),
        .to = gpu_strides_of(y),
        .n = (uint32_t)ref_elements(x),
        .begin = begin,
        .unit_bytes = bytes,
    };
    gpu_strides *const strides[] = {&a.from, &a.to};
    gpu_merge_dims(&a.dims, 2, strides);
    a.unit_bytes = gpu_widen_units(&a.dims, 2, strides, bytes,
                                   x->offset | y->offset | (uint64_t)begin * bytes);
    a.n /= a.unit_bytes / bytes;
    a.begin /= a.unit_bytes / bytes;
    return a;
}

/* ---- copy ---- */

static int supports_copy(const sf_op_call *call) {
    const sf_tensor_desc *x = ref_input(call, 0);
    return x->dtype == call->output->dtype && ref_element_bytes(x->dtype) > 0 &&
           gpu_is_countable(call);
}

static sf_status run_copy(void *backend, const sf_op_call *call) {
    const sf_tensor_desc *x = ref_input(call, 0), *y = call->output;
    const gpu_copy_elements_arguments a = move_of(x, y, 0);
    return gpu_run(backend, GPU_KERNEL_copy_elements, gpu_groups_for(backend, a.n), &a, sizeof a, 2,
                   (const gpu_place[]){gpu_place_of(x), gpu_place_of(y)});
}

const sf_op_entry gpu_copy = {
    GPU_ENTRY("copy"),
    .supports = supports_copy,
    .run = run_copy,
};

/* ---- concat ---- */

static int supports_concat(const sf_op_call *call) {
    return call->n_inputs <= GPU_MOST_PARTS && ref_entries[REF_concat]->supports(call) &&
           gpu_is_countable(call);
}

/* All inputs in one launch; those without elements are left out. */
static sf_status run_concat(void *backend, const sf_op_call *call) {
    const sf_axis_attributes *attributes = call->attributes;
    const sf_tensor_desc *y = call->output;
    gpu_concat_arguments a = {{{.n = 0}}};
    gpu_place places[GPU_MOST_PARTS + 1] = {gpu_place_of(y)};
    uint32_t n_parts = 0, most = 0, begin = 0;
    for (uint32_t i = 0; i < call->n_inputs; i++) {
        const sf_tensor_desc *x = &call->inputs[i];
        if (ref_elements(x) == 0)
            continue;
        a.part[n_parts] = move_of(x, y, begin);
        most = a.part[n_parts].n > most ? a.part[n_parts].n : most;
        places[n_parts++] = gpu_place_of(x);
        begin += (uint32_t)(x->dims[attributes->axis] * y->strides[attributes->axis]);
    }
    for (uint32_t i = n_parts; i < GPU_MOST_PARTS; i++)
        places[i] = places[0];
    places[GPU_MOST_PARTS] = gpu_place_of(y);
    gpu_grid grid = gpu_groups_for(backend, most);
    grid.groups[1] = n_parts;
    return gpu_run(backend, GPU_KERNEL_concat, grid, &a, sizeof a, GPU_MOST_PARTS + 1, places);
}

const sf_op_entry gpu_concat = {
    GPU_ENTRY("concat"),
    .supports = supports_concat,
    .run = run_concat,
};

/*
 * copy and concat: elements are moved as bytes, whatever their type and strides.
 */
#include "backends/cpu/strided.h"

static void move_tensor(cpu_backend *backend, const sf_tensor_desc *x, const int64_t *strides,
                        void *to) {
    cpu_walk walk =
        cpu_walk_over(x->n_dims, x->dims, 2, (const int64_t *const[]){x->strides, strides});
    cpu_move(backend, ref_element_bytes(x->dtype), &walk, ref_address(x), to);
}

static int supports_copy(const sf_op_call *call) {
    return ref_entries[REF_copy]->supports(call);
}

static sf_status run_copy(void *backend, const sf_op_call *call) {
    move_tensor(backend, ref_input(call, 0), call->output->strides, ref_address(call->output));
    return SF_OK;
}

const sf_op_entry cpu_copy = {
    .struct_size = sizeof(sf_op_entry),
    .op = "copy",
    .supports = supports_copy,
    .run = run_copy,
};

static int supports_concat(const sf_op_call *call) {
    return ref_entries[REF_concat]->supports(call);
}

static sf_status run_concat(void *backend, const sf_op_call *call) {
    const sf_axis_attributes *attributes = call->attributes;
    const sf_tensor_desc *output = call->output;
    int64_t step = output->strides[attributes->axis] * ref_element_bytes(output->dtype);
    char *to = ref_address(output);
    for (uint32_t i = 0; i < call->n_inputs; i++) {
        move_tensor(backend, &call->inputs[i], output->strides, to);
        to += call->inputs[i].dims[attributes->axis] * step;
    }
    return SF_OK;
}

const sf_op_entry cpu_concat = {
    .struct_size = sizeof(sf_op_entry),
    .op = "concat",
    .supports = supports_concat,
    .run = run_concat,
};

/*
 * Arithmetic of two tensors, broadcast.
 */
#include "backends/gpu/kernels/binary.h"
#include "backends/gpu/gpu.h"

#include <string.h>

static const struct {
    const char *op;
    int32_t function;
} functions[] = {
    {"add", GPU_ADD},
    {"subtract", GPU_SUBTRACT},
    {"multiply", GPU_MULTIPLY},
    {"divide", GPU_DIVIDE},
};

static int32_t function_of(const char *op) {
    size_t i = 0;
    while (strcmp(functions[i].op, op) != 0)
        i++;
    return functions[i].function;
}

static sf_status run(void *backend, const sf_op_call *call) {
    const sf_tensor_desc *a = ref_input(call, 0), *b = ref_input(call, 1), *y = call->output;
    gpu_binary_arguments arguments = {
        .dims = gpu_dims_of(y),
        .a = gpu_strides_in(a, y->n_dims, y->dims),
        .b = gpu_strides_in(b, y->n_dims, y->dims),
        .n = (uint32_t)ref_elements(y),
        .a_type = gpu_type_of(a),
        .b_type = gpu_type_of(b),
        .y_type = gpu_type_of(y),
        .function = function_of(call->op),
    };
    gpu_merge_dims(&arguments.dims, 2, (gpu_strides *const[]){&arguments.a, &arguments.b});
    return gpu_run(backend, GPU_KERNEL_binary, gpu_groups_for(backend, arguments.n), &arguments,
                   sizeof arguments, 3,
                   (const gpu_place[]){gpu_place_of(a), gpu_place_of(b), gpu_place_of(y)});
}

#define BINARY(name)                                                                               \
    const sf_op_entry gpu_##name = {GPU_ENTRY(#name), .supports = gpu_supports_floats, .run = run}
BINARY(add);
BINARY(subtract);
BINARY(multiply);
BINARY(divide);

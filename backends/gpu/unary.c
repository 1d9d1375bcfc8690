/*
 * Functions of one number; affine and clamp.
 */
#include "backends/gpu/kernels/unary.h"
#include "backends/gpu/gpu.h"

#include <string.h>

static const struct {
    const char *op;
    int32_t function;
} functions[] = {
    {"silu", GPU_SILU},
    {"gelu", GPU_GELU},
    {"gelu_tanh", GPU_GELU_TANH},
    {"quick_gelu", GPU_QUICK_GELU},
    {"relu", GPU_RELU},
    {"mish", GPU_MISH},
    {"sigmoid", GPU_SIGMOID},
    {"tanh", GPU_TANH},
    {"exp", GPU_EXP},
    {"log", GPU_LOG},
    {"sqrt", GPU_SQRT},
    {"square", GPU_SQUARE},
    {"sin", GPU_SIN},
    {"cos", GPU_COS},
};

static int32_t function_of(const char *op) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].op, op) == 0)
            return functions[i].function;
    return GPU_NONE;
}

static sf_status run_unary(void *backend, const sf_op_call *call) {
    const sf_tensor_desc *x = ref_input(call, 0), *y = call->output;
    gpu_unary_arguments a = {
        .dims = gpu_dims_of(x),
        .x = gpu_strides_of(x),
        .n = (uint32_t)ref_elements(y),
        .x_type = gpu_type_of(x),
        .y_type = gpu_type_of(y),
        .function = function_of(call->op),
    };
    gpu_merge_dims(&a.dims, 1, (gpu_strides *const[]){&a.x});
    return gpu_run(backend, GPU_KERNEL_unary, gpu_groups_for(backend, a.n), &a, sizeof a, 2,
                   (const gpu_place[]){gpu_place_of(x), gpu_place_of(y)});
}

#define UNARY(name)                                                                                \
    const sf_op_entry gpu_##name = {GPU_ENTRY(#name), .supports = gpu_supports_floats,             \
                                    .run = run_unary}
UNARY(silu);
UNARY(gelu);
UNARY(gelu_tanh);
UNARY(quick_gelu);
UNARY(relu);
UNARY(mish);
UNARY(sigmoid);
UNARY(tanh);
UNARY(exp);
UNARY(log);
UNARY(sqrt);
UNARY(square);
UNARY(sin);
UNARY(cos);

static sf_status run_range(gpu_backend *backend, const sf_op_call *call, gpu_kernel kernel,
                           float first, float second) {
    const sf_tensor_desc *x = ref_input(call, 0), *y = call->output;
    gpu_range_arguments a = {
        .dims = gpu_dims_of(x),
        .x = gpu_strides_of(x),
        .n = (uint32_t)ref_elements(y),
        .x_type = gpu_type_of(x),
        .y_type = gpu_type_of(y),
        .first = first,
        .second = second,
    };
    gpu_merge_dims(&a.dims, 1, (gpu_strides *const[]){&a.x});
    return gpu_run(backend, kernel, gpu_groups_for(backend, a.n), &a, sizeof a, 2,
                   (const gpu_place[]){gpu_place_of(x), gpu_place_of(y)});
}

static sf_status run_affine(void *backend, const sf_op_call *call) {
    const sf_affine_attributes *a = call->attributes;
    return run_range(backend, call, GPU_KERNEL_affine, a->scale, a->shift);
}

const sf_op_entry gpu_affine = {
    GPU_ENTRY("affine"),
    .supports = gpu_supports_floats,
    .run = run_affine,
};

static sf_status run_clamp(void *backend, const sf_op_call *call) {
    const sf_range_attributes *range = call->attributes;
    return run_range(backend, call, GPU_KERNEL_clamp_range, range->low, range->high);
}

const sf_op_entry gpu_clamp = {
    GPU_ENTRY("clamp"),
    .supports = gpu_supports_floats,
    .run = run_clamp,
};

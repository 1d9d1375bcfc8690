/*
 * Images to another size: resize and avg_pool2d. Positions are computed in f32, as in backends/ref/.
 */
#include "backends/gpu/kernels/resize.h"
#include "backends/gpu/gpu.h"

static sf_status run_resize(void *backend, const sf_op_call *call) {
    const sf_resize_attributes *attributes = call->attributes;
    const sf_tensor_desc *x = ref_input(call, 0), *y = call->output;
    gpu_resize_arguments a = {
        .columns = (uint32_t)y->dims[3],
        .n = (uint32_t)ref_elements(y),
        .x_type = gpu_type_of(x),
        .y_type = gpu_type_of(y),
        .bilinear = attributes->mode == SF_RESIZE_BILINEAR,
    };
    for (int axis = 0; axis < 4; axis++)
        a.x[axis] = (uint32_t)x->strides[axis];
    for (int side = 0; side < 2; side++) {
        a.in_size[side] = (uint32_t)x->dims[1 + side];
        a.out_size[side] = (uint32_t)y->dims[1 + side];
        a.scale[side] = (float)x->dims[1 + side] / (float)y->dims[1 + side];
    }
    return gpu_run(backend, GPU_KERNEL_resize, gpu_groups_for(backend, a.n), &a, sizeof a, 2,
                   (const gpu_place[]){gpu_place_of(x), gpu_place_of(y)});
}

const sf_op_entry gpu_resize = {
    GPU_ENTRY("resize"),
    .supports = gpu_supports_floats,
    .run = run_resize,
};

static sf_status run_pool(void *backend, const sf_op_call *call) {
    const sf_pool2d_attributes *attributes = call->attributes;
    const sf_tensor_desc *x = ref_input(call, 0), *y = call->output;
    gpu_avg_pool2d_arguments a = {
        .columns = (uint32_t)y->dims[3],
        .n = (uint32_t)ref_elements(y),
        .x_type = gpu_type_of(x),
        .y_type = gpu_type_of(y),
    };
    for (int axis = 0; axis < 4; axis++)
        a.x[axis] = (uint32_t)x->strides[axis];
    for (int side = 0; side < 2; side++) {
        a.out_size[side] = (uint32_t)y->dims[1 + side];
        a.kernel_size[side] = (uint32_t)attributes->kernel[side];
        a.stride[side] = (uint32_t)attributes->stride[side];
    }
    return gpu_run(backend, GPU_KERNEL_avg_pool2d, gpu_groups_for(backend, a.n), &a, sizeof a, 2,
                   (const gpu_place[]){gpu_place_of(x), gpu_place_of(y)});
}

const sf_op_entry gpu_avg_pool2d = {
    GPU_ENTRY("avg_pool2d"),
    .supports = gpu_supports_floats,
    .run = run_pool,
};

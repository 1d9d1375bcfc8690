/*
 * conv2d: a 1x1 convolution is a product, half types go to matrix units, by a kernel of ours or by the
 * library, a large 3x3 one goes by Winograd's transforms; others gather what they multiply on the way, in tiles, or output by output where groups have
 * few filters.
 */
#include "backends/gpu/convolution.h"
#include "backends/gpu/product.h"
#include "backends/gpu/winograd.h"

/* Filters of a group from which on a tile is worth its while. */
#define LEAST_FILTERS 8

static int supports(const sf_op_call *call) {
    return gpu_supports_floats(call) && gpu_residual_lies_as_output(call);
}

/* Whether y's pixels are x's, one by one. */
static bool is_pointwise(const sf_op_call *call) {
    const sf_conv2d_attributes *a = call->attributes;
    const sf_tensor_desc *weight = ref_input(call, 1);
    bool padded = a->padding[0] || a->padding[1] || a->padding[2] || a->padding[3];
    return weight->dims[2] == 1 && weight->dims[3] == 1 && a->stride[0] == 1 && a->stride[1] == 1 &&
           a->groups == 1 && !padded;
}

static sf_status run_pointwise(gpu_backend *backend, const sf_op_call *call) {
    const sf_conv2d_attributes *a = call->attributes;
    sf_tensor_desc weight = *ref_input(call, 1);
    weight.n_dims = 2;
    gpu_factors f = {
        .n = weight.dims[0],
        .b = gpu_factor_of(&weight),
        .bias = gpu_place_of(ref_input(call, 2)),
        .residual = gpu_place_of(ref_input(call, 3)),
        .y = gpu_place_of(call->output),
        .y_dtype = call->output->dtype,
        .epilogue = gpu_epilogue_of(call, a->activation),
        .workspace = gpu_workspace(call),
    };
    gpu_take_rows(ref_input(call, 0), &f);
    return gpu_product_run(backend, &f);
}

gpu_convolution_arguments gpu_convolution_arguments_of(const gpu_backend *backend,
                                                       const sf_op_call *call) {
    const sf_conv2d_attributes *a = call->attributes;
    const sf_tensor_desc *x = ref_input(call, 0), *weight = ref_input(call, 1), *y = call->output;
    uint32_t group = backend->abilities.group_size;
    uint32_t rows = GPU_TILE_ROWS(group), columns = GPU_TILE_COLUMNS(group);
    gpu_convolution_arguments c = {
        .height = (uint32_t)x->dims[1],
        .width = (uint32_t)x->dims[2],
        .y_height = (uint32_t)y->dims[1],
        .y_width = (uint32_t)y->dims[2],
        .n_pixels = (uint32_t)(y->dims[0] * y->dims[1] * y->dims[2]),
        .channels = (uint32_t)weight->dims[1],
        .filters = (uint32_t)(weight->dims[0] / a->groups),
        .all_filters = (uint32_t)weight->dims[0],
        .padding = {(uint32_t)a->padding[0], (uint32_t)a->padding[2]},
        .x_type = gpu_type_of(x),
        .weight_type = gpu_type_of(weight),
        .epilogue = gpu_epilogue_of(call, a->activation),
    };
    for (int side = 0; side < 2; side++) {
        c.taps[side] = (uint32_t)weight->dims[2 + side];
        c.stride[side] = (uint32_t)a->stride[side];
        c.dilation[side] = (uint32_t)a->dilation[side];
    }
    for (int axis = 0; axis < 4; axis++) {
        c.x_strides[axis] = (uint32_t)x->strides[axis];
        c.weight_strides[axis] = (uint32_t)weight->strides[axis];
    }
    c.tiles_down = (c.n_pixels + rows - 1) / rows;
    c.tiles_across = (c.filters + columns - 1) / columns;
    return c;
}

static sf_status run_gathered(gpu_backend *backend, const sf_op_call *call) {
    const sf_conv2d_attributes *attributes = call->attributes;
    const gpu_convolution_arguments a = gpu_convolution_arguments_of(backend, call);
    bool direct = attributes->groups > 1 && a.filters < LEAST_FILTERS;
    gpu_grid grid = {{(uint32_t)attributes->groups * a.tiles_down * a.tiles_across, 1, 1}};
    if (direct)
        grid = gpu_groups_for(backend, (uint64_t)ref_elements(call->output));
    return gpu_run(
        backend, direct ? GPU_KERNEL_convolution_direct : GPU_KERNEL_convolution, grid, &a,
        sizeof a, 5,
        (const gpu_place[]){gpu_place_of(ref_input(call, 0)), gpu_place_of(ref_input(call, 1)),
                            gpu_place_of(ref_input(call, 2)), gpu_place_of(ref_input(call, 3)),
                            gpu_place_of(call->output)});
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static uint64_t workspace(const sf_op_call *call) {
    if (is_pointwise(call))
        return gpu_product_workspace(call);
    return larger(gpu_unfold_applies(call) ? gpu_unfold_workspace(call) : 0,
                  gpu_winograd_applies(call) ? gpu_winograd_workspace(call) : 0);
}

static sf_status run(void *backend, const sf_op_call *call) {
    if (is_pointwise(call))
        return run_pointwise(backend, call);
    if (gpu_convolution_halves_is_taken(backend, call))
        return gpu_convolution_halves_run(backend, call);
    if (gpu_unfold_applies(call) && gpu_unfold_is_taken(backend, call))
        return gpu_unfold_run(backend, call);
    return gpu_winograd_applies(call) ? gpu_winograd_run(backend, call)
                                      : run_gathered(backend, call);
}

const sf_op_entry gpu_conv2d = {
    GPU_ENTRY("conv2d"), .supports = supports,       .workspace = workspace,
    .run = run,          .in_place = SF_IN_PLACE(3),
};

/*
 * conv2d: chooses the way. Memory is planned before the run by the shapes alone, for Winograd wherever it
 * may be taken.
 */
#include "backends/cpu/convolution.h"

#include "backends/cpu/product.h"

static cpu_convolution describe(const sf_op_call *call) {
    const sf_tensor_desc *x = ref_input(call, 0), *weight = ref_input(call, 1);
    const sf_conv2d_attributes *attributes = call->attributes;
    cpu_convolution c = {
        .N = x->dims[0],
        .H = x->dims[1],
        .W = x->dims[2],
        .C = x->dims[3],
        .O = weight->dims[0],
        .KH = weight->dims[2],
        .KW = weight->dims[3],
        .OH = call->output->dims[1],
        .OW = call->output->dims[2],
        .a = *attributes,
        .x = cpu_matrix_of(x),
        .weight = cpu_matrix_of(weight),
        .epilogue = {.activation = attributes->activation, .y = cpu_matrix_of(call->output)},
    };
    c.weight.row_stride = weight->dims[1] * weight->dims[2] * weight->dims[3];
    if (ref_is_present(ref_input(call, 3)))
        c.epilogue.residual = cpu_matrix_of(ref_input(call, 3));
    return c;
}

/*
 * Winograd's filtering, in f32, is faster than twice as fast products of bf16 in all sizes of Stable
 * Diffusion 1.5 but the smallest, where the transform of the weights is all that it does.
 */
#define FEW_PIXELS 32

static bool is_better_gathered(const cpu_kernels *kernels, const cpu_convolution *c) {
    return cpu_product_in_bf16(kernels, c->x.dtype, c->weight.dtype) &&
           c->N * c->OH * c->OW <= FEW_PIXELS && cpu_gathered_applies(c);
}

static int supports(const sf_op_call *call) {
    if (!cpu_supports_plain_floats(call))
        return 0;
    cpu_convolution c = describe(call);
    return cpu_winograd_applies(&c) || cpu_gathered_applies(&c);
}

static uint64_t workspace(const sf_op_call *call) {
    cpu_convolution c = describe(call);
    uint64_t bytes = ref_load_room(ref_input(call, 2));
    return cpu_winograd_applies(&c) ? ref_add_bytes(bytes, cpu_winograd_workspace(&c)) : bytes;
}

static sf_status run(void *instance, const sf_op_call *call) {
    const cpu_backend *backend = instance;
    ref_scratch scratch = ref_scratch_of(call);
    cpu_convolution c = describe(call);
    c.epilogue.bias = ref_load(&scratch, ref_input(call, 2));
    if (cpu_winograd_applies(&c) && !is_better_gathered(backend->kernels, &c))
        cpu_winograd_run(instance, &c, scratch.base + scratch.used);
    else
        cpu_gathered_run(instance, &c);
    return SF_OK;
}

const sf_op_entry cpu_conv2d = {
    .struct_size = sizeof(sf_op_entry),
    .op = "conv2d",
    .supports = supports,
    .workspace = workspace,
    .run = run,
    .in_place = SF_IN_PLACE(3),
};

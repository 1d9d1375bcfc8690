/*
 * conv2d: for each row of the output and each element of the kernel, a product of the pixels that
 * the element meets with its weights. The weight is turned to [KH, KW, C/groups, O] first. With a
 * residual a row is computed apart, as the output may be where the residual is.
 */
#include "backends/ref/ref.h"

/* Sizes by the letters of core/ops/conv2d.c. */
typedef struct convolution {
    int64_t H, W, C, O, KH, KW;
    int64_t OH, OW; /* of the output: H', W' */
    sf_conv2d_attributes a;
    const float *x, *weight, *bias, *residual;
} convolution;

static sf_tensor_desc turned(const sf_tensor_desc *weight) {
    return ref_permuted(weight, (const int[]){2, 3, 1, 0});
}

/* Elements of the row that is computed apart; 0 where none is. */
static int64_t row_elements(const sf_op_call *call) {
    return ref_is_present(ref_input(call, 3)) ? call->output->dims[2] * call->output->dims[3] : 0;
}

static uint64_t workspace(const sf_op_call *call) {
    sf_tensor_desc weight = turned(ref_input(call, 1));
    uint64_t bytes = ref_load_room(call->output);
    bytes = ref_add_bytes(bytes, ref_load_room(ref_input(call, 0)));
    bytes = ref_add_bytes(bytes, ref_load_room(&weight));
    bytes = ref_add_bytes(bytes, ref_load_room(ref_input(call, 2)));
    bytes = ref_add_bytes(bytes, ref_load_room(ref_input(call, 3)));
    return ref_add_bytes(bytes, ref_room(row_elements(call), sizeof(float)));
}

/* The first i >= 0 with i * stride + offset >= 0. */
static int64_t first_inside(int64_t offset, int64_t stride) {
    return offset >= 0 ? 0 : (-offset + stride - 1) / stride;
}

/* The number of i >= 0 with i * stride + offset < size. */
static int64_t count_below(int64_t offset, int64_t stride, int64_t size) {
    return offset >= size ? 0 : (size - offset + stride - 1) / stride;
}

/* y [OW, O] += the part of kernel element (u, v), which meets image row `row` of x [W, C]. */
static void add_element(const convolution *c, const float *row, int64_t u, int64_t v, float *y) {
    int64_t step = c->a.stride[1], groups = c->a.groups;
    int64_t offset = v * c->a.dilation[1] - c->a.padding[2];
    int64_t first = first_inside(offset, step);
    int64_t end = count_below(offset, step, c->W);
    end = end < c->OW ? end : c->OW;
    if (first >= end)
        return;
    int64_t inner = c->C / groups, outer = c->O / groups;
    const float *weight = c->weight + (u * c->KW + v) * inner * c->O;
    const float *pixels = row + (first * step + offset) * c->C;
    for (int64_t g = 0; g < groups; g++)
        ref_add_product(end - first, outer, inner, pixels + g * inner, step * c->C,
                        weight + g * outer, c->O, y + first * c->O + g * outer, c->O);
}

/* Row i of image n, at result; in `row` where there is a residual. */
static void compute_row(const convolution *c, int64_t n, int64_t i, float *row, float *result) {
    const float *image = c->x + n * c->H * c->W * c->C;
    float *y = c->residual ? row : result;
    for (int64_t j = 0; j < c->OW; j++)
        for (int64_t o = 0; o < c->O; o++)
            y[j * c->O + o] = c->bias ? c->bias[o] : 0;
    for (int64_t u = 0; u < c->KH; u++) {
        int64_t h = i * c->a.stride[0] + u * c->a.dilation[0] - c->a.padding[0];
        for (int64_t v = 0; h >= 0 && h < c->H && v < c->KW; v++)
            add_element(c, image + h * c->W * c->C, u, v, y);
    }
    ref_activate(y, c->OW * c->O, c->a.activation);
    const float *residual = c->residual ? c->residual + (n * c->OH + i) * c->OW * c->O : NULL;
    for (int64_t j = 0; residual && j < c->OW * c->O; j++)
        result[j] = y[j] + residual[j];
}

static sf_status run(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const sf_tensor_desc *x = ref_input(call, 0), *output = call->output;
    sf_tensor_desc weight = turned(ref_input(call, 1));
    convolution c = {
        .H = x->dims[1],
        .W = x->dims[2],
        .C = x->dims[3],
        .KH = weight.dims[0],
        .KW = weight.dims[1],
        .O = weight.dims[3],
        .OH = output->dims[1],
        .OW = output->dims[2],
        .a = *(const sf_conv2d_attributes *)call->attributes,
        .x = ref_load(&scratch, x),
    };
    c.weight = ref_load(&scratch, &weight);
    c.bias = ref_load(&scratch, ref_input(call, 2));
    c.residual = ref_load(&scratch, ref_input(call, 3));
    float *y = ref_result(&scratch, output);
    float *row = ref_take(&scratch, row_elements(call), sizeof(float));
    for (int64_t n = 0; n < output->dims[0]; n++)
        for (int64_t i = 0; i < c.OH; i++)
            compute_row(&c, n, i, row, y + (n * c.OH + i) * c.OW * c.O);
    ref_store(y, output);
    return SF_OK;
}

const sf_op_entry ref_conv2d = {
    .struct_size = sizeof(sf_op_entry),
    .op = "conv2d",
    .supports = ref_supports_floats,
    .workspace = workspace,
    .run = run,
    .in_place = SF_IN_PLACE(3),
};

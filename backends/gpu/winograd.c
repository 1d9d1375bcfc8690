/*
 * Winograd's convolution, four launches: the input's and the weights' transform, a product in a batch of
 * 36, the output's transform with all that follows. Large pictures are taken in rounds of tiles, which
 * keeps scratch memory small; the weights are transformed once. See winograd.h.
 */
#include "backends/gpu/winograd.h"
#include "backends/gpu/kernels/winograd.h"
#include "backends/gpu/product.h"

/* From so many outputs and channels on the transforms cost less than they save. */
#define LEAST_PIXELS   4096
#define LEAST_CHANNELS 128

/* Of transformed inputs and sums, in a round. */
#define ROUND_BYTES ((uint64_t)96 << 20)

#define MOST_WEIGHTS (GPU_MOST_ELEMENTS / GPU_WINOGRAD_POINTS)

bool gpu_winograd_applies(const sf_op_call *call) {
    const sf_conv2d_attributes *a = call->attributes;
    const int64_t *weight = ref_input(call, 1)->dims, *y = call->output->dims;
    return weight[2] == 3 && weight[3] == 3 && a->stride[0] == 1 && a->stride[1] == 1 &&
           a->dilation[0] == 1 && a->dilation[1] == 1 && a->groups == 1 &&
           y[1] * y[2] >= LEAST_PIXELS && weight[1] >= LEAST_CHANNELS &&
           weight[0] >= LEAST_CHANNELS && weight[0] * weight[1] <= MOST_WEIGHTS;
}

/* ---- how the tiles are divided ---- */

typedef struct division {
    int64_t tiles_down, tiles_across; /* of an image */
    int64_t n_tiles, n_rounds;
    int64_t most_tiles;                 /* of a round */
    uint64_t v_bytes, u_bytes, m_bytes; /* inputs and sums of a round, weights */
} division;

static int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static division divide(const sf_op_call *call) {
    const int64_t *weight = ref_input(call, 1)->dims, *y = call->output->dims;
    uint64_t point_bytes = GPU_WINOGRAD_POINTS * sizeof(float);
    uint64_t tile_bytes = point_bytes * (uint64_t)(weight[0] + weight[1]);
    int64_t fit = (int64_t)(ROUND_BYTES / tile_bytes);
    division d = {.tiles_down = divide_up(y[1], GPU_WINOGRAD_OUTPUTS),
                  .tiles_across = divide_up(y[2], GPU_WINOGRAD_OUTPUTS)};
    d.n_tiles = y[0] * d.tiles_down * d.tiles_across;
    d.n_rounds = divide_up(d.n_tiles, fit > 0 ? fit : 1);
    d.most_tiles = divide_up(d.n_tiles, d.n_rounds);
    d.v_bytes = ref_room(d.most_tiles * weight[1], point_bytes);
    d.u_bytes = ref_room(weight[0] * weight[1], point_bytes);
    d.m_bytes = ref_room(d.most_tiles * weight[0], point_bytes);
    return d;
}

uint64_t gpu_winograd_workspace(const sf_op_call *call) {
    division d = divide(call);
    return ref_add_bytes(d.v_bytes, ref_add_bytes(d.u_bytes, d.m_bytes));
}

/* ---- work ---- */

static gpu_winograd_arguments arguments_of(const sf_op_call *call, const division *d) {
    const sf_conv2d_attributes *attributes = call->attributes;
    const sf_tensor_desc *x = ref_input(call, 0), *weight = ref_input(call, 1), *y = call->output;
    gpu_winograd_arguments a = {
        .height = (uint32_t)x->dims[1],
        .width = (uint32_t)x->dims[2],
        .y_height = (uint32_t)y->dims[1],
        .y_width = (uint32_t)y->dims[2],
        .tiles_down = (uint32_t)d->tiles_down,
        .tiles_across = (uint32_t)d->tiles_across,
        .channels = (uint32_t)weight->dims[1],
        .filters = (uint32_t)weight->dims[0],
        .padding = {(uint32_t)attributes->padding[0], (uint32_t)attributes->padding[2]},
        .x_type = gpu_type_of(x),
        .weight_type = gpu_type_of(weight),
        .epilogue = gpu_epilogue_of(call, attributes->activation),
    };
    for (int axis = 0; axis < 4; axis++) {
        a.x_strides[axis] = (uint32_t)x->strides[axis];
        a.weight_strides[axis] = (uint32_t)weight->strides[axis];
    }
    return a;
}

/* m [36, tiles, filters] = v [36, tiles, channels] u [36, filters, channels]^T */
static sf_status multiply_points(gpu_backend *backend, const gpu_winograd_arguments *a, gpu_place v,
                                 gpu_place u, gpu_place m) {
    const gpu_factors f = {
        .batch = {{1, 1, 1, 1, GPU_WINOGRAD_POINTS}},
        .n_batches = GPU_WINOGRAD_POINTS,
        .m = a->n_tiles,
        .n = a->filters,
        .k = a->channels,
        .a = {v, SF_F32, {{0, 0, 0, 0, a->n_tiles * a->channels}}, a->channels, 1},
        .b = {u, SF_F32, {{0, 0, 0, 0, a->filters * a->channels}}, a->channels, 1},
        .y = m,
        .y_dtype = SF_F32,
        .epilogue = {.scale = 1,
                     .bias_type = GPU_ABSENT,
                     .residual_type = GPU_ABSENT,
                     .y_type = GPU_F32},
    };
    return gpu_product_run(backend, &f);
}

static sf_status run_round(gpu_backend *backend, const sf_op_call *call,
                           const gpu_winograd_arguments *a, gpu_place v, gpu_place u, gpu_place m) {
    uint64_t n_inputs = (uint64_t)a->n_tiles * a->channels;
    uint64_t n_outputs = (uint64_t)a->n_tiles * a->filters;
    gpu_count_bytes(backend, 2 * GPU_WINOGRAD_POINTS * sizeof(float) * (n_inputs + n_outputs));
    sf_status status =
        gpu_run(backend, GPU_KERNEL_winograd_input, gpu_groups_for(backend, n_inputs), a, sizeof *a,
                2, (const gpu_place[]){gpu_place_of(call->inputs), v});
    if (status == SF_OK)
        status = multiply_points(backend, a, v, u, m);
    if (status != SF_OK)
        return status;
    return gpu_run(
        backend, GPU_KERNEL_winograd_output, gpu_groups_for(backend, n_outputs), a, sizeof *a, 4,
        (const gpu_place[]){m, gpu_place_of(ref_input(call, 2)), gpu_place_of(ref_input(call, 3)),
                            gpu_place_of(call->output)});
}

sf_status gpu_winograd_run(gpu_backend *backend, const sf_op_call *call) {
    division d = divide(call);
    gpu_winograd_arguments a = arguments_of(call, &d);
    gpu_place v = gpu_workspace(call);
    gpu_place u = gpu_place_after(v, d.v_bytes), m = gpu_place_after(u, d.u_bytes);
    uint64_t n_weights = (uint64_t)a.filters * a.channels;
    gpu_count_bytes(backend, 2 * GPU_WINOGRAD_POINTS * sizeof(float) * n_weights);
    sf_status status =
        gpu_run(backend, GPU_KERNEL_winograd_filters, gpu_groups_for(backend, n_weights), &a,
                sizeof a, 2, (const gpu_place[]){gpu_place_of(ref_input(call, 1)), u});
    for (int64_t tile = 0; status == SF_OK && tile < d.n_tiles; tile += d.most_tiles) {
        int64_t left = d.n_tiles - tile;
        a.first_tile = (uint32_t)tile;
        a.n_tiles = (uint32_t)(left < d.most_tiles ? left : d.most_tiles);
        status = run_round(backend, call, &a, v, u, m);
    }
    return status;
}

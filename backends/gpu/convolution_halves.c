/*
 * 3x3 convolutions of half types by matrix units. See convolution.h.
 */
#include "backends/gpu/kernels/convolution_halves.h"
#include "backends/gpu/convolution.h"

/* Filters of a tile: with no more, one tile is as wide as y. */
#define FEW_FILTERS 64

static bool applies(const gpu_backend *backend, const sf_op_call *call) {
    const sf_conv2d_attributes *a = call->attributes;
    const sf_tensor_desc *x = ref_input(call, 0), *weight = ref_input(call, 1);
    return gpu_has_units(backend, x->dtype) &&
           backend->abilities.group_size >= GPU_LEAST_WARPS_GROUP && weight->dtype == x->dtype &&
           a->groups == 1 && weight->dims[2] == 3 && weight->dims[3] == 3 &&
           ref_is_contiguous(weight);
}

/* ---- tiles ---- */

/* A kernel, and its tiles of a call. */
typedef struct tiling {
    gpu_kernel f16, bf16;
    uint64_t patch_width, patch_pixels;
    uint64_t tiles_down, tiles_across, tiles_of_filters; /* the first two: of an image */
    uint64_t n_tiles;
} tiling;

static uint64_t divide_up(int64_t a, uint64_t b) {
    return ((uint64_t)a + b - 1) / b;
}

/* Pixels of x that `n` neighbours of y need, in one direction. */
static uint64_t reach(uint64_t n, int32_t stride, int32_t dilation) {
    return (n - 1) * (uint64_t)stride + 2 * (uint64_t)dilation + 1;
}

static tiling tile(const sf_op_call *call, gpu_kernel f16, gpu_kernel bf16, uint32_t rows,
                   uint32_t filters) {
    const sf_conv2d_attributes *a = call->attributes;
    const int64_t *y = call->output->dims;
    tiling t = {
        .f16 = f16,
        .bf16 = bf16,
        .patch_width = reach(GPU_PATCH_ACROSS, a->stride[1], a->dilation[1]),
        .tiles_down = divide_up(y[1], rows),
        .tiles_across = divide_up(y[2], GPU_PATCH_ACROSS),
        .tiles_of_filters = divide_up(y[3], filters),
    };
    t.patch_pixels = reach(rows, a->stride[0], a->dilation[0]) * t.patch_width;
    t.n_tiles = (uint64_t)y[0] * t.tiles_down * t.tiles_across * t.tiles_of_filters;
    return t;
}

/* Large tiles where they fill a device, else small ones; false where x's part is too large for either. */
static bool choose_tiling(const gpu_backend *backend, const sf_op_call *call, tiling *t) {
    uint32_t group = backend->abilities.group_size;
    *t = tile(call, GPU_KERNEL_convolution_f16, GPU_KERNEL_convolution_bf16,
              GPU_LARGE_PATCH_DOWN * GPU_WARPS_DOWN(group, GPU_LARGE_PATCH_WARPS),
              GPU_WARP_COLUMNS(group, GPU_LARGE_PATCH_WARPS, GPU_LARGE_PATCH_ACROSS));
    if (t->n_tiles >= GPU_FILLING_TILES && t->patch_pixels <= GPU_MOST_PATCH)
        return true;
    *t = tile(call, GPU_KERNEL_convolution_f16_small, GPU_KERNEL_convolution_bf16_small,
              GPU_SMALL_PATCH_DOWN * GPU_WARPS_DOWN(group, GPU_SMALL_PATCH_WARPS),
              GPU_WARP_COLUMNS(group, GPU_SMALL_PATCH_WARPS, GPU_SMALL_PATCH_ACROSS));
    return t->patch_pixels <= GPU_MOST_PATCH;
}

bool gpu_convolution_halves_is_taken(gpu_backend *backend, const sf_op_call *call) {
    tiling t;
    if (!applies(backend, call) || !choose_tiling(backend, call, &t))
        return false;
    return t.n_tiles >= GPU_FILLING_TILES || call->output->dims[3] <= FEW_FILTERS ||
           !gpu_unfold_applies(call) || !gpu_unfold_is_taken(backend, call);
}

/* ---- work ---- */

static bool lies_in_eights(const sf_tensor_desc *x) {
    return x->strides[3] == 1 && x->dims[3] % 8 == 0 && x->strides[0] % 8 == 0 &&
           x->strides[1] % 8 == 0 && x->strides[2] % 8 == 0 && x->offset % 16 == 0;
}

sf_status gpu_convolution_halves_run(gpu_backend *backend, const sf_op_call *call) {
    const sf_tensor_desc *x = ref_input(call, 0), *weight = ref_input(call, 1), *y = call->output;
    tiling t;
    choose_tiling(backend, call, &t);
    const gpu_convolution_halves_arguments a = {
        .convolution = gpu_convolution_arguments_of(backend, call),
        .patch_width = (uint32_t)t.patch_width,
        .patch_pixels = (uint32_t)t.patch_pixels,
        .tiles_down = (uint32_t)t.tiles_down,
        .tiles_across = (uint32_t)t.tiles_across,
        .tiles_of_filters = (uint32_t)t.tiles_of_filters,
        .x_in_eights = lies_in_eights(x),
        .weight_in_eights = weight->dims[1] % 8 == 0 && weight->offset % 16 == 0,
        .y_in_pairs = y->dtype != SF_F32 && y->dims[3] % 2 == 0 && y->offset % 4 == 0,
    };
    gpu_count_units(backend, x->dtype);
    return gpu_run(backend, x->dtype == SF_F16 ? t.f16 : t.bf16,
                   (gpu_grid){{(uint32_t)t.n_tiles, 1, 1}}, &a, sizeof a, 5,
                   (const gpu_place[]){gpu_place_of(x), gpu_place_of(weight),
                                       gpu_place_of(ref_input(call, 2)),
                                       gpu_place_of(ref_input(call, 3)), gpu_place_of(y)});
}

/*
 * 3x3 convolutions of f16 or bf16 by matrix units: a product of pixels and filters that is never written
 * out. A tile is some rows of 16 pixels of y, times filters. For 16 channels at a time a group has in local
 * memory all pixels of x that the tile needs, the patch, and the filters' weights: each is read once for
 * all nine elements of the kernel. While they are multiplied the next channels come in, the patch to a
 * second place, the weights to registers.
 *
 *     GROUP   large              small
 *      256   8 x 16, 64 filters  4 x 16, 64 filters
 *      128   4 x 16, 64          4 x 16, 32
 *       64   2 x 16, 64          2 x 16, 32
 *
 * Local memory: 47.1 KiB, half of it two patches of any stride or dilation that fits.
 */
#include "backends/gpu/kernels/convolution_halves.h"

#define TAPS      3
#define ELEMENTS  9  /* of the kernel */
#define CHANNELS  GPU_FRAGMENT
#define PITCH     24 /* of a pixel: an odd multiple of 8, for the banks */

/* Of a filter: its 16 channels times 9, as they lie in memory. 4 words times an odd number, for the banks. */
#define RUN          (CHANNELS * ELEMENTS)
#define FILTER_PITCH (RUN + 8)
#define MOST_FILTERS 64

#define PATCH_HALVES  (GPU_MOST_PATCH * PITCH)
#define LOCAL_HALVES  (2 * PATCH_HALVES + MOST_FILTERS * FILTER_PITCH)

/* Eights of numbers that a work-item brings in. */
#define PATCH_EIGHTS          ((2 * GPU_MOST_PATCH + GROUP - 1) / GROUP)
#define LANES_A_FILTER(count) (GROUP / (count))
#define OWN_LANE(count)       (LOCAL_ID & (LANES_A_FILTER(count) - 1)) /* that is a power of two */
#define WEIGHT_EIGHTS(count)  ((RUN / 8 + LANES_A_FILTER(count) - 1) / LANES_A_FILTER(count))
#define MOST_WEIGHT_EIGHTS    WEIGHT_EIGHTS(MOST_FILTERS)
#define OUTSIDE               0xffffffffu

typedef struct tile_place {
    gpu_uint image, row, column, filter; /* the first ones, of y */
} tile_place;

FUNCTION tile_place find_place(const gpu_convolution_halves_arguments *h, const gpu_uint rows,
                               const gpu_uint filters) {
    tile_place tile;
    gpu_uint patch = GROUP_ID(0) / h->tiles_of_filters, stripe = patch / h->tiles_across;
    tile.filter = (GROUP_ID(0) - patch * h->tiles_of_filters) * filters;
    tile.column = (patch - stripe * h->tiles_across) * GPU_PATCH_ACROSS;
    tile.image = stripe / h->tiles_down;
    tile.row = (stripe - tile.image * h->tiles_down) * rows;
    return tile;
}

/* ---- the patch ---- */

/* Where each of the pixels is in x of which the work-item brings eight channels, or OUTSIDE. */
FUNCTION void find_pixels(const gpu_convolution_halves_arguments *h, tile_place tile,
                          gpu_uint *pixels) {
    const gpu_convolution_arguments *c = &h->convolution;
UNROLL
    for (gpu_uint i = 0; i < PATCH_EIGHTS; i++) {
        gpu_uint pixel = (i * GROUP + LOCAL_ID) / 2, down = pixel / h->patch_width;
        gpu_uint row = tile.row * c->stride[0] + down - c->padding[0];
        gpu_uint column = tile.column * c->stride[1] + pixel - down * h->patch_width - c->padding[1];
        pixels[i] = pixel < h->patch_pixels && row < c->height && column < c->width
                        ? tile.image * c->x_strides[0] + row * c->x_strides[1] +
                              column * c->x_strides[2]
                        : OUTSIDE;
    }
}

/* patch [pixels][PITCH] = 16 channels of x from `channel` on, zeros where there are none */
FUNCTION void bring_patch(LOCAL_POINTER half_bits *patch, GLOBAL const gpu_byte *x,
                          const gpu_convolution_halves_arguments *h, const gpu_uint *pixels,
                          gpu_uint channel) {
    const gpu_convolution_arguments *c = &h->convolution;
    gpu_uint first = channel + LOCAL_ID % 2 * 8;
UNROLL
    for (gpu_uint i = 0; i < PATCH_EIGHTS; i++) {
        gpu_uint pixel = (i * GROUP + LOCAL_ID) / 2;
        LOCAL_POINTER half_bits *to = patch + pixel * PITCH + LOCAL_ID % 2 * 8;
        bool inside = pixels[i] != OUTSIDE;
        if (pixel >= h->patch_pixels)
            continue;
        if (h->x_in_eights) {
            inside = inside && first < c->channels;
            copy_eight(to, x + 2 * (inside ? (gpu_ulong)pixels[i] + first : 0), inside);
            continue;
        }
        for (gpu_uint j = 0; j < 8; j++)
            to[j] = inside && first + j < c->channels
                        ? ((GLOBAL const half_bits *)x)[pixels[i] + (first + j) * c->x_strides[3]]
                        : (half_bits)0;
    }
}

/* ---- the weights ---- */

FUNCTION gpu_uint load_two(GLOBAL const half_bits *p, gpu_uint at, gpu_uint i, gpu_uint n) {
    gpu_uint first = i < n ? p[at + i] : 0, second = i + 1 < n ? p[at + i + 1] : 0;
    return first | second << 16;
}

/* The work-item's part of the filters' weights for 16 channels; those past the last one are zeros. */
FUNCTION void hold_weights(uint4 *held, GLOBAL const gpu_byte *weight,
                           const gpu_convolution_halves_arguments *h, gpu_uint first_filter,
                           gpu_uint channel, const gpu_uint count) {
    const gpu_convolution_arguments *c = &h->convolution;
    gpu_uint filter = first_filter + LOCAL_ID / LANES_A_FILTER(count);
    gpu_uint n = filter < c->filters ? (c->channels - channel) * ELEMENTS : 0;
    gpu_uint at = (filter * c->channels + channel) * ELEMENTS;
UNROLL
    for (gpu_uint i = 0; i < WEIGHT_EIGHTS(count); i++) {
        gpu_uint own = (i * LANES_A_FILTER(count) + OWN_LANE(count)) * 8;
        GLOBAL const half_bits *p = (GLOBAL const half_bits *)weight;
        held[i].x = held[i].y = held[i].z = held[i].w = 0;
        if (own >= n || own >= RUN)
            continue;
        if (h->weight_in_eights) {
            held[i] = *(GLOBAL const uint4 *)(p + at + own);
            continue;
        }
        held[i].x = load_two(p, at, own, n);
        held[i].y = load_two(p, at, own + 2, n);
        held[i].z = load_two(p, at, own + 4, n);
        held[i].w = load_two(p, at, own + 6, n);
    }
}

/* weights [filters][FILTER_PITCH] = what is held */
FUNCTION void put_weights(LOCAL_POINTER half_bits *weights, const uint4 *held,
                          const gpu_uint count) {
    LOCAL_POINTER half_bits *to = weights + LOCAL_ID / LANES_A_FILTER(count) * FILTER_PITCH;
UNROLL
    for (gpu_uint i = 0; i < WEIGHT_EIGHTS(count); i++) {
        gpu_uint own = (i * LANES_A_FILTER(count) + OWN_LANE(count)) * 8;
        if (own < RUN)
            *(LOCAL_POINTER uint4 *)(to + own) = held[i];
    }
}

/* ---- sums ---- */

/* All elements of the kernel, for 16 channels. patch, weights: of the warp's first row and filter */
FUNCTION void add_channels(float *sums, LOCAL_POINTER const half_bits *patch,
                           LOCAL_POINTER const half_bits *weights,
                           const gpu_convolution_halves_arguments *h, const gpu_uint down,
                           const gpu_uint across, const gpu_int type) {
    const gpu_convolution_arguments *c = &h->convolution;
    gpu_uint row_step = h->patch_width * PITCH;
    fragment filters[MOST_ACROSS];
UNROLL
    for (gpu_uint u = 0; u < TAPS; u++)
UNROLL
        for (gpu_uint v = 0; v < TAPS; v++) {
            LOCAL_POINTER const half_bits *from =
                patch + u * c->dilation[0] * row_step + v * c->dilation[1] * PITCH;
UNROLL
            for (gpu_uint j = 0; j < across; j++)
                filters[j] = take_spread_rows(weights + j * GPU_FRAGMENT * FILTER_PITCH + u * TAPS +
                                                  v,
                                              FILTER_PITCH, ELEMENTS);
            add_fragments(sums, from, c->stride[0] * row_step, c->stride[1] * PITCH, filters, down,
                          across, type);
        }
}

/* What comes in while a block of 16 channels is multiplied is the next one. */
FUNCTION void add_up(GLOBAL const gpu_byte *x, GLOBAL const gpu_byte *weight,
                     const gpu_convolution_halves_arguments *h, tile_place tile,
                     LOCAL_POINTER half_bits *memory, float *sums, const gpu_uint warps,
                     const gpu_uint down, const gpu_uint across, const gpu_int type) {
    const gpu_convolution_arguments *c = &h->convolution;
    const gpu_uint warps_across = GPU_WARPS_ACROSS(GROUP, warps);
    const gpu_uint count = GPU_WARP_COLUMNS(GROUP, warps, across);
    LOCAL_POINTER half_bits *weights = memory + 2 * PATCH_HALVES;
    gpu_uint warp = LOCAL_ID / GPU_WARP, n_blocks = (c->channels + CHANNELS - 1) / CHANNELS;
    gpu_uint row = warp / warps_across * down * c->stride[0] * h->patch_width;
    gpu_uint filter = warp % warps_across * across * GPU_FRAGMENT;
    gpu_uint pixels[PATCH_EIGHTS];
    uint4 held[MOST_WEIGHT_EIGHTS];
    find_pixels(h, tile, pixels);
    clear_fragments(sums, down * across);
UNROLL
    for (gpu_uint i = 0; i < WEIGHT_EIGHTS(count); i++)
        held[i].x = held[i].y = held[i].z = held[i].w = 0;
    for (gpu_uint block = 0; block <= n_blocks; block++) {
        BARRIER();
        put_weights(weights, held, count);
        WAIT_COPIES(0);
        BARRIER();
        if (block < n_blocks) {
            bring_patch(memory + block % 2 * PATCH_HALVES, x, h, pixels, block * CHANNELS);
            hold_weights(held, weight, h, tile.filter, block * CHANNELS, count);
        }
        close_copies();
        if (block && tile.filter + filter < c->filters) /* for all of the warp alike */
            add_channels(sums, memory + (block + 1) % 2 * PATCH_HALVES + row * PITCH,
                         weights + filter * FILTER_PITCH, h, down, across, type);
    }
}

FUNCTION void convolve(GLOBAL const gpu_byte *x, GLOBAL const gpu_byte *weight,
                       GLOBAL const gpu_byte *bias, GLOBAL const gpu_byte *residual,
                       GLOBAL gpu_byte *y, const gpu_convolution_halves_arguments *h,
                       LOCAL_POINTER half_bits *memory, float *sums, const gpu_uint warps,
                       const gpu_uint down, const gpu_uint across, const gpu_int type) {
    const gpu_convolution_arguments *c = &h->convolution;
    const gpu_uint warps_across = GPU_WARPS_ACROSS(GROUP, warps);
    tile_place tile = find_place(h, GPU_WARPS_DOWN(GROUP, warps) * down,
                                 GPU_WARP_COLUMNS(GROUP, warps, across));
    add_up(x, weight, h, tile, memory, sums, warps, down, across, type);

    gpu_uint warp = LOCAL_ID / GPU_WARP;
    gpu_uint row = tile.row + warp / warps_across * down;
    LOCAL_POINTER float *own = (LOCAL_POINTER float *)memory + warp * SUMS_FLOATS(across);
    warp_rows at;
    at.column = tile.filter + warp % warps_across * across * GPU_FRAGMENT;
    at.first = tile.column;
    at.n = c->filters;
    at.in_pairs = h->y_in_pairs;
    at.gated = 0;
UNROLL
    for (gpu_uint i = 0; i < down; i++) {
        BARRIER();
        put_sums(own, sums + i * across * WARP_SUMS, across);
        BARRIER();
        at.row = (tile.image * c->y_height + row + i) * c->y_width + tile.column;
        at.end = row + i < c->y_height ? c->y_width : 0;
        finish_rows(bias, residual, y, c->epilogue, at, own, across);
    }
}

/* convolution_TYPE: in large tiles; convolution_TYPE_small: in small ones, and for large strides */

#define LARGE_SUMS (GPU_LARGE_PATCH_DOWN * GPU_LARGE_PATCH_ACROSS * WARP_SUMS)
#define SMALL_SUMS (GPU_SMALL_PATCH_DOWN * GPU_SMALL_PATCH_ACROSS * WARP_SUMS)

KERNEL_TWICE(convolution_f16)
(INPUT(x), INPUT(weight), INPUT(bias), IN_PLACE(residual), OUTPUT(y),
 gpu_convolution_halves_arguments h) {
    LOCAL half_bits memory[LOCAL_HALVES] IN_EIGHTS;
    float sums[LARGE_SUMS];
    convolve(x + x_offset, weight + weight_offset, bias + bias_offset, residual + residual_offset,
             y + y_offset, &h, memory, sums, GPU_LARGE_PATCH_WARPS, GPU_LARGE_PATCH_DOWN,
             GPU_LARGE_PATCH_ACROSS, GPU_F16);
}

KERNEL_TWICE(convolution_bf16)
(INPUT(x), INPUT(weight), INPUT(bias), IN_PLACE(residual), OUTPUT(y),
 gpu_convolution_halves_arguments h) {
    LOCAL half_bits memory[LOCAL_HALVES] IN_EIGHTS;
    float sums[LARGE_SUMS];
    convolve(x + x_offset, weight + weight_offset, bias + bias_offset, residual + residual_offset,
             y + y_offset, &h, memory, sums, GPU_LARGE_PATCH_WARPS, GPU_LARGE_PATCH_DOWN,
             GPU_LARGE_PATCH_ACROSS, GPU_BF16);
}

KERNEL_TWICE(convolution_f16_small)
(INPUT(x), INPUT(weight), INPUT(bias), IN_PLACE(residual), OUTPUT(y),
 gpu_convolution_halves_arguments h) {
    LOCAL half_bits memory[LOCAL_HALVES] IN_EIGHTS;
    float sums[SMALL_SUMS];
    convolve(x + x_offset, weight + weight_offset, bias + bias_offset, residual + residual_offset,
             y + y_offset, &h, memory, sums, GPU_SMALL_PATCH_WARPS, GPU_SMALL_PATCH_DOWN,
             GPU_SMALL_PATCH_ACROSS, GPU_F16);
}

KERNEL_TWICE(convolution_bf16_small)
(INPUT(x), INPUT(weight), INPUT(bias), IN_PLACE(residual), OUTPUT(y),
 gpu_convolution_halves_arguments h) {
    LOCAL half_bits memory[LOCAL_HALVES] IN_EIGHTS;
    float sums[SMALL_SUMS];
    convolve(x + x_offset, weight + weight_offset, bias + bias_offset, residual + residual_offset,
             y + y_offset, &h, memory, sums, GPU_SMALL_PATCH_WARPS, GPU_SMALL_PATCH_DOWN,
             GPU_SMALL_PATCH_ACROSS, GPU_BF16);
}

/*
 * Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2015, "Fast Algorithms for Convolutional Neural
 * Networks", section 4): 4x4 outputs of a 3x3 convolution from a tile of 6x6 inputs,
 *
 *     Y = A^T [ sum over channels of (G g G^T) (B^T d B) ] A
 *
 * with 36 multiplications a channel instead of 144. The sums over channels at each of the 36 points are
 * products of matrices; here are the transforms on both sides of them, a work-item for each tile and
 * channel, or filter. Lines are transformed in one direction, then in the other.
 *
 * The points are 0, 5/8, -5/8, 3/2, -3/2 and infinity: their powers are exact, and the error is less than
 * half that of the usual 1 and 2. A point and its opposite share the even and the odd part.
 */
#include "backends/gpu/kernels/winograd.h"

#define OUTPUTS GPU_WINOGRAD_OUTPUTS
#define SIDE    GPU_WINOGRAD_SIDE
#define POINTS  GPU_WINOGRAD_POINTS
#define P       0.625f
#define Q       1.5f

/* B^T: 6 numbers `step` apart, in place. */
FUNCTION void transform_input_line(float *d, int step) {
    float d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step];
    float even_p = d4 - Q * Q * d2, odd_p = P * (d3 - Q * Q * d1);
    float even_q = d4 - P * P * d2, odd_q = Q * (d3 - P * P * d1);
    d[0] = P * P * Q * Q * d0 - (P * P + Q * Q) * d2 + d4;
    d[step] = even_p + odd_p;
    d[2 * step] = even_p - odd_p;
    d[3 * step] = even_q + odd_q;
    d[4 * step] = even_q - odd_q;
    d[5 * step] = P * P * Q * Q * d1 - (P * P + Q * Q) * d3 + d[5 * step];
}

/* G: 3 numbers `step` apart to 6 `out_step` apart. */
FUNCTION void transform_filter_line(const float *g, int step, float *out, int out_step) {
    const float scale_p = 1.0f / (2.0f * P * P * (P * P - Q * Q));
    const float scale_q = 1.0f / (2.0f * Q * Q * (Q * Q - P * P));
    float g0 = g[0], g1 = g[step], g2 = g[2 * step];
    float even_p = (g0 + P * P * g2) * scale_p, odd_p = g1 * (P * scale_p);
    float even_q = (g0 + Q * Q * g2) * scale_q, odd_q = g1 * (Q * scale_q);
    out[0] = g0 * (1.0f / (P * P * Q * Q));
    out[out_step] = even_p + odd_p;
    out[2 * out_step] = even_p - odd_p;
    out[3 * out_step] = even_q + odd_q;
    out[4 * out_step] = even_q - odd_q;
    out[5 * out_step] = g2;
}

/* A^T: 6 sums `step` apart to 4 outputs in their first places. */
FUNCTION void transform_output_line(float *m, int step) {
    float plus_p = m[step] + m[2 * step], minus_p = P * (m[step] - m[2 * step]);
    float plus_q = m[3 * step] + m[4 * step], minus_q = Q * (m[3 * step] - m[4 * step]);
    m[0] += plus_p + plus_q;
    m[step] = minus_p + minus_q;
    m[2 * step] = P * P * plus_p + Q * Q * plus_q;
    m[3 * step] = m[5 * step] + P * P * minus_p + Q * Q * minus_q;
}

typedef struct place_of_tile {
    gpu_uint image, row, column; /* in pixels of y */
} place_of_tile;

FUNCTION place_of_tile find_tile(const gpu_winograd_arguments *a, gpu_uint tile) {
    place_of_tile place;
    gpu_uint line;
    tile += a->first_tile;
    line = tile / a->tiles_across;
    place.image = line / a->tiles_down;
    place.row = (line - place.image * a->tiles_down) * OUTPUTS;
    place.column = (tile - line * a->tiles_across) * OUTPUTS;
    return place;
}

/* v [points][tiles][channels] of a round's tiles */
KERNEL(winograd_input)(INPUT(x), OUTPUT(v), gpu_winograd_arguments a) {
    float d[POINTS];
    LOCATE(x);
    LOCATE(v);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    gpu_uint tile = i / a.channels, channel = i - tile * a.channels;
    if (tile >= a.n_tiles)
        return;
    place_of_tile place = find_tile(&a, tile);
    gpu_uint start = place.image * a.x_strides[0] + channel * a.x_strides[3];
#pragma unroll
    for (gpu_uint p = 0; p < POINTS; p++) { /* above and left of x is past the end */
        gpu_uint h = place.row + p / SIDE - a.padding[0];
        gpu_uint w = place.column + p % SIDE - a.padding[1];
        d[p] = h < a.height && w < a.width
                   ? load(x, a.x_type, start + h * a.x_strides[1] + w * a.x_strides[2])
                   : 0.0f;
    }
#pragma unroll
    for (int line = 0; line < SIDE; line++)
        transform_input_line(d + line, SIDE);
#pragma unroll
    for (int line = 0; line < SIDE; line++)
        transform_input_line(d + line * SIDE, 1);
#pragma unroll
    for (gpu_uint p = 0; p < POINTS; p++)
        store(v, GPU_F32, p * a.n_tiles * a.channels + i, d[p]);
}

/* u [points][filters][channels] */
KERNEL(winograd_filters)(INPUT(weight), OUTPUT(u), gpu_winograd_arguments a) {
    float g[9], half_done[3 * SIDE], out[POINTS];
    LOCATE(weight);
    LOCATE(u);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    gpu_uint filter = i / a.channels, channel = i - filter * a.channels;
    if (filter >= a.filters)
        return;
    gpu_uint start = filter * a.weight_strides[0] + channel * a.weight_strides[1];
#pragma unroll
    for (gpu_uint k = 0; k < 9; k++)
        g[k] = load(weight, a.weight_type,
                    start + k / 3 * a.weight_strides[2] + k % 3 * a.weight_strides[3]);
#pragma unroll
    for (int line = 0; line < 3; line++) /* columns: [3][3] to [6][3] */
        transform_filter_line(g + line, 3, half_done + line, 3);
#pragma unroll
    for (int line = 0; line < SIDE; line++)
        transform_filter_line(half_done + line * 3, 1, out + line * SIDE, 1);
#pragma unroll
    for (gpu_uint p = 0; p < POINTS; p++)
        store(u, GPU_F32, p * a.filters * a.channels + i, out[p]);
}

/* y from m [points][tiles][filters] */
KERNEL(winograd_output)
(INPUT(m), INPUT(bias), IN_PLACE(residual), OUTPUT(y), gpu_winograd_arguments a) {
    float sums[POINTS];
    LOCATE(m);
    LOCATE(bias);
    LOCATE(residual);
    LOCATE(y);
    gpu_uint i = GROUP_ID(0) * GROUP + LOCAL_ID;
    gpu_uint tile = i / a.filters, filter = i - tile * a.filters;
    if (tile >= a.n_tiles)
        return;
    place_of_tile place = find_tile(&a, tile);
#pragma unroll
    for (gpu_uint p = 0; p < POINTS; p++)
        sums[p] = load(m, GPU_F32, p * a.n_tiles * a.filters + i);
#pragma unroll
    for (int line = 0; line < SIDE; line++)
        transform_output_line(sums + line, SIDE);
#pragma unroll
    for (int line = 0; line < OUTPUTS; line++)
        transform_output_line(sums + line * SIDE, 1);
#pragma unroll
    for (gpu_uint k = 0; k < OUTPUTS * OUTPUTS; k++) {
        gpu_uint h = place.row + k / OUTPUTS, w = place.column + k % OUTPUTS;
        gpu_uint pixel = (place.image * a.y_height + h) * a.y_width + w;
        if (h < a.y_height && w < a.y_width)
            finish_sum(bias, residual, y, a.epilogue, filter, pixel * a.filters + filter,
                       sums[k / OUTPUTS * SIDE + k % OUTPUTS]);
    }
}

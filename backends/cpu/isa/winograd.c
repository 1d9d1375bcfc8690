/*
 * Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2015, "Fast Algorithms for Convolutional
 * Neural Networks", section 4.3): 4 x 4 outputs of a 3x3 convolution from a 6 x 6 tile of the input,
 *
 *   Y = A^T [ sum over channels of (G g G^T) (B^T d B) ] A
 *
 * with 36 multiplications a channel instead of 144. The matrices are those of the points 0, a, -a, b, -b
 * and infinity (Toom and Cook's construction) with a = 5/8 and b = 3/2, whose powers are exact: the error
 * is less than half of that with the usual 1 and 2 (cf. Barabasz et al. 2018, "Error Analysis and Improving
 * the Accuracy of Winograd Convolution for Deep Neural Networks"). The sums over channels of each of the 36 points are
 * matrix products [tiles, C] x [C, O]; here are the transforms on both sides of them. Lanes of vectors
 * are channels of the input and filters.
 */
#include "backends/cpu/isa/functions.h"
#include "backends/cpu/isa/isa.h"
#include "backends/cpu/isa/product.h"
#include "backends/cpu/isa/transpose.h"

#define POINTS 36

#define A  0.625f
#define B  1.5f
#define A2 (A * A)
#define B2 (B * B)

/* ---- the input: B^T d B ---- */

INLINE void transform_input_line(vec *d, int step) {
    vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step];
    vec d5 = d[5 * step];
    vec even_a = d4 - B2 * d2, odd_a = A * (d3 - B2 * d1);
    vec even_b = d4 - A2 * d2, odd_b = B * (d3 - A2 * d1);
    d[0] = A2 * B2 * d0 - (A2 + B2) * d2 + d4;
    d[step] = even_a + odd_a;
    d[2 * step] = even_a - odd_a;
    d[3 * step] = even_b + odd_b;
    d[4 * step] = even_b - odd_b;
    d[5 * step] = A2 * B2 * d1 - (A2 + B2) * d3 + d5;
}

INLINE vec load_pixel(int32_t dtype, const cpu_winograd_input *in, int64_t pixel, int64_t c,
                      int64_t n) {
    if (pixel < 0)
        return vec_zero();
    int64_t i = pixel + c;
    return n >= VECTOR ? vec_load_as(dtype, in->x, i) : vec_load_part_as(dtype, in->x, i, n);
}

/* One tile, VECTOR channels from c on, n of which there are. */
INLINE void transform_input(int32_t dtype, const cpu_winograd_input *in, const int64_t *pixels,
                            int64_t c, int64_t n, float *v) {
    vec d[POINTS];
    UNROLL
    for (int p = 0; p < POINTS; p++)
        d[p] = load_pixel(dtype, in, pixels[p], c, n);
    UNROLL
    for (int i = 0; i < 6; i++)
        transform_input_line(d + i, 6);
    UNROLL
    for (int i = 0; i < 6; i++)
        transform_input_line(d + 6 * i, 1);
    UNROLL
    for (int p = 0; p < POINTS; p++)
        vec_store(v + p * in->point_stride + c, d[p]);
}

/* Offsets of the tile's pixels in x, -1 for those outside. */
static void find_pixels(const cpu_winograd_input *in, int64_t tile, int64_t *pixels) {
    int64_t column = tile % in->tiles_across, row = tile / in->tiles_across;
    int64_t image = row / in->tiles_down;
    int64_t top = row % in->tiles_down * 4 - in->top, left = column * 4 - in->left;
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) {
            int64_t h = top + i, w = left + j;
            bool inside = h >= 0 && h < in->H && w >= 0 && w < in->W;
            pixels[6 * i + j] = inside ? ((image * in->H + h) * in->W + w) * in->C : -1;
        }
}

void CPU_NAME(winograd_input)(const cpu_winograd_input *in, int64_t first_tile, int64_t tiles,
                              float *v) {
    int64_t pixels[POINTS];
    for (int64_t t = 0; t < tiles; t++, v += in->tile_stride) {
        find_pixels(in, first_tile + t, pixels);
        for (int64_t c = 0; c < in->C; c += VECTOR) {
            if (in->dtype == SF_F32)
                transform_input(SF_F32, in, pixels, c, in->C - c, v);
            else if (in->dtype == SF_F16)
                transform_input(SF_F16, in, pixels, c, in->C - c, v);
            else
                transform_input(SF_BF16, in, pixels, c, in->C - c, v);
        }
    }
}

/* ---- the filters: G g G^T ---- */

/* From 3 numbers, in steps apart, to 6. */
INLINE void transform_filter_line(const vec *g, int step, vec *out, int out_step) {
    vec g0 = g[0], g1 = g[step], g2 = g[2 * step];
    const float scale_a = 1 / (2 * A2 * (A2 - B2)), scale_b = 1 / (2 * B2 * (B2 - A2));
    vec even_a = (g0 + A2 * g2) * scale_a, odd_a = g1 * (A * scale_a);
    vec even_b = (g0 + B2 * g2) * scale_b, odd_b = g1 * (B * scale_b);
    out[0] = g0 * (1 / (A2 * B2));
    out[out_step] = even_a + odd_a;
    out[2 * out_step] = even_a - odd_a;
    out[3 * out_step] = even_b + odd_b;
    out[4 * out_step] = even_b - odd_b;
    out[5 * out_step] = g2;
}

INLINE void transform_filter(const vec *g, float *u, int64_t point_stride) {
    vec half[18], out[POINTS];
    UNROLL
    for (int j = 0; j < 3; j++)
        transform_filter_line(g + j, 3, half + j, 3);
    UNROLL
    for (int i = 0; i < 6; i++)
        transform_filter_line(half + 3 * i, 1, out + 6 * i, 1);
    UNROLL
    for (int p = 0; p < POINTS; p++)
        vec_store(u + p * point_stride, out[p]);
}

/*
 * VECTOR numbers from column `at` on of each of VECTOR filters, turned over so that lanes are filters.
 * Filters past n_filters and numbers past n give zeros.
 */
INLINE void turn_part(int32_t dtype, const cpu_matrix *weight, int64_t filter, int64_t n_filters,
                      int64_t at, int64_t n, vec *square) {
    for (int i = 0; i < VECTOR; i++) {
        int64_t offset = (filter + i) * weight->row_stride + at;
        square[i] = vec_zero();
        if (i < n_filters && n >= VECTOR)
            square[i] = vec_load_as(dtype, weight->data, offset);
        else if (i < n_filters && n > 0)
            square[i] = vec_load_part_as(dtype, weight->data, offset, n);
    }
    vec_transpose(square);
}

/* The same where all are there; asks the memory for the numbers that come next. */
INLINE void turn_whole(int32_t dtype, const cpu_matrix *weight, int64_t filter, int64_t at,
                       vec *square) {
    vec x[VECTOR];
    UNROLL
    for (int i = 0; i < VECTOR; i++) {
        int64_t offset = (filter + i) * weight->row_stride + at;
        x[i] = vec_load_as(dtype, weight->data, offset);
        vec_prefetch(dtype, weight->data, offset + 9 * VECTOR);
    }
    vec_transpose(x);
    UNROLL
    for (int i = 0; i < VECTOR; i++)
        square[i] = x[i];
}

/*
 * VECTOR filters, VECTOR channels from c on: their 9 VECTOR numbers lie one after another in each
 * filter. `left` numbers of each filter are there from c on, and n_filters filters.
 */
INLINE void gather_filters(int32_t dtype, const cpu_matrix *weight, int64_t filter,
                           int64_t n_filters, int64_t c, int64_t left, vec *g) {
    bool whole = n_filters >= VECTOR && left >= 9 * VECTOR;
    for (int s = 0; s < 9; s++, g += VECTOR) {
        int64_t at = c * 9 + s * VECTOR;
        if (whole)
            turn_whole(dtype, weight, filter, at, g);
        else
            turn_part(dtype, weight, filter, n_filters, at, left - s * VECTOR, g);
    }
}

INLINE void transform_filters(int32_t dtype, const cpu_matrix *weight, int64_t filter,
                              int64_t n_filters, int64_t first_channel, int64_t channels, float *u,
                              int64_t width, int64_t point_stride) {
    vec g[9 * VECTOR];
    for (int64_t c = 0; c < channels; c += VECTOR) {
        int64_t left = weight->row_stride - (first_channel + c) * 9;
        gather_filters(dtype, weight, filter, n_filters, first_channel + c, left, g);
        for (int64_t i = 0; i < VECTOR && c + i < channels; i++)
            transform_filter(g + 9 * i, u + (c + i) * width, point_stride);
    }
}

void CPU_NAME(winograd_filters)(const cpu_matrix *weight, int64_t first, int64_t filters,
                                int64_t first_channel, int64_t channels, float *u) {
    int64_t whole = (filters + VECTOR - 1) / VECTOR * VECTOR;
    for (int64_t j = 0; j < whole; j += VECTOR) {
        int64_t panel = j / PRODUCT_COLUMNS * PRODUCT_COLUMNS;
        int64_t width = whole - panel < PRODUCT_COLUMNS ? whole - panel : PRODUCT_COLUMNS;
        float *out = u + panel * channels + (j - panel);
        if (weight->dtype == SF_F32)
            transform_filters(SF_F32, weight, first + j, filters - j, first_channel, channels, out,
                              width, cpu_winograd_stride(whole * channels));
        else if (weight->dtype == SF_F16)
            transform_filters(SF_F16, weight, first + j, filters - j, first_channel, channels, out,
                              width, cpu_winograd_stride(whole * channels));
        else
            transform_filters(SF_BF16, weight, first + j, filters - j, first_channel, channels, out,
                              width, cpu_winograd_stride(whole * channels));
    }
}

/* ---- the output: A^T m A ---- */

INLINE void transform_output_line(const vec *m, int step, vec *out, int out_step) {
    vec m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step];
    vec sum_a = m1 + m2, difference_a = m1 - m2, sum_b = m3 + m4, difference_b = m3 - m4;
    out[0] = m[0] + sum_a + sum_b;
    out[out_step] = A * difference_a + B * difference_b;
    out[2 * out_step] = A2 * sum_a + B2 * sum_b;
    out[3 * out_step] = A2 * A * difference_a + B2 * B * difference_b + m[5 * step];
}

/* The 16 results of VECTOR filters into sums [16][VECTOR]. */
INLINE void transform_output(const float *m, int64_t point_stride, float *sums,
                             int64_t sums_stride) {
    vec in[POINTS], half[24], out[16];
    UNROLL
    for (int p = 0; p < POINTS; p++)
        in[p] = vec_load(m + p * point_stride);
    UNROLL
    for (int j = 0; j < 6; j++)
        transform_output_line(in + j, 6, half + j, 6);
    UNROLL
    for (int i = 0; i < 4; i++)
        transform_output_line(half + 6 * i, 1, out + 4 * i, 1);
    UNROLL
    for (int i = 0; i < 16; i++)
        vec_store(sums + i * sums_stride, out[i]);
}

void CPU_NAME(winograd_output)(const cpu_winograd_output *to, const float *m, int64_t first_tile,
                               int64_t tiles, int64_t first_filter, int64_t filters) {
    float sums[16 * CPU_WINOGRAD_FILTERS];
    int64_t whole = (filters + VECTOR - 1) / VECTOR * VECTOR;
    for (int64_t t = 0; t < tiles; t++) {
        int64_t tile = first_tile + t;
        int64_t column = tile % to->tiles_across, row = tile / to->tiles_across;
        int64_t image = row / to->tiles_down, h = row % to->tiles_down * 4, w = column * 4;
        for (int64_t j = 0; j < whole; j += VECTOR)
            transform_output(m + t * whole + j, cpu_winograd_stride(tiles * whole), sums + j,
                             whole);
        int64_t n = to->W - w < 4 ? to->W - w : 4;
        for (int64_t i = 0; i < 4 && h + i < to->H; i++)
            CPU_NAME(finish)
        (&to->epilogue, sums + 4 * i * whole, whole, (image * to->H + h + i) * to->W + w, n,
         first_filter, filters);
    }
}

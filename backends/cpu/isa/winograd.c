/*
 * Winograd's minimal filtering F(m x m, 3x3) for m = 4 and 6 (Lavin and Gray 2015, "Fast Algorithms for
 * Convolutional Neural Networks", section 4): m x m outputs of a 3x3 convolution from a tile of n x n
 * inputs, n = m + 2,
 *
 *   Y = A^T [ sum over channels of (G g G^T) (B^T d B) ] A
 *
 * with 36 multiplications a channel instead of 144, or 64 instead of 324. The sums over channels at each of
 * the n^2 points are matrix products [tiles, C] x [C, O]; here are the transforms on both sides of them,
 * line by line in both directions (winograd_lines.h). Lanes of vectors are channels of the input and
 * filters. m is a constant in each function below.
 */
#include "backends/cpu/isa/functions.h"
#include "backends/cpu/isa/isa.h"
#include "backends/cpu/isa/product.h"
#include "backends/cpu/isa/transpose.h"
#include "backends/cpu/isa/winograd_lines.h"

#define MOST_POINTS 64

/* Calls f with m and the type as constants. */
#define WITH_CONSTANTS(m, dtype, f, ...)                                                           \
    do {                                                                                           \
        if ((m) == 4 && (dtype) == SF_F32)                                                         \
            f(4, SF_F32, __VA_ARGS__);                                                             \
        else if ((m) == 4 && (dtype) == SF_F16)                                                    \
            f(4, SF_F16, __VA_ARGS__);                                                             \
        else if ((m) == 4)                                                                         \
            f(4, SF_BF16, __VA_ARGS__);                                                            \
        else if ((dtype) == SF_F32)                                                                \
            f(6, SF_F32, __VA_ARGS__);                                                             \
        else if ((dtype) == SF_F16)                                                                \
            f(6, SF_F16, __VA_ARGS__);                                                             \
        else                                                                                       \
            f(6, SF_BF16, __VA_ARGS__);                                                            \
    } while (0)

/* ---- the input: B^T d B ---- */

INLINE vec load_pixel(int32_t dtype, const cpu_winograd_input *in, int64_t pixel, int64_t c,
                      int64_t n) {
    if (pixel < 0)
        return vec_zero();
    int64_t i = pixel + c;
    vec_prefetch(dtype, in->x, i + in->m * in->C); /* of the tile to the right */
    return n >= VECTOR ? vec_load_as(dtype, in->x, i) : vec_load_part_as(dtype, in->x, i, n);
}

/* One tile, VECTOR channels from c on, `left` of which there are. */
INLINE void transform_input(int m, int32_t dtype, const cpu_winograd_input *in,
                            const int64_t *pixels, int64_t c, int64_t left, float *v) {
    int n = m + 2;
    vec d[MOST_POINTS];
    UNROLL
    for (int p = 0; p < n * n; p++)
        d[p] = load_pixel(dtype, in, pixels[p], c, left);
    UNROLL
    for (int i = 0; i < n; i++)
        winograd_input_line(m, d + i, n);
    UNROLL
    for (int i = 0; i < n; i++)
        winograd_input_line(m, d + n * i, 1);
    UNROLL
    for (int p = 0; p < n * n; p++)
        vec_store(v + p * in->point_stride + c, d[p]);
}

/* Offsets of the tile's pixels in x, -1 for those outside. */
static void find_pixels(const cpu_winograd_input *in, int64_t tile, int64_t *pixels) {
    int n = in->m + 2;
    int64_t column = tile % in->tiles_across, row = tile / in->tiles_across;
    int64_t image = row / in->tiles_down;
    int64_t top = row % in->tiles_down * in->m - in->top, left = column * in->m - in->left;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            int64_t h = top + i, w = left + j;
            bool inside = h >= 0 && h < in->H && w >= 0 && w < in->W;
            pixels[n * i + j] = inside ? ((image * in->H + h) * in->W + w) * in->C : -1;
        }
}

void CPU_NAME(winograd_input)(const cpu_winograd_input *in, int64_t first_tile, int64_t tiles,
                              float *v) {
    int64_t pixels[MOST_POINTS];
    for (int64_t t = 0; t < tiles; t++, v += in->tile_stride) {
        find_pixels(in, first_tile + t, pixels);
        for (int64_t c = 0; c < in->C; c += VECTOR)
            WITH_CONSTANTS(in->m, in->dtype, transform_input, in, pixels, c, in->C - c, v);
    }
}

/* ---- the filters: G g G^T ---- */

INLINE void transform_filter(int m, const vec *g, float *u, int64_t point_stride) {
    int n = m + 2;
    vec half[3 * 8], out[MOST_POINTS];
    UNROLL
    for (int j = 0; j < 3; j++)
        winograd_filter_line(m, g + j, 3, half + j, 3);
    UNROLL
    for (int i = 0; i < n; i++)
        winograd_filter_line(m, half + 3 * i, 1, out + n * i, 1);
    UNROLL
    for (int p = 0; p < n * n; p++)
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

typedef struct filter_block {
    const cpu_matrix *weight;
    int64_t first, filters;
    int64_t first_channel, channels;
    int64_t width, point_stride; /* of u */
} filter_block;

INLINE void transform_filters(int m, int32_t dtype, const filter_block *b, float *u) {
    vec g[9 * VECTOR];
    for (int64_t c = 0; c < b->channels; c += VECTOR) {
        int64_t channel = b->first_channel + c, left = b->weight->row_stride - channel * 9;
        gather_filters(dtype, b->weight, b->first, b->filters, channel, left, g);
        for (int64_t i = 0; i < VECTOR && c + i < b->channels; i++)
            transform_filter(m, g + 9 * i, u + (c + i) * b->width, b->point_stride);
    }
}

void CPU_NAME(winograd_filters)(int m, const cpu_matrix *weight, int64_t first, int64_t filters,
                                int64_t first_channel, int64_t channels, float *u) {
    int64_t whole = (filters + VECTOR - 1) / VECTOR * VECTOR;
    filter_block b = {.weight = weight, .first_channel = first_channel, .channels = channels};
    b.point_stride = cpu_winograd_stride(whole * channels);
    for (int64_t j = 0; j < whole; j += VECTOR) {
        int64_t panel = j / PRODUCT_COLUMNS * PRODUCT_COLUMNS;
        b.first = first + j;
        b.filters = filters - j;
        b.width = whole - panel < PRODUCT_COLUMNS ? whole - panel : PRODUCT_COLUMNS;
        WITH_CONSTANTS(m, weight->dtype, transform_filters, &b, u + panel * channels + (j - panel));
    }
}

/* ---- the output: A^T m A ---- */

/* The m^2 results of VECTOR filters. */
INLINE void transform_output(int m, const float *points, int64_t point_stride, float *sums,
                             int64_t sums_stride) {
    int n = m + 2;
    vec in[MOST_POINTS], half[6 * 8], out[36];
    UNROLL
    for (int p = 0; p < n * n; p++)
        in[p] = vec_load(points + p * point_stride);
    UNROLL
    for (int j = 0; j < n; j++)
        winograd_output_line(m, in + j, n, half + j, n);
    UNROLL
    for (int i = 0; i < m; i++)
        winograd_output_line(m, half + n * i, 1, out + m * i, 1);
    UNROLL
    for (int i = 0; i < m * m; i++)
        vec_store(sums + i * sums_stride, out[i]);
}

void CPU_NAME(winograd_output)(const cpu_winograd_output *to, const float *points,
                               int64_t first_tile, int64_t tiles, int64_t first_filter,
                               int64_t filters) {
    float sums[36 * CPU_WINOGRAD_FILTERS];
    int m = to->m;
    int64_t whole = (filters + VECTOR - 1) / VECTOR * VECTOR;
    int64_t stride = cpu_winograd_stride(tiles * whole);
    for (int64_t t = 0; t < tiles; t++, points += whole) {
        int64_t tile = first_tile + t;
        int64_t column = tile % to->tiles_across, row = tile / to->tiles_across;
        int64_t image = row / to->tiles_down, h = row % to->tiles_down * m, w = column * m;
        for (int64_t j = 0; j < whole; j += VECTOR) {
            if (m == 4)
                transform_output(4, points + j, stride, sums + j, whole);
            else
                transform_output(6, points + j, stride, sums + j, whole);
        }
        int64_t n = to->W - w < m ? to->W - w : m;
        for (int64_t i = 0; i < m && h + i < to->H; i++)
            CPU_NAME(finish)
        (&to->epilogue, sums + m * i * whole, whole, (image * to->H + h + i) * to->W + w, n,
         first_filter, filters);
    }
}

/*
 * Matrix products: panels made of a matrix, and a block of rows times panels. See product.h.
 */
#include "backends/cpu/isa/product.h"

#include "backends/cpu/isa/functions.h"
#include "backends/cpu/isa/isa.h"
#include "backends/cpu/isa/transpose.h"

/* ---- panels ---- */

INLINE const void *at(const cpu_matrix *matrix, int64_t row, int64_t column) {
    int64_t i = row * matrix->row_stride + column;
    return matrix->dtype == SF_F32 ? (const void *)((const float *)matrix->data + i)
                                   : (const void *)((const uint16_t *)matrix->data + i);
}

/*
 * The width of the next panel where so many columns are left. Rather two panels of two vectors than one
 * of three and a thin one, whose sums are too few to keep the units busy.
 */
INLINE int64_t panel_width(int64_t columns) {
    int64_t vectors = (columns + VECTOR - 1) / VECTOR;
    if (PRODUCT_VECTORS == 3 && vectors == 4)
        return 2 * VECTOR;
    return (vectors < PRODUCT_VECTORS ? vectors : PRODUCT_VECTORS) * VECTOR;
}

/* VECTOR lanes from a row's element on of which n are left; those past n are 0. */
INLINE vec load_lanes(bool pairs, int32_t dtype, const void *row, int64_t n) {
#if VECTOR_BF16
    if (pairs)
        return n >= 2 * VECTOR ? vec_load_pairs(dtype, row, 0)
                               : vec_load_part_pairs(dtype, row, 0, n);
#endif
    (void)pairs;
    return n >= VECTOR ? vec_load_as(dtype, row, 0) : vec_load_part_as(dtype, row, 0, n);
}

/* VECTOR rows from first on of the matrix [n, inner], VECTOR lanes of each, turned over. Rows past
 * n_rows give zeros, and columns past n. */
INLINE void load_turned(bool pairs, int32_t dtype, const cpu_matrix *b, int64_t first,
                        int64_t n_rows, int64_t column, int64_t n, vec *square) {
    UNROLL
    for (int i = 0; i < VECTOR; i++) {
        square[i] = load_lanes(pairs, dtype, at(b, first + (i < n_rows ? i : 0), column), n);
        if (i >= n_rows)
            square[i] = vec_zero();
    }
    vec_transpose(square);
}

INLINE void pack_turned(bool pairs, int32_t dtype, const cpu_matrix *b, int64_t first,
                        int64_t n_rows, int64_t first_inner, int64_t inner, float *panel,
                        int64_t width) {
    int64_t numbers = pairs ? 2 : 1, lanes = product_lanes(pairs, inner);
    for (int64_t k = 0; k < lanes; k += VECTOR) {
        vec square[VECTOR];
        load_turned(pairs, dtype, b, first, n_rows, first_inner + numbers * k, inner - numbers * k,
                    square);
        for (int64_t i = 0; i < VECTOR && i < lanes - k; i++)
            vec_store(panel + (k + i) * width, square[i]);
    }
}

INLINE void pack_rows_as(bool pairs, int32_t dtype, const cpu_matrix *b, int64_t first,
                         int64_t columns, int64_t first_inner, int64_t inner, float *panels) {
    for (int64_t column = 0, width; column < columns; column += width) {
        width = panel_width(columns - column);
        for (int64_t j = 0; j < width; j += VECTOR)
            pack_turned(pairs, dtype, b, first + column + j, columns - column - j, first_inner,
                        inner, panels + j, width);
        panels += width * product_lanes(pairs, inner);
    }
}

void CPU_NAME(pack_rows)(const cpu_matrix *b, int64_t first, int64_t columns, int64_t first_inner,
                         int64_t inner, void *panels) {
    if (b->dtype == SF_F32)
        pack_rows_as(false, SF_F32, b, first, columns, first_inner, inner, panels);
    else if (b->dtype == SF_F16)
        pack_rows_as(false, SF_F16, b, first, columns, first_inner, inner, panels);
    else
        pack_rows_as(false, SF_BF16, b, first, columns, first_inner, inner, panels);
}

/* Channel c of the block and element t of the kernel go from row c taps + t to row t channels + c. */
INLINE void pack_filters_turned(int32_t dtype, const cpu_matrix *b, int64_t first, int64_t n_rows,
                                int64_t first_inner, int64_t inner, int64_t taps, float *panel,
                                int64_t width) {
    int64_t channels = inner / taps, c = 0, t = 0;
    for (int64_t k = 0; k < inner; k += VECTOR) {
        vec square[VECTOR];
        load_turned(false, dtype, b, first, n_rows, first_inner + k, inner - k, square);
        for (int64_t i = 0; i < VECTOR && i < inner - k; i++) {
            vec_store(panel + (t * channels + c) * width, square[i]);
            if (++t == taps) {
                t = 0;
                c++;
            }
        }
    }
}

void CPU_NAME(pack_filters)(const cpu_matrix *b, int64_t first, int64_t columns,
                            int64_t first_inner, int64_t inner, int64_t taps, void *all_panels) {
    float *panels = all_panels;
    for (int64_t column = 0, width; column < columns; column += width) {
        width = panel_width(columns - column);
        for (int64_t j = 0; j < width; j += VECTOR)
            pack_filters_turned(b->dtype, b, first + column + j, columns - column - j, first_inner,
                                inner, taps, panels + j, width);
        panels += width * inner;
    }
}

void CPU_NAME(pack_columns)(const cpu_matrix *b, int64_t first, int64_t columns,
                            int64_t first_inner, int64_t inner, void *all_panels) {
    float *panels = all_panels;
    for (int64_t column = 0, width; column < columns; column += width) {
        width = panel_width(columns - column);
        for (int64_t k = 0; k < inner; k++, panels += width)
            for (int64_t j = 0; j < width; j += VECTOR) {
                int64_t left = columns - column - j;
                const void *source = at(b, first_inner + k, first + column + j);
                vec_store(panels + j, left >= VECTOR ? vec_load_as(b->dtype, source, 0)
                                                     : vec_load_part_as(b->dtype, source, 0, left));
            }
    }
}

/* ---- products ---- */

#define BLOCK(rows, vectors)                                                                       \
    case rows *PRODUCT_VECTORS + vectors - 1:                                                      \
        product_block(pairs, rows, vectors, inner, a, a_stride, b, c, c_stride, add);              \
        break;
#if PRODUCT_VECTORS == 3
#define BLOCKS(rows) BLOCK(rows, 1) BLOCK(rows, 2) BLOCK(rows, 3)
#else
#define BLOCKS(rows) BLOCK(rows, 1) BLOCK(rows, 2)
#endif

INLINE void any_block(bool pairs, int rows, int vectors, int64_t inner, const char *a,
                      int64_t a_stride, const float *b, float *c, int64_t c_stride, int add) {
    switch (rows * PRODUCT_VECTORS + vectors - 1) {
        BLOCKS(1)
        BLOCKS(2)
        BLOCKS(3)
        BLOCKS(4)
#if PRODUCT_ROWS >= 6
        BLOCKS(5)
        BLOCKS(6)
#endif
#if PRODUCT_ROWS >= 8
        BLOCKS(7)
        BLOCKS(8)
#endif
    }
}

/* a_stride in bytes */
INLINE void multiply_as(bool pairs, int64_t rows, int64_t columns, int64_t inner, const char *a,
                        int64_t a_stride, const float *panels, float *c, int64_t c_stride,
                        bool add) {
    for (int64_t column = 0, width; column < columns; column += width) {
        width = panel_width(columns - column);
        int vectors = (int)(width / VECTOR);
        for (int64_t i = 0; i < rows; i += PRODUCT_ROWS) {
            int n = (int)(rows - i < PRODUCT_ROWS ? rows - i : PRODUCT_ROWS);
            any_block(pairs, n, vectors, inner, a + i * a_stride, a_stride, panels,
                      c + i * c_stride + column, c_stride, add);
        }
        panels += width * product_lanes(pairs, inner);
    }
}

void CPU_NAME(multiply)(int64_t rows, int64_t columns, int64_t inner, const void *a,
                        int64_t a_stride, const void *panels, float *c, int64_t c_stride,
                        bool add) {
    multiply_as(false, rows, columns, inner, a, a_stride * 4, panels, c, c_stride, add);
}

/* ---- the same in bf16 ---- */

#if VECTOR_BF16

void CPU_NAME(multiply_bf16)(int64_t rows, int64_t columns, int64_t inner, const void *a,
                             int64_t a_stride, const void *panels, float *c, int64_t c_stride,
                             bool add) {
    multiply_as(true, rows, columns, inner, a, a_stride * 2, panels, c, c_stride, add);
}

void CPU_NAME(pack_rows_bf16)(const cpu_matrix *b, int64_t first, int64_t columns,
                              int64_t first_inner, int64_t inner, void *panels) {
    if (b->dtype == SF_BF16)
        pack_rows_as(true, SF_BF16, b, first, columns, first_inner, inner, panels);
    else
        pack_rows_as(true, b->dtype, b, first, columns, first_inner, inner, panels);
}

void CPU_NAME(pack_columns_bf16)(const cpu_matrix *b, int64_t first, int64_t columns,
                                 int64_t first_inner, int64_t inner, void *all_panels) {
    float *panels = all_panels;
    for (int64_t column = 0, width; column < columns; column += width) {
        width = panel_width(columns - column);
        for (int64_t k = 0; k < inner; k += 2, panels += width)
            for (int64_t j = 0; j < width; j += VECTOR) {
                int64_t left = columns - column - j;
                vec pair[2] = {vec_zero(), vec_zero()};
                for (int64_t i = 0; i < 2 && i < inner - k; i++)
                    pair[i] = load_lanes(false, b->dtype,
                                         at(b, first_inner + k + i, first + column + j), left);
                vec_store(panels + j, vec_join_pairs(pair[0], pair[1]));
            }
    }
}

/* As pack_filters_turned(); inner index i is half i % 2 of lane i / 2. */
INLINE void pack_filters_pairs(const cpu_matrix *b, int64_t first, int64_t n_rows,
                               int64_t first_inner, int64_t inner, int64_t taps, float *panel,
                               int64_t width) {
    int64_t channels = inner / taps, c = 0, t = 0;
    for (int64_t k = 0; k < product_lanes(true, inner); k++)
        vec_store(panel + k * width, vec_zero());
    for (int64_t k = 0; k < inner; k += VECTOR) {
        vec square[VECTOR];
        load_turned(false, b->dtype, b, first, n_rows, first_inner + k, inner - k, square);
        for (int64_t i = 0; i < VECTOR && i < inner - k; i++) {
            int64_t at = t * channels + c;
            float *lane = panel + at / 2 * width;
            vec half = at % 2 ? vec_join_pairs(vec_zero(), square[i])
                              : vec_join_pairs(square[i], vec_zero());
            vec_store(lane, (vec)((uvec)vec_load(lane) | (uvec)half));
            if (++t == taps) {
                t = 0;
                c++;
            }
        }
    }
}

void CPU_NAME(pack_filters_bf16)(const cpu_matrix *b, int64_t first, int64_t columns,
                                 int64_t first_inner, int64_t inner, int64_t taps,
                                 void *all_panels) {
    float *panels = all_panels;
    for (int64_t column = 0, width; column < columns; column += width) {
        width = panel_width(columns - column);
        for (int64_t j = 0; j < width; j += VECTOR)
            pack_filters_pairs(b, first + column + j, columns - column - j, first_inner, inner,
                               taps, panels + j, width);
        panels += width * product_lanes(true, inner);
    }
}

#endif

/* ---- few rows: dot products, the matrix read once as it lies ---- */

#define DOT_COLUMNS 4

INLINE void dots_of_row(int n_columns, const float *x, const cpu_matrix *b, int32_t dtype,
                        int64_t first, int64_t inner, float *y) {
    vec sums[DOT_COLUMNS];
    const void *rows[DOT_COLUMNS];
    UNROLL
    for (int j = 0; j < n_columns; j++) {
        sums[j] = vec_zero();
        rows[j] = at(b, first + j, 0);
    }
    int64_t k = 0;
    for (; k + VECTOR <= inner; k += VECTOR) {
        vec element = vec_load(x + k);
        UNROLL
        for (int j = 0; j < n_columns; j++)
            sums[j] += element * vec_load_as(dtype, rows[j], k);
    }
    if (k < inner) {
        vec element = vec_load_part(x + k, inner - k);
        UNROLL
        for (int j = 0; j < n_columns; j++)
            sums[j] += element * vec_load_part_as(dtype, rows[j], k, inner - k);
    }
    UNROLL
    for (int j = 0; j < n_columns; j++)
        y[j] = vec_sum(sums[j]);
}

INLINE void dots_as(int32_t dtype, int64_t rows, const float *x, int64_t x_stride,
                    const cpu_matrix *b, int64_t first, int64_t columns, int64_t inner, float *y,
                    int64_t y_stride) {
    int64_t j = 0;
    for (; j + DOT_COLUMNS <= columns; j += DOT_COLUMNS)
        for (int64_t i = 0; i < rows; i++)
            dots_of_row(DOT_COLUMNS, x + i * x_stride, b, dtype, first + j, inner,
                        y + i * y_stride + j);
    for (; j < columns; j++)
        for (int64_t i = 0; i < rows; i++)
            dots_of_row(1, x + i * x_stride, b, dtype, first + j, inner, y + i * y_stride + j);
}

void CPU_NAME(dots)(int64_t rows, const float *x, int64_t x_stride, const cpu_matrix *b,
                    int64_t first, int64_t columns, int64_t inner, float *y, int64_t y_stride) {
    if (b->dtype == SF_F32)
        dots_as(SF_F32, rows, x, x_stride, b, first, columns, inner, y, y_stride);
    else if (b->dtype == SF_F16)
        dots_as(SF_F16, rows, x, x_stride, b, first, columns, inner, y, y_stride);
    else
        dots_as(SF_BF16, rows, x, x_stride, b, first, columns, inner, y, y_stride);
}

/*
 * Moving elements: a matrix turned over, and pixels blended.
 */
#include "backends/cpu/isa/isa.h"
#include "backends/cpu/isa/transpose.h"
#include "backends/cpu/isa/vector.h"

/* ---- a matrix turned over ---- */

#define TILE 32 /* rows and columns whose cache lines are used up before they are lost */

typedef int64_t wide __attribute__((may_alias));
typedef int32_t word __attribute__((may_alias));
typedef int16_t half __attribute__((may_alias));

#define TURN(type)                                                                                 \
    for (int64_t r = 0; r < rows; r++)                                                             \
        for (int64_t c = 0; c < columns; c++)                                                      \
    ((type *)y)[r * y_stride + c] = ((const type *)x)[c * x_stride + r]

static void turn_elements(int64_t bytes, const char *x, int64_t x_stride, char *y, int64_t y_stride,
                          int64_t rows, int64_t columns) {
    if (bytes == 8)
        TURN(wide);
    else if (bytes == 4)
        TURN(word);
    else if (bytes == 2)
        TURN(half);
    else
        TURN(char);
}

/* VECTOR x VECTOR floats; their bits are not looked at. */
INLINE void turn_square(const float *x, int64_t x_stride, float *y, int64_t y_stride) {
    vec square[VECTOR];
    for (int i = 0; i < VECTOR; i++)
        square[i] = vec_load(x + i * x_stride);
    vec_transpose(square);
    for (int i = 0; i < VECTOR; i++)
        vec_store(y + i * y_stride, square[i]);
}

static void turn_tile(int64_t bytes, const char *x, int64_t x_stride, char *y, int64_t y_stride,
                      int64_t rows, int64_t columns) {
    if (bytes != 4 || rows % VECTOR || columns % VECTOR) {
        turn_elements(bytes, x, x_stride, y, y_stride, rows, columns);
        return;
    }
    for (int64_t r = 0; r < rows; r += VECTOR)
        for (int64_t c = 0; c < columns; c += VECTOR)
            turn_square((const float *)(const void *)(x + (c * x_stride + r) * 4), x_stride,
                        (float *)(void *)(y + (r * y_stride + c) * 4), y_stride);
}

void CPU_NAME(transpose)(int64_t bytes, const void *x, int64_t x_stride, void *y, int64_t y_stride,
                         int64_t rows, int64_t columns) {
    for (int64_t c = 0; c < columns; c += TILE)
        for (int64_t r = 0; r < rows; r += TILE)
            turn_tile(bytes, (const char *)x + (c * x_stride + r) * bytes, x_stride,
                      (char *)y + (r * y_stride + c) * bytes, y_stride,
                      rows - r < TILE ? rows - r : TILE, columns - c < TILE ? columns - c : TILE);
}

/* ---- pixels ---- */

INLINE vec between(vec a, vec b, float weight) {
    return (1 - weight) * a + weight * b;
}

void CPU_NAME(blend)(const cpu_matrix *x, const int64_t corners[4], float right, float bottom,
                     const cpu_matrix *y, int64_t first, int64_t n) {
    for (int64_t i = 0; i < n; i += VECTOR) {
        int64_t left = n - i;
        vec upper = vec_load_up_to(x->dtype, x->data, corners[0] + i, left);
        if (right != 0)
            upper = between(upper, vec_load_up_to(x->dtype, x->data, corners[1] + i, left), right);
        if (bottom != 0) {
            vec lower = vec_load_up_to(x->dtype, x->data, corners[2] + i, left);
            if (right != 0)
                lower =
                    between(lower, vec_load_up_to(x->dtype, x->data, corners[3] + i, left), right);
            upper = between(upper, lower, bottom);
        }
        vec_store_up_to(y->dtype, y->data, first + i, upper, left);
    }
}

/*
 * The stand-in's products of matrices: plain loops over f32, to which the operands are widened first.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/backends/gpu/standin/blas.h"

/* ---- types ---- */

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float widen_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 0x1f;
    uint32_t fraction = half & 0x3ff;
    if (exponent == 0)
        return from_bits(sign | to_bits((float)fraction * 0x1p-24f));
    if (exponent == 31)
        return from_bits(sign | 0x7f800000u | fraction << 13);
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

/* To the nearest, ties to even. */
static uint16_t narrow_half(float value) {
    uint32_t bits = to_bits(value), sign = bits >> 16 & 0x8000;
    float magnitude = from_bits(bits & 0x7fffffffu);
    if (magnitude != magnitude)
        return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 65520.0f)
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x1p-14f) /* the sum's last bit is 2^-24 */
        return (uint16_t)(sign | (to_bits(magnitude + 0.5f) - to_bits(0.5f)));
    uint32_t rounded = (bits & 0x7fffffffu) + 0xfff + (bits >> 13 & 1);
    return (uint16_t)(sign | ((rounded >> 13) - (112u << 10)));
}

static uint16_t narrow_bfloat(float value) {
    uint32_t bits = to_bits(value);
    if (value != value)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

size_t blas_element_bytes(cudaDataType_t type) {
    return type == CUDA_R_32F ? 4 : 2;
}

static float load(const unsigned char *data, cudaDataType_t type, int64_t i) {
    uint16_t half;
    if (type == CUDA_R_32F)
        return ((const float *)(const void *)data)[i];
    memcpy(&half, data + 2 * i, sizeof half);
    return type == CUDA_R_16F ? widen_half(half) : from_bits((uint32_t)half << 16);
}

static void store(unsigned char *data, cudaDataType_t type, int64_t i, float value) {
    if (type == CUDA_R_32F) {
        ((float *)(void *)data)[i] = value;
        return;
    }
    uint16_t half = type == CUDA_R_16F ? narrow_half(value) : narrow_bfloat(value);
    memcpy(data + 2 * i, &half, sizeof half);
}

/* ---- loops ---- */

#define COLUMNS 4 /* computed at once */

/* Whether operand 0 or 1 is transposed; its matrix of this batch as [columns][rows] after that. */
static void widen(const blas_product *product, int operand, int64_t batch, float *widened) {
    const blas_layout *layout = product->layouts[operand];
    const unsigned char *data = operand == 0 ? product->a : product->b;
    int64_t n_rows = (int64_t)layout->n_rows, n_columns = (int64_t)layout->n_columns;
    int64_t first = batch * layout->batch_stride;
    bool transposed = product->operation->transposes[operand] == CUBLAS_OP_T;
    for (int64_t column = 0; column < n_columns; column++)
        for (int64_t row = 0; row < n_rows; row++)
            widened[transposed ? row * n_columns + column : column * n_rows + row] =
                load(data, layout->type, first + column * layout->step + row);
}

/* sums [COLUMNS][n_rows] = a [k][n_rows] times n columns of b, each [k] */
static void multiply_columns(const float *a, const float *b, int64_t n, int64_t n_rows, int64_t k,
                             float *sums) {
    memset(sums, 0, (size_t)(COLUMNS * n_rows) * sizeof *sums);
    for (int64_t i = 0; i < k; i++)
        for (int64_t column = 0; column < n; column++) {
            float factor = b[column * k + i], *sum = sums + column * n_rows;
            const float *from = a + i * n_rows;
            for (int64_t row = 0; row < n_rows; row++)
                sum[row] += from[row] * factor;
        }
}

static void store_column(const blas_product *product, int64_t at, const float *sums) {
    const blas_layout *c = product->layouts[2], *d = product->layouts[3];
    const blas_operation *operation = product->operation;
    for (int64_t row = 0; row < (int64_t)d->n_rows; row++) {
        float value = product->alpha * sums[row];
        if (product->beta != 0.0f)
            value += product->beta * load(product->c, c->type, at + row);
        if (operation->epilogue == CUBLASLT_EPILOGUE_BIAS)
            value += load(operation->bias, (cudaDataType_t)operation->bias_type, row);
        store(product->d, d->type, at + row, value);
    }
}

bool blas_multiply(const blas_product *product) {
    const blas_layout *b = product->layouts[1], *d = product->layouts[3];
    int64_t n_rows = (int64_t)d->n_rows, n_columns = (int64_t)d->n_columns;
    int64_t k =
        (int64_t)(product->operation->transposes[1] == CUBLAS_OP_T ? b->n_columns : b->n_rows);
    float *work = malloc((size_t)(n_rows * k + k * n_columns + COLUMNS * n_rows) * sizeof *work);
    if (!work)
        return false;
    float *wide_b = work + n_rows * k, *sums = wide_b + k * n_columns;
    for (int64_t batch = 0; batch < d->n_batch; batch++) {
        widen(product, 0, batch, work);
        widen(product, 1, batch, wide_b);
        for (int64_t column = 0; column < n_columns; column += COLUMNS) {
            int64_t n = n_columns - column < COLUMNS ? n_columns - column : COLUMNS;
            multiply_columns(work, wide_b + column * k, n, n_rows, k, sums);
            for (int64_t i = 0; i < n; i++)
                store_column(product, batch * d->batch_stride + (column + i) * d->step,
                             sums + i * n_rows);
        }
    }
    free(work);
    return true;
}

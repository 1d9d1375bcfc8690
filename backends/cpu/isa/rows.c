/*
 * Rows of numbers: conversion, activation, and what follows a matrix product.
 */
#include "backends/cpu/isa/functions.h"
#include "backends/cpu/isa/isa.h"

void CPU_NAME(widen)(int32_t dtype, const void *source, float *target, int64_t n) {
    int64_t i = 0;
    for (; i + VECTOR <= n; i += VECTOR)
        vec_store(target + i, vec_load_as(dtype, source, i));
    if (i < n)
        vec_store_part(target + i, vec_load_part_as(dtype, source, i, n - i), n - i);
}

void CPU_NAME(narrow)(int32_t dtype, const float *source, void *target, int64_t n) {
    int64_t i = 0;
    for (; i + VECTOR <= n; i += VECTOR)
        vec_store_as(dtype, target, i, vec_load(source + i));
    if (i < n)
        vec_store_part_as(dtype, target, i, vec_load_part(source + i, n - i), n - i);
}

/* ---- activation ---- */

INLINE void activate_row(int32_t activation, float *values, int64_t n) {
    int64_t i = 0;
    for (; i + VECTOR <= n; i += VECTOR)
        vec_store(values + i, vec_activation(activation, vec_load(values + i)));
    if (i < n)
        vec_store_part(values + i, vec_activation(activation, vec_load_part(values + i, n - i)),
                       n - i);
}

void CPU_NAME(activate)(float *values, int64_t n, int32_t activation) {
    switch (activation) {
#define ACTIVATE(name, value, op)                                                                  \
    case value:                                                                                    \
        activate_row(value, values, n);                                                            \
        break;
        SF_ACTIVATION_LIST(ACTIVATE)
#undef ACTIVATE
    default:
        break;
    }
}

/* ---- after a product ---- */

/* y[offset ..] = activation(sums + bias) + residual for n <= VECTOR elements, in constants' terms. */
INLINE void finish_vector(const cpu_epilogue *e, int32_t activation, int32_t dtype,
                          const float *sums, int64_t column, int64_t offset, int64_t n) {
    vec y = vec_load(sums);
    bool whole = n == VECTOR;
    if (e->bias)
        y += whole ? vec_load(e->bias + column) : vec_load_part(e->bias + column, n);
    y = vec_activation(activation, y);
    if (e->residual.data)
        y += whole ? vec_load_as(e->residual.dtype, e->residual.data, offset)
                   : vec_load_part_as(e->residual.dtype, e->residual.data, offset, n);
    if (whole)
        vec_store_as(dtype, e->y.data, offset, y);
    else
        vec_store_part_as(dtype, e->y.data, offset, y, n);
}

INLINE void finish_row(const cpu_epilogue *e, int32_t activation, int32_t dtype, const float *sums,
                       int64_t column, int64_t offset, int64_t columns) {
    int64_t j = 0;
    for (; j + VECTOR <= columns; j += VECTOR)
        finish_vector(e, activation, dtype, sums + j, column + j, offset + j, VECTOR);
    if (j < columns)
        finish_vector(e, activation, dtype, sums + j, column + j, offset + j, columns - j);
}

/* y and residual have the same rows; sums has room for whole vectors. */
void CPU_NAME(finish)(const cpu_epilogue *e, const float *sums, int64_t sums_stride,
                      int64_t first_row, int64_t rows, int64_t first_column, int64_t columns) {
    for (int64_t i = 0; i < rows; i++, sums += sums_stride) {
        int64_t offset = (first_row + i) * e->y.row_stride + first_column;
        switch (e->activation) {
#define FINISH(name, value, op)                                                                    \
    case value:                                                                                    \
        finish_row(e, value, e->y.dtype, sums, first_column, offset, columns);                     \
        break;
            SF_ACTIVATION_LIST(FINISH)
#undef FINISH
        default:
            if (e->y.dtype == SF_F32)
                finish_row(e, SF_ACTIVATION_NONE, SF_F32, sums, first_column, offset, columns);
            else
                finish_row(e, SF_ACTIVATION_NONE, e->y.dtype, sums, first_column, offset, columns);
        }
    }
}

/* The rows have room for whole vectors, the biases have not. */
void CPU_NAME(gate)(float *x, const float *gate, const float *x_bias, const float *gate_bias,
                    int64_t n) {
    for (int64_t i = 0; i < n; i += VECTOR) {
        vec a = vec_load(x + i), b = vec_load(gate + i);
        bool whole = n - i >= VECTOR;
        if (x_bias) {
            a += whole ? vec_load(x_bias + i) : vec_load_part(x_bias + i, n - i);
            b += whole ? vec_load(gate_bias + i) : vec_load_part(gate_bias + i, n - i);
        }
        vec_store(x + i, a * vec_gelu(b));
    }
}

/*
 * cast: from any plain type to any. core/ops/copy.c says what happens out of range.
 */
#include "backends/ref/ref.h"

#include <math.h>

#include "core/half.h"

static int supports(const sf_op_call *call) {
    return ref_element_bytes(ref_input(call, 0)->dtype) > 0 &&
           ref_element_bytes(call->output->dtype) > 0;
}

/* The input as it is, but contiguous. */
static uint64_t workspace(const sf_op_call *call) {
    const sf_tensor_desc *x = ref_input(call, 0);
    return ref_room(ref_elements(x), (uint64_t)ref_element_bytes(x->dtype));
}

/* ---- one element ---- */

/* Toward zero; low or high where that is out of range, NaN 0. A double holds low and high, but for
 * 2^63 - 1, which is 2^63 there and as good. */
static int64_t truncate_between(float value, int64_t low, int64_t high) {
    double whole = isnan(value) ? 0 : trunc((double)value);
    if (whole <= (double)low)
        return low;
    return whole >= (double)high ? high : (int64_t)whole;
}

static int64_t integer_of(float value, int32_t dtype) {
    if (dtype == SF_U8)
        return truncate_between(value, 0, UINT8_MAX);
    if (dtype == SF_I32)
        return truncate_between(value, INT32_MIN, INT32_MAX);
    return truncate_between(value, INT64_MIN, INT64_MAX);
}

static void put_integer(void *target, int32_t dtype, int64_t i, int64_t value) {
    if (dtype == SF_I64)
        ((int64_t *)target)[i] = value;
    else if (dtype == SF_I32)
        ((uint32_t *)target)[i] = (uint32_t)value;
    else
        ((uint8_t *)target)[i] = (uint8_t)value;
}

static void put_float(void *target, int32_t dtype, int64_t i, float value) {
    if (dtype == SF_F32)
        ((float *)target)[i] = value;
    else if (dtype == SF_F16)
        ((uint16_t *)target)[i] = sf_half_narrow(value);
    else
        ((uint16_t *)target)[i] = sf_bfloat_narrow(value);
}

static int64_t get_integer(const void *source, int32_t dtype, int64_t i) {
    if (dtype == SF_I64)
        return ((const int64_t *)source)[i];
    return dtype == SF_I32 ? ((const int32_t *)source)[i] : ((const uint8_t *)source)[i];
}

static float get_float(const void *source, int32_t dtype, int64_t i) {
    if (dtype == SF_F32)
        return ((const float *)source)[i];
    uint16_t half = ((const uint16_t *)source)[i];
    return dtype == SF_F16 ? sf_half_widen(half) : sf_bfloat_widen(half);
}

/* ---- all of them ---- */

static sf_status run(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const sf_tensor_desc *x = ref_input(call, 0);
    int32_t from = x->dtype, to = call->output->dtype;
    int64_t n = ref_elements(x);
    void *source = ref_take(&scratch, n, (uint64_t)ref_element_bytes(from));
    void *target = ref_address(call->output);
    ref_copy_elements(x, source, call->output->strides);
    for (int64_t i = 0; i < n; i++)
        if (ref_is_float(from) && ref_is_float(to))
            put_float(target, to, i, get_float(source, from, i));
        else if (ref_is_float(from))
            put_integer(target, to, i, integer_of(get_float(source, from, i), to));
        else if (ref_is_float(to))
            put_float(target, to, i, (float)get_integer(source, from, i));
        else
            put_integer(target, to, i, get_integer(source, from, i));
    return SF_OK;
}

const sf_op_entry ref_cast = {
    .struct_size = sizeof(sf_op_entry),
    .op = "cast",
    .supports = supports,
    .workspace = workspace,
    .run = run,
};

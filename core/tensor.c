/*
 * Host tensors: shapes, memory, and reading elements of any plain type. Sets of them: tensors.c.
 */
#include "core/tensor.h"

#include <stdio.h>
#include <string.h>

#include "core/half.h"
#include "core/memory.h"

const char *sf_shape_text(int n_dims, const int64_t *dims, char *text) {
    size_t used = (size_t)snprintf(text, SF_SHAPE_TEXT, "[");
    for (int i = 0; i < n_dims && i < SF_MAX_DIMS; i++)
        used += (size_t)snprintf(text + used, SF_SHAPE_TEXT - used, "%s%lld", i ? ", " : "",
                                 (long long)dims[i]);
    snprintf(text + used, SF_SHAPE_TEXT - used, "]");
    return text;
}

/*
 * The product of the dimensions. It is checked with empty dimensions counted as 1, so that the
 * products of any of the dimensions (strides) are known to fit too.
 */
static bool multiply_dims(int n_dims, const int64_t *dims, int64_t *n_elements) {
    int64_t product = 1;
    bool empty = false;
    for (int i = 0; i < n_dims; i++) {
        empty |= dims[i] == 0;
        if (dims[i] && !sf_multiply_i64(product, dims[i], &product))
            return false;
    }
    *n_elements = empty ? 0 : product;
    return true;
}

sf_status sf_shape_size(sf_context *ctx, const char *what, sf_dtype dtype, int n_dims,
                        const int64_t *dims, int64_t *n_elements, size_t *bytes) {
    const sf_dtype_info *info = sf_dtype_get(dtype);
    char shape[SF_SHAPE_TEXT];
    if (!info->name)
        SF_FAIL(ctx, ERROR_ARGUMENT, "%s: no element type", what);
    if (n_dims < 0 || n_dims > SF_MAX_DIMS)
        SF_FAIL(ctx, ERROR_SHAPE, "%s: %d dimensions; 0 to %d are possible", what, n_dims,
                SF_MAX_DIMS);
    for (int i = 0; i < n_dims; i++)
        if (dims[i] < 0)
            SF_FAIL(ctx, ERROR_SHAPE, "%s: shape %s has a negative dimension", what,
                    sf_shape_text(n_dims, dims, shape));

    int64_t count, size;
    if (!multiply_dims(n_dims, dims, &count) ||
        !sf_multiply_i64(count / info->block_elements, info->block_bytes, &size) ||
        (uint64_t)size > PTRDIFF_MAX)
        SF_FAIL(ctx, ERROR_SHAPE, "%s: shape %s of %s is too large", what,
                sf_shape_text(n_dims, dims, shape), info->name);
    int64_t row = n_dims ? dims[n_dims - 1] : 1;
    if (row % info->block_elements)
        SF_FAIL(ctx, ERROR_SHAPE, "%s: shape %s: rows are not whole blocks of %lld %s", what,
                sf_shape_text(n_dims, dims, shape), (long long)info->block_elements, info->name);
    *n_elements = count;
    *bytes = (size_t)size;
    return SF_OK;
}

/* A tensor without memory. */
static sf_status new_header(sf_context *ctx, sf_dtype dtype, int n_dims, const int64_t *dims,
                            sf_tensor **tensor) {
    int64_t n_elements;
    size_t bytes;
    SF_TRY(sf_shape_size(ctx, "tensor", dtype, n_dims, dims, &n_elements, &bytes));
    sf_tensor *made = SF_NEW(ctx, sf_tensor);
    if (!made)
        return SF_ERROR_MEMORY;
    *made = (sf_tensor){.ctx = ctx, .dtype = dtype, .n_dims = n_dims, .bytes = bytes};
    for (int i = 0; i < SF_MAX_DIMS; i++)
        made->dims[i] = i < n_dims ? dims[i] : 1;
    *tensor = made;
    return SF_OK;
}

sf_status sf_tensor_new(sf_context *context, sf_dtype dtype, int n_dims, const int64_t *dims,
                        sf_tensor **tensor) {
    sf_tensor *made;
    SF_TRY(new_header(context, dtype, n_dims, dims, &made));
    made->data = sf_alloc(context, made->bytes, 1);
    made->owns_data = true;
    if (!made->data) {
        sf_tensor_free(made);
        return SF_ERROR_MEMORY;
    }
    *tensor = made;
    return SF_OK;
}

sf_status sf_tensor_borrow(sf_context *ctx, sf_dtype dtype, int n_dims, const int64_t *dims,
                           const void *data, sf_tensor **tensor) {
    sf_tensor *made;
    SF_TRY(new_header(ctx, dtype, n_dims, dims, &made));
    made->data = (void *)data;
    *tensor = made;
    return SF_OK;
}

void sf_tensor_free(sf_tensor *tensor) {
    if (!tensor)
        return;
    if (tensor->owns_data)
        sf_free(tensor->ctx, tensor->data);
    sf_free(tensor->ctx, tensor);
}

sf_dtype sf_tensor_dtype(const sf_tensor *tensor) {
    return tensor->dtype;
}

int sf_tensor_n_dims(const sf_tensor *tensor) {
    return tensor->n_dims;
}

const int64_t *sf_tensor_dims(const sf_tensor *tensor) {
    return tensor->dims;
}

int64_t sf_tensor_n_elements(const sf_tensor *tensor) {
    const sf_dtype_info *info = sf_dtype_get(tensor->dtype);
    return (int64_t)tensor->bytes / info->block_bytes * info->block_elements;
}

size_t sf_tensor_bytes(const sf_tensor *tensor) {
    return tensor->bytes;
}

void *sf_tensor_data(sf_tensor *tensor) {
    return tensor->data;
}

const void *sf_tensor_const_data(const sf_tensor *tensor) {
    return tensor->data;
}

double sf_tensor_get(const sf_tensor *tensor, int64_t i) {
    switch (tensor->dtype) {
    case SF_F32:
        return ((const float *)tensor->data)[i];
    case SF_F16:
        return sf_half_widen(((const uint16_t *)tensor->data)[i]);
    case SF_BF16:
        return sf_bfloat_widen(((const uint16_t *)tensor->data)[i]);
    case SF_I32:
        return ((const int32_t *)tensor->data)[i];
    case SF_I64:
        return (double)((const int64_t *)tensor->data)[i];
    case SF_U8:
        return ((const uint8_t *)tensor->data)[i];
    case SF_NONE:
        break;
    }
    return 0;
}

sf_status sf_tensor_to_f32(sf_context *ctx, const sf_tensor *tensor, sf_tensor **converted) {
    sf_tensor *made;
    SF_TRY(sf_tensor_new(ctx, SF_F32, tensor->n_dims, tensor->dims, &made));
    int64_t n = sf_tensor_n_elements(tensor);
    float *out = made->data;
    const uint16_t *half = tensor->data;
    if (tensor->dtype == SF_F32)
        memcpy(out, tensor->data, tensor->bytes);
    else if (tensor->dtype == SF_F16)
        for (int64_t i = 0; i < n; i++)
            out[i] = sf_half_widen(half[i]);
    else if (tensor->dtype == SF_BF16)
        for (int64_t i = 0; i < n; i++)
            out[i] = sf_bfloat_widen(half[i]);
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = (float)sf_tensor_get(tensor, i);
    *converted = made;
    return SF_OK;
}

/*
 * copy, concat and embedding: elements are moved as bytes, whatever their type.
 */
#include "backends/ref/ref.h"

#include <string.h>

/* n elements of `bytes` bytes, at strides in elements. */
static void copy_row(const char *source, int64_t source_stride, char *target, int64_t target_stride,
                     int64_t n, int64_t bytes) {
    if (source_stride == 1 && target_stride == 1) {
        memcpy(target, source, (size_t)(n * bytes));
        return;
    }
    for (int64_t i = 0; i < n; i++)
        memcpy(target + i * target_stride * bytes, source + i * source_stride * bytes,
               (size_t)bytes);
}

void ref_copy_elements(const sf_tensor_desc *source, char *target, const int64_t *target_strides) {
    int64_t bytes = ref_element_bytes(source->dtype), columns = ref_columns(source);
    int last = source->n_dims - 1;
    int64_t n_rows = ref_elements(source) ? ref_rows(source) : 0;
    for (int64_t row = 0; row < n_rows; row++) {
        int64_t from = 0, to = 0, rest = row;
        for (int axis = last - 1; axis >= 0; axis--) {
            from += rest % source->dims[axis] * source->strides[axis];
            to += rest % source->dims[axis] * target_strides[axis];
            rest /= source->dims[axis];
        }
        copy_row((const char *)ref_address(source) + from * bytes,
                 last < 0 ? 1 : source->strides[last], target + to * bytes,
                 last < 0 ? 1 : target_strides[last], columns, bytes);
    }
}

static bool is_movable(const sf_op_call *call, uint32_t n_inputs) {
    for (uint32_t i = 0; i < n_inputs; i++)
        if (call->inputs[i].dtype != call->output->dtype)
            return false;
    return ref_element_bytes(call->output->dtype) > 0;
}

/* ---- copy ---- */

static int supports_copy(const sf_op_call *call) {
    return is_movable(call, 1);
}

static sf_status run_copy(void *backend, const sf_op_call *call) {
    (void)backend;
    const sf_tensor_desc *x = ref_input(call, 0);
    if (ref_is_contiguous(x) && ref_elements(x) > 0)
        memcpy(ref_address(call->output), ref_address(x),
               (size_t)(ref_elements(x) * ref_element_bytes(x->dtype)));
    else
        ref_copy_elements(x, ref_address(call->output), call->output->strides);
    return SF_OK;
}

const sf_op_entry ref_copy = {
    .struct_size = sizeof(sf_op_entry),
    .op = "copy",
    .supports = supports_copy,
    .run = run_copy,
};

/* ---- concat ---- */

static int supports_concat(const sf_op_call *call) {
    return is_movable(call, call->n_inputs);
}

static sf_status run_concat(void *backend, const sf_op_call *call) {
    (void)backend;
    const sf_axis_attributes *attributes = call->attributes;
    const sf_tensor_desc *output = call->output;
    int64_t stride = output->strides[attributes->axis] * ref_element_bytes(output->dtype);
    char *target = ref_address(output);
    for (uint32_t i = 0; i < call->n_inputs; i++) {
        ref_copy_elements(&call->inputs[i], target, output->strides);
        target += call->inputs[i].dims[attributes->axis] * stride;
    }
    return SF_OK;
}

const sf_op_entry ref_concat = {
    .struct_size = sizeof(sf_op_entry),
    .op = "concat",
    .supports = supports_concat,
    .run = run_concat,
};

/* ---- embedding ---- */

static int supports_embedding(const sf_op_call *call) {
    int32_t ids = ref_input(call, 1)->dtype;
    return is_movable(call, 1) && (ids == SF_I32 || ids == SF_I64);
}

/* Number i (in row-major order) of a tensor of ids. */
static int64_t id_at(const sf_tensor_desc *ids, int64_t i) {
    int64_t offset = 0;
    for (int axis = ids->n_dims - 1; axis >= 0; axis--) {
        offset += i % ids->dims[axis] * ids->strides[axis];
        i /= ids->dims[axis];
    }
    const void *data = ref_address(ids);
    return ids->dtype == SF_I64 ? ((const int64_t *)data)[offset] : ((const int32_t *)data)[offset];
}

static sf_status run_embedding(void *backend, const sf_op_call *call) {
    const sf_host *host = backend;
    const sf_tensor_desc *table = ref_input(call, 0), *ids = ref_input(call, 1);
    int64_t bytes = ref_element_bytes(table->dtype), n_ids = ref_elements(ids);
    sf_tensor_desc row = *table; /* with its first dimension as the one row that is copied */
    row.dims[0] = 1;
    int64_t row_bytes = ref_elements(&row) * bytes;
    int64_t strides[SF_MAX_DIMS];
    for (int axis = SF_MAX_DIMS - 1; axis >= 0; axis--)
        strides[axis] = axis < SF_MAX_DIMS - 1 ? strides[axis + 1] * row.dims[axis + 1] : 1;
    for (int64_t i = 0; i < n_ids; i++) {
        int64_t id = id_at(ids, i);
        if (id < 0 || id >= table->dims[0])
            return host->fail(host, SF_ERROR_ARGUMENT, "id %lld at %lld, the table has %lld rows",
                              (long long)id, (long long)i, (long long)table->dims[0]);
        row.offset = table->offset + (uint64_t)(id * table->strides[0] * bytes);
        ref_copy_elements(&row, (char *)ref_address(call->output) + i * row_bytes, strides);
    }
    return SF_OK;
}

const sf_op_entry ref_embedding = {
    .struct_size = sizeof(sf_op_entry),
    .op = "embedding",
    .supports = supports_embedding,
    .run = run_embedding,
};

/*
 * Operands, scratch memory and the table of entries. See ref.h.
 */
#include "backends/ref/ref.h"

#include "core/half.h"

#define ALIGNMENT 64

/* ---- the entries ---- */

#define SF_OP(name) extern const sf_op_entry ref_##name;
#define SF_VIEW(name)
#include "core/ops.def"
#undef SF_OP

const sf_op_entry *const ref_entries[REF_N_ENTRIES] = {
#define SF_OP(name) [REF_##name] = &ref_##name,
#define SF_VIEW(name)
#include "core/ops.def"
#undef SF_OP
};

/* ---- operands ---- */

const sf_tensor_desc *ref_input(const sf_op_call *call, uint32_t i) {
    static const sf_tensor_desc absent = {.dtype = SF_NONE, .dims = {1, 1, 1, 1, 1}};
    return i < call->n_inputs ? &call->inputs[i] : &absent;
}

bool ref_is_present(const sf_tensor_desc *tensor) {
    return tensor->dtype != SF_NONE;
}

bool ref_is_float(int32_t dtype) {
    return dtype == SF_F32 || dtype == SF_F16 || dtype == SF_BF16;
}

bool ref_is_contiguous(const sf_tensor_desc *tensor) {
    int64_t stride = 1;
    for (int axis = tensor->n_dims - 1; axis >= 0; axis--) {
        if (tensor->dims[axis] != 1 && tensor->strides[axis] != stride)
            return false;
        stride *= tensor->dims[axis];
    }
    return true;
}

int64_t ref_elements(const sf_tensor_desc *tensor) {
    int64_t n = 1;
    for (int axis = 0; axis < tensor->n_dims; axis++)
        n = tensor->dims[axis] == 0 ? 0 : n * tensor->dims[axis];
    return n;
}

int64_t ref_element_bytes(int32_t dtype) {
    switch (dtype) {
#define ELEMENT_BYTES(name, value, text, file_name, elements, bytes)                               \
    case SF_##name:                                                                                \
        return (elements) == 1 ? (bytes) : 0;
        SF_DTYPE_LIST(ELEMENT_BYTES)
#undef ELEMENT_BYTES
    default:
        return 0;
    }
}

void *ref_address(const sf_tensor_desc *tensor) {
    return tensor->buffer ? (char *)tensor->buffer + tensor->offset : NULL;
}

int64_t ref_columns(const sf_tensor_desc *tensor) {
    return tensor->n_dims ? tensor->dims[tensor->n_dims - 1] : 1;
}

int64_t ref_rows(const sf_tensor_desc *tensor) {
    int64_t n = 1;
    for (int axis = 0; axis < tensor->n_dims - 1; axis++)
        n *= tensor->dims[axis];
    return n;
}

sf_tensor_desc ref_permuted(const sf_tensor_desc *tensor, const int *order) {
    sf_tensor_desc permuted = *tensor;
    for (int axis = 0; axis < tensor->n_dims; axis++) {
        permuted.dims[axis] = tensor->dims[order[axis]];
        permuted.strides[axis] = tensor->strides[order[axis]];
    }
    return permuted;
}

sf_tensor_desc ref_expanded(const sf_tensor_desc *tensor, int n_dims, const int64_t *dims) {
    sf_tensor_desc expanded = *tensor;
    int shift = n_dims - tensor->n_dims;
    expanded.n_dims = n_dims;
    for (int axis = 0; axis < SF_MAX_DIMS; axis++) {
        bool own = axis >= shift && axis < n_dims && tensor->dims[axis - shift] == dims[axis];
        expanded.dims[axis] = axis < n_dims ? dims[axis] : 1;
        expanded.strides[axis] = own ? tensor->strides[axis - shift] : 0;
    }
    return expanded;
}

/* ---- scratch memory ---- */

ref_scratch ref_scratch_of(const sf_op_call *call) {
    char *buffer = call->workspace_buffer;
    return (ref_scratch){.base = buffer ? buffer + call->workspace_offset : NULL};
}

uint64_t ref_add_bytes(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t ref_room(int64_t count, uint64_t size) {
    if ((uint64_t)count > (UINT64_MAX - ALIGNMENT) / size)
        return UINT64_MAX;
    return ((uint64_t)count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void *ref_take(ref_scratch *scratch, int64_t count, uint64_t size) {
    void *block = scratch->base ? scratch->base + scratch->used : NULL;
    scratch->used += ref_room(count, size);
    return block;
}

static bool is_plain_f32(const sf_tensor_desc *tensor) {
    return tensor->dtype == SF_F32 && ref_is_contiguous(tensor);
}

uint64_t ref_load_room(const sf_tensor_desc *tensor) {
    if (!ref_is_float(tensor->dtype) || is_plain_f32(tensor))
        return 0;
    return ref_room(ref_elements(tensor), sizeof(float));
}

uint64_t ref_workspace(const sf_op_call *call) {
    uint64_t bytes = ref_load_room(call->output);
    for (uint32_t i = 0; i < call->n_inputs; i++)
        bytes = ref_add_bytes(bytes, ref_load_room(&call->inputs[i]));
    return bytes;
}

/* ---- conversion ---- */

/* n elements, stride apart, as f32. */
static void widen_row(int32_t dtype, const char *source, int64_t stride, float *target, int64_t n) {
    const float *f32 = (const float *)source;
    const uint16_t *half = (const uint16_t *)source;
    if (dtype == SF_F32)
        for (int64_t i = 0; i < n; i++)
            target[i] = f32[i * stride];
    else if (dtype == SF_F16 && stride == 1)
        for (int64_t i = 0; i < n; i++)
            target[i] = sf_half_widen(half[i]);
    else if (dtype == SF_F16)
        for (int64_t i = 0; i < n; i++)
            target[i] = sf_half_widen(half[i * stride]);
    else
        for (int64_t i = 0; i < n; i++)
            target[i] = sf_bfloat_widen(half[i * stride]);
}

/* The element offset of row `row` of a tensor. */
static int64_t row_offset(const sf_tensor_desc *tensor, int64_t row) {
    int64_t offset = 0;
    for (int axis = tensor->n_dims - 2; axis >= 0; axis--) {
        offset += row % tensor->dims[axis] * tensor->strides[axis];
        row /= tensor->dims[axis];
    }
    return offset;
}

const float *ref_load(ref_scratch *scratch, const sf_tensor_desc *tensor) {
    if (!ref_is_present(tensor))
        return NULL;
    const char *source = ref_address(tensor);
    if (is_plain_f32(tensor))
        return (const float *)source;
    int64_t n = ref_elements(tensor), columns = ref_columns(tensor);
    float *target = ref_take(scratch, n, sizeof(float));
    if (ref_is_contiguous(tensor)) {
        widen_row(tensor->dtype, source, 1, target, n);
        return target;
    }
    int64_t bytes = ref_element_bytes(tensor->dtype);
    int64_t stride = tensor->strides[tensor->n_dims - 1];
    for (int64_t row = 0; row < (n ? n / columns : 0); row++)
        widen_row(tensor->dtype, source + row_offset(tensor, row) * bytes, stride,
                  target + row * columns, columns);
    return target;
}

float *ref_result(ref_scratch *scratch, const sf_tensor_desc *output) {
    if (output->dtype == SF_F32)
        return ref_address(output);
    return ref_take(scratch, ref_elements(output), sizeof(float));
}

void ref_store(const float *result, const sf_tensor_desc *output) {
    uint16_t *half = ref_address(output);
    int64_t n = ref_elements(output);
    if (output->dtype == SF_F16)
        for (int64_t i = 0; i < n; i++)
            half[i] = sf_half_narrow(result[i]);
    else if (output->dtype == SF_BF16)
        for (int64_t i = 0; i < n; i++)
            half[i] = sf_bfloat_narrow(result[i]);
}

/* ---- types ---- */

int ref_supports_floats(const sf_op_call *call) {
    for (uint32_t i = 0; i < call->n_inputs; i++)
        if (ref_is_present(&call->inputs[i]) && !ref_is_float(call->inputs[i].dtype))
            return 0;
    return ref_is_float(call->output->dtype);
}

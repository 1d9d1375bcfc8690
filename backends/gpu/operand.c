/*
 * Operands as kernels see them. See gpu.h.
 */
#include "backends/gpu/gpu.h"

gpu_place gpu_place_of(const sf_tensor_desc *tensor) {
    return (gpu_place){tensor->buffer, tensor->offset};
}

gpu_place gpu_place_after(gpu_place place, uint64_t bytes) {
    return (gpu_place){place.memory, place.offset + bytes};
}

gpu_place gpu_workspace(const sf_op_call *call) {
    return (gpu_place){call->workspace_buffer, call->workspace_offset};
}

int32_t gpu_type_from(int32_t dtype) {
    return dtype == SF_F32 ? GPU_F32 : dtype == SF_F16 ? GPU_F16 : GPU_BF16;
}

int32_t gpu_type_of(const sf_tensor_desc *tensor) {
    return gpu_type_from(tensor->dtype);
}

gpu_dims gpu_dims_of(const sf_tensor_desc *tensor) {
    gpu_dims dims = {{1, 1, 1, 1, 1}};
    int shift = GPU_MOST_DIMS - tensor->n_dims;
    for (int axis = 0; axis < tensor->n_dims; axis++)
        dims.size[axis + shift] = (uint32_t)tensor->dims[axis];
    return dims;
}

gpu_strides gpu_strides_of(const sf_tensor_desc *tensor) {
    gpu_strides strides = {{0}};
    int shift = GPU_MOST_DIMS - tensor->n_dims;
    for (int axis = 0; axis < tensor->n_dims; axis++)
        strides.step[axis + shift] = (uint32_t)tensor->strides[axis];
    return strides;
}

gpu_strides gpu_strides_in(const sf_tensor_desc *tensor, int n_dims, const int64_t *dims) {
    sf_tensor_desc expanded = ref_expanded(tensor, n_dims, dims);
    return gpu_strides_of(&expanded);
}

/* ---- fewer dimensions, larger units ---- */

static bool lies_behind(int n, gpu_strides *const *strides, int outer, int axis, uint64_t size) {
    for (int t = 0; t < n; t++)
        if (strides[t]->step[outer] != size * strides[t]->step[axis])
            return false;
    return true;
}

void gpu_merge_dims(gpu_dims *dims, int n, gpu_strides *const *strides) {
    int used = 0;
    for (int axis = 0; axis < GPU_MOST_DIMS; axis++) {
        uint32_t size = dims->size[axis];
        if (size == 1)
            continue;
        bool merged = used > 0 && lies_behind(n, strides, used - 1, axis, size);
        int to = merged ? used - 1 : used++;
        dims->size[to] = merged ? dims->size[to] * size : size;
        for (int t = 0; t < n; t++)
            strides[t]->step[to] = strides[t]->step[axis];
    }
    for (int axis = used; axis < GPU_MOST_DIMS; axis++) {
        dims->size[axis] = 1;
        for (int t = 0; t < n; t++)
            strides[t]->step[axis] = 0;
    }
}

/* Whether each tensor is made of pairs along its innermost dimension, `last`. */
static bool has_pairs(const gpu_dims *dims, int n, gpu_strides *const *strides, int last) {
    if (dims->size[last] % 2)
        return false;
    for (int t = 0; t < n; t++) {
        if (strides[t]->step[last] != 1)
            return false;
        for (int axis = 0; axis < last; axis++)
            if (strides[t]->step[axis] % 2)
                return false;
    }
    return true;
}

uint32_t gpu_widen_units(gpu_dims *dims, int n, gpu_strides *const *strides, uint32_t unit_bytes,
                         uint64_t places) {
    int last = GPU_MOST_DIMS - 1;
    while (last > 0 && dims->size[last] == 1)
        last--;
    while (unit_bytes < 8 && places % (2 * unit_bytes) == 0 && has_pairs(dims, n, strides, last)) {
        unit_bytes *= 2;
        dims->size[last] /= 2;
        for (int t = 0; t < n; t++)
            for (int axis = 0; axis < last; axis++)
                strides[t]->step[axis] /= 2;
    }
    return unit_bytes;
}

/* ---- what is supported ---- */

/* By the place of the last element, plus one. */
static bool is_countable(const sf_tensor_desc *tensor) {
    int64_t end = 1;
    if (!ref_is_present(tensor) || ref_elements(tensor) == 0)
        return true;
    for (int axis = 0; axis < tensor->n_dims; axis++) {
        int64_t stride = tensor->strides[axis] > 0 ? tensor->strides[axis] : 1;
        if (tensor->dims[axis] == 1)
            continue;
        if (tensor->dims[axis] > GPU_MOST_ELEMENTS || stride > GPU_MOST_ELEMENTS)
            return false;
        end += (tensor->dims[axis] - 1) * stride;
        if (end > GPU_MOST_ELEMENTS)
            return false;
    }
    return ref_elements(tensor) <= GPU_MOST_ELEMENTS;
}

bool gpu_is_countable(const sf_op_call *call) {
    bool countable = is_countable(call->output);
    for (uint32_t i = 0; countable && i < call->n_inputs; i++)
        countable = is_countable(&call->inputs[i]);
    return countable;
}

int gpu_supports_floats(const sf_op_call *call) {
    return gpu_is_countable(call) && ref_supports_floats(call);
}

int gpu_supports_plain_floats(const sf_op_call *call) {
    for (uint32_t i = 0; i < call->n_inputs; i++)
        if (ref_is_present(&call->inputs[i]) && ref_elements(&call->inputs[i]) &&
            !ref_is_contiguous(&call->inputs[i]))
            return 0;
    return gpu_supports_floats(call);
}

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

/* Of the last element, plus one. */
static bool is_countable(const sf_tensor_desc *tensor) {
    int64_t end = 1;
    if (!ref_is_present(tensor) || ref_elements(tensor) == 0)
        return true;
    for (int axis = 0; axis < tensor->n_dims; axis++) {
        int64_t stride = tensor->strides[axis] > 0 ? tensor->strides[axis] : 1;
        if (tensor->dims[axis] > GPU_MOST_ELEMENTS || stride > GPU_MOST_ELEMENTS)
            return tensor->dims[axis] <= 1;
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

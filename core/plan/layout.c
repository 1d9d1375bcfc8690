/*
 * Layouts: how a value lies in memory, and what the view ops do to it.
 */
#include "core/plan/internal.h"

void sf_layout_contiguous(const sf_spec *spec, sf_value root, sf_layout *layout) {
    *layout = (sf_layout){.root = root};
    int64_t stride = 1;
    for (int axis = SF_MAX_DIMS - 1; axis >= 0; axis--) {
        layout->strides[axis] = stride;
        stride *= spec->dims[axis];
    }
}

/* Strides of dimensions of size 1 say nothing; a tensor without elements is contiguous. */
bool sf_layout_is_contiguous(const sf_spec *spec, const sf_layout *layout) {
    int64_t stride = 1;
    if (sf_spec_elements(spec) == 0)
        return true;
    for (int axis = spec->n_dims - 1; axis >= 0; axis--) {
        if (spec->dims[axis] != 1 && layout->strides[axis] != stride)
            return false;
        stride *= spec->dims[axis];
    }
    return true;
}

static void expand_layout(const sf_node *node, const sf_spec *input, const sf_layout *from,
                          sf_layout *layout) {
    int shift = node->spec.n_dims - input->n_dims;
    for (int axis = 0; axis < SF_MAX_DIMS; axis++) {
        bool repeats = axis < shift || axis >= node->spec.n_dims ||
                       input->dims[axis - shift] != node->spec.dims[axis];
        layout->strides[axis] = repeats ? 0 : from->strides[axis - shift];
    }
}

/*
 * Strides of a reshape without moving anything: dimensions that are one after the other in memory may
 * be split and joined anew (as torch.Tensor.view). false: the elements would have to move.
 */
static bool reshape_layout(const sf_spec *to, const sf_spec *from, const sf_layout *input,
                           sf_layout *layout) {
    int axis = to->n_dims - 1;
    int64_t stride = input->strides[from->n_dims - 1], n_from = 1, n_to = 1;
    for (int k = from->n_dims - 1; k >= 0; k--) {
        n_from *= from->dims[k];
        if (k > 0 && (from->dims[k - 1] == 1 || input->strides[k - 1] == n_from * stride))
            continue;
        for (; axis >= 0 && (n_to < n_from || to->dims[axis] == 1); axis--) {
            layout->strides[axis] = n_to * stride;
            n_to *= to->dims[axis];
        }
        if (n_to != n_from)
            return false;
        stride = k > 0 ? input->strides[k - 1] : 0;
        n_from = n_to = 1;
    }
    return true;
}

bool sf_layout_of_view(const sf_node *node, const sf_spec *input, const sf_layout *input_layout,
                       sf_layout *layout) {
    const sf_attributes *attributes = &node->attributes;
    *layout = *input_layout;
    switch (node->op) {
    case SF_OP_permute:
        for (int axis = 0; axis < node->spec.n_dims; axis++)
            layout->strides[axis] = input_layout->strides[attributes->shape.dims[axis]];
        break;
    case SF_OP_slice:
        layout->offset += attributes->slice.start * input_layout->strides[attributes->slice.axis];
        break;
    case SF_OP_expand:
        expand_layout(node, input, input_layout, layout);
        break;
    default: /* reshape */
        sf_layout_contiguous(&node->spec, input_layout->root, layout);
        layout->offset = input_layout->offset;
        return sf_layout_is_contiguous(input, input_layout) ||
               reshape_layout(&node->spec, input, input_layout, layout);
    }
    return true;
}

void sf_describe(const sf_spec *spec, const sf_layout *layout, bool constant,
                 sf_tensor_desc *desc) {
    *desc = (sf_tensor_desc){.dtype = (int32_t)spec->dtype, .n_dims = spec->n_dims};
    for (int axis = 0; axis < SF_MAX_DIMS; axis++) {
        desc->dims[axis] = spec->dims[axis];
        desc->strides[axis] = layout->strides[axis];
    }
    if (constant)
        desc->flags = SF_TENSOR_CONSTANT;
}

sf_op_call sf_describe_call(const sf_node *node, const sf_tensor_desc *inputs,
                            const sf_tensor_desc *output) {
    const sf_op *op = sf_op_get(node->op);
    return (sf_op_call){
        .struct_size = sizeof(sf_op_call),
        .n_inputs = (uint32_t)node->n_inputs,
        .op = op->name,
        .inputs = inputs,
        .output = output,
        .attributes = op->attribute_bytes ? &node->attributes : NULL,
    };
}

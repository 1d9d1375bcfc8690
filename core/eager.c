/*
 * Device tensors and single ops on them, through kept plans of one op. See eager.h.
 */
#include "core/eager.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"

/* ---- tensors ---- */

sf_status sf_device_tensor_new(sf_backend *backend, const sf_spec *spec,
                               sf_device_tensor **tensor) {
    sf_context *ctx = backend->ctx;
    int64_t n_elements;
    size_t bytes;
    SF_TRY(
        sf_shape_size(ctx, "tensor", spec->dtype, spec->n_dims, spec->dims, &n_elements, &bytes));
    sf_device_tensor *made = SF_NEW(ctx, sf_device_tensor);
    if (!made)
        return SF_ERROR_MEMORY;
    made->backend = backend;
    made->spec = *spec;
    sf_spec_normalize(&made->spec);
    made->desc.dtype = (int32_t)spec->dtype;
    made->desc.n_dims = spec->n_dims;
    int64_t stride = 1;
    for (int axis = SF_MAX_DIMS - 1; axis >= 0; axis--) {
        made->desc.dims[axis] = made->spec.dims[axis];
        made->desc.strides[axis] = stride;
        stride *= made->spec.dims[axis];
    }
    sf_status status = sf_backend_buffer_new(backend, bytes ? bytes : 1, &made->desc.buffer);
    if (status != SF_OK) {
        sf_free(ctx, made);
        return status;
    }
    *tensor = made;
    return SF_OK;
}

void sf_device_tensor_free(sf_device_tensor *tensor) {
    if (!tensor)
        return;
    sf_backend_buffer_free(tensor->backend, tensor->desc.buffer);
    sf_free(tensor->backend->ctx, tensor);
}

static sf_status check_bytes(const sf_device_tensor *tensor, size_t bytes) {
    char text[SF_SHAPE_TEXT];
    if (bytes != sf_spec_bytes(&tensor->spec))
        SF_FAIL(tensor->backend->ctx, ERROR_SHAPE, "a tensor %s has %zu bytes, not %zu",
                sf_spec_text(&tensor->spec, text), sf_spec_bytes(&tensor->spec), bytes);
    return SF_OK;
}

sf_status sf_device_tensor_write(sf_device_tensor *tensor, const void *data, size_t bytes) {
    SF_TRY(check_bytes(tensor, bytes));
    return sf_backend_upload(tensor->backend, tensor->desc.buffer, 0, data, bytes);
}

sf_status sf_device_tensor_read(const sf_device_tensor *tensor, void *data, size_t bytes) {
    SF_TRY(check_bytes(tensor, bytes));
    return sf_backend_download(tensor->backend, data, tensor->desc.buffer, 0, bytes);
}

/* ---- ops ---- */

/* A kept plan, and what it was made for. */
typedef struct kept_plan {
    sf_op_id op;
    int n_inputs;
    sf_spec inputs[SF_MAX_INPUTS];
    sf_attributes attributes;
    sf_plan *plan;
} kept_plan;

struct sf_eager {
    sf_context *ctx;
    sf_plan_options options;
    kept_plan *kept;
    size_t n_kept, capacity;
    sf_device_tensor *coefficients[SF_MAX_INPUTS]; /* [n]: n numbers, made when first wanted */
};

sf_status sf_eager_new(sf_context *ctx, const sf_plan_options *options, sf_eager **eager) {
    sf_eager *made = SF_NEW(ctx, sf_eager);
    if (!made)
        return SF_ERROR_MEMORY;
    made->ctx = ctx;
    made->options = *options;
    *eager = made;
    return SF_OK;
}

void sf_eager_free(sf_eager *eager) {
    if (!eager)
        return;
    for (size_t i = 0; i < eager->n_kept; i++)
        sf_plan_free(eager->kept[i].plan);
    for (int i = 0; i < SF_MAX_INPUTS; i++)
        sf_device_tensor_free(eager->coefficients[i]);
    sf_free(eager->ctx, eager->kept);
    sf_free(eager->ctx, eager);
}

static bool same_call(const kept_plan *a, const kept_plan *b) {
    bool same = a->op == b->op && a->n_inputs == b->n_inputs &&
                memcmp(&a->attributes, &b->attributes, sf_op_get(a->op)->attribute_bytes) == 0;
    for (int i = 0; same && i < a->n_inputs; i++)
        same = sf_spec_equal(&a->inputs[i], &b->inputs[i]);
    return same;
}

/* Inputs are named "0", "1", ... without those that are absent; the output "y". */
static sf_status make_plan(sf_eager *eager, kept_plan *wanted) {
    sf_graph *graph;
    SF_TRY(sf_graph_new(eager->ctx, NULL, &graph));
    sf_value inputs[SF_MAX_INPUTS];
    for (int i = 0; i < wanted->n_inputs; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        const sf_spec *spec = &wanted->inputs[i];
        inputs[i] = spec->dtype == SF_NONE
                        ? SF_NO_VALUE
                        : sf_input(graph, name, spec->dtype, spec->n_dims, spec->dims);
    }
    sf_value y = sf_node_add(graph, wanted->op, inputs, wanted->n_inputs, &wanted->attributes);
    sf_output(graph, "y", y);
    return sf_plan_new(eager->ctx, graph, &eager->options, &wanted->plan);
}

/* The plan for a call, kept or new. */
static sf_status find_plan(sf_eager *eager, kept_plan *wanted, sf_plan **plan) {
    for (size_t i = 0; i < eager->n_kept; i++)
        if (same_call(&eager->kept[i], wanted)) {
            *plan = eager->kept[i].plan;
            return SF_OK;
        }
    SF_TRY(sf_grow(eager->ctx, (void **)&eager->kept, &eager->capacity, eager->n_kept + 1,
                   sizeof *eager->kept));
    SF_TRY(make_plan(eager, wanted));
    eager->kept[eager->n_kept++] = *wanted;
    *plan = wanted->plan;
    return SF_OK;
}

/* Tensors of the eager's backend, and an output that may be where it is. */
static sf_status check_tensors(sf_eager *eager, const sf_op *op,
                               const sf_device_tensor *const *inputs, int n_inputs,
                               const sf_device_tensor *output) {
    bool here = output->backend == eager->options.backend;
    for (int i = 0; i < n_inputs; i++) {
        here = here && (!inputs[i] || inputs[i]->backend == eager->options.backend);
        if (inputs[i] && inputs[i]->desc.buffer == output->desc.buffer &&
            !(op->flags & SF_OP_ELEMENTWISE))
            SF_FAIL(eager->ctx, ERROR_ARGUMENT, "%s can't put its output where its input is",
                    op->name);
    }
    if (!here)
        SF_FAIL(eager->ctx, ERROR_ARGUMENT, "%s: a tensor is not on %s", op->name,
                eager->options.backend->name);
    return SF_OK;
}

sf_status sf_eager_run(sf_eager *eager, sf_op_id op, const sf_device_tensor *const *inputs,
                       int n_inputs, const sf_attributes *attributes, sf_device_tensor *output) {
    kept_plan wanted = {.op = op, .n_inputs = n_inputs};
    sf_plan *plan;
    if (n_inputs > SF_MAX_INPUTS)
        SF_FAIL(eager->ctx, ERROR_ARGUMENT, "%s: %d inputs, at most %d", sf_op_get(op)->name,
                n_inputs, SF_MAX_INPUTS);
    SF_TRY(check_tensors(eager, sf_op_get(op), inputs, n_inputs, output));
    for (int i = 0; i < n_inputs; i++)
        if (inputs[i])
            wanted.inputs[i] = inputs[i]->spec;
    if (attributes)
        wanted.attributes = *attributes;
    SF_TRY(find_plan(eager, &wanted, &plan));
    for (int i = 0, k = 0; i < n_inputs; i++)
        if (inputs[i])
            SF_TRY(sf_plan_bind_input(plan, k++, &inputs[i]->desc));
    SF_TRY(sf_plan_bind_output(plan, 0, &output->desc));
    return sf_plan_run(plan);
}

static sf_status write_coefficients(sf_eager *eager, int n_terms, const double *coefficients) {
    if (!eager->coefficients[n_terms]) {
        sf_spec spec = {.dtype = SF_F32, .n_dims = 1, .dims = {n_terms}};
        SF_TRY(sf_device_tensor_new(eager->options.backend, &spec, &eager->coefficients[n_terms]));
    }
    float rounded[SF_MAX_INPUTS];
    for (int i = 0; i < n_terms; i++)
        rounded[i] = (float)coefficients[i];
    return sf_device_tensor_write(eager->coefficients[n_terms], rounded,
                                  (size_t)n_terms * sizeof *rounded);
}

sf_status sf_eager_combine(sf_eager *eager, sf_device_tensor *output, int n_terms,
                           const double *coefficients, const sf_device_tensor *const *tensors) {
    const sf_device_tensor *inputs[SF_MAX_INPUTS];
    if (n_terms < 1 || n_terms >= SF_MAX_INPUTS)
        SF_FAIL(eager->ctx, ERROR_ARGUMENT,
                "a linear combination of %d terms; 1 to %d are possible", n_terms,
                SF_MAX_INPUTS - 1);
    SF_TRY(write_coefficients(eager, n_terms, coefficients));
    inputs[0] = eager->coefficients[n_terms];
    for (int i = 0; i < n_terms; i++)
        inputs[i + 1] = tensors[i];
    return sf_eager_run(eager, SF_OP_linear_combination, inputs, n_terms + 1, NULL, output);
}

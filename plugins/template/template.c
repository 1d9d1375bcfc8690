/*
 * A whole plugin for Sfumato in one file: copy it, rename it, replace the loops.
 *
 * It offers three ops for contiguous f32 tensors in host memory. Whatever else a model needs, or
 * needs in another type, shape or layout, runs on another plugin. sfumato_plugin.h has the rules.
 */
#include <math.h>
#include <sfumato_plugin.h>

/* ---- tensors ---- */

static float *data_of(const sf_tensor_desc *tensor) {
    return (float *)((char *)tensor->buffer + tensor->offset);
}

static int64_t count(const sf_tensor_desc *tensor) {
    int64_t product = 1;
    for (int axis = 0; axis < tensor->n_dims; axis++)
        product *= tensor->dims[axis];
    return product;
}

static int is_plain(const sf_tensor_desc *tensor) {
    int64_t stride = 1;
    for (int axis = tensor->n_dims - 1; axis >= 0; axis--) {
        if (tensor->dims[axis] != 1 && tensor->strides[axis] != stride)
            return 0;
        stride *= tensor->dims[axis];
    }
    return tensor->dtype == SF_F32;
}

/* Whether all inputs are contiguous f32; an absent one (SF_NONE) is not. */
static int all_plain(const sf_op_call *call) {
    for (uint32_t i = 0; i < call->n_inputs; i++)
        if (!is_plain(&call->inputs[i]))
            return 0;
    return 1;
}

/* ---- silu: y = x / (1 + e^-x) ---- */

static sf_status run_silu(void *backend, const sf_op_call *call) {
    (void)backend;
    const float *x = data_of(&call->inputs[0]);
    float *y = data_of(call->output);
    for (int64_t i = 0; i < count(call->output); i++)
        y[i] = x[i] / (1 + expf(-x[i]));
    return SF_OK;
}

/* ---- add: y = a + b, here without broadcasting ---- */

static int supports_add(const sf_op_call *call) {
    return all_plain(call) && count(&call->inputs[0]) == count(call->output) &&
           count(&call->inputs[1]) == count(call->output);
}

static sf_status run_add(void *backend, const sf_op_call *call) {
    (void)backend;
    const float *a = data_of(&call->inputs[0]), *b = data_of(&call->inputs[1]);
    float *y = data_of(call->output);
    for (int64_t i = 0; i < count(call->output); i++)
        y[i] = a[i] + b[i];
    return SF_OK;
}

/* ---- linear: y [..., N] = x [..., K] weight [N, K]^T + bias [N] ---- */

/* Not with an activation or a residual fused into it. */
static int supports_linear(const sf_op_call *call) {
    const sf_linear_attributes *attributes = call->attributes;
    return all_plain(call) && call->n_inputs <= 3 && attributes->activation == SF_ACTIVATION_NONE;
}

static sf_status run_linear(void *backend, const sf_op_call *call) {
    (void)backend;
    const float *x = data_of(&call->inputs[0]), *weight = data_of(&call->inputs[1]);
    const float *bias = call->n_inputs > 2 ? data_of(&call->inputs[2]) : NULL;
    const int64_t n = call->inputs[1].dims[0], k = call->inputs[1].dims[1];
    float *y = data_of(call->output);
    for (int64_t i = 0; i < count(call->output); i++) {
        float sum = bias ? bias[i % n] : 0;
        for (int64_t j = 0; j < k; j++)
            sum += x[i / n * k + j] * weight[i % n * k + j];
        y[i] = sum;
    }
    return SF_OK;
}

/* ---- what the library reads ---- */

#define ENTRY(name, condition)                                                                     \
    &(const sf_op_entry) {                                                                         \
        .struct_size = sizeof(sf_op_entry), .op = #name, .supports = condition, .run = run_##name  \
    }

static const sf_op_entry *const entries[] = {
    ENTRY(silu, all_plain),
    ENTRY(add, supports_add),
    ENTRY(linear, supports_linear),
};

SF_PLUGIN_EXPORT extern const sf_plugin sf_plugin_template;

const sf_plugin sf_plugin_template = {
    .magic = SF_PLUGIN_MAGIC,
    .abi_major = SF_PLUGIN_ABI_MAJOR,
    .abi_minor = SF_PLUGIN_ABI_MINOR,
    .struct_size = sizeof(sf_plugin),
    .flags = SF_PLUGIN_HOST_MEMORY,
    .priority = -10, /* "auto" takes another one */
    .name = "template",
    .version = "1.0",
    .description = "three ops, to be copied",
    .n_ops = sizeof entries / sizeof *entries,
    .ops = entries,
};

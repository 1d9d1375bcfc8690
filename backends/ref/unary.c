/*
 * Functions of one number, and the activations among them; affine and clamp.
 */
#include "backends/ref/ref.h"

#include <math.h>
#include <string.h>

/* ---- the functions; core/ops/unary.c has their sources ---- */

static float sigmoid(float x) {
    return 1 / (1 + expf(-x));
}

static float silu(float x) {
    return x / (1 + expf(-x));
}

/* (1 + erf z) / 2 = erfc(-z) / 2, which keeps its digits where erf is near -1. */
static float gelu(float x) {
    return 0.5f * x * erfcf(-0.70710678118654752f * x);
}

/* (1 + tanh u) / 2 = 1 / (1 + exp(-2u)), for the same reason; 1.5957... = 2 sqrt(2/pi). */
static float gelu_tanh(float x) {
    return x / (1 + expf(-1.5957691216057308f * (x + 0.044715f * x * x * x)));
}

static float quick_gelu(float x) {
    return x / (1 + expf(-1.702f * x));
}

/* NaN stays NaN. */
static float relu(float x) {
    return x < 0 ? 0 : x;
}

static float mish(float x) {
    return x * tanhf(log1pf(expf(x)));
}

static float square(float x) {
    return x * x;
}

static const struct {
    const char *op;
    ref_function function;
} functions[] = {
    {"silu", silu}, {"gelu", gelu}, {"gelu_tanh", gelu_tanh}, {"quick_gelu", quick_gelu},
    {"relu", relu}, {"mish", mish}, {"sigmoid", sigmoid},     {"tanh", tanhf},
    {"exp", expf},  {"log", logf},  {"sqrt", sqrtf},          {"square", square},
    {"sin", sinf},  {"cos", cosf},
};

ref_function ref_unary_function(const char *op) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].op, op) == 0)
            return functions[i].function;
    return NULL;
}

void ref_activate(float *values, int64_t n, int32_t activation) {
    ref_function function = NULL;
    switch (activation) {
#define ACTIVATION(name, value, op)                                                                \
    case value:                                                                                    \
        function = op;                                                                             \
        break;
        SF_ACTIVATION_LIST(ACTIVATION)
#undef ACTIVATION
    default:
        return;
    }
    for (int64_t i = 0; i < n; i++)
        values[i] = function(values[i]);
}

/* ---- the ops ---- */

static sf_status run_unary(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const float *x = ref_load(&scratch, ref_input(call, 0));
    float *y = ref_result(&scratch, call->output);
    ref_function function = ref_unary_function(call->op);
    for (int64_t i = 0; i < ref_elements(call->output); i++)
        y[i] = function(x[i]);
    ref_store(y, call->output);
    return SF_OK;
}

#define UNARY(name)                                                                                \
    const sf_op_entry ref_##name = {.struct_size = sizeof(sf_op_entry),                            \
                                    .op = #name,                                                   \
                                    .supports = ref_supports_floats,                               \
                                    .workspace = ref_workspace,                                    \
                                    .run = run_unary}
UNARY(silu);
UNARY(gelu);
UNARY(gelu_tanh);
UNARY(quick_gelu);
UNARY(relu);
UNARY(mish);
UNARY(sigmoid);
UNARY(tanh);
UNARY(exp);
UNARY(log);
UNARY(sqrt);
UNARY(square);
UNARY(sin);
UNARY(cos);

static sf_status run_affine(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const sf_affine_attributes *a = call->attributes;
    const float *x = ref_load(&scratch, ref_input(call, 0));
    float *y = ref_result(&scratch, call->output);
    for (int64_t i = 0; i < ref_elements(call->output); i++)
        y[i] = a->scale * x[i] + a->shift;
    ref_store(y, call->output);
    return SF_OK;
}

const sf_op_entry ref_affine = {
    .struct_size = sizeof(sf_op_entry),
    .op = "affine",
    .supports = ref_supports_floats,
    .workspace = ref_workspace,
    .run = run_affine,
};

static sf_status run_clamp(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const sf_range_attributes *range = call->attributes;
    const float *x = ref_load(&scratch, ref_input(call, 0));
    float *y = ref_result(&scratch, call->output);
    for (int64_t i = 0; i < ref_elements(call->output); i++)
        y[i] = x[i] < range->low ? range->low : x[i] > range->high ? range->high : x[i];
    ref_store(y, call->output);
    return SF_OK;
}

const sf_op_entry ref_clamp = {
    .struct_size = sizeof(sf_op_entry),
    .op = "clamp",
    .supports = ref_supports_floats,
    .workspace = ref_workspace,
    .run = run_clamp,
};

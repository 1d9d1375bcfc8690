/*
 * Functions of one number, affine and clamp among them.
 */
#include <string.h>

#include "backends/cpu/items.h"

typedef struct unary {
    const cpu_kernels *kernels;
    int64_t n, n_items;
    cpu_unary unary;
} unary;

static const struct {
    const char *op;
    int32_t function;
} functions[] = {
#define ACTIVATION(name, value, op) {#op, value},
    SF_ACTIVATION_LIST(ACTIVATION)
#undef ACTIVATION
        {"sigmoid", CPU_SIGMOID},
    {"tanh", CPU_TANH},
    {"exp", CPU_EXP},
    {"log", CPU_LOG},
    {"sqrt", CPU_SQRT},
    {"square", CPU_SQUARE},
    {"sin", CPU_SIN},
    {"cos", CPU_COS},
};

static int32_t function_of(const char *op) {
    int32_t i = 0;
    while (strcmp(functions[i].op, op) != 0)
        i++;
    return functions[i].function;
}

static void apply_item(void *user, int64_t item, cpu_thread *thread) {
    const unary *u = user;
    cpu_range elements = cpu_item_elements(u->n, item, u->n_items);
    (void)thread;
    u->kernels->unary(&u->unary, elements.first, elements.end - elements.first);
}

static sf_status apply(cpu_backend *backend, const sf_op_call *call, int32_t function, float a,
                       float b) {
    unary u = {.kernels = backend->kernels,
               .n = ref_elements(call->output),
               .unary = {.function = function,
                         .a = a,
                         .b = b,
                         .x = cpu_matrix_of(ref_input(call, 0)),
                         .y = cpu_matrix_of(call->output)}};
    u.n_items = cpu_n_element_items(u.n);
    cpu_parallel(backend, u.n_items, apply_item, &u);
    return SF_OK;
}

static sf_status run(void *backend, const sf_op_call *call) {
    return apply(backend, call, function_of(call->op), 0, 0);
}

static sf_status run_affine(void *backend, const sf_op_call *call) {
    const sf_affine_attributes *a = call->attributes;
    return apply(backend, call, CPU_AFFINE, a->scale, a->shift);
}

static sf_status run_clamp(void *backend, const sf_op_call *call) {
    const sf_range_attributes *range = call->attributes;
    return apply(backend, call, CPU_CLAMP, range->low, range->high);
}

#define UNARY(name, function)                                                                      \
    const sf_op_entry cpu_##name = {.struct_size = sizeof(sf_op_entry),                            \
                                    .op = #name,                                                   \
                                    .supports = cpu_supports_plain_floats,                         \
                                    .run = function}
UNARY(silu, run);
UNARY(gelu, run);
UNARY(gelu_tanh, run);
UNARY(quick_gelu, run);
UNARY(relu, run);
UNARY(mish, run);
UNARY(sigmoid, run);
UNARY(tanh, run);
UNARY(exp, run);
UNARY(log, run);
UNARY(sqrt, run);
UNARY(square, run);
UNARY(sin, run);
UNARY(cos, run);
UNARY(affine, run_affine);
UNARY(clamp, run_clamp);

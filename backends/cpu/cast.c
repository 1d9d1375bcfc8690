/*
 * cast between float types; what has to do with integers, and views, is the reference's.
 */
#include "backends/cpu/items.h"

typedef struct cast {
    const cpu_kernels *kernels;
    int64_t n, n_items;
    cpu_unary unary;
} cast;

static bool is_between_floats(const sf_op_call *call) {
    const sf_tensor_desc *x = ref_input(call, 0);
    return ref_is_float(x->dtype) && ref_is_float(call->output->dtype) && cpu_is_plain(x);
}

static int supports(const sf_op_call *call) {
    return ref_entries[REF_cast]->supports(call);
}

static uint64_t workspace(const sf_op_call *call) {
    return is_between_floats(call) ? 0 : ref_entries[REF_cast]->workspace(call);
}

static void convert_item(void *user, int64_t item, cpu_thread *thread) {
    const cast *c = user;
    cpu_range elements = cpu_item_elements(c->n, item, c->n_items);
    (void)thread;
    c->kernels->unary(&c->unary, elements.first, elements.end - elements.first);
}

static sf_status run(void *instance, const sf_op_call *call) {
    cpu_backend *backend = instance;
    if (!is_between_floats(call))
        return ref_entries[REF_cast]->run(instance, call);
    cast c = {.kernels = backend->kernels,
              .n = ref_elements(call->output),
              .unary = {.function = SF_ACTIVATION_NONE,
                        .x = cpu_matrix_of(ref_input(call, 0)),
                        .y = cpu_matrix_of(call->output)}};
    c.n_items = cpu_n_element_items(c.n);
    cpu_parallel(backend, c.n_items, convert_item, &c);
    return SF_OK;
}

const sf_op_entry cpu_cast = {
    .struct_size = sizeof(sf_op_entry),
    .op = "cast",
    .supports = supports,
    .workspace = workspace,
    .run = run,
};

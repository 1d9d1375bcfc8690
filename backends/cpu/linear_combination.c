/*
 * linear_combination: the sum of coefficients times tensors, in double as in the reference, and to the
 * same bits. Elements of a block are read from all tensors before it is written, so the output may be one
 * of them.
 */
#include "backends/cpu/items.h"

#define MOST_TERMS 16
#define BLOCK      1024 /* elements; in double 8 KiB */

typedef struct combination {
    const cpu_kernels *kernels;
    int64_t n, n_items;
    uint32_t n_terms;
    const float *coefficients;
    cpu_matrix x[MOST_TERMS], y;
} combination;

static int supports(const sf_op_call *call) {
    return cpu_supports_plain_floats(call) && call->n_inputs <= 1 + MOST_TERMS;
}

static uint64_t workspace(const sf_op_call *call) {
    return ref_load_room(ref_input(call, 0));
}

static void combine_item(void *user, int64_t item, cpu_thread *thread) {
    const combination *c = user;
    double *sums = (double *)(void *)thread->scratch;
    cpu_range elements = cpu_item_elements(c->n, item, c->n_items);
    for (int64_t i = elements.first; i < elements.end; i += BLOCK) {
        int64_t n = cpu_smaller(BLOCK, elements.end - i);
        for (int64_t j = 0; j < n; j++)
            sums[j] = 0;
        for (uint32_t k = 0; k < c->n_terms; k++)
            c->kernels->add_scaled(&c->x[k], i, n, (double)c->coefficients[k], sums);
        c->kernels->narrow_sums(sums, 1, &c->y, i, n);
    }
}

static sf_status run(void *instance, const sf_op_call *call) {
    cpu_backend *backend = instance;
    ref_scratch scratch = ref_scratch_of(call);
    combination c = {.kernels = backend->kernels,
                     .n = ref_elements(call->output),
                     .n_terms = call->n_inputs - 1,
                     .coefficients = ref_load(&scratch, ref_input(call, 0)),
                     .y = cpu_matrix_of(call->output)};
    for (uint32_t k = 0; k < c.n_terms; k++)
        c.x[k] = cpu_matrix_of(ref_input(call, 1 + k));
    c.n_items = cpu_n_element_items(c.n);
    cpu_parallel(backend, c.n_items, combine_item, &c);
    return SF_OK;
}

const sf_op_entry cpu_linear_combination = {
    .struct_size = sizeof(sf_op_entry),
    .op = "linear_combination",
    .supports = supports,
    .workspace = workspace,
    .run = run,
};

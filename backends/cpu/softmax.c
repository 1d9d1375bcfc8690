/*
 * softmax of rows by themselves. y may be x.
 */
#include "backends/cpu/items.h"

typedef struct softmax {
    const cpu_kernels *kernels;
    int64_t n_rows, n_items, columns;
    cpu_matrix x, y;
} softmax;

static void normalize_item(void *user, int64_t item, cpu_thread *thread) {
    const softmax *s = user;
    cpu_range rows = cpu_item_units(s->n_rows, item, s->n_items);
    (void)thread;
    s->kernels->softmax(&s->x, &s->y, s->columns, rows.first, rows.end - rows.first);
}

static sf_status run(void *instance, const sf_op_call *call) {
    cpu_backend *backend = instance;
    softmax s = {.kernels = backend->kernels,
                 .n_rows = ref_rows(call->output),
                 .columns = ref_columns(call->output),
                 .x = cpu_matrix_of(ref_input(call, 0)),
                 .y = cpu_matrix_of(call->output)};
    s.n_items = cpu_n_items(s.n_rows, s.columns);
    cpu_parallel(backend, s.n_items, normalize_item, &s);
    return SF_OK;
}

const sf_op_entry cpu_softmax = {
    .struct_size = sizeof(sf_op_entry),
    .op = "softmax",
    .supports = cpu_supports_plain_floats,
    .run = run,
};

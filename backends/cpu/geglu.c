/*
 * geglu: the first half of each row times the gelu of the second.
 */
#include "backends/cpu/items.h"

typedef struct geglu {
    const cpu_kernels *kernels;
    int64_t n_rows, n_items, columns; /* columns of y */
    cpu_matrix x, y;
} geglu;

static void multiply_item(void *user, int64_t item, cpu_thread *thread) {
    const geglu *g = user;
    cpu_range rows = cpu_item_units(g->n_rows, item, g->n_items);
    (void)thread;
    g->kernels->geglu(&g->x, &g->y, g->columns, rows.first, rows.end - rows.first);
}

static sf_status run(void *instance, const sf_op_call *call) {
    cpu_backend *backend = instance;
    geglu g = {.kernels = backend->kernels,
               .n_rows = ref_rows(call->output),
               .columns = ref_columns(call->output),
               .x = cpu_matrix_of(ref_input(call, 0)),
               .y = cpu_matrix_of(call->output)};
    g.n_items = cpu_n_items(g.n_rows, g.columns);
    cpu_parallel(backend, g.n_items, multiply_item, &g);
    return SF_OK;
}

const sf_op_entry cpu_geglu = {
    .struct_size = sizeof(sf_op_entry),
    .op = "geglu",
    .supports = cpu_supports_plain_floats,
    .run = run,
};

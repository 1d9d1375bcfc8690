/*
 * sum and mean over an axis, in double; count_nonfinite.
 */
#include "backends/cpu/items.h"

#define COLUMNS 256 /* of a unit */

/* x is [outer, n, inner], y [outer, inner]; a unit is COLUMNS of y, or with inner = 1 one sum. */
typedef struct reduction {
    const cpu_kernels *kernels;
    int64_t n, inner, n_blocks, n_units, n_items; /* blocks of columns */
    double divisor;
    cpu_matrix x, y;
} reduction;

static void sum_row(const reduction *r, int64_t row) {
    double sums[2] = {0};
    r->kernels->moments(&r->x, row * r->n, r->n, 0, sums);
    r->kernels->narrow_sums(sums, r->divisor, &r->y, row, 1);
}

static void sum_columns(const reduction *r, int64_t unit) {
    int64_t outer = unit / r->n_blocks, first = unit % r->n_blocks * COLUMNS;
    int64_t columns = cpu_smaller(COLUMNS, r->inner - first);
    double sums[COLUMNS] = {0};
    for (int64_t k = 0; k < r->n; k++)
        r->kernels->add_scaled(&r->x, (outer * r->n + k) * r->inner + first, columns, 1, sums);
    r->kernels->narrow_sums(sums, r->divisor, &r->y, outer * r->inner + first, columns);
}

static void reduce_item(void *user, int64_t item, cpu_thread *thread) {
    const reduction *r = user;
    cpu_range units = cpu_item_units(r->n_units, item, r->n_items);
    (void)thread;
    for (int64_t unit = units.first; unit < units.end; unit++)
        r->inner == 1 ? sum_row(r, unit) : sum_columns(r, unit);
}

static void reduce(cpu_backend *backend, const sf_op_call *call, bool divide) {
    const sf_axis_attributes *attributes = call->attributes;
    const sf_tensor_desc *x = ref_input(call, 0);
    reduction r = {.kernels = backend->kernels,
                   .n = x->dims[attributes->axis],
                   .inner = 1,
                   .divisor = divide ? (double)x->dims[attributes->axis] : 1,
                   .x = cpu_matrix_of(x),
                   .y = cpu_matrix_of(call->output)};
    for (int axis = attributes->axis + 1; axis < x->n_dims; axis++)
        r.inner *= x->dims[axis];
    r.n_blocks = cpu_divide_up(r.inner, COLUMNS);
    r.n_units = ref_elements(call->output) / r.inner * r.n_blocks;
    r.n_items = cpu_n_items(r.n_units, r.n * cpu_smaller(r.inner, COLUMNS));
    cpu_parallel(backend, r.n_items, reduce_item, &r);
}

static sf_status run_sum(void *backend, const sf_op_call *call) {
    reduce(backend, call, false);
    return SF_OK;
}

static sf_status run_mean(void *backend, const sf_op_call *call) {
    reduce(backend, call, true);
    return SF_OK;
}

const sf_op_entry cpu_sum = {
    .struct_size = sizeof(sf_op_entry),
    .op = "sum",
    .supports = cpu_supports_plain_floats,
    .run = run_sum,
};

const sf_op_entry cpu_mean = {
    .struct_size = sizeof(sf_op_entry),
    .op = "mean",
    .supports = cpu_supports_plain_floats,
    .run = run_mean,
};

/* ---- count_nonfinite ---- */

typedef struct count {
    const cpu_kernels *kernels;
    int64_t n, n_items;
    cpu_matrix x;
    int64_t *counts; /* [n_items] */
} count;

static int supports_count(const sf_op_call *call) {
    return ref_entries[REF_count_nonfinite]->supports(call) && cpu_is_plain(ref_input(call, 0));
}

static uint64_t workspace_count(const sf_op_call *call) {
    return ref_room(cpu_n_element_items(ref_elements(ref_input(call, 0))), sizeof(int64_t));
}

static void count_item(void *user, int64_t item, cpu_thread *thread) {
    const count *c = user;
    cpu_range elements = cpu_item_elements(c->n, item, c->n_items);
    (void)thread;
    c->counts[item] =
        c->kernels->count_nonfinite(&c->x, elements.first, elements.end - elements.first);
}

static sf_status run_count(void *instance, const sf_op_call *call) {
    cpu_backend *backend = instance;
    ref_scratch scratch = ref_scratch_of(call);
    int64_t n = ref_elements(ref_input(call, 0)), total = 0;
    int32_t *y = ref_address(call->output);
    count c = {.kernels = backend->kernels,
               .n = n,
               .n_items = cpu_n_element_items(n),
               .x = cpu_matrix_of(ref_input(call, 0)),
               .counts = ref_take(&scratch, cpu_n_element_items(n), sizeof(int64_t))};
    cpu_parallel(backend, c.n_items, count_item, &c);
    for (int64_t i = 0; i < c.n_items; i++)
        total += c.counts[i];
    *y = (int32_t)cpu_smaller(total, INT32_MAX);
    return SF_OK;
}

const sf_op_entry cpu_count_nonfinite = {
    .struct_size = sizeof(sf_op_entry),
    .op = "count_nonfinite",
    .supports = supports_count,
    .workspace = workspace_count,
    .run = run_count,
};

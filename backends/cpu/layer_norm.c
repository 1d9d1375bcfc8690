/*
 * layer_norm and rms_norm: rows by themselves, each read from memory once. y may be x.
 */
#include "backends/cpu/items.h"

typedef struct row_norm {
    const cpu_kernels *kernels;
    int64_t n_rows, n_items;
    cpu_row_norm norm;
} row_norm;

/* scale and shift, where they are not f32. */
static uint64_t workspace(const sf_op_call *call) {
    return ref_add_bytes(ref_load_room(ref_input(call, 1)), ref_load_room(ref_input(call, 2)));
}

static void normalize_item(void *user, int64_t item, cpu_thread *thread) {
    const row_norm *r = user;
    cpu_range rows = cpu_item_units(r->n_rows, item, r->n_items);
    (void)thread;
    r->kernels->normalize_each(&r->norm, rows.first, rows.end - rows.first);
}

static void run_rows(cpu_backend *backend, const sf_op_call *call, bool centred) {
    ref_scratch scratch = ref_scratch_of(call);
    const sf_norm_attributes *attributes = call->attributes;
    row_norm r = {.kernels = backend->kernels,
                  .n_rows = ref_rows(call->output),
                  .norm = {.x = cpu_matrix_of(ref_input(call, 0)),
                           .y = cpu_matrix_of(call->output),
                           .columns = ref_columns(call->output),
                           .epsilon = (double)attributes->epsilon,
                           .activation = attributes->activation,
                           .centred = centred}};
    r.norm.scale = ref_load(&scratch, ref_input(call, 1));
    r.norm.shift = ref_load(&scratch, ref_input(call, 2));
    r.n_items = cpu_n_items(r.n_rows, r.norm.columns);
    cpu_parallel(backend, r.n_items, normalize_item, &r);
}

static sf_status run_layer_norm(void *backend, const sf_op_call *call) {
    run_rows(backend, call, true);
    return SF_OK;
}

static sf_status run_rms_norm(void *backend, const sf_op_call *call) {
    run_rows(backend, call, false);
    return SF_OK;
}

const sf_op_entry cpu_layer_norm = {
    .struct_size = sizeof(sf_op_entry),
    .op = "layer_norm",
    .supports = cpu_supports_plain_floats,
    .workspace = workspace,
    .run = run_layer_norm,
    .in_place = SF_IN_PLACE(0),
};

const sf_op_entry cpu_rms_norm = {
    .struct_size = sizeof(sf_op_entry),
    .op = "rms_norm",
    .supports = cpu_supports_plain_floats,
    .workspace = workspace,
    .run = run_rms_norm,
    .in_place = SF_IN_PLACE(0),
};

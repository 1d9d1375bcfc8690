/*
 * embedding: rows of a table, copied as bytes. The ids are looked at before anything is written.
 */
#include <string.h>

#include "backends/cpu/items.h"

typedef struct embedding {
    const sf_tensor_desc *table, *ids;
    int64_t n_ids, n_items, row_bytes;
    char *to;
} embedding;

static int supports(const sf_op_call *call) {
    const sf_tensor_desc *table = ref_input(call, 0);
    return ref_entries[REF_embedding]->supports(call) && cpu_is_plain(table);
}

/* Number i (in row-major order) of a tensor of ids. */
static int64_t id_at(const sf_tensor_desc *ids, int64_t i) {
    int64_t offset = 0;
    for (int axis = ids->n_dims - 1; axis >= 0; axis--) {
        offset += i % ids->dims[axis] * ids->strides[axis];
        i /= ids->dims[axis];
    }
    const void *data = ref_address(ids);
    return ids->dtype == SF_I64 ? ((const int64_t *)data)[offset] : ((const int32_t *)data)[offset];
}

static void look_up_item(void *user, int64_t item, cpu_thread *thread) {
    const embedding *e = user;
    const char *rows = ref_address(e->table);
    cpu_range ids = cpu_item_units(e->n_ids, item, e->n_items);
    (void)thread;
    for (int64_t i = ids.first; i < ids.end; i++)
        memcpy(e->to + i * e->row_bytes, rows + id_at(e->ids, i) * e->row_bytes,
               (size_t)e->row_bytes);
}

static sf_status run(void *instance, const sf_op_call *call) {
    cpu_backend *backend = instance;
    const sf_tensor_desc *table = ref_input(call, 0), *ids = ref_input(call, 1);
    int64_t n_ids = ref_elements(ids);
    for (int64_t i = 0; i < n_ids; i++) {
        int64_t id = id_at(ids, i);
        if (id < 0 || id >= table->dims[0])
            return backend->host->fail(backend->host, SF_ERROR_ARGUMENT,
                                       "id %lld at %lld, the table has %lld rows", (long long)id,
                                       (long long)i, (long long)table->dims[0]);
    }
    int64_t row = n_ids ? ref_elements(call->output) / n_ids : 0;
    embedding e = {.table = table,
                   .ids = ids,
                   .n_ids = n_ids,
                   .n_items = cpu_n_items(n_ids, row),
                   .row_bytes = row * ref_element_bytes(table->dtype),
                   .to = ref_address(call->output)};
    cpu_parallel(backend, e.n_items, look_up_item, &e);
    return SF_OK;
}

const sf_op_entry cpu_embedding = {
    .struct_size = sizeof(sf_op_entry),
    .op = "embedding",
    .supports = supports,
    .run = run,
};

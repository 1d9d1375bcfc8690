/*
 * Calls into a live backend, made the same for plugins with and without host memory. See backend.h.
 */
#include "core/backend.h"

#include <string.h>

#include "core/memory.h"
#include "core/process.h"
#include "core/text.h"

#define BUFFER_ALIGNMENT 256
#define LARGE_BUFFER     ((size_t)1 << 20) /* its pages go before it is freed */

bool sf_backend_has_host_memory(const sf_backend *backend) {
    return (backend->plugin.flags & SF_PLUGIN_HOST_MEMORY) != 0;
}

bool sf_backend_supports(const sf_backend *backend, sf_op_id op, const sf_op_call *call) {
    const sf_op_entry *entry = &backend->entries[op];
    return entry->run && (!entry->supports || entry->supports(call));
}

uint32_t sf_backend_in_place(const sf_backend *backend, sf_op_id op) {
    if (op == SF_OP_linear_combination) /* its coefficients are read for every element */
        return ~SF_IN_PLACE(0);
    if (sf_op_get(op)->flags & SF_OP_ELEMENTWISE)
        return UINT32_MAX;
    return backend->entries[op].in_place;
}

uint64_t sf_backend_memory_bytes(const sf_backend *backend) {
    return backend->plugin.memory_bytes ? backend->plugin.memory_bytes(backend->instance) : 0;
}

uint64_t sf_backend_device_memory_bytes(const sf_backend *backend) {
    const sf_plugin *plugin = &backend->plugin;
    return plugin->device_memory_bytes ? plugin->device_memory_bytes(backend->instance) : 0;
}

/* ---- calls that may fail ---- */

sf_backend_mark sf_backend_enter(sf_backend *backend) {
    sf_backend_mark first = backend->ctx->error[0];
    backend->ctx->error[0] = '\0';
    return first;
}

sf_status sf_backend_leave(sf_backend *backend, sf_backend_mark mark, sf_status status) {
    char *error = backend->ctx->error;
    if (status == SF_OK) {
        if (!error[0])
            error[0] = mark;
        return SF_OK;
    }
    if ((unsigned)status > SF_ERROR_INTERNAL)
        status = SF_ERROR_BACKEND;
    return error[0] ? status : sf_fail(backend->ctx, status, "%s", sf_status_text(status));
}

/* ---- what ran elsewhere ---- */

void sf_backend_warn_of_fallbacks(sf_backend *backend, const char *fallback) {
    for (int op = 0; op < SF_OP_COUNT; op++) {
        sf_fallback_count *count = &backend->fallbacks[op];
        char copied[32];
        if (count->n_runs == 0)
            continue;
        sf_bytes_text(count->bytes_copied, copied);
        sf_log(backend->ctx, SF_LOG_WARNING, "%s ran on %s %llux, %s copied",
               sf_op_get((sf_op_id)op)->name, fallback, (unsigned long long)count->n_runs, copied);
        *count = (sf_fallback_count){0};
    }
}

/* ---- buffers ---- */

/* What lies right before a host buffer. */
typedef struct host_header {
    void *block; /* the allocator's */
    size_t bytes;
} host_header;

static sf_status host_buffer_new(sf_context *ctx, uint64_t bytes, void **buffer) {
    if (bytes > SIZE_MAX - BUFFER_ALIGNMENT - sizeof(host_header))
        SF_FAIL(ctx, ERROR_MEMORY, "out of memory: a buffer of %llu bytes",
                (unsigned long long)bytes);
    size_t padded = (size_t)bytes + BUFFER_ALIGNMENT + sizeof(host_header);
    const sf_allocator *allocator = &ctx->options.allocator;
    const host_header header = {allocator->resize(allocator->user, NULL, padded), padded};
    if (!header.block)
        SF_FAIL(ctx, ERROR_MEMORY, "out of memory: a buffer of %llu bytes",
                (unsigned long long)bytes);
    uintptr_t start = (uintptr_t)header.block + sizeof header;
    size_t skip = (BUFFER_ALIGNMENT - start % BUFFER_ALIGNMENT) % BUFFER_ALIGNMENT;
    char *aligned = (char *)header.block + sizeof header + skip;
    memcpy(aligned - sizeof header, &header, sizeof header);
    *buffer = aligned;
    return SF_OK;
}

static void host_buffer_free(sf_context *ctx, void *buffer) {
    host_header header;
    memcpy(&header, (char *)buffer - sizeof header, sizeof header);
    if (ctx->uses_malloc && header.bytes >= LARGE_BUFFER)
        sf_process_release_pages(header.block, header.bytes);
    sf_free(ctx, header.block);
}

sf_status sf_backend_buffer_new(sf_backend *backend, uint64_t bytes, void **buffer) {
    void *made = NULL;
    if (!backend->plugin.buffer_new) {
        SF_TRY(host_buffer_new(backend->ctx, bytes, &made));
    } else {
        sf_backend_mark mark = sf_backend_enter(backend);
        SF_TRY(sf_backend_leave(backend, mark,
                                backend->plugin.buffer_new(backend->instance, bytes, &made)));
        if (!made)
            SF_FAIL(backend->ctx, ERROR_BACKEND, "%s gave no buffer of %llu bytes", backend->name,
                    (unsigned long long)bytes);
    }
    *buffer = made;
    return SF_OK;
}

void sf_backend_buffer_free(sf_backend *backend, void *buffer) {
    if (!buffer)
        return;
    if (backend->plugin.buffer_new) {
        backend->plugin.buffer_free(backend->instance, buffer);
        return;
    }
    sf_backend_synchronize(backend); /* something may still be working on it */
    host_buffer_free(backend->ctx, buffer);
}

sf_status sf_backend_upload(sf_backend *backend, void *buffer, uint64_t offset, const void *source,
                            uint64_t bytes) {
    if (!bytes)
        return SF_OK;
    if (backend->plugin.upload) {
        sf_backend_mark mark = sf_backend_enter(backend);
        return sf_backend_leave(
            backend, mark,
            backend->plugin.upload(backend->instance, buffer, offset, source, bytes));
    }
    SF_TRY(sf_backend_synchronize(backend));
    memcpy((char *)buffer + offset, source, (size_t)bytes);
    return SF_OK;
}

sf_status sf_backend_download(sf_backend *backend, void *destination, void *buffer, uint64_t offset,
                              uint64_t bytes) {
    if (!bytes)
        return SF_OK;
    if (backend->plugin.download) {
        sf_backend_mark mark = sf_backend_enter(backend);
        return sf_backend_leave(
            backend, mark,
            backend->plugin.download(backend->instance, destination, buffer, offset, bytes));
    }
    SF_TRY(sf_backend_synchronize(backend));
    memcpy(destination, (const char *)buffer + offset, (size_t)bytes);
    return SF_OK;
}

sf_status sf_backend_synchronize(sf_backend *backend) {
    if (!backend->plugin.synchronize)
        return SF_OK;
    sf_backend_mark mark = sf_backend_enter(backend);
    return sf_backend_leave(backend, mark, backend->plugin.synchronize(backend->instance));
}

sf_status sf_backend_start_upload(sf_backend *backend, uint32_t slot, void *buffer, uint64_t offset,
                                  const void *source, uint64_t bytes) {
    if (!bytes)
        return SF_OK;
    sf_backend_mark mark = sf_backend_enter(backend);
    return sf_backend_leave(
        backend, mark,
        backend->plugin.start_upload(backend->instance, slot, buffer, offset, source, bytes));
}

sf_status sf_backend_await_upload(sf_backend *backend, uint32_t slot) {
    sf_backend_mark mark = sf_backend_enter(backend);
    return sf_backend_leave(backend, mark, backend->plugin.await_upload(backend->instance, slot));
}

bool sf_backend_read_counters(sf_backend *backend, sf_backend_counters *counters) {
    if (!backend->plugin.read_counters)
        return false;
    *counters = (sf_backend_counters){.struct_size = sizeof *counters};
    backend->plugin.read_counters(backend->instance, counters);
    return true;
}

/* ---- constants ---- */

typedef struct resident {
    sf_part *parts; /* the host's bytes; the list is owned */
    size_t n_parts;
    void *buffer; /* NULL: a free place */
    size_t n_users;
} resident;

/* Copies of constants on the device, in an open-addressed table keyed by the parts. */
struct sf_residents {
    resident *table;
    size_t capacity; /* 0 or a power of two, at most half full */
    size_t count;
};

static size_t place_of(const sf_part *parts, size_t n_parts, size_t capacity) {
    uint64_t hash = 0;
    for (size_t i = 0; i < n_parts; i++)
        hash = (hash ^ (uint64_t)(uintptr_t)parts[i].data ^ parts[i].bytes) *
               UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(hash >> 20) & (capacity - 1);
}

static bool has_parts(const resident *entry, const sf_part *parts, size_t n_parts) {
    bool same = entry->n_parts == n_parts;
    for (size_t i = 0; same && i < n_parts; i++)
        same = entry->parts[i].data == parts[i].data && entry->parts[i].bytes == parts[i].bytes;
    return same;
}

/* The entry of a constant, or the free place where it belongs; capacity is not 0. */
static resident *find_resident(const struct sf_residents *residents, const sf_part *parts,
                               size_t n_parts) {
    size_t i = place_of(parts, n_parts, residents->capacity);
    while (residents->table[i].buffer && !has_parts(&residents->table[i], parts, n_parts))
        i = (i + 1) & (residents->capacity - 1);
    return &residents->table[i];
}

static sf_status make_room(sf_backend *backend) {
    if (!backend->residents && !(backend->residents = SF_NEW(backend->ctx, struct sf_residents)))
        return SF_ERROR_MEMORY;
    struct sf_residents *residents = backend->residents;
    if ((residents->count + 1) * 2 <= residents->capacity)
        return SF_OK;
    struct sf_residents grown = {.capacity = residents->capacity ? residents->capacity * 2 : 64};
    grown.table = SF_NEW_ARRAY(backend->ctx, resident, grown.capacity);
    if (!grown.table)
        return SF_ERROR_MEMORY;
    for (size_t i = 0; i < residents->capacity; i++) {
        const resident *moved = &residents->table[i];
        if (!moved->buffer)
            continue;
        *find_resident(&grown, moved->parts, moved->n_parts) = *moved;
        grown.count++;
    }
    sf_free(backend->ctx, residents->table);
    *residents = grown;
    return SF_OK;
}

/* The table goes with the last constant. */
static void drop_if_empty(sf_backend *backend) {
    if (!backend->residents || backend->residents->count)
        return;
    sf_free(backend->ctx, backend->residents->table);
    sf_free(backend->ctx, backend->residents);
    backend->residents = NULL;
}

static sf_status upload_parts(sf_backend *backend, void *buffer, const sf_part *parts,
                              size_t n_parts) {
    uint64_t offset = 0;
    for (size_t i = 0; i < n_parts; i++) {
        SF_TRY(sf_backend_upload(backend, buffer, offset, parts[i].data, parts[i].bytes));
        offset += parts[i].bytes;
    }
    return SF_OK;
}

/* Fills the entry, which stays as it is where that fails. */
static sf_status copy_constant(sf_backend *backend, const sf_part *parts, size_t n_parts,
                               resident *entry) {
    uint64_t bytes = 0;
    resident made = {.n_parts = n_parts};
    sf_status status;
    for (size_t i = 0; i < n_parts; i++)
        bytes += parts[i].bytes;
    made.parts = SF_NEW_ARRAY(backend->ctx, sf_part, n_parts);
    if (!made.parts)
        return SF_ERROR_MEMORY;
    memcpy(made.parts, parts, n_parts * sizeof *parts);
    SF_TRY_OUT(sf_backend_buffer_new(backend, bytes ? bytes : 1, &made.buffer));
    SF_TRY_OUT(upload_parts(backend, made.buffer, parts, n_parts));
    *entry = made;
    return SF_OK;
out:
    sf_backend_buffer_free(backend, made.buffer);
    sf_free(backend->ctx, made.parts);
    return status;
}

/* Whether the backend reads the constant where it is. */
static bool is_in_place(const sf_backend *backend, size_t n_parts) {
    return n_parts == 1 && sf_backend_has_host_memory(backend);
}

sf_status sf_backend_acquire_constant(sf_backend *backend, const sf_part *parts, size_t n_parts,
                                      void **buffer) {
    if (is_in_place(backend, n_parts)) {
        *buffer = (void *)parts[0].data;
        return SF_OK;
    }
    sf_status status;
    SF_TRY_OUT(make_room(backend));
    resident *entry = find_resident(backend->residents, parts, n_parts);
    if (!entry->buffer) {
        SF_TRY_OUT(copy_constant(backend, parts, n_parts, entry));
        backend->residents->count++;
    }
    entry->n_users++;
    *buffer = entry->buffer;
    return SF_OK;
out:
    drop_if_empty(backend);
    return status;
}

/* Takes an entry out and moves up those that only stand behind it because of it. */
static void remove_resident(struct sf_residents *residents, resident *entry) {
    size_t mask = residents->capacity - 1;
    size_t hole = (size_t)(entry - residents->table);
    residents->table[hole] = (resident){0};
    residents->count--;
    for (size_t i = (hole + 1) & mask; residents->table[i].buffer; i = (i + 1) & mask) {
        resident moved = residents->table[i];
        residents->table[i] = (resident){0};
        *find_resident(residents, moved.parts, moved.n_parts) = moved;
    }
}

void sf_backend_release_constant(sf_backend *backend, const sf_part *parts, size_t n_parts) {
    if (is_in_place(backend, n_parts) || !backend->residents)
        return;
    resident *entry = find_resident(backend->residents, parts, n_parts);
    if (!entry->buffer || --entry->n_users > 0)
        return;
    sf_backend_buffer_free(backend, entry->buffer);
    sf_free(backend->ctx, entry->parts);
    remove_resident(backend->residents, entry);
    drop_if_empty(backend);
}

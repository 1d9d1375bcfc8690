/*
 * Named sets of host tensors, with metadata and the mappings that their tensors borrow from.
 */
#include <string.h>

#include "core/memory.h"
#include "core/name_map.h"
#include "core/tensor.h"

struct mapping {
    void *memory;
    size_t bytes;
    void (*release)(void *memory, size_t bytes);
    void (*advise)(void *memory, size_t bytes, bool wanted); /* NULL: it takes no advice */
};

/* Strings by name, in order. */
struct string_map {
    sf_name_map names;
    char **values; /* owned, one a name */
    size_t capacity;
};

struct sf_tensors {
    sf_context *ctx;   /* borrowed */
    sf_name_map names; /* the name of members[i] is names.names[i] */
    sf_tensor **members;
    size_t members_capacity;
    struct string_map metadata;
    struct string_map skipped;
    struct mapping *mappings;
    size_t n_mappings;
    size_t mappings_capacity;
};

static void string_map_clear(struct string_map *map) {
    for (size_t i = 0; i < map->names.count; i++)
        sf_free(map->names.ctx, map->values[i]);
    sf_free(map->names.ctx, map->values);
    sf_name_map_clear(&map->names);
}

static sf_status string_map_set(struct string_map *map, const char *name, const char *value) {
    sf_context *ctx = map->names.ctx;
    int index = sf_name_map_find(&map->names, name);
    char *copy = sf_strdup(ctx, value);
    if (!copy)
        return SF_ERROR_MEMORY;
    if (index >= 0) {
        sf_free(ctx, map->values[index]);
        map->values[index] = copy;
        return SF_OK;
    }
    size_t count = map->names.count;
    sf_status status =
        sf_grow(ctx, (void **)&map->values, &map->capacity, count + 1, sizeof *map->values);
    if (status == SF_OK)
        status = sf_name_map_add(&map->names, name);
    if (status == SF_OK)
        map->values[count] = copy;
    else
        sf_free(ctx, copy);
    return status;
}

static const char *string_map_get(const struct string_map *map, const char *name) {
    int index = sf_name_map_find(&map->names, name);
    return index < 0 ? NULL : map->values[index];
}

sf_status sf_tensors_new(sf_context *context, sf_tensors **tensors) {
    sf_tensors *made = SF_NEW(context, sf_tensors);
    if (!made)
        return SF_ERROR_MEMORY;
    made->ctx = context;
    sf_name_map_init(context, &made->names);
    sf_name_map_init(context, &made->metadata.names);
    sf_name_map_init(context, &made->skipped.names);
    *tensors = made;
    return SF_OK;
}

void sf_tensors_free(sf_tensors *tensors) {
    if (!tensors)
        return;
    for (size_t i = 0; i < tensors->names.count; i++)
        sf_tensor_free(tensors->members[i]);
    for (size_t i = 0; i < tensors->n_mappings; i++)
        tensors->mappings[i].release(tensors->mappings[i].memory, tensors->mappings[i].bytes);
    sf_free(tensors->ctx, tensors->members);
    sf_free(tensors->ctx, tensors->mappings);
    sf_name_map_clear(&tensors->names);
    string_map_clear(&tensors->metadata);
    string_map_clear(&tensors->skipped);
    sf_free(tensors->ctx, tensors);
}

int sf_tensors_count(const sf_tensors *tensors) {
    return (int)tensors->names.count;
}

const char *sf_tensors_name(const sf_tensors *tensors, int index) {
    return tensors->names.names[index];
}

sf_tensor *sf_tensors_at(const sf_tensors *tensors, int index) {
    return tensors->members[index];
}

int sf_tensors_position(const sf_tensors *tensors, const char *name) {
    return sf_name_map_find(&tensors->names, name);
}

sf_context *sf_tensors_context(const sf_tensors *tensors) {
    return tensors->ctx;
}

sf_tensor *sf_tensors_find(const sf_tensors *tensors, const char *name) {
    int index = sf_name_map_find(&tensors->names, name);
    return index < 0 ? NULL : tensors->members[index];
}

static sf_status add_member(sf_tensors *tensors, const char *name, sf_tensor *tensor) {
    if (!name || !tensor)
        SF_FAIL(tensors->ctx, ERROR_ARGUMENT, "a tensor and its name are needed");
    if (sf_name_map_find(&tensors->names, name) >= 0)
        SF_FAIL(tensors->ctx, ERROR_ARGUMENT, "a tensor named '%s' is there already", name);
    size_t count = tensors->names.count;
    SF_TRY(sf_grow(tensors->ctx, (void **)&tensors->members, &tensors->members_capacity, count + 1,
                   sizeof *tensors->members));
    SF_TRY(sf_name_map_add(&tensors->names, name));
    tensors->members[count] = tensor;
    return SF_OK;
}

sf_status sf_tensors_add(sf_tensors *tensors, const char *name, sf_tensor *tensor) {
    sf_status status = add_member(tensors, name, tensor);
    if (status != SF_OK)
        sf_tensor_free(tensor);
    return status;
}

sf_status sf_tensors_adopt_mapping(sf_tensors *tensors, void *memory, size_t bytes,
                                   void (*release)(void *memory, size_t bytes),
                                   void (*advise)(void *memory, size_t bytes, bool wanted)) {
    SF_TRY(sf_grow(tensors->ctx, (void **)&tensors->mappings, &tensors->mappings_capacity,
                   tensors->n_mappings + 1, sizeof *tensors->mappings));
    tensors->mappings[tensors->n_mappings++] = (struct mapping){memory, bytes, release, advise};
    return SF_OK;
}

void sf_tensors_release_pages(const sf_tensors *tensors) {
    for (size_t i = 0; tensors && i < tensors->n_mappings; i++) {
        const struct mapping *mapping = &tensors->mappings[i];
        if (mapping->advise && mapping->bytes)
            mapping->advise(mapping->memory, mapping->bytes, false);
    }
}

static const struct mapping *find_mapping(const sf_tensors *tensors, const void *data,
                                          size_t bytes) {
    for (size_t i = 0; tensors && i < tensors->n_mappings; i++) {
        const struct mapping *mapping = &tensors->mappings[i];
        uintptr_t start = (uintptr_t)mapping->memory;
        if (mapping->advise && (uintptr_t)data >= start && bytes <= mapping->bytes &&
            (uintptr_t)data - start <= mapping->bytes - bytes)
            return mapping;
    }
    return NULL;
}

bool sf_tensors_is_mapped(const sf_tensors *tensors, const void *data, size_t bytes) {
    return find_mapping(tensors, data, bytes) != NULL;
}

/* The windows of SF_PAGES_AROUND bytes that data touches, as far as they are mapped. */
void sf_tensors_advise(const sf_tensors *tensors, const void *data, size_t bytes, bool wanted) {
    const struct mapping *mapping = find_mapping(tensors, data, bytes);
    if (!mapping || !bytes)
        return;
    size_t begin = (size_t)((uintptr_t)data - (uintptr_t)mapping->memory), end = begin + bytes;
    size_t before = (uintptr_t)data % SF_PAGES_AROUND;
    size_t after = SF_PAGES_AROUND - ((uintptr_t)data + bytes - 1) % SF_PAGES_AROUND - 1;
    begin = before < begin ? begin - before : 0;
    end = after < mapping->bytes - end ? end + after : mapping->bytes;
    mapping->advise((char *)mapping->memory + begin, end - begin, wanted);
}

const char *sf_tensors_metadata(const sf_tensors *tensors, const char *key) {
    return string_map_get(&tensors->metadata, key);
}

sf_status sf_tensors_set_metadata(sf_tensors *tensors, const char *key, const char *value) {
    return string_map_set(&tensors->metadata, key, value);
}

int sf_tensors_metadata_count(const sf_tensors *tensors) {
    return (int)tensors->metadata.names.count;
}

void sf_tensors_metadata_at(const sf_tensors *tensors, int index, const char **key,
                            const char **value) {
    *key = tensors->metadata.names.names[index];
    *value = tensors->metadata.values[index];
}

const char *sf_tensors_skipped(const sf_tensors *tensors, const char *name) {
    return string_map_get(&tensors->skipped, name);
}

sf_status sf_tensors_add_skipped(sf_tensors *tensors, const char *name, const char *type) {
    return string_map_set(&tensors->skipped, name, type);
}

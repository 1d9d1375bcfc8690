/*
 * Reading safetensors: one file's header and its tensors. See safetensors.h. Shards are in
 * safetensors_index.c, writing in safetensors_write.c.
 */
#include "core/io/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "core/memory.h"

#define LENGTH_BYTES     8
#define MAX_HEADER_BYTES ((uint64_t)100000000)

/* Every element type of the format with its bits (safetensors 0.8, tensor.rs, Dtype::bitsize). */
static const struct file_type {
    const char *name;
    int bits;
} file_types[] = {
    {"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
    {"I64", 64},        {"U64", 64},
};

/* One tensor as the header describes it. */
struct entry {
    const char *name; /* borrowed from the JSON tree */
    const struct file_type *type;
    int n_dims;
    int64_t dims[SF_MAX_DIMS];
    uint64_t begin, end; /* within the data */
};

/* A file that is being read. */
struct reader {
    sf_context *ctx;
    const char *name; /* of the file */
    const char *data; /* the tensors' bytes */
    uint64_t data_bytes;
    json_t *header;
    struct entry *entries;
    size_t n_entries;
};

static sf_status fail_entry(const struct reader *reader, const char *tensor, const char *what) {
    SF_FAIL(reader->ctx, ERROR_FORMAT, "%s: tensor '%s': %s", reader->name, tensor, what);
}

static sf_status read_type(const struct reader *reader, const json_t *object, struct entry *entry) {
    const char *type = json_string_value(json_object_get(object, "dtype"));
    if (!type)
        return fail_entry(reader, entry->name, "no dtype, or not a string");
    for (size_t i = 0; i < sizeof file_types / sizeof *file_types; i++)
        if (strcmp(file_types[i].name, type) == 0)
            entry->type = &file_types[i];
    if (!entry->type)
        SF_FAIL(reader->ctx, ERROR_FORMAT, "%s: tensor '%s': unknown dtype '%.32s'", reader->name,
                entry->name, type);
    return SF_OK;
}

static sf_status read_shape(const struct reader *reader, const json_t *object,
                            struct entry *entry) {
    const json_t *shape = json_object_get(object, "shape");
    if (!json_is_array(shape))
        return fail_entry(reader, entry->name, "no shape, or not a list");
    size_t n_dims = json_array_size(shape);
    if (n_dims > SF_MAX_DIMS)
        SF_FAIL(reader->ctx, ERROR_FORMAT,
                "%s: tensor '%s': %zu dimensions; at most %d are possible", reader->name,
                entry->name, n_dims, SF_MAX_DIMS);
    entry->n_dims = (int)n_dims;
    for (size_t i = 0; i < n_dims; i++) {
        const json_t *dim = json_array_get(shape, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return fail_entry(reader, entry->name, "a dimension is not a non-negative integer");
        entry->dims[i] = json_integer_value(dim);
    }
    return SF_OK;
}

/* Reads data_offsets, which lie within the data and span as many bytes as type and shape ask for.
 */
static sf_status read_offsets(const struct reader *reader, const json_t *object,
                              struct entry *entry) {
    const json_t *offsets = json_object_get(object, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0)
        return fail_entry(reader, entry->name, "no data_offsets, or not two positions");
    long long first = json_integer_value(begin), last = json_integer_value(end);
    if (last < first)
        SF_FAIL(reader->ctx, ERROR_FORMAT,
                "%s: tensor '%s': data_offsets %lld to %lld are reversed", reader->name,
                entry->name, first, last);
    if ((uint64_t)last > reader->data_bytes)
        SF_FAIL(reader->ctx, ERROR_FORMAT,
                "%s: tensor '%s': data_offsets %lld to %lld run past the file's %llu data bytes",
                reader->name, entry->name, first, last, (unsigned long long)reader->data_bytes);
    entry->begin = (uint64_t)first;
    entry->end = (uint64_t)last;

    int64_t n_elements, bits;
    size_t bytes;
    sf_status status =
        sf_shape_size(reader->ctx, "shape", SF_U8, entry->n_dims, entry->dims, &n_elements, &bytes);
    if (status != SF_OK)
        return sf_fail_in(reader->ctx, SF_ERROR_FORMAT, "%s: tensor '%s'", reader->name,
                          entry->name);
    if (!sf_multiply_i64(n_elements, entry->type->bits, &bits) || bits % 8 ||
        (uint64_t)bits / 8 != entry->end - entry->begin) {
        char shape[SF_SHAPE_TEXT];
        SF_FAIL(reader->ctx, ERROR_FORMAT,
                "%s: tensor '%s': data_offsets span %llu bytes, which do not fit %s of %s",
                reader->name, entry->name, (unsigned long long)(entry->end - entry->begin),
                sf_shape_text(entry->n_dims, entry->dims, shape), entry->type->name);
    }
    return SF_OK;
}

static sf_status read_metadata(const struct reader *reader, json_t *metadata, sf_tensors *set) {
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        SF_FAIL(reader->ctx, ERROR_FORMAT, "%s: __metadata__ is not an object", reader->name);
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value))
            SF_FAIL(reader->ctx, ERROR_FORMAT, "%s: __metadata__: '%s' is not a string",
                    reader->name, key);
        SF_TRY(sf_tensors_set_metadata(set, key, json_string_value(value)));
    }
    return SF_OK;
}

static sf_status read_entries(struct reader *reader, sf_tensors *set) {
    const char *name;
    json_t *object;
    reader->entries = SF_NEW_ARRAY(reader->ctx, struct entry, json_object_size(reader->header));
    if (!reader->entries)
        return SF_ERROR_MEMORY;
    json_object_foreach(reader->header, name, object) {
        if (strcmp(name, "__metadata__") == 0) {
            SF_TRY(read_metadata(reader, object, set));
            continue;
        }
        struct entry *entry = &reader->entries[reader->n_entries++];
        entry->name = name;
        if (!json_is_object(object))
            return fail_entry(reader, name, "not an object");
        SF_TRY(read_type(reader, object, entry));
        SF_TRY(read_shape(reader, object, entry));
        SF_TRY(read_offsets(reader, object, entry));
    }
    return SF_OK;
}

static int compare_offsets(const void *left, const void *right) {
    const struct entry *a = *(const struct entry *const *)left;
    const struct entry *b = *(const struct entry *const *)right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

/* Sorted by offset, each tensor begins where the one before it ends, and the last ends the file. */
static sf_status check_cover(const struct reader *reader, const struct entry **sorted) {
    uint64_t covered = 0;
    for (size_t i = 0; i < reader->n_entries; i++)
        sorted[i] = &reader->entries[i];
    qsort(sorted, reader->n_entries, sizeof *sorted, compare_offsets);
    for (size_t i = 0; i < reader->n_entries; i++) {
        if (sorted[i]->begin < covered)
            SF_FAIL(reader->ctx, ERROR_FORMAT, "%s: tensors '%s' and '%s' overlap", reader->name,
                    sorted[i - 1]->name, sorted[i]->name);
        if (sorted[i]->begin > covered)
            SF_FAIL(reader->ctx, ERROR_FORMAT, "%s: %llu bytes before tensor '%s' belong to none",
                    reader->name, (unsigned long long)(sorted[i]->begin - covered),
                    sorted[i]->name);
        covered = sorted[i]->end;
    }
    if (covered != reader->data_bytes)
        SF_FAIL(reader->ctx, ERROR_FORMAT, "%s: the last %llu bytes belong to no tensor",
                reader->name, (unsigned long long)(reader->data_bytes - covered));
    return SF_OK;
}

/* A tensor over the file's bytes, or a copy of them where they are not aligned for its type. */
static sf_status make_tensor(const struct reader *reader, const struct entry *entry, sf_dtype dtype,
                             sf_tensor **tensor) {
    const char *bytes = reader->data + entry->begin;
    if ((uintptr_t)bytes % (uintptr_t)sf_dtype_get(dtype)->block_bytes == 0)
        return sf_tensor_borrow(reader->ctx, dtype, entry->n_dims, entry->dims, bytes, tensor);
    SF_TRY(sf_tensor_new(reader->ctx, dtype, entry->n_dims, entry->dims, tensor));
    memcpy((*tensor)->data, bytes, (size_t)(entry->end - entry->begin));
    return SF_OK;
}

static sf_status add_entry(const struct reader *reader, const struct entry *entry,
                           sf_tensors *set) {
    sf_dtype dtype = sf_dtype_from_file_name(entry->type->name);
    if (sf_tensors_find(set, entry->name) || sf_tensors_skipped(set, entry->name))
        return fail_entry(reader, entry->name, "is in another file of this model too");
    if (dtype == SF_NONE)
        return sf_tensors_add_skipped(set, entry->name, entry->type->name);
    sf_tensor *tensor;
    SF_TRY(make_tensor(reader, entry, dtype, &tensor));
    return sf_tensors_add(set, entry->name, tensor);
}

static sf_status parse_header(struct reader *reader, const char *text, size_t bytes) {
    if (bytes == 0 || text[0] != '{')
        SF_FAIL(reader->ctx, ERROR_FORMAT, "%s: the header does not begin with '{'", reader->name);
    SF_TRY(sf_json_parse(reader->ctx, reader->name, text, bytes, SF_JSON_UNIQUE_NAMES,
                         &reader->header));
    return SF_OK;
}

static sf_status read_tensors(struct reader *reader, sf_tensors *set) {
    SF_TRY(read_entries(reader, set));
    const struct entry **sorted =
        SF_NEW_ARRAY(reader->ctx, const struct entry *, reader->n_entries);
    if (!sorted)
        return SF_ERROR_MEMORY;
    sf_status status = check_cover(reader, sorted);
    sf_free(reader->ctx, sorted);
    for (size_t i = 0; status == SF_OK && i < reader->n_entries; i++)
        status = add_entry(reader, &reader->entries[i], set);
    return status;
}

sf_status sf_safetensors_parse(sf_context *ctx, const char *name, const void *data, size_t size,
                               sf_tensors *set) {
    const unsigned char *bytes = data;
    uint64_t header_bytes = 0;
    if (size < LENGTH_BYTES)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: too short for safetensors: %zu bytes", name, size);
    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        header_bytes = header_bytes << 8 | bytes[i];
    if (header_bytes > MAX_HEADER_BYTES)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: a header of %llu bytes; at most %llu are possible", name,
                (unsigned long long)header_bytes, (unsigned long long)MAX_HEADER_BYTES);
    if (header_bytes > size - LENGTH_BYTES)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: a header of %llu bytes runs past the file's %zu bytes",
                name, (unsigned long long)header_bytes, size);

    const char *header = (const char *)bytes + LENGTH_BYTES;
    struct reader reader = {.ctx = ctx,
                            .name = name,
                            .data = header + header_bytes,
                            .data_bytes = size - LENGTH_BYTES - header_bytes};
    sf_status status = parse_header(&reader, header, (size_t)header_bytes);
    if (status == SF_OK)
        status = read_tensors(&reader, set);
    json_decref(reader.header);
    sf_free(ctx, reader.entries);
    return status;
}

sf_status sf_safetensors_add_file(sf_context *ctx, const char *path, sf_tensors *set) {
    sf_mapping mapping;
    SF_TRY(sf_file_map(ctx, path, &mapping));
    /* The set keeps the mapping from here on, also after a failure, as some tensors may be in it.
     */
    sf_status status =
        sf_tensors_adopt_mapping(set, mapping.memory, mapping.bytes, sf_file_unmap, sf_file_advise);
    if (status != SF_OK) {
        sf_file_unmap(mapping.memory, mapping.bytes);
        return status;
    }
    return sf_safetensors_parse(ctx, path, mapping.memory, mapping.bytes, set);
}

sf_status sf_tensors_load(sf_context *context, const char *path, sf_tensors **tensors) {
    sf_tensors *set;
    SF_TRY(sf_tensors_new(context, &set));
    sf_status status = sf_path_has_suffix(path, ".index.json")
                           ? sf_safetensors_add_index(context, path, set)
                           : sf_safetensors_add_file(context, path, set);
    if (status != SF_OK) {
        sf_tensors_free(set);
        return status;
    }
    *tensors = set;
    return SF_OK;
}

sf_status sf_tensors_load_headers(sf_context *ctx, const char *path, sf_tensors **tensors) {
    return sf_tensors_load(ctx, path, tensors);
}

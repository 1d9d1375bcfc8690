/*
 * Writing safetensors. Tensors go into the file as the reference implementation orders them: types
 * of the largest elements first, by name within a type, so that all are aligned; the header is
 * padded with spaces to 8 bytes for the same reason.
 */
#include <stdlib.h>
#include <string.h>

#include "core/io/file.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "core/text.h"

#define MAX_HEADER_BYTES 100000000

struct item {
    const char *name; /* both borrowed from the set */
    const sf_tensor *tensor;
};

static int compare_items(const void *left, const void *right) {
    const struct item *a = left, *b = right;
    int64_t a_bytes = sf_dtype_get(a->tensor->dtype)->block_bytes;
    int64_t b_bytes = sf_dtype_get(b->tensor->dtype)->block_bytes;
    if (a_bytes != b_bytes)
        return a_bytes > b_bytes ? -1 : 1;
    if (a->tensor->dtype != b->tensor->dtype)
        return a->tensor->dtype < b->tensor->dtype ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* "name": with the check that readers will ask for. */
static sf_status append_key(sf_text *header, const char *path, const char *what, const char *name) {
    if (!sf_utf8_valid(name, strlen(name)))
        SF_FAIL(header->ctx, ERROR_ARGUMENT, "%s: a %s is not UTF-8: '%s'", path, what, name);
    if (header->chars[header->length - 1] != '{')
        SF_TRY(sf_text_append(header, ","));
    SF_TRY(sf_text_append_json_string(header, name));
    return sf_text_append(header, ":");
}

static sf_status append_metadata(sf_text *header, const char *path, const sf_tensors *tensors) {
    if (sf_tensors_metadata_count(tensors) == 0)
        return SF_OK;
    SF_TRY(sf_text_append(header, "\"__metadata__\":{"));
    for (int i = 0; i < sf_tensors_metadata_count(tensors); i++) {
        const char *key, *value;
        sf_tensors_metadata_at(tensors, i, &key, &value);
        SF_TRY(append_key(header, path, "metadata key", key));
        if (!sf_utf8_valid(value, strlen(value)))
            SF_FAIL(header->ctx, ERROR_ARGUMENT, "%s: the metadata of '%s' is not UTF-8", path,
                    key);
        SF_TRY(sf_text_append_json_string(header, value));
    }
    return sf_text_append(header, "}");
}

static sf_status append_item(sf_text *header, const char *path, const struct item *item,
                             size_t begin) {
    char *facts, shape[SF_SHAPE_TEXT];
    const sf_tensor *tensor = item->tensor;
    if (strcmp(item->name, "__metadata__") == 0)
        SF_FAIL(header->ctx, ERROR_ARGUMENT, "%s: a tensor can't be named '__metadata__'", path);
    SF_TRY(append_key(header, path, "tensor's name", item->name));
    facts =
        sf_format(header->ctx, "{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                  sf_dtype_get(tensor->dtype)->file_name,
                  sf_shape_text(tensor->n_dims, tensor->dims, shape), begin, begin + tensor->bytes);
    sf_status status = facts ? sf_text_append(header, facts) : SF_ERROR_MEMORY;
    sf_free(header->ctx, facts);
    return status;
}

/* The header's text without its length, a multiple of 8 bytes. */
static sf_status make_header(const sf_tensors *tensors, const char *path, const struct item *items,
                             int n_items, sf_text *header) {
    size_t begin = 0;
    SF_TRY(sf_text_append(header, "{"));
    SF_TRY(append_metadata(header, path, tensors));
    for (int i = 0; i < n_items; i++) {
        SF_TRY(append_item(header, path, &items[i], begin));
        if (__builtin_add_overflow(begin, items[i].tensor->bytes, &begin))
            SF_FAIL(header->ctx, ERROR_ARGUMENT, "%s: too large", path);
    }
    SF_TRY(sf_text_append(header, "}"));
    while (header->length % 8)
        SF_TRY(sf_text_append(header, " "));
    if (header->length > MAX_HEADER_BYTES)
        SF_FAIL(header->ctx, ERROR_ARGUMENT, "%s: a header of %zu bytes; at most %d are possible",
                path, header->length, MAX_HEADER_BYTES);
    return SF_OK;
}

static sf_status write_parts(sf_writer *writer, const sf_text *header, const struct item *items,
                             int n_items) {
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header->length >> (8 * i));
    SF_TRY(sf_writer_write(writer, length, sizeof length));
    SF_TRY(sf_writer_write(writer, header->chars, header->length));
    for (int i = 0; i < n_items; i++)
        SF_TRY(sf_writer_write(writer, items[i].tensor->data, items[i].tensor->bytes));
    return SF_OK;
}

static sf_status save_items(const sf_tensors *tensors, const char *path, sf_context *ctx,
                            const struct item *items, int n_items) {
    sf_text header = {.ctx = ctx};
    sf_writer *writer = NULL;
    sf_status status;
    SF_TRY_OUT(make_header(tensors, path, items, n_items, &header));
    SF_TRY_OUT(sf_writer_open(ctx, path, &writer));
    SF_TRY_OUT(write_parts(writer, &header, items, n_items));
    status = sf_writer_commit(writer);
    writer = NULL;
out:
    sf_writer_discard(writer);
    sf_free(ctx, header.chars);
    return status;
}

sf_status sf_tensors_save(const sf_tensors *tensors, const char *path) {
    sf_context *ctx = sf_tensors_context(tensors);
    int n_items = sf_tensors_count(tensors);
    struct item *items = SF_NEW_ARRAY(ctx, struct item, (size_t)n_items);
    if (!items)
        return SF_ERROR_MEMORY;
    for (int i = 0; i < n_items; i++)
        items[i] = (struct item){sf_tensors_name(tensors, i), sf_tensors_at(tensors, i)};
    qsort(items, (size_t)n_items, sizeof *items, compare_items);
    sf_status status = save_items(tensors, path, ctx, items, n_items);
    sf_free(ctx, items);
    return status;
}

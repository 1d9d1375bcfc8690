/*
 * Allocation through the context's allocator. See memory.h.
 */
#include "core/memory.h"

#include <stdio.h>
#include <string.h>

bool sf_multiply_size(size_t a, size_t b, size_t *product) {
    size_t result;
    if (__builtin_mul_overflow(a, b, &result))
        return false;
    *product = result;
    return true;
}

bool sf_multiply_i64(int64_t a, int64_t b, int64_t *product) {
    int64_t result;
    if (__builtin_mul_overflow(a, b, &result))
        return false;
    *product = result;
    return true;
}

static void *resize(sf_context *ctx, void *block, size_t bytes) {
    return ctx->options.allocator.resize(ctx->options.allocator.user, block, bytes);
}

void *sf_alloc(sf_context *ctx, size_t count, size_t size) {
    size_t bytes;
    if (!sf_multiply_size(count, size, &bytes)) {
        sf_fail(ctx, SF_ERROR_MEMORY, "out of memory: %zu elements of %zu bytes overflow", count,
                size);
        return NULL;
    }
    void *block = resize(ctx, NULL, bytes ? bytes : 1);
    if (!block) {
        sf_fail(ctx, SF_ERROR_MEMORY, "out of memory: %zu bytes", bytes);
        return NULL;
    }
    memset(block, 0, bytes ? bytes : 1);
    return block;
}

sf_status sf_grow(sf_context *ctx, void **block, size_t *capacity, size_t count, size_t size) {
    if (count <= *capacity)
        return SF_OK;
    size_t wanted = *capacity + *capacity / 2;
    if (wanted < count)
        wanted = count;
    if (wanted < 8)
        wanted = 8;
    size_t bytes;
    if (!sf_multiply_size(wanted, size, &bytes))
        SF_FAIL(ctx, ERROR_MEMORY, "out of memory: %zu elements of %zu bytes overflow", wanted,
                size);
    void *grown = resize(ctx, *block, bytes);
    if (!grown)
        SF_FAIL(ctx, ERROR_MEMORY, "out of memory: %zu bytes", bytes);
    *block = grown;
    *capacity = wanted;
    return SF_OK;
}

void sf_free(sf_context *ctx, void *block) {
    if (block)
        resize(ctx, block, 0);
}

char *sf_strndup(sf_context *ctx, const char *text, size_t length) {
    if (length == SIZE_MAX) {
        sf_fail(ctx, SF_ERROR_MEMORY, "out of memory: a text of %zu bytes", length);
        return NULL;
    }
    char *copy = sf_alloc(ctx, length + 1, 1);
    if (copy)
        memcpy(copy, text, length);
    return copy;
}

char *sf_strdup(sf_context *ctx, const char *text) {
    return sf_strndup(ctx, text, strlen(text));
}

char *sf_format(sf_context *ctx, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        sf_fail(ctx, SF_ERROR_INTERNAL, "format \"%s\" can't be printed", format);
        return NULL;
    }
    char *text = sf_alloc(ctx, (size_t)length + 1, 1);
    if (!text)
        return NULL;
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

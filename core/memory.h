/*
 * Allocation through the context's allocator: the one seam where memory is had, and so the one
 * where tests make it fail. Sizes are products checked for overflow. Memory is zeroed.
 */
#ifndef SF_CORE_MEMORY_H
#define SF_CORE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "core/context.h"

/* count * size zeroed bytes; NULL with the context's error set. count 0 gives a block all the same.
 */
void *sf_alloc(sf_context *ctx, size_t count, size_t size);

/*
 * Grows *block (NULL at first) to hold at least count elements of size bytes; *capacity counts
 * elements. Growth is geometric, new memory is not zeroed, and *block stays valid on failure.
 */
sf_status sf_grow(sf_context *ctx, void **block, size_t *capacity, size_t count, size_t size);

void sf_free(sf_context *ctx, void *block);

/* A copy of text, of its first length bytes, and of a printf format; NULL with the error set. */
char *sf_strdup(sf_context *ctx, const char *text);
char *sf_strndup(sf_context *ctx, const char *text, size_t length);
char *sf_format(sf_context *ctx, const char *format, ...) SF_PRINTF(2, 3);

/* false on overflow, *product then untouched. */
bool sf_multiply_size(size_t a, size_t b, size_t *product);
bool sf_multiply_i64(int64_t a, int64_t b, int64_t *product);

#define SF_NEW(ctx, type)              ((type *)sf_alloc((ctx), 1, sizeof(type)))
#define SF_NEW_ARRAY(ctx, type, count) ((type *)sf_alloc((ctx), (count), sizeof(type)))

#endif

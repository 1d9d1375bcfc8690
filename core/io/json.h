/*
 * JSON files through jansson, and the getters that configuration readers use.
 *
 * jansson is used as it comes: its allocator is one for the whole process, so the library leaves it
 * alone. It limits nesting (2048), refuses invalid UTF-8, "\u0000" and numbers out of range.
 *
 * Python's json module writes Infinity, -Infinity and NaN, which JSON does not have and which
 * diffusers' configurations contain. They arrive as the strings "Infinity", "-Infinity" and "NaN";
 * the number getter gives such a string as the number that it names.
 */
#ifndef SF_CORE_IO_JSON_H
#define SF_CORE_IO_JSON_H

#include <jansson.h>

#include "core/context.h"

/* The largest JSON file that is read; the vocabularies of large tokenizers are some megabytes. */
#define SF_JSON_MAX_BYTES ((size_t)256 << 20)

/* Flags: names that occur twice in an object are an error; otherwise the last one counts. */
#define SF_JSON_UNIQUE_NAMES 1u

/*
 * Parses text (size bytes). where names it in errors, as in "unet/config.json:3:14: ...". The root
 * is freed with json_decref() and may be of any type.
 */
sf_status sf_json_parse(sf_context *ctx, const char *where, const char *text, size_t size,
                        unsigned flags, json_t **root);

/* Reads and parses a file whose root must be an object. */
sf_status sf_json_load(sf_context *ctx, const char *path, json_t **root);

/*
 * Writes a value as text; flags are jansson's (JSON_COMPACT, JSON_INDENT(2)). *text is freed with
 * sf_free(). value NULL, as jansson gives it where there was no memory, is SF_ERROR_MEMORY.
 */
sf_status sf_json_write(sf_context *ctx, const json_t *value, size_t flags, char **text);

/*
 * Getters. where names the file in errors. A key that is absent or null gives the default; a value
 * of another type or out of range is SF_ERROR_FORMAT and names where, key, value and what is
 * wanted. Strings are borrowed from object. object itself must be a JSON object, or NULL: all
 * defaults.
 */
sf_status sf_json_get_int(sf_context *ctx, const char *where, const json_t *object, const char *key,
                          int64_t default_value, int64_t min, int64_t max, int64_t *value);

/* An int64 from min to max that fits an int. */
sf_status sf_json_get_int32(sf_context *ctx, const char *where, const json_t *object,
                            const char *key, int default_value, int min, int max, int *value);

/* Integers are numbers too; infinities and NaN pass (see above), the caller checks where it
 * matters. */
sf_status sf_json_get_number(sf_context *ctx, const char *where, const json_t *object,
                             const char *key, double default_value, double *value);
sf_status sf_json_get_bool(sf_context *ctx, const char *where, const json_t *object,
                           const char *key, bool default_value, bool *value);
sf_status sf_json_get_string(sf_context *ctx, const char *where, const json_t *object,
                             const char *key, const char *default_value, const char **value);

/*
 * Lists. With wanted > 0 the list must have that many elements, and a single value stands for as
 * many of itself; with wanted 0 any length up to SF_JSON_MAX_LIST is taken, a single value as a
 * list of one. Absent or null leaves *list as it is: the caller fills in the default before.
 */
#define SF_JSON_MAX_LIST 64

typedef struct sf_json_ints {
    int count;
    int64_t values[SF_JSON_MAX_LIST];
} sf_json_ints;

typedef struct sf_json_strings {
    int count;
    const char *values[SF_JSON_MAX_LIST]; /* borrowed from the JSON object */
} sf_json_strings;

typedef struct sf_json_numbers {
    int count;
    double values[SF_JSON_MAX_LIST];
} sf_json_numbers;

sf_status sf_json_get_ints(sf_context *ctx, const char *where, const json_t *object,
                           const char *key, int wanted, int64_t min, int64_t max,
                           sf_json_ints *list);
sf_status sf_json_get_numbers(sf_context *ctx, const char *where, const json_t *object,
                              const char *key, int wanted, sf_json_numbers *list);
sf_status sf_json_get_strings(sf_context *ctx, const char *where, const json_t *object,
                              const char *key, int wanted, sf_json_strings *list);

/* A value as a number: integer, real, or the reserved strings. false: it is none. */
bool sf_json_number(const json_t *value, double *number);

#endif

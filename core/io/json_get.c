/*
 * Typed getters for configuration readers. See json.h.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/io/json.h"

#define VALUE_TEXT 48

/* A value in a few words, for messages. */
static const char *describe(const json_t *value, char text[VALUE_TEXT]) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        snprintf(text, VALUE_TEXT, "a list of %zu", json_array_size(value));
        return text;
    case JSON_STRING:
        snprintf(text, VALUE_TEXT, "\"%.40s\"", json_string_value(value));
        for (char *c = text; *c; c++)
            if ((unsigned char)*c < ' ' || *c == 0x7f)
                *c = '?';
        return text;
    case JSON_INTEGER:
        snprintf(text, VALUE_TEXT, "%lld", (long long)json_integer_value(value));
        return text;
    case JSON_REAL:
        snprintf(text, VALUE_TEXT, "%g", json_real_value(value));
        return text;
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "null";
    }
    return "?";
}

/* The value of key, NULL where it is absent or null. */
static const json_t *find(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static sf_status fail_type(sf_context *ctx, const char *where, const char *key, const char *wanted,
                           const json_t *value) {
    char text[VALUE_TEXT];
    SF_FAIL(ctx, ERROR_FORMAT, "%s: %s: %s is wanted, not %s", where, key, wanted,
            describe(value, text));
}

/* 3.0 counts as an integer: Python's writers are not strict about it. */
static bool to_integer(const json_t *value, int64_t *integer) {
    if (json_is_integer(value)) {
        *integer = json_integer_value(value);
        return true;
    }
    double real = json_is_real(value) ? json_real_value(value) : NAN;
    if (!(fabs(real) <= 0x1p53) || real != floor(real))
        return false;
    *integer = (int64_t)real;
    return true;
}

static sf_status check_int(sf_context *ctx, const char *where, const char *key, const json_t *value,
                           int64_t min, int64_t max, int64_t *integer) {
    int64_t found;
    if (!to_integer(value, &found))
        return fail_type(ctx, where, key, "an integer", value);
    if (found < min || found > max)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: %s: %lld is not within %lld to %lld", where, key,
                (long long)found, (long long)min, (long long)max);
    *integer = found;
    return SF_OK;
}

sf_status sf_json_get_int(sf_context *ctx, const char *where, const json_t *object, const char *key,
                          int64_t default_value, int64_t min, int64_t max, int64_t *value) {
    const json_t *found = find(object, key);
    if (found)
        return check_int(ctx, where, key, found, min, max, value);
    *value = default_value;
    return SF_OK;
}

sf_status sf_json_get_int32(sf_context *ctx, const char *where, const json_t *object,
                            const char *key, int default_value, int min, int max, int *value) {
    int64_t wide;
    SF_TRY(sf_json_get_int(ctx, where, object, key, default_value, min, max, &wide));
    *value = (int)wide;
    return SF_OK;
}

bool sf_json_number(const json_t *value, double *number) {
    const char *name = json_string_value(value);
    if (json_is_number(value))
        *number = json_number_value(value);
    else if (name && strcmp(name, "Infinity") == 0)
        *number = INFINITY;
    else if (name && strcmp(name, "-Infinity") == 0)
        *number = -INFINITY;
    else if (name && strcmp(name, "NaN") == 0)
        *number = NAN;
    else
        return false;
    return true;
}

sf_status sf_json_get_number(sf_context *ctx, const char *where, const json_t *object,
                             const char *key, double default_value, double *value) {
    const json_t *found = find(object, key);
    if (!found)
        *value = default_value;
    else if (!sf_json_number(found, value))
        return fail_type(ctx, where, key, "a number", found);
    return SF_OK;
}

sf_status sf_json_get_bool(sf_context *ctx, const char *where, const json_t *object,
                           const char *key, bool default_value, bool *value) {
    const json_t *found = find(object, key);
    if (found && !json_is_boolean(found))
        return fail_type(ctx, where, key, "true or false", found);
    *value = found ? json_is_true(found) : default_value;
    return SF_OK;
}

sf_status sf_json_get_string(sf_context *ctx, const char *where, const json_t *object,
                             const char *key, const char *default_value, const char **value) {
    const json_t *found = find(object, key);
    if (found && !json_is_string(found))
        return fail_type(ctx, where, key, "a string", found);
    *value = found ? json_string_value(found) : default_value;
    return SF_OK;
}

/*
 * The length that a list gets: that of a JSON list, or what a single value stands for. 0 for an
 * absent key, which is told from an empty list by *found.
 */
static sf_status list_length(sf_context *ctx, const char *where, const json_t *object,
                             const char *key, int wanted, const json_t **found, int *length) {
    char text[VALUE_TEXT];
    *found = find(object, key);
    *length = wanted > 0 ? wanted : 1;
    if (!*found || !json_is_array(*found)) {
        if (*length > SF_JSON_MAX_LIST)
            SF_FAIL(ctx, ERROR_FORMAT, "%s: %s: a list of %d is too long; %d is the most", where,
                    key, *length, SF_JSON_MAX_LIST);
        return SF_OK;
    }
    size_t size = json_array_size(*found);
    if (size > SF_JSON_MAX_LIST || (wanted > 0 && size != (size_t)wanted)) {
        snprintf(text, sizeof text, wanted > 0 ? "a list of %d" : "a list of at most %d",
                 wanted > 0 && wanted <= SF_JSON_MAX_LIST ? wanted : SF_JSON_MAX_LIST);
        return fail_type(ctx, where, key, text, *found);
    }
    *length = (int)size;
    return SF_OK;
}

/* Element i of a list, or the single value. */
static const json_t *element(const json_t *found, int i) {
    return json_is_array(found) ? json_array_get(found, (size_t)i) : found;
}

sf_status sf_json_get_ints(sf_context *ctx, const char *where, const json_t *object,
                           const char *key, int wanted, int64_t min, int64_t max,
                           sf_json_ints *list) {
    const json_t *found;
    sf_json_ints read = {0};
    SF_TRY(list_length(ctx, where, object, key, wanted, &found, &read.count));
    if (!found)
        return SF_OK;
    for (int i = 0; i < read.count; i++)
        SF_TRY(check_int(ctx, where, key, element(found, i), min, max, &read.values[i]));
    *list = read;
    return SF_OK;
}

sf_status sf_json_get_numbers(sf_context *ctx, const char *where, const json_t *object,
                              const char *key, int wanted, sf_json_numbers *list) {
    const json_t *found;
    sf_json_numbers read = {0};
    SF_TRY(list_length(ctx, where, object, key, wanted, &found, &read.count));
    if (!found)
        return SF_OK;
    for (int i = 0; i < read.count; i++)
        if (!sf_json_number(element(found, i), &read.values[i]))
            return fail_type(ctx, where, key, "a number", element(found, i));
    *list = read;
    return SF_OK;
}

sf_status sf_json_get_strings(sf_context *ctx, const char *where, const json_t *object,
                              const char *key, int wanted, sf_json_strings *list) {
    const json_t *found;
    sf_json_strings read = {0};
    SF_TRY(list_length(ctx, where, object, key, wanted, &found, &read.count));
    if (!found)
        return SF_OK;
    for (int i = 0; i < read.count; i++) {
        read.values[i] = json_string_value(element(found, i));
        if (!read.values[i])
            return fail_type(ctx, where, key, "a string", element(found, i));
    }
    *list = read;
    return SF_OK;
}

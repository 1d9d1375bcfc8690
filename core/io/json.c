/*
 * JSON text to jansson's tree, with Python's Infinity, -Infinity and NaN. See json.h; the getters
 * are in json_get.c.
 */
#include "core/io/json.h"

#include <string.h>

#include "core/io/file.h"
#include "core/memory.h"
#include "core/text.h"

static bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The length of the Python constant that text begins with, 0 if there is none. */
static size_t constant_length(const char *text, size_t size) {
    static const char *const constants[] = {"Infinity", "-Infinity", "NaN"};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        size_t length = strlen(constants[i]);
        if (size >= length && memcmp(text, constants[i], length) == 0 &&
            (size == length || !is_word(text[length])))
            return length;
    }
    return 0;
}

/*
 * The position at or after start of the next constant outside of strings, size if there is none.
 * start lies outside of a string.
 */
static size_t find_constant(const char *text, size_t size, size_t start) {
    bool in_string = false;
    for (size_t i = start; i < size; i++) {
        if (text[i] == '"')
            in_string = !in_string;
        else if (in_string && text[i] == '\\')
            i++;
        else if (!in_string && constant_length(text + i, size - i))
            return i;
    }
    return size;
}

/* Appends text with its constants in quotes. */
static sf_status quote_constants(const char *text, size_t size, sf_text *quoted) {
    for (size_t i = 0; i < size;) {
        size_t next = find_constant(text, size, i);
        SF_TRY(sf_text_append_bytes(quoted, text + i, next - i));
        if (next == size)
            break;
        size_t length = constant_length(text + next, size - next);
        SF_TRY(sf_text_append(quoted, "\""));
        SF_TRY(sf_text_append_bytes(quoted, text + next, length));
        SF_TRY(sf_text_append(quoted, "\""));
        i = next + length;
    }
    return SF_OK;
}

/* jansson quotes the file in its messages: control characters would reach the terminal. */
static void make_printable(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

static sf_status decode(sf_context *ctx, const char *where, const char *text, size_t size,
                        unsigned flags, json_t **root) {
    json_error_t error = {.line = -1};
    size_t options = JSON_DECODE_ANY;
    if (flags & SF_JSON_UNIQUE_NAMES)
        options |= JSON_REJECT_DUPLICATES;
    json_t *decoded = json_loadb(text, size, options, &error);
    if (decoded) {
        *root = decoded;
        return SF_OK;
    }
    if (error.text[0] == '\0' || json_error_code(&error) == json_error_out_of_memory)
        SF_FAIL(ctx, ERROR_MEMORY, "%s: out of memory: a JSON text of %zu bytes", where, size);
    make_printable(error.text);
    SF_FAIL(ctx, ERROR_FORMAT, "%s:%d:%d: not JSON: %s", where, error.line, error.column,
            error.text);
}

sf_status sf_json_parse(sf_context *ctx, const char *where, const char *text, size_t size,
                        unsigned flags, json_t **root) {
    if (size == 0)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: not JSON: empty", where);
    if (find_constant(text, size, 0) == size)
        return decode(ctx, where, text, size, flags, root);
    sf_text quoted = {.ctx = ctx};
    sf_status status = quote_constants(text, size, &quoted);
    if (status == SF_OK)
        status = decode(ctx, where, quoted.chars, quoted.length, flags, root);
    sf_free(ctx, quoted.chars);
    return status;
}

sf_status sf_json_load(sf_context *ctx, const char *path, json_t **root) {
    char *text;
    size_t size;
    json_t *parsed;
    SF_TRY(sf_file_read(ctx, path, SF_JSON_MAX_BYTES, &text, &size));
    sf_status status = sf_json_parse(ctx, path, text, size, 0, &parsed);
    sf_free(ctx, text);
    SF_TRY(status);
    if (!json_is_object(parsed)) {
        json_decref(parsed);
        SF_FAIL(ctx, ERROR_FORMAT, "%s: not a JSON object", path);
    }
    *root = parsed;
    return SF_OK;
}

/* json_dumps() would give a block of jansson's allocator, which need not be that of free(). */
sf_status sf_json_write(sf_context *ctx, const json_t *value, size_t flags, char **text) {
    size_t bytes = value ? json_dumpb(value, NULL, 0, flags) : 0;
    if (bytes == 0)
        SF_FAIL(ctx, ERROR_MEMORY, "out of memory for a JSON text");
    char *written = sf_alloc(ctx, bytes + 1, 1);
    if (!written)
        return SF_ERROR_MEMORY;
    if (json_dumpb(value, written, bytes, flags) != bytes) {
        sf_free(ctx, written);
        SF_FAIL(ctx, ERROR_MEMORY, "out of memory for a JSON text");
    }
    written[bytes] = '\0';
    *text = written;
    return SF_OK;
}

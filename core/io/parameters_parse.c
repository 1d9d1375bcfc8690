/*
 * Reading generation parameters. See parameters.h.
 *
 * webui finds the parameters of the last line with re.findall() and
 *
 *     \s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)
 *
 * which is followed here by hand, so that hostile text can't make it slow: every byte is looked at
 * a fixed number of times.
 */
#include <string.h>

#include "core/io/json.h"
#include "core/io/parameters.h"
#include "core/memory.h"
#include "core/text.h"

/* A part of the text. */
struct span {
    const char *start;
    const char *end;
};

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_letter(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool is_key_char(char c) {
    return is_letter(c) || c == ' ' || c == '-' || c == '/';
}

static struct span strip(struct span span) {
    while (span.start < span.end && is_blank(*span.start))
        span.start++;
    while (span.end > span.start && is_blank(span.end[-1]))
        span.end--;
    return span;
}

/*
 * Finds the next key: a letter and at least one more key character, then ':'. Where a run of key
 * characters does not end in ':', no later start within it does either, so it is skipped whole.
 */
static bool next_key(struct span *rest, struct span *key) {
    while (rest->start < rest->end) {
        const char *end = rest->start;
        if (!is_letter(*rest->start)) {
            rest->start++;
            continue;
        }
        while (end < rest->end && is_key_char(*end))
            end++;
        *key = (struct span){rest->start, end};
        rest->start = end;
        if (end < rest->end && *end == ':' && end - key->start >= 2) {
            rest->start++;
            return true;
        }
    }
    return false;
}

/* The end of the quoted string at the start of rest, if a comma or the end follows; else NULL. */
static const char *quoted_end(struct span rest) {
    const char *c = rest.start;
    if (c == rest.end || *c++ != '"')
        return NULL;
    while (c < rest.end && *c != '"')
        c += *c == '\\' ? 2 : 1;
    if (c >= rest.end || c == rest.start + 1)
        return NULL;
    c++;
    return c == rest.end || *c == ',' ? c : NULL;
}

/* Takes the next parameter off rest. */
static bool next_parameter(struct span *rest, struct span *key, struct span *value) {
    if (!next_key(rest, key))
        return false;
    while (rest->start < rest->end && is_blank(*rest->start))
        rest->start++;
    const char *end = quoted_end(*rest);
    if (!end) {
        end = memchr(rest->start, ',', (size_t)(rest->end - rest->start));
        end = end ? end : rest->end;
    }
    *value = (struct span){rest->start, end};
    rest->start = end < rest->end ? end + 1 : end;
    return true;
}

static int count_parameters(struct span line) {
    struct span key, value;
    int n = 0;
    while (next_parameter(&line, &key, &value))
        n++;
    return n;
}

/* A quoted value through JSON; as it stands where it is not a JSON string. */
static sf_status unquote(sf_context *ctx, struct span value, char **text) {
    size_t length = (size_t)(value.end - value.start);
    if (length >= 2 && value.start[0] == '"' && value.end[-1] == '"') {
        json_error_t error;
        json_t *string = json_loadb(value.start, length, JSON_DECODE_ANY, &error);
        const char *decoded = json_string_value(string);
        *text = decoded ? sf_strdup(ctx, decoded) : NULL;
        json_decref(string);
        if (decoded)
            return *text ? SF_OK : SF_ERROR_MEMORY;
    }
    *text = sf_strndup(ctx, value.start, length);
    return *text ? SF_OK : SF_ERROR_MEMORY;
}

/* webui trips over an empty value and leaves the parameter out. */
static sf_status read_parameters(struct span line, sf_parameters *parameters) {
    struct span key, value;
    while (parameters->n_items < SF_PARAMETERS_MAX && next_parameter(&line, &key, &value)) {
        if (value.start == value.end)
            continue;
        char *name = sf_strndup(parameters->ctx, key.start, (size_t)(key.end - key.start));
        char *text = NULL;
        sf_status status = name ? unquote(parameters->ctx, value, &text) : SF_ERROR_MEMORY;
        if (status == SF_OK)
            status = sf_parameters_set(parameters, name, text);
        sf_free(parameters->ctx, name);
        sf_free(parameters->ctx, text);
        SF_TRY(status);
    }
    return SF_OK;
}

/* Adds a line to one of the prompts; empty lines before the first other one leave no trace. */
static sf_status add_line(sf_text *prompt, struct span line) {
    if (prompt->length > 0)
        SF_TRY(sf_text_append(prompt, "\n"));
    return sf_text_append_bytes(prompt, line.start, (size_t)(line.end - line.start));
}

static sf_status read_prompts(struct span text, sf_parameters *parameters) {
    static const char mark[] = "Negative prompt:";
    sf_text prompts[2] = {{.ctx = parameters->ctx}, {.ctx = parameters->ctx}};
    sf_status status = SF_OK;
    int which = 0;
    while (status == SF_OK && text.start < text.end) {
        const char *end = memchr(text.start, '\n', (size_t)(text.end - text.start));
        end = end ? end : text.end;
        struct span line = strip((struct span){text.start, end});
        if ((size_t)(line.end - line.start) >= strlen(mark) &&
            memcmp(line.start, mark, strlen(mark)) == 0) {
            which = 1;
            line.start += strlen(mark);
            line = strip(line);
        }
        status = add_line(&prompts[which], line);
        text.start = end < text.end ? end + 1 : end;
    }
    if (status == SF_OK)
        status = sf_parameters_set_prompts(parameters, prompts[0].chars, prompts[1].chars);
    sf_free(parameters->ctx, prompts[0].chars);
    sf_free(parameters->ctx, prompts[1].chars);
    return status;
}

sf_status sf_parameters_parse(const char *text, sf_parameters *parameters) {
    struct span all = strip((struct span){text, text + strlen(text)});
    struct span last = {all.end, all.end};
    while (last.start > all.start && last.start[-1] != '\n')
        last.start--;
    bool has_parameters = count_parameters(last) >= 3;

    sf_parameters read = {.ctx = parameters->ctx};
    sf_status status = SF_OK;
    if (has_parameters)
        status = read_parameters(last, &read);
    if (status == SF_OK)
        status =
            read_prompts((struct span){all.start, has_parameters ? last.start : all.end}, &read);
    if (status == SF_OK)
        *parameters = read;
    else
        sf_parameters_clear(&read);
    return status;
}

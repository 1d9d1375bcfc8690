/*
 * Writing generation parameters. See parameters.h; reading them is in parameters_parse.c.
 */
#include "core/io/parameters.h"

#include <string.h>

#include "core/memory.h"
#include "core/text.h"

void sf_parameters_clear(sf_parameters *parameters) {
    sf_context *ctx = parameters->ctx;
    for (size_t i = 0; i < parameters->n_items; i++) {
        sf_free(ctx, parameters->items[i].key);
        sf_free(ctx, parameters->items[i].value);
    }
    sf_free(ctx, parameters->items);
    sf_free(ctx, parameters->prompt);
    sf_free(ctx, parameters->negative_prompt);
    *parameters = (sf_parameters){.ctx = ctx};
}

sf_status sf_parameters_set_prompts(sf_parameters *parameters, const char *prompt,
                                    const char *negative_prompt) {
    sf_context *ctx = parameters->ctx;
    char *positive = sf_strdup(ctx, prompt ? prompt : "");
    char *negative = sf_strdup(ctx, negative_prompt ? negative_prompt : "");
    if (!positive || !negative) {
        sf_free(ctx, positive);
        sf_free(ctx, negative);
        return SF_ERROR_MEMORY;
    }
    sf_free(ctx, parameters->prompt);
    sf_free(ctx, parameters->negative_prompt);
    parameters->prompt = positive;
    parameters->negative_prompt = negative;
    return SF_OK;
}

static sf_parameter *find(const sf_parameters *parameters, const char *key) {
    for (size_t i = 0; i < parameters->n_items; i++)
        if (strcmp(parameters->items[i].key, key) == 0)
            return &parameters->items[i];
    return NULL;
}

const char *sf_parameters_get(const sf_parameters *parameters, const char *key) {
    const sf_parameter *item = find(parameters, key);
    return item ? item->value : NULL;
}

static sf_status add(sf_parameters *parameters, const char *key, char *value) {
    SF_TRY(sf_grow(parameters->ctx, (void **)&parameters->items, &parameters->capacity,
                   parameters->n_items + 1, sizeof *parameters->items));
    char *copy = sf_strdup(parameters->ctx, key);
    if (!copy)
        return SF_ERROR_MEMORY;
    parameters->items[parameters->n_items++] = (sf_parameter){copy, value};
    return SF_OK;
}

/* Takes value over, which may be NULL for want of memory. */
static sf_status set_owned(sf_parameters *parameters, const char *key, char *value) {
    if (!value)
        return SF_ERROR_MEMORY;
    sf_parameter *item = find(parameters, key);
    if (item) {
        sf_free(parameters->ctx, item->value);
        item->value = value;
        return SF_OK;
    }
    sf_status status = add(parameters, key, value);
    if (status != SF_OK)
        sf_free(parameters->ctx, value);
    return status;
}

sf_status sf_parameters_set(sf_parameters *parameters, const char *key, const char *value) {
    return set_owned(parameters, key, sf_strdup(parameters->ctx, value));
}

sf_status sf_parameters_set_int(sf_parameters *parameters, const char *key, int64_t value) {
    return set_owned(parameters, key, sf_format(parameters->ctx, "%lld", (long long)value));
}

sf_status sf_parameters_set_unsigned(sf_parameters *parameters, const char *key, uint64_t value) {
    return set_owned(parameters, key,
                     sf_format(parameters->ctx, "%llu", (unsigned long long)value));
}

sf_status sf_parameters_set_float(sf_parameters *parameters, const char *key, float value) {
    sf_text text = {.ctx = parameters->ctx};
    sf_status status = sf_text_append_float(&text, value);
    if (status != SF_OK) {
        sf_free(parameters->ctx, text.chars);
        return status;
    }
    return set_owned(parameters, key, text.chars);
}

/* "Key: value", the value as webui's quote() has it; a key that equals its value stands alone. */
static sf_status append_item(sf_text *text, const sf_parameter *item) {
    SF_TRY(sf_text_append(text, item->key));
    if (strcmp(item->key, item->value) == 0)
        return SF_OK;
    SF_TRY(sf_text_append(text, ": "));
    if (strpbrk(item->value, ",\n:"))
        return sf_text_append_json_string(text, item->value);
    return sf_text_append(text, item->value);
}

static bool is_blank(char c) {
    return c != '\0' && strchr(" \t\n\v\f\r", c) != NULL;
}

/* Python's strip() of the whole. */
static void strip(sf_text *text) {
    size_t start = 0;
    while (text->length > 0 && is_blank(text->chars[text->length - 1]))
        text->length--;
    while (start < text->length && is_blank(text->chars[start]))
        start++;
    text->length -= start;
    memmove(text->chars, text->chars + start, text->length);
    text->chars[text->length] = '\0';
}

static sf_status append_all(const sf_parameters *parameters, sf_text *text) {
    SF_TRY(sf_text_append(text, parameters->prompt ? parameters->prompt : ""));
    if (parameters->negative_prompt && *parameters->negative_prompt) {
        SF_TRY(sf_text_append(text, "\nNegative prompt: "));
        SF_TRY(sf_text_append(text, parameters->negative_prompt));
    }
    for (size_t i = 0; i < parameters->n_items; i++) {
        SF_TRY(sf_text_append(text, i ? ", " : "\n"));
        SF_TRY(append_item(text, &parameters->items[i]));
    }
    strip(text);
    return SF_OK;
}

sf_status sf_parameters_write(const sf_parameters *parameters, char **text) {
    sf_text written = {.ctx = parameters->ctx};
    sf_status status = append_all(parameters, &written);
    if (status != SF_OK) {
        sf_free(parameters->ctx, written.chars);
        return status;
    }
    *text = written.chars;
    return SF_OK;
}

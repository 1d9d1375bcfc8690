/*
 * What tokenizer_config.json, special_tokens_map.json, added_tokens.json and the "added_tokens" of
 * tokenizer.json say about special tokens, length and sides, with the precedence of transformers
 * (PreTrainedTokenizerBase._from_pretrained, TokenizersBackend.__init__):
 *
 *   - "added_tokens_decoder" in tokenizer_config.json is the list of added tokens if it is there,
 * and special_tokens_map.json is then not looked at;
 *   - otherwise special_tokens_map.json overrides tokenizer_config.json, and the list comes from
 *     added_tokens.json and tokenizer.json.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/io/json.h"
#include "core/memory.h"
#include "models/tokenizer/internal.h"

/* CLIP's text encoders have this many positions; for folders that do not say. */
#define DEFAULT_MAX_LENGTH 77

/* transformers writes 1e30 where no length is known and takes all above this for "no limit". */
#define NO_LENGTH 1e20

#define MAX_LENGTH_LIMIT (1 << 20)
#define MAX_LISTED       200000
#define MAX_OTHERS       1024

const char *const sf_token_role_keys[SF_TOKEN_N_ROLES] = {
    [SF_TOKEN_START] = "bos_token",   [SF_TOKEN_END] = "eos_token",
    [SF_TOKEN_UNKNOWN] = "unk_token", [SF_TOKEN_SEPARATOR] = "sep_token",
    [SF_TOKEN_PADDING] = "pad_token", [SF_TOKEN_CLASS] = "cls_token",
    [SF_TOKEN_MASK] = "mask_token",
};

/* What the functions below pass around. */
typedef struct reader {
    sf_context *ctx;
    const sf_tokenizer_documents *documents;
    sf_tokenizer_config *config;
} reader;

sf_status sf_tokenizer_fail(sf_context *ctx, const sf_tokenizer_documents *documents,
                            sf_tokenizer_file file, sf_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sf_fail_v(ctx, status, format, arguments);
    va_end(arguments);
    return sf_fail_in(ctx, status, "%s/%s", documents->folder, sf_tokenizer_file_names[file]);
}

#define FAIL(read, file, code, ...)                                                                \
    return sf_tokenizer_fail((read)->ctx, (read)->documents, (file), SF_##code, __VA_ARGS__)

static sf_status read_flag(const reader *read, sf_tokenizer_file file, const json_t *object,
                           const char *key, bool *value) {
    const json_t *member = json_object_get(object, key);
    if (!member || json_is_null(member))
        return SF_OK;
    if (!json_is_boolean(member))
        FAIL(read, file, ERROR_FORMAT, "%s is not true or false", key);
    *value = json_is_true(member);
    return SF_OK;
}

/* A token is its text or an object with "content" and flags. special: it is one whatever it says.
 */
static sf_status read_spec(const reader *read, sf_tokenizer_file file, const char *key,
                           const json_t *value, bool special, sf_token_spec *spec) {
    bool is_text = json_is_string(value);
    const json_t *content = is_text ? value : json_object_get(value, "content");
    if (!json_is_string(content))
        FAIL(read, file, ERROR_FORMAT, "%s is neither text nor an object with \"content\"", key);
    *spec =
        (sf_token_spec){.text = json_string_value(content), .special = is_text, .normalized = -1};
    if (!is_text) {
        bool normalized = false;
        SF_TRY(read_flag(read, file, value, "single_word", &spec->single_word));
        SF_TRY(read_flag(read, file, value, "lstrip", &spec->strip_left));
        SF_TRY(read_flag(read, file, value, "rstrip", &spec->strip_right));
        SF_TRY(read_flag(read, file, value, "special", &spec->special));
        SF_TRY(read_flag(read, file, value, "normalized", &normalized));
        if (json_is_boolean(json_object_get(value, "normalized")))
            spec->normalized = normalized;
    }
    spec->special = spec->special || special;
    return SF_OK;
}

static sf_status append(const reader *read, sf_token_specs *specs, size_t limit,
                        const sf_token_spec *spec) {
    if (spec->text[0] == '\0')
        return SF_OK;
    if (specs->count >= limit)
        SF_FAIL(read->ctx, ERROR_UNSUPPORTED, "%s: more than %zu added tokens",
                read->documents->folder, limit);
    SF_TRY(sf_grow(read->ctx, (void **)&specs->items, &specs->capacity, specs->count + 1,
                   sizeof *specs->items));
    specs->items[specs->count] = *spec;
    specs->items[specs->count].sequence = specs->count;
    specs->count++;
    return SF_OK;
}

static int role_of(const char *key) {
    int role = 0;
    while (role < SF_TOKEN_N_ROLES && strcmp(key, sf_token_role_keys[role]) != 0)
        role++;
    return role;
}

static bool has_suffix(const char *text, const char *suffix) {
    size_t length = strlen(text), suffix_length = strlen(suffix);
    return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

/* "additional_special_tokens": a list of tokens, or an object from name to token. */
static sf_status read_more(const reader *read, sf_tokenizer_file file, const char *key,
                           const json_t *value) {
    sf_token_spec spec;
    if (json_is_object(value)) {
        const char *name;
        json_t *member;
        json_object_foreach((json_t *)value, name, member) {
            SF_TRY(read_spec(read, file, name, member, true, &spec));
            SF_TRY(append(read, &read->config->others, MAX_OTHERS, &spec));
        }
        return SF_OK;
    }
    if (!json_is_array(value))
        FAIL(read, file, ERROR_FORMAT, "%s is not a list", key);
    for (size_t i = 0; i < json_array_size(value); i++) {
        SF_TRY(read_spec(read, file, key, json_array_get(value, i), false, &spec));
        SF_TRY(append(read, &read->config->others, MAX_OTHERS, &spec));
    }
    return SF_OK;
}

/* The special tokens of tokenizer_config.json or special_tokens_map.json: "X_token" and lists. */
static sf_status read_special(const reader *read, sf_tokenizer_file file) {
    json_t *root = read->documents->roots[file];
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value) {
        int role = role_of(key);
        bool is_token = json_is_string(value) || json_is_object(value);
        sf_token_spec spec;
        if (json_is_null(value)) {
            continue;
        } else if (role < SF_TOKEN_N_ROLES) {
            SF_TRY(read_spec(read, file, key, value, true, &spec));
            if (spec.text[0] == '\0')
                FAIL(read, file, ERROR_FORMAT, "%s is empty", key);
            read->config->roles[role] = spec;
        } else if (has_suffix(key, "_token") && is_token) {
            SF_TRY(read_spec(read, file, key, value, true, &spec));
            SF_TRY(append(read, &read->config->others, MAX_OTHERS, &spec));
        }
    }
    value = json_object_get(root, "extra_special_tokens");
    key = "extra_special_tokens";
    if (json_array_size(value) == 0 && json_object_size(value) == 0) {
        key = "additional_special_tokens";
        value = json_object_get(root, key);
    }
    return value && !json_is_null(value) ? read_more(read, file, key, value) : SF_OK;
}

/* One explicitly added token: under index in a list, made of value. */
static sf_status read_listed(const reader *read, sf_tokenizer_file file, const char *key,
                             int64_t index, const json_t *value) {
    sf_token_spec spec;
    if (index < 0 || index > SF_TOKENIZER_MAX_ID)
        FAIL(read, file, ERROR_FORMAT, "added token \"%.80s\" has the id %lld, not 0 to %d", key,
             (long long)index, SF_TOKENIZER_MAX_ID);
    SF_TRY(read_spec(read, file, key, value, false, &spec));
    spec.order = index;
    return append(read, &read->config->listed, MAX_LISTED, &spec);
}

/* "added_tokens_decoder": an object from index to token. */
static sf_status read_decoder(const reader *read, json_t *decoder) {
    const char *key;
    json_t *value;
    if (!json_is_object(decoder))
        FAIL(read, SF_TOKENIZER_CONFIG, ERROR_FORMAT, "added_tokens_decoder is not an object");
    json_object_foreach(decoder, key, value) {
        char *end;
        long long index = strtoll(key, &end, 10);
        if (end == key || *end)
            FAIL(read, SF_TOKENIZER_CONFIG, ERROR_FORMAT,
                 "added_tokens_decoder: \"%.80s\" is no number", key);
        SF_TRY(read_listed(read, SF_TOKENIZER_CONFIG, key, index, value));
    }
    return SF_OK;
}

static bool is_special_name(const sf_tokenizer_config *config, const char *text) {
    for (int role = 0; role < SF_TOKEN_N_ROLES; role++)
        if (config->roles[role].text && strcmp(config->roles[role].text, text) == 0)
            return true;
    for (size_t i = 0; i < config->others.count; i++)
        if (strcmp(config->others.items[i].text, text) == 0)
            return true;
    return false;
}

/* added_tokens.json, an object from text to index, and the list in tokenizer.json. */
static sf_status read_older_lists(const reader *read) {
    const char *key;
    json_t *value;
    json_object_foreach(read->documents->roots[SF_TOKENIZER_ADDED_TOKENS], key, value) {
        if (!json_is_integer(value))
            FAIL(read, SF_TOKENIZER_ADDED_TOKENS, ERROR_FORMAT, "\"%.80s\" has no whole number",
                 key);
        sf_token_spec spec = {.text = key,
                              .order = json_integer_value(value),
                              .special = is_special_name(read->config, key),
                              .normalized = -1};
        SF_TRY(append(read, &read->config->listed, MAX_LISTED, &spec));
    }
    json_t *list = json_object_get(read->documents->roots[SF_TOKENIZER_JSON], "added_tokens");
    if (list && !json_is_null(list) && !json_is_array(list))
        FAIL(read, SF_TOKENIZER_JSON, ERROR_FORMAT, "added_tokens is not a list");
    for (size_t i = 0; i < json_array_size(list); i++) {
        value = json_array_get(list, i);
        const json_t *index = json_object_get(value, "id");
        if (!json_is_integer(index))
            FAIL(read, SF_TOKENIZER_JSON, ERROR_FORMAT, "added_tokens[%zu] has no id", i);
        SF_TRY(
            read_listed(read, SF_TOKENIZER_JSON, "added_tokens", json_integer_value(index), value));
    }
    return SF_OK;
}

static int compare_order(const void *a, const void *b) {
    const sf_token_spec *left = a, *right = b;
    if (left->order != right->order)
        return left->order < right->order ? -1 : 1;
    return (left->sequence > right->sequence) - (left->sequence < right->sequence);
}

/* Sorts by index and keeps the last one of each. */
static void sort_listed(sf_token_specs *listed) {
    size_t kept = 0;
    if (listed->count)
        qsort(listed->items, listed->count, sizeof *listed->items, compare_order);
    for (size_t i = 0; i < listed->count; i++)
        if (i + 1 == listed->count || listed->items[i].order != listed->items[i + 1].order)
            listed->items[kept++] = listed->items[i];
    listed->count = kept;
}

/* Texts cut on the left or padded on the left are refused: no CLIP model is trained so. */
static sf_status check_side(const reader *read, sf_tokenizer_file file, const json_t *object,
                            const char *key, const char *name) {
    const char *side = json_string_value(json_object_get(object, key));
    if (side && strcmp(side, "right") != 0 && strcmp(side, "Right") != 0)
        FAIL(read, file, ERROR_UNSUPPORTED, "%s is \"%.40s\"; only \"right\" is supported", name,
             side);
    return SF_OK;
}

static sf_status read_sides(const reader *read) {
    const json_t *config = read->documents->roots[SF_TOKENIZER_CONFIG];
    const json_t *whole = read->documents->roots[SF_TOKENIZER_JSON];
    SF_TRY(check_side(read, SF_TOKENIZER_CONFIG, config, "padding_side", "padding_side"));
    SF_TRY(check_side(read, SF_TOKENIZER_CONFIG, config, "truncation_side", "truncation_side"));
    SF_TRY(check_side(read, SF_TOKENIZER_JSON, json_object_get(whole, "padding"), "direction",
                      "the direction of padding"));
    return check_side(read, SF_TOKENIZER_JSON, json_object_get(whole, "truncation"), "direction",
                      "the direction of truncation");
}

static sf_status read_max_length(const reader *read) {
    const json_t *root = read->documents->roots[SF_TOKENIZER_CONFIG];
    const json_t *value = json_object_get(root, "model_max_length");
    if (!value)
        value = json_object_get(root, "max_len");
    read->config->max_length = DEFAULT_MAX_LENGTH;
    if (!value || json_is_null(value))
        return SF_OK;
    double length = 0;
    if (!sf_json_number(value, &length))
        FAIL(read, SF_TOKENIZER_CONFIG, ERROR_FORMAT, "model_max_length is not a number");
    if (length > NO_LENGTH)
        return SF_OK;
    if (!(length >= 2 && length <= MAX_LENGTH_LIMIT) || length != (double)(int)length)
        FAIL(read, SF_TOKENIZER_CONFIG, ERROR_FORMAT,
             "model_max_length is %g, not a whole number from 2 to %d", length, MAX_LENGTH_LIMIT);
    read->config->max_length = (int)length;
    return SF_OK;
}

static sf_status check_class(const reader *read) {
    static const char *const known[] = {"CLIPTokenizer", "CLIPTokenizerFast",
                                        "PreTrainedTokenizerFast", "TokenizersBackend"};
    const char *name = json_string_value(
        json_object_get(read->documents->roots[SF_TOKENIZER_CONFIG], "tokenizer_class"));
    if (!name)
        return SF_OK;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i]) == 0)
            return SF_OK;
    FAIL(read, SF_TOKENIZER_CONFIG, ERROR_UNSUPPORTED,
         "tokenizer_class is \"%.80s\"; only CLIPTokenizer is supported", name);
}

static sf_status read_tokens(const reader *read) {
    json_t *decoder =
        json_object_get(read->documents->roots[SF_TOKENIZER_CONFIG], "added_tokens_decoder");
    SF_TRY(read_special(read, SF_TOKENIZER_CONFIG));
    if (decoder) {
        SF_TRY(read_decoder(read, decoder));
    } else {
        SF_TRY(read_special(read, SF_TOKENIZER_SPECIAL_TOKENS));
        SF_TRY(read_older_lists(read));
    }
    sf_token_specs *listed = &read->config->listed;
    sort_listed(listed);
    for (size_t i = 0; i < listed->count; i++)
        listed->items[i].special =
            listed->items[i].special || is_special_name(read->config, listed->items[i].text);
    return SF_OK;
}

sf_status sf_tokenizer_config_read(sf_context *ctx, const sf_tokenizer_documents *documents,
                                   sf_tokenizer_config *config) {
    const reader read = {.ctx = ctx, .documents = documents, .config = config};
    *config = (sf_tokenizer_config){0};
    for (int role = 0; role < SF_TOKEN_N_ROLES; role++)
        config->roles[role].normalized = -1;
    config->roles[SF_TOKEN_START].text = "<|startoftext|>";
    config->roles[SF_TOKEN_END].text = "<|endoftext|>";
    config->roles[SF_TOKEN_UNKNOWN].text = "<|endoftext|>";
    config->roles[SF_TOKEN_PADDING].text = "<|endoftext|>";
    for (int role = 0; role < SF_TOKEN_N_ROLES; role++)
        config->roles[role].special = true;
    SF_TRY(check_class(&read));
    SF_TRY(read_sides(&read));
    SF_TRY(read_max_length(&read));
    SF_TRY(read_flag(&read, SF_TOKENIZER_CONFIG, documents->roots[SF_TOKENIZER_CONFIG],
                     "split_special_tokens", &config->split_special));
    return read_tokens(&read);
}

void sf_tokenizer_config_clear(sf_context *ctx, sf_tokenizer_config *config) {
    sf_free(ctx, config->listed.items);
    sf_free(ctx, config->others.items);
    *config = (sf_tokenizer_config){0};
}

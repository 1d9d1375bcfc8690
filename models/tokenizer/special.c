/*
 * Gives added tokens their ids, in the order in which transformers adds them: the listed ones, then
 * those with a role, then the others. A token of the vocabulary keeps its id; one that is not there
 * gets the next id after the vocabulary, whatever index it is listed under. What is added twice
 * takes the flags of the last time (tokenizers: AddedVocabulary::add_tokens).
 */
#include <string.h>

#include "core/memory.h"
#include "models/tokenizer/internal.h"

/* What the functions below pass around. */
typedef struct adder {
    sf_tokenizer *tokenizer;
    sf_vocabulary *vocabulary;
    const sf_token_spec *
        *specs;   /* owned: one for each added token, borrowed from the configuration */
    int32_t *ids; /* owned */
    size_t count;
    size_t next_id;
} adder;

static sf_status add(adder *adding, const sf_token_spec *spec) {
    size_t length = strlen(spec->text);
    sf_vocabulary_entry *entry = sf_vocabulary_find(adding->vocabulary, spec->text, length);
    if (!entry) {
        SF_TRY(
            sf_vocabulary_add(adding->vocabulary, spec->text, length, (int32_t)adding->next_id++));
        entry = sf_vocabulary_find(adding->vocabulary, spec->text, length);
    }
    if (entry->added < 0) {
        entry->added = (int32_t)adding->count;
        adding->ids[adding->count++] = entry->id;
    }
    adding->specs[entry->added] = spec;
    return SF_OK;
}

static const sf_vocabulary_entry *find(const adder *adding, const sf_token_spec *spec) {
    return sf_vocabulary_find(adding->vocabulary, spec->text, strlen(spec->text));
}

/* The id of a role's token, which must be in the vocabulary or listed. */
static sf_status find_role(const adder *adding, const sf_tokenizer_documents *documents,
                           const sf_tokenizer_config *config, sf_token_role role, int32_t *id) {
    const sf_vocabulary_entry *entry = find(adding, &config->roles[role]);
    if (!entry)
        SF_FAIL(adding->tokenizer->ctx, ERROR_FORMAT,
                "%s: the %s \"%.80s\" is not in the vocabulary", documents->folder,
                sf_token_role_keys[role], config->roles[role].text);
    *id = entry->id;
    return SF_OK;
}

/* Adds them all. Tokens with a role that are listed keep the flags of the list. */
static sf_status add_all(adder *adding, const sf_tokenizer_documents *documents,
                         const sf_tokenizer_config *config) {
    sf_tokenizer *tokenizer = adding->tokenizer;
    const sf_vocabulary_entry *unknown = find(adding, &config->roles[SF_TOKEN_UNKNOWN]);
    tokenizer->bpe.unknown = unknown ? unknown->id : -1;

    for (size_t i = 0; i < config->listed.count; i++)
        SF_TRY(add(adding, &config->listed.items[i]));
    size_t n_listed = adding->count;
    SF_TRY(find_role(adding, documents, config, SF_TOKEN_START, &tokenizer->start));
    SF_TRY(find_role(adding, documents, config, SF_TOKEN_END, &tokenizer->end));
    SF_TRY(find_role(adding, documents, config, SF_TOKEN_PADDING, &tokenizer->padding));
    for (size_t i = 0; i < SF_TOKEN_N_ROLES + config->others.count; i++) {
        const sf_token_spec *spec =
            i < SF_TOKEN_N_ROLES ? &config->roles[i] : &config->others.items[i - SF_TOKEN_N_ROLES];
        const sf_vocabulary_entry *entry = spec->text ? find(adding, spec) : NULL;
        bool is_listed = entry && entry->added >= 0 && (size_t)entry->added < n_listed;
        if (spec->text && !is_listed)
            SF_TRY(add(adding, spec));
    }
    return SF_OK;
}

static bool is_normalized(const sf_token_spec *spec) {
    return spec->normalized < 0 ? !spec->special : spec->normalized;
}

/* The text to look for. */
static sf_status make_pattern(sf_context *ctx, const sf_token_spec *spec, sf_added_token *token) {
    sf_codepoints text = {.ctx = ctx}, normal = {.ctx = ctx};
    sf_status status = sf_codepoints_decode(&text, spec->text, strlen(spec->text));
    if (status == SF_OK && token->normalized) {
        status = sf_tokenizer_normalize(text.data, text.count, &normal);
        sf_free(ctx, text.data);
        text = normal;
    }
    if (status != SF_OK) {
        sf_free(ctx, text.data);
        return status;
    }
    token->pattern = text.data;
    token->length = text.count;
    return SF_OK;
}

/* Keeps the added tokens that are, or are not, looked for in normalized text. */
static sf_status keep(const adder *adding, bool normalized, sf_added_tokens *kept) {
    sf_context *ctx = adding->tokenizer->ctx;
    kept->tokens = SF_NEW_ARRAY(ctx, sf_added_token, adding->count);
    if (!kept->tokens)
        return SF_ERROR_MEMORY;
    for (size_t i = 0; i < adding->count; i++) {
        const sf_token_spec *spec = adding->specs[i];
        if (is_normalized(spec) != normalized)
            continue;
        sf_added_token *token = &kept->tokens[kept->count];
        *token = (sf_added_token){.id = adding->ids[i],
                                  .single_word = spec->single_word,
                                  .strip_left = spec->strip_left,
                                  .strip_right = spec->strip_right,
                                  .normalized = normalized,
                                  .special = spec->special};
        SF_TRY(make_pattern(ctx, spec, token));
        kept->count++;
    }
    sf_added_tokens_sort(kept);
    return SF_OK;
}

sf_status sf_tokenizer_add_tokens(sf_tokenizer *tokenizer, const sf_tokenizer_documents *documents,
                                  const sf_tokenizer_config *config, sf_vocabulary *vocabulary) {
    sf_context *ctx = tokenizer->ctx;
    size_t limit = config->listed.count + SF_TOKEN_N_ROLES + config->others.count;
    adder adding = {.tokenizer = tokenizer,
                    .vocabulary = vocabulary,
                    .next_id = vocabulary->count,
                    .specs = SF_NEW_ARRAY(ctx, const sf_token_spec *, limit)};
    sf_status status = SF_ERROR_MEMORY;
    if (!adding.specs)
        goto out;
    adding.ids = SF_NEW_ARRAY(ctx, int32_t, limit);
    if (!adding.ids)
        goto out;
    SF_TRY_OUT(add_all(&adding, documents, config));
    SF_TRY_OUT(keep(&adding, false, &tokenizer->written));
    SF_TRY_OUT(keep(&adding, true, &tokenizer->normalized));
out:
    sf_free(ctx, adding.specs);
    sf_free(ctx, adding.ids);
    return status;
}

/*
 * Opens a tokenizer: finds and reads its files, parses them, and puts the tokenizer together. What
 * the files mean is in model.c (vocabulary and merges), config.c and special.c (special tokens).
 */
#include <string.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "core/memory.h"
#include "models/tokenizer/internal.h"

/* Larger files are refused unread; tokenizers with a quarter of a million pieces have 30 MB. */
#define MAX_FILE_BYTES ((size_t)64 << 20)

const char *const sf_tokenizer_file_names[SF_TOKENIZER_N_FILES] = {
    [SF_TOKENIZER_JSON] = "tokenizer.json",
    [SF_TOKENIZER_VOCAB] = "vocab.json",
    [SF_TOKENIZER_MERGES] = "merges.txt",
    [SF_TOKENIZER_CONFIG] = "tokenizer_config.json",
    [SF_TOKENIZER_SPECIAL_TOKENS] = "special_tokens_map.json",
    [SF_TOKENIZER_ADDED_TOKENS] = "added_tokens.json",
};

/*
 * model_max_length is often 10^30, past jansson's integers. The configuration needs no exact
 * integer past 2^53, so its numbers are read as reals.
 */
static json_t *parse_with_reals(const sf_tokenizer_source *source) {
    return json_loadb(source->data, source->size, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
}

static sf_status parse(sf_context *ctx, const sf_tokenizer_source *source, sf_tokenizer_file file,
                       sf_tokenizer_documents *documents) {
    if (file == SF_TOKENIZER_CONFIG)
        documents->roots[file] = parse_with_reals(source);
    if (!documents->roots[file]) {
        char *where = sf_path_join(ctx, documents->folder, sf_tokenizer_file_names[file]);
        if (!where)
            return SF_ERROR_MEMORY;
        sf_status status =
            sf_json_parse(ctx, where, source->data, source->size, 0, &documents->roots[file]);
        sf_free(ctx, where);
        SF_TRY(status);
    }
    if (!json_is_object(documents->roots[file]))
        return sf_tokenizer_fail(ctx, documents, file, SF_ERROR_FORMAT, "not a JSON object");
    return SF_OK;
}

static sf_status parse_all(sf_context *ctx, const sf_tokenizer_source *sources,
                           sf_tokenizer_documents *documents) {
    for (int file = 0; file < SF_TOKENIZER_N_FILES; file++) {
        bool is_replaced = sources[SF_TOKENIZER_JSON].data && file == SF_TOKENIZER_VOCAB;
        if (file == SF_TOKENIZER_MERGES || is_replaced || !sources[file].data)
            continue;
        SF_TRY(parse(ctx, &sources[file], file, documents));
    }
    documents->merges = sources[SF_TOKENIZER_MERGES].data;
    documents->merges_size = sources[SF_TOKENIZER_MERGES].size;
    return SF_OK;
}

static sf_status build(const sf_tokenizer_source *sources, sf_tokenizer_documents *documents,
                       sf_tokenizer *tokenizer) {
    sf_context *ctx = tokenizer->ctx;
    sf_vocabulary vocabulary = {.ctx = ctx};
    sf_tokenizer_config config = {0};
    sf_status status;
    SF_TRY_OUT(parse_all(ctx, sources, documents));
    SF_TRY_OUT(sf_tokenizer_config_read(ctx, documents, &config));
    SF_TRY_OUT(sf_tokenizer_read_model(tokenizer, documents, &vocabulary));
    SF_TRY_OUT(sf_tokenizer_add_tokens(tokenizer, documents, &config, &vocabulary));
    tokenizer->max_length = config.max_length;
    tokenizer->split_special = config.split_special;
out:
    sf_tokenizer_config_clear(ctx, &config);
    sf_vocabulary_clear(&vocabulary);
    return status;
}

sf_status sf_tokenizer_load_memory(sf_context *ctx, const char *folder,
                                   const sf_tokenizer_source sources[SF_TOKENIZER_N_FILES],
                                   sf_tokenizer **tokenizer) {
    sf_tokenizer *loaded = SF_NEW(ctx, sf_tokenizer);
    if (!loaded)
        return SF_ERROR_MEMORY;
    loaded->ctx = ctx;
    sf_tokenizer_documents documents = {.folder = folder};
    sf_status status = build(sources, &documents, loaded);
    for (int file = 0; file < SF_TOKENIZER_N_FILES; file++)
        json_decref(documents.roots[file]);
    if (status != SF_OK) {
        sf_tokenizer_free(loaded);
        return status;
    }
    *tokenizer = loaded;
    return SF_OK;
}

/* Reads the files that are there. */
static sf_status read_sources(sf_context *ctx, const char *folder, char **data,
                              sf_tokenizer_source *sources) {
    for (int file = 0; file < SF_TOKENIZER_N_FILES; file++) {
        char *path = sf_path_join(ctx, folder, sf_tokenizer_file_names[file]);
        if (!path)
            return SF_ERROR_MEMORY;
        sf_status status = SF_OK;
        if (sf_path_is_file(path))
            status = sf_file_read(ctx, path, MAX_FILE_BYTES, &data[file], &sources[file].size);
        sf_free(ctx, path);
        SF_TRY(status);
        sources[file].data = data[file];
    }
    return SF_OK;
}

static sf_status load_folder(sf_context *ctx, const char *folder, sf_tokenizer **tokenizer) {
    char *data[SF_TOKENIZER_N_FILES] = {NULL};
    sf_tokenizer_source sources[SF_TOKENIZER_N_FILES] = {{NULL, 0}};
    sf_status status = read_sources(ctx, folder, data, sources);
    if (status == SF_OK)
        status = sf_tokenizer_load_memory(ctx, folder, sources, tokenizer);
    for (int file = 0; file < SF_TOKENIZER_N_FILES; file++)
        sf_free(ctx, data[file]);
    return status;
}

/* *found: the folder has a vocabulary. */
static sf_status is_tokenizer_folder(sf_context *ctx, const char *folder, bool *found) {
    *found = false;
    for (int file = SF_TOKENIZER_JSON; file <= SF_TOKENIZER_VOCAB && !*found; file++) {
        char *path = sf_path_join(ctx, folder, sf_tokenizer_file_names[file]);
        if (!path)
            return SF_ERROR_MEMORY;
        *found = sf_path_is_file(path);
        sf_free(ctx, path);
    }
    return SF_OK;
}

sf_status sf_tokenizer_load(sf_context *context, const char *folder, sf_tokenizer **tokenizer) {
    if (!context)
        return SF_ERROR_ARGUMENT;
    if (!folder || !tokenizer)
        SF_FAIL(context, ERROR_ARGUMENT, "sf_tokenizer_load: no %s",
                folder ? "place for the tokenizer" : "folder");
    bool found;
    SF_TRY(is_tokenizer_folder(context, folder, &found));
    if (found)
        return load_folder(context, folder, tokenizer);
    char *inner = sf_path_join(context, folder, "tokenizer");
    if (!inner)
        return SF_ERROR_MEMORY;
    sf_status status = is_tokenizer_folder(context, inner, &found);
    if (status == SF_OK && found)
        status = load_folder(context, inner, tokenizer);
    else if (status == SF_OK)
        status =
            sf_fail(context, SF_ERROR_NOT_FOUND,
                    "%s: no tokenizer: neither vocab.json nor tokenizer.json is there or in %s",
                    folder, inner);
    sf_free(context, inner);
    return status;
}

void sf_tokenizer_free(sf_tokenizer *tokenizer) {
    if (!tokenizer)
        return;
    sf_free(tokenizer->ctx, tokenizer->bpe.slots);
    sf_added_tokens_clear(tokenizer->ctx, &tokenizer->written);
    sf_added_tokens_clear(tokenizer->ctx, &tokenizer->normalized);
    sf_free(tokenizer->ctx, tokenizer);
}

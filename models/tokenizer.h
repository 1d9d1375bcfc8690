/*
 * The CLIP tokenizer as the library itself uses it: loading from memory, so that any source of
 * bytes will do (and fuzzers reach the reader without files). The public functions are in
 * sfumato.h; the parts are in models/tokenizer/.
 */
#ifndef SF_MODELS_TOKENIZER_H
#define SF_MODELS_TOKENIZER_H

#include "core/context.h"

/* The files that a tokenizer's folder can hold. */
typedef enum sf_tokenizer_file {
    SF_TOKENIZER_JSON,           /* tokenizer.json: vocabulary, merges, added tokens */
    SF_TOKENIZER_VOCAB,          /* vocab.json */
    SF_TOKENIZER_MERGES,         /* merges.txt */
    SF_TOKENIZER_CONFIG,         /* tokenizer_config.json */
    SF_TOKENIZER_SPECIAL_TOKENS, /* special_tokens_map.json */
    SF_TOKENIZER_ADDED_TOKENS,   /* added_tokens.json */
    SF_TOKENIZER_N_FILES
} sf_tokenizer_file;

/* "vocab.json" and so on. */
extern const char *const sf_tokenizer_file_names[SF_TOKENIZER_N_FILES];

/* One file's bytes, borrowed. data NULL: the file is not there. */
typedef struct sf_tokenizer_source {
    const char *data;
    size_t size;
} sf_tokenizer_source;

/*
 * Builds a tokenizer from files in memory; folder names them in errors. tokenizer.json, if it is
 * there, is used instead of vocab.json and merges.txt, as transformers does. The sources are not
 * kept.
 */
sf_status sf_tokenizer_load_memory(sf_context *ctx, const char *folder,
                                   const sf_tokenizer_source sources[SF_TOKENIZER_N_FILES],
                                   sf_tokenizer **tokenizer);

#endif

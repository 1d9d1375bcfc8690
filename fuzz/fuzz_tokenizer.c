/*
 * libFuzzer target: the tokenizer's files and the texts that it encodes. The first byte chooses
 * what the rest is: 'T' a text, 'J' tokenizer.json, 'V' vocab.json, 'M' merges.txt, 'C'
 * tokenizer_config.json, 'S' special_tokens_map.json, 'A' added_tokens.json. The other files are
 * small and right.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "models/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char vocabulary[] =
    "{\"a\":0,\"b\":1,\"c\":2,\"a</w>\":3,\"b</w>\":4,\"c</w>\":5,\"ab\":6,\"abc</w>\":7,\"aa\":8,"
    "\"aaaa\":9,\"'\":10,\"s</w>\":11,\"'s</w>\":12,\"<|startoftext|>\":13,\"<|endoftext|>\":14,"
    "\"ca</w>\":15,\"!\":16,\"!!\":17,\"\u00cc\":18,\"\u0123</w>\":19,\"\u00cc\u0123</w>\":20}";
static const char merges[] = "#version: 0.2\na b\nab c</w>\na a\naa aa\n' s</w>\nc a</w>\n! !\n"
                             "\u00cc \u0123</w>\n";
static const char config[] =
    "{\"model_max_length\":40,\"eos_token\":{\"__type\":\"AddedToken\",\"content\":\"<|endoftext|>"
    "\","
    "\"normalized\":true},\"extra_special_tokens\":[{\"content\":\"ca\u0301t\",\"normalized\":true,"
    "\"lstrip\":true,\"rstrip\":true},{\"content\":\"cat\",\"single_word\":true}]}";

/* Room for the longest sequence that a fuzzed configuration may ask for. */
#define MAX_IDS (1 << 20)

static void encode(const sf_tokenizer *tokenizer, const char *text) {
    int max_length = sf_tokenizer_max_length(tokenizer), n_used = 0, n_again = 0;
    if (max_length < 2 || max_length > MAX_IDS)
        abort();
    int64_t *ids = malloc(2 * (size_t)max_length * sizeof *ids), *again = ids + max_length;
    if (!ids)
        return;
    sf_status status = sf_tokenizer_encode(tokenizer, text, 1, ids, &n_used);
    if (status != sf_tokenizer_encode(tokenizer, text, 1, again, &n_again))
        abort();
    if (status == SF_OK && (n_used < 2 || n_used > max_length || n_used != n_again ||
                            memcmp(ids, again, (size_t)max_length * sizeof *ids) != 0))
        abort();
    free(ids);
}

static int file_of(uint8_t letter) {
    static const char letters[] = "JVMCSA"; /* in the order of sf_tokenizer_file */
    const char *found = letter ? strchr(letters, letter) : NULL;
    return found ? (int)(found - letters) : -1;
}

/* Files in memory with one of them replaced. */
static void try_file(sf_context *ctx, int file, const char *text, size_t size) {
    static const char sample[] = "abca <|endoftext|> CA\u0301T cat's !!!! <x> \u4e2d\u0301";
    sf_tokenizer *tokenizer = NULL;
    sf_tokenizer_source sources[SF_TOKENIZER_N_FILES] = {
        [SF_TOKENIZER_VOCAB] = {vocabulary, sizeof vocabulary - 1},
        [SF_TOKENIZER_MERGES] = {merges, sizeof merges - 1},
        [SF_TOKENIZER_CONFIG] = {config, sizeof config - 1}};
    sources[file] = (sf_tokenizer_source){text, size};
    if (sf_tokenizer_load_memory(ctx, "fuzz", sources, &tokenizer) == SF_OK)
        encode(tokenizer, sample);
    else if (!*sf_error_message(ctx))
        abort();
    sf_tokenizer_free(tokenizer);
}

static void try_text(const char *text) {
    static sf_context *ctx;
    static sf_tokenizer *tokenizer; /* made once: loading takes far longer than a text */
    const sf_tokenizer_source sources[SF_TOKENIZER_N_FILES] = {
        [SF_TOKENIZER_VOCAB] = {vocabulary, sizeof vocabulary - 1},
        [SF_TOKENIZER_MERGES] = {merges, sizeof merges - 1},
        [SF_TOKENIZER_CONFIG] = {config, sizeof config - 1}};
    if (!tokenizer && (sf_context_new(NULL, &ctx) != SF_OK ||
                       sf_tokenizer_load_memory(ctx, "fuzz", sources, &tokenizer) != SF_OK))
        abort();
    encode(tokenizer, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int file = size ? file_of(data[0]) : -1;
    if (size == 0 || (file < 0 && data[0] != 'T'))
        return 0;
    char *text = malloc(size);
    sf_context *ctx = NULL;
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (file < 0)
        try_text(text);
    else if (sf_context_new(NULL, &ctx) == SF_OK)
        try_file(ctx, file, text, size - 1);
    sf_context_free(ctx);
    free(text);
    return 0;
}

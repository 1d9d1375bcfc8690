/*
 * Vocabulary and merges: from vocab.json and merges.txt, or from the "model" of tokenizer.json.
 * Every merge is checked: its two pieces and their concatenation are in the vocabulary.
 */
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "models/tokenizer/internal.h"

#define WORD_END "</w>"

/* What the functions below pass around. */
typedef struct reader {
    sf_context *ctx;
    const sf_tokenizer_documents *documents;
    sf_tokenizer_file file; /* that is being read: named in errors */
    sf_vocabulary *vocabulary;
    sf_bpe *bpe;
    sf_text joined; /* a merged piece */
} reader;

#define FAIL(read, code, ...)                                                                      \
    return sf_tokenizer_fail((read)->ctx, (read)->documents, (read)->file, SF_##code, __VA_ARGS__)

/* Checks the ids' range; *greatest is the greatest one. */
static sf_status check_ids(const reader *read, json_t *pieces, json_int_t *greatest) {
    const char *piece;
    json_t *value;
    *greatest = 0;
    json_object_foreach(pieces, piece, value) {
        json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0 || id > SF_TOKENIZER_MAX_ID)
            FAIL(read, ERROR_FORMAT, "the id of \"%.80s\" is not a whole number from 0 to %d",
                 piece, SF_TOKENIZER_MAX_ID);
        if (id > *greatest)
            *greatest = id;
    }
    return SF_OK;
}

/* Adds a piece. seen has a bit for each id: one that comes twice is an error. */
static sf_status add_piece(const reader *read, uint8_t *seen, const char *piece, int32_t id) {
    if (seen[id / 8] >> (id % 8) & 1)
        FAIL(read, ERROR_FORMAT, "the id %d of \"%.80s\" is another piece's too", id, piece);
    seen[id / 8] = (uint8_t)(seen[id / 8] | 1 << (id % 8));
    return sf_vocabulary_add(read->vocabulary, piece, strlen(piece), id);
}

static sf_status read_vocabulary(const reader *read, json_t *pieces) {
    if (!json_is_object(pieces) || json_object_size(pieces) == 0)
        FAIL(read, ERROR_FORMAT, "the vocabulary is %s",
             json_is_object(pieces) ? "empty" : "not an object from piece to id");
    json_int_t greatest;
    SF_TRY(check_ids(read, pieces, &greatest));
    uint8_t *seen = SF_NEW_ARRAY(read->ctx, uint8_t, (size_t)greatest / 8 + 1);
    if (!seen)
        return SF_ERROR_MEMORY;
    sf_status status = SF_OK;
    const char *piece;
    json_t *value;
    json_object_foreach(pieces, piece, value) {
        SF_TRY_OUT(add_piece(read, seen, piece, (int32_t)json_integer_value(value)));
    }
out:
    sf_free(read->ctx, seen);
    return status;
}

/* The id of a merge's piece. */
static sf_status find_piece(const reader *read, size_t merge, const char *text, size_t length,
                            int32_t *id) {
    const sf_vocabulary_entry *entry = sf_vocabulary_find(read->vocabulary, text, length);
    if (!entry)
        FAIL(read, ERROR_FORMAT, "merge %zu: \"%.*s\" is not in the vocabulary", merge + 1,
             length < 80 ? (int)length : 80, text);
    *id = entry->id;
    return SF_OK;
}

static sf_status add_merge(reader *read, size_t merge, const char *left, size_t left_length,
                           const char *right, size_t right_length) {
    int32_t left_id = -1, right_id = -1, id = -1;
    SF_TRY(find_piece(read, merge, left, left_length, &left_id));
    SF_TRY(find_piece(read, merge, right, right_length, &right_id));
    read->joined.length = 0;
    SF_TRY(sf_text_append_bytes(&read->joined, left, left_length));
    SF_TRY(sf_text_append_bytes(&read->joined, right, right_length));
    SF_TRY(find_piece(read, merge, read->joined.chars, read->joined.length, &id));
    sf_bpe_add(read->bpe, left_id, right_id, (uint32_t)merge, id);
    return SF_OK;
}

/* A merge that is written "left right". */
static sf_status add_written_merge(reader *read, size_t merge, const char *text, size_t length) {
    const char *space = memchr(text, ' ', length);
    size_t left = space ? (size_t)(space - text) : 0;
    if (!space || memchr(space + 1, ' ', length - left - 1))
        FAIL(read, ERROR_FORMAT, "merge %zu, \"%.*s\", is not two pieces with a space between",
             merge + 1, length < 80 ? (int)length : 80, text);
    return add_merge(read, merge, text, left, space + 1, length - left - 1);
}

static sf_status reserve(const reader *read, size_t n_merges) {
    if (n_merges >= UINT32_MAX)
        FAIL(read, ERROR_FORMAT, "%zu merges", n_merges);
    return sf_bpe_reserve(read->ctx, read->bpe, n_merges);
}

/* merges.txt: a merge a line; lines that start with "#version" are none. */
static sf_status read_merges_text(reader *read) {
    const char *text = read->documents->merges, *end = text + read->documents->merges_size;
    if (!sf_utf8_valid(text, read->documents->merges_size))
        FAIL(read, ERROR_FORMAT, "not UTF-8 text");
    size_t n_lines = 1;
    for (const char *at = text; (at = memchr(at, '\n', (size_t)(end - at))); at++)
        n_lines++;
    SF_TRY(reserve(read, n_lines));
    size_t merge = 0;
    for (const char *next; text < end; text = next) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        next = stop ? stop + 1 : end;
        size_t length = (size_t)((stop ? stop : end) - text);
        if (stop && length && text[length - 1] == '\r')
            length--;
        if (length >= 8 && memcmp(text, "#version", 8) == 0)
            continue;
        SF_TRY(add_written_merge(read, merge++, text, length));
    }
    return SF_OK;
}

/* The merges of tokenizer.json: "left right" or ["left", "right"]. */
static sf_status read_merges_list(reader *read, const json_t *merges) {
    if (!json_is_array(merges))
        FAIL(read, ERROR_FORMAT, "model.merges is not a list");
    SF_TRY(reserve(read, json_array_size(merges)));
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *merge = json_array_get(merges, i);
        const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
        if (json_is_string(merge))
            SF_TRY(add_written_merge(read, i, json_string_value(merge), json_string_length(merge)));
        else if (json_array_size(merge) == 2 && json_is_string(left) && json_is_string(right))
            SF_TRY(add_merge(read, i, json_string_value(left), json_string_length(left),
                             json_string_value(right), json_string_length(right)));
        else
            FAIL(read, ERROR_FORMAT, "merge %zu is neither text nor a pair of texts", i + 1);
    }
    return SF_OK;
}

/* true if a component of tokenizer.json is of this type, or is a sequence with one that is. */
static bool has_component(const json_t *component, const char *list, const char *type) {
    const char *name = json_string_value(json_object_get(component, "type"));
    if (name && strcmp(name, type) == 0)
        return true;
    const json_t *parts = json_object_get(component, list);
    for (size_t i = 0; i < json_array_size(parts); i++) {
        name = json_string_value(json_object_get(json_array_get(parts, i), "type"));
        if (name && strcmp(name, type) == 0)
            return true;
    }
    return false;
}

/*
 * tokenizer.json can hold any tokenizer. CLIP's is recognized by its model, by "</w>" and, where
 * they are given, by the lower case of its normalizer and the bytes of its pre-tokenizer. Like
 * transformers, nothing else is taken from these sections.
 */
static sf_status check_kind(const reader *read, const json_t *root, const json_t *model) {
    const char *type = json_string_value(json_object_get(model, "type"));
    const char *suffix = json_string_value(json_object_get(model, "end_of_word_suffix"));
    const json_t *normalizer = json_object_get(root, "normalizer");
    const json_t *pre_tokenizer = json_object_get(root, "pre_tokenizer");
    if (!json_is_object(model))
        FAIL(read, ERROR_FORMAT, "no object \"model\"");
    if (type && strcmp(type, "BPE") != 0)
        FAIL(read, ERROR_UNSUPPORTED, "the model is of type %.40s; only CLIP's BPE is supported",
             type);
    if (!suffix || strcmp(suffix, WORD_END) != 0)
        FAIL(read, ERROR_UNSUPPORTED,
             "the words end in \"%.40s\", not in \"" WORD_END "\": this is not a CLIP tokenizer",
             suffix ? suffix : "");
    if (json_is_object(normalizer) && !has_component(normalizer, "normalizers", "Lowercase"))
        FAIL(read, ERROR_UNSUPPORTED, "the normalizer has no Lowercase: this is not CLIP's");
    if (json_is_object(pre_tokenizer) &&
        !has_component(pre_tokenizer, "pretokenizers", "ByteLevel"))
        FAIL(read, ERROR_UNSUPPORTED, "the pre_tokenizer has no ByteLevel: this is not CLIP's");
    return SF_OK;
}

static sf_status read_files(reader *read) {
    const sf_tokenizer_documents *documents = read->documents;
    const json_t *whole = documents->roots[SF_TOKENIZER_JSON];
    if (whole) {
        const json_t *model = json_object_get(whole, "model");
        read->file = SF_TOKENIZER_JSON;
        SF_TRY(check_kind(read, whole, model));
        SF_TRY(read_vocabulary(read, json_object_get(model, "vocab")));
        return read_merges_list(read, json_object_get(model, "merges"));
    }
    read->file = SF_TOKENIZER_VOCAB;
    if (!documents->roots[SF_TOKENIZER_VOCAB])
        FAIL(read, ERROR_NOT_FOUND, "not there, and neither is tokenizer.json");
    SF_TRY(read_vocabulary(read, documents->roots[SF_TOKENIZER_VOCAB]));
    read->file = SF_TOKENIZER_MERGES;
    if (!documents->merges)
        FAIL(read, ERROR_NOT_FOUND, "not there");
    return read_merges_text(read);
}

/*
 * The characters that stand for bytes (GPT-2's bytes_to_unicode): printable ones of Latin-1 stand
 * for themselves, the other 68 are U+0100 and following, in order.
 */
static int32_t byte_character(int byte) {
    int32_t others = 0;
    for (int at = 0;; at++) {
        bool printable = (at >= 0x21 && at <= 0x7e) || (at >= 0xa1 && at != 0xad);
        if (at == byte)
            return printable ? at : 0x100 + others;
        others += !printable;
    }
}

static void find_letters(sf_bpe *bpe, const sf_vocabulary *vocabulary) {
    for (int byte = 0; byte < 256; byte++) {
        char text[4 + sizeof WORD_END];
        size_t length = sf_utf8_encode(byte_character(byte), (uint8_t *)text);
        const sf_vocabulary_entry *letter = sf_vocabulary_find(vocabulary, text, length);
        memcpy(text + length, WORD_END, sizeof WORD_END);
        const sf_vocabulary_entry *final =
            sf_vocabulary_find(vocabulary, text, length + strlen(WORD_END));
        bpe->letters[byte] = letter ? letter->id : -1;
        bpe->final_letters[byte] = final ? final->id : -1;
    }
}

sf_status sf_tokenizer_read_model(sf_tokenizer *tokenizer, const sf_tokenizer_documents *documents,
                                  sf_vocabulary *vocabulary) {
    reader read = {.ctx = tokenizer->ctx,
                   .documents = documents,
                   .vocabulary = vocabulary,
                   .bpe = &tokenizer->bpe,
                   .joined = {.ctx = tokenizer->ctx}};
    sf_status status = read_files(&read);
    sf_free(tokenizer->ctx, read.joined.chars);
    if (status == SF_OK)
        find_letters(&tokenizer->bpe, vocabulary);
    return status;
}

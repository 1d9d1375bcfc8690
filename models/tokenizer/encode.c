/*
 * Text to ids: added tokens are cut out, what lies between is normalized, cut into pieces and
 * merged, until the sequence is full. A tokenizer is never written to; all memory here is the
 * call's own.
 */
#include <string.h>

#include "core/memory.h"
#include "models/tokenizer/internal.h"

/* One call of sf_tokenizer_encode(). */
typedef struct encoding {
    const sf_tokenizer *tokenizer;
    int64_t *ids; /* owned; room for limit */
    int count, limit;
    sf_codepoints text;   /* as it was given */
    sf_codepoints normal; /* a part of it, normalized */
    uint8_t *word;        /* owned; a piece in bytes */
    size_t word_capacity;
    sf_bpe_work work;
} encoding;

static bool is_full(const encoding *encode) {
    return encode->count == encode->limit;
}

static void emit(encoding *encode, int32_t id) {
    if (!is_full(encode))
        encode->ids[encode->count++] = id;
}

static sf_status encode_piece(encoding *encode, const int32_t *piece, size_t length) {
    size_t bytes, n_bytes = 0;
    if (!sf_multiply_size(length, 4, &bytes))
        SF_FAIL(encode->tokenizer->ctx, ERROR_MEMORY, "out of memory: a word of %zu characters",
                length);
    SF_TRY(
        sf_grow(encode->tokenizer->ctx, (void **)&encode->word, &encode->word_capacity, bytes, 1));
    for (size_t i = 0; i < length; i++)
        n_bytes += sf_utf8_encode(piece[i], encode->word + n_bytes);
    SF_TRY(sf_bpe_encode(&encode->tokenizer->bpe, &encode->work, encode->word, n_bytes));
    for (size_t i = 0; i < encode->work.n_ids; i++)
        emit(encode, encode->work.ids[i]);
    return SF_OK;
}

/* Normalized text without added tokens. */
static sf_status encode_words(encoding *encode, const int32_t *text, size_t count) {
    sf_pieces pieces = {.text = text, .count = count};
    for (size_t start, length; !is_full(encode) && sf_pieces_next(&pieces, &start, &length);)
        SF_TRY(encode_piece(encode, text + start, length));
    return SF_OK;
}

/* Text as it was given, without the added tokens that are looked for there. */
static sf_status encode_between(encoding *encode, const int32_t *text, size_t count) {
    const sf_tokenizer *tokenizer = encode->tokenizer;
    encode->normal.count = 0;
    SF_TRY(sf_tokenizer_normalize(text, count, &encode->normal));
    const int32_t *normal = encode->normal.data;
    size_t n_normal = encode->normal.count, search = 0, done = 0;
    sf_added_match match;
    while (!is_full(encode) &&
           sf_added_tokens_next(&tokenizer->normalized, normal, n_normal, tokenizer->split_special,
                                &search, done, &match)) {
        if (done < match.start)
            SF_TRY(encode_words(encode, normal + done, match.start - done));
        emit(encode, match.id);
        done = match.stop;
    }
    return done < n_normal ? encode_words(encode, normal + done, n_normal - done) : SF_OK;
}

static sf_status encode_text(encoding *encode, const char *text) {
    const sf_tokenizer *tokenizer = encode->tokenizer;
    SF_TRY(sf_codepoints_decode(&encode->text, text, strlen(text)));
    const int32_t *given = encode->text.data;
    size_t n_given = encode->text.count, search = 0, done = 0;
    sf_added_match match;
    while (!is_full(encode) &&
           sf_added_tokens_next(&tokenizer->written, given, n_given, tokenizer->split_special,
                                &search, done, &match)) {
        if (done < match.start)
            SF_TRY(encode_between(encode, given + done, match.start - done));
        emit(encode, match.id);
        done = match.stop;
    }
    if (done < n_given && !is_full(encode))
        return encode_between(encode, given + done, n_given - done);
    return SF_OK;
}

/* Start token, ids, end token and padding. */
static void write_ids(const encoding *encode, bool pad, int64_t *ids, int *n_used) {
    const sf_tokenizer *tokenizer = encode->tokenizer;
    ids[0] = tokenizer->start;
    memcpy(ids + 1, encode->ids, (size_t)encode->count * sizeof *ids);
    ids[encode->count + 1] = tokenizer->end;
    *n_used = encode->count + 2;
    for (int i = *n_used; pad && i < tokenizer->max_length; i++)
        ids[i] = tokenizer->padding;
}

sf_status sf_tokenizer_encode(const sf_tokenizer *tokenizer, const char *text, int pad,
                              int64_t *ids, int *n_used) {
    if (!tokenizer)
        return SF_ERROR_ARGUMENT;
    sf_context *ctx = tokenizer->ctx;
    if (!text || !ids || !n_used)
        SF_FAIL(ctx, ERROR_ARGUMENT, "sf_tokenizer_encode: no %s",
                !text ? "text" : "place for the ids");
    encoding encode = {.tokenizer = tokenizer,
                       .limit = tokenizer->max_length - 2,
                       .text = {.ctx = ctx},
                       .normal = {.ctx = ctx},
                       .work = {.ctx = ctx}};
    encode.ids = SF_NEW_ARRAY(ctx, int64_t, (size_t)encode.limit);
    sf_status status = encode.ids ? encode_text(&encode, text) : SF_ERROR_MEMORY;
    if (status == SF_OK)
        write_ids(&encode, pad != 0, ids, n_used);
    sf_free(ctx, encode.ids);
    sf_free(ctx, encode.text.data);
    sf_free(ctx, encode.normal.data);
    sf_free(ctx, encode.word);
    sf_bpe_work_clear(&encode.work);
    return status;
}

int sf_tokenizer_max_length(const sf_tokenizer *tokenizer) {
    return tokenizer ? tokenizer->max_length : 0;
}

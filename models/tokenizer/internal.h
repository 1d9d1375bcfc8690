/*
 * What the parts of the CLIP tokenizer share. Text goes through them in this order:
 *
 *   bytes -> code points -> added tokens cut out as written -> normalized -> added tokens cut out
 * of the normalized text -> pieces (words, digits, runs of signs) -> bytes of a piece -> merged ids
 *
 * The oracle is transformers' CLIPTokenizer (models/clip/tokenization_clip.py) on top of the Rust
 * library "tokenizers"; each part names the component that it agrees with.
 */
#ifndef SF_MODELS_TOKENIZER_INTERNAL_H
#define SF_MODELS_TOKENIZER_INTERNAL_H

#include <jansson.h>

#include "core/context.h"
#include "models/tokenizer.h"

/* ---- code points --------------------------------------------------------------------------------
 */

/* Start with {.ctx = ctx}; data is freed with sf_free(). */
typedef struct sf_codepoints {
    sf_context *ctx;
    int32_t *data;
    size_t count, capacity;
} sf_codepoints;

sf_status sf_codepoints_push(sf_codepoints *text, int32_t codepoint);

/* Appends UTF-8; each malformed part becomes one U+FFFD, as Python's errors="replace" does it. */
sf_status sf_codepoints_decode(sf_codepoints *text, const char *bytes, size_t size);

/* Writes 1 to 4 bytes and returns how many. */
size_t sf_utf8_encode(int32_t codepoint, uint8_t bytes[4]);

/* Character classes and mappings of the Unicode versions that the oracle is built with. */
bool sf_unicode_is_space(int32_t codepoint);
bool sf_unicode_is_letter(int32_t codepoint); /* \p{L} */
bool sf_unicode_is_number(int32_t codepoint); /* \p{N} */
bool sf_unicode_is_word(int32_t codepoint);   /* \w */

/* The combining class and decomposition of this one are not known to the oracle: it stays as it is.
 */
bool sf_unicode_is_inert(int32_t codepoint);

/* Lower case without regard to context: 1 or 2 code points. */
int sf_unicode_lower(int32_t codepoint, int32_t lower[2]);

/* Appends text to *normal: NFC, runs of white space as one space, lower case. */
sf_status sf_tokenizer_normalize(const int32_t *text, size_t count, sf_codepoints *normal);

/* Walks over the pieces of normalized text. Start with {.text = text, .count = count}. */
typedef struct sf_pieces {
    const int32_t *text;
    size_t count;
    size_t next; /* where to go on */
    size_t
        literal_end; /* past next: inside a special token's name that is written out in the text */
} sf_pieces;

/* The next piece is text[*start .. *start + *length); false at the end. */
bool sf_pieces_next(sf_pieces *pieces, size_t *start, size_t *length);

/* ---- vocabulary (while loading) -----------------------------------------------------------------
 */

#define SF_TOKENIZER_MAX_ID ((1 << 24) - 1)

typedef struct sf_vocabulary_entry {
    const char *text; /* borrowed; NULL: free slot */
    size_t length;
    int32_t id;
    int32_t added; /* index into the added tokens, -1: not one */
} sf_vocabulary_entry;

/* An open-addressing hash table from piece to id. Start with {.ctx = ctx}. */
typedef struct sf_vocabulary {
    sf_context *ctx;
    sf_vocabulary_entry *slots; /* owned */
    size_t n_slots;             /* 0 or a power of two */
    size_t count;
} sf_vocabulary;

/* NULL if the piece is not there. */
sf_vocabulary_entry *sf_vocabulary_find(const sf_vocabulary *vocabulary, const char *text,
                                        size_t length);

/* The piece must not be there yet. text is borrowed. */
sf_status sf_vocabulary_add(sf_vocabulary *vocabulary, const char *text, size_t length, int32_t id);
void sf_vocabulary_clear(sf_vocabulary *vocabulary);

/* ---- byte pair encoding -------------------------------------------------------------------------
 */

typedef struct sf_merge_slot {
    uint64_t pair; /* left id << 32 | right id; UINT64_MAX: free slot */
    uint32_t rank; /* the lowest merges first */
    int32_t id;    /* of the merged piece */
} sf_merge_slot;

typedef struct sf_bpe {
    int32_t letters[256];       /* id of a byte inside a word; -1: not in the vocabulary */
    int32_t final_letters[256]; /* the same at a word's end, with "</w>" */
    int32_t unknown;            /* for such bytes; -1: none */
    sf_merge_slot *slots;       /* owned */
    size_t n_slots;             /* a power of two */
} sf_bpe;

/* Room for n_merges merges. */
sf_status sf_bpe_reserve(sf_context *ctx, sf_bpe *bpe, size_t n_merges);

/* Adds a merge; a pair that is there already takes the new rank. */
void sf_bpe_add(sf_bpe *bpe, int32_t left, int32_t right, uint32_t rank, int32_t id);

/* Memory that is used for one word after the other. Start with {.ctx = ctx}. */
typedef struct sf_bpe_work {
    sf_context *ctx;
    struct sf_bpe_symbol *symbols;
    size_t symbol_capacity;
    struct sf_bpe_candidate *heap;
    size_t heap_count, heap_capacity;
    int32_t *ids; /* the result */
    size_t n_ids, id_capacity;
} sf_bpe_work;

/*
 * Merges one word of n_bytes bytes into work->ids. A byte that is not in the vocabulary becomes
 * unknown; without that it is SF_ERROR_FORMAT. Time is n log n.
 */
sf_status sf_bpe_encode(const sf_bpe *bpe, sf_bpe_work *work, const uint8_t *bytes, size_t n_bytes);
void sf_bpe_work_clear(sf_bpe_work *work);

/* ---- added tokens -------------------------------------------------------------------------------
 */

/* A token that is cut out of the text before words are made: "<|endoftext|>" and the like. */
typedef struct sf_added_token {
    int32_t *pattern; /* owned; what is looked for, in code points */
    size_t length;
    int32_t id;
    bool single_word; /* only where no word character stands beside it */
    bool strip_left;  /* takes the white space before it along */
    bool strip_right;
    bool normalized; /* pattern is normalized, and looked for in normalized text */
    bool special;
} sf_added_token;

/* Sorted by pattern. */
typedef struct sf_added_tokens {
    sf_added_token *tokens; /* owned */
    size_t count;
} sf_added_tokens;

typedef struct sf_added_match {
    size_t start, stop;
    int32_t id;
} sf_added_match;

void sf_added_tokens_sort(sf_added_tokens *added);
void sf_added_tokens_clear(sf_context *ctx, sf_added_tokens *added);

/*
 * The leftmost, longest token at or after *search. done is the end of what was given out before.
 * skip_special leaves special tokens alone.
 */
bool sf_added_tokens_next(const sf_added_tokens *added, const int32_t *text, size_t count,
                          bool skip_special, size_t *search, size_t done, sf_added_match *match);

/* ---- configuration ------------------------------------------------------------------------------
 */

/* A token as the configuration files describe it. */
typedef struct sf_token_spec {
    const char *text; /* borrowed from the JSON documents; NULL: none */
    int64_t order;    /* the index under which it is listed */
    size_t sequence;  /* where it was read: of one index the last one counts */
    bool single_word, strip_left, strip_right;
    bool special;
    int normalized; /* -1: not given, then it is !special */
} sf_token_spec;

typedef struct sf_token_specs {
    sf_token_spec *items; /* owned */
    size_t count, capacity;
} sf_token_specs;

typedef enum sf_token_role {
    SF_TOKEN_START,
    SF_TOKEN_END,
    SF_TOKEN_UNKNOWN,
    SF_TOKEN_SEPARATOR,
    SF_TOKEN_PADDING,
    SF_TOKEN_CLASS,
    SF_TOKEN_MASK,
    SF_TOKEN_N_ROLES
} sf_token_role;

/* "bos_token" and so on. */
extern const char *const sf_token_role_keys[SF_TOKEN_N_ROLES];

typedef struct sf_tokenizer_config {
    int max_length;
    bool split_special;                    /* special tokens in the text are text */
    sf_token_spec roles[SF_TOKEN_N_ROLES]; /* text NULL: the role is not filled */
    sf_token_specs listed;                 /* explicitly added tokens, by index */
    sf_token_specs others;                 /* further special tokens */
} sf_tokenizer_config;

/* The parsed files; NULL for those that are not there. */
typedef struct sf_tokenizer_documents {
    const char *folder;
    json_t *roots[SF_TOKENIZER_N_FILES]; /* owned; that of the merges stays NULL */
    const char *merges;
    size_t merges_size;
} sf_tokenizer_documents;

sf_status sf_tokenizer_config_read(sf_context *ctx, const sf_tokenizer_documents *documents,
                                   sf_tokenizer_config *config);
void sf_tokenizer_config_clear(sf_context *ctx, sf_tokenizer_config *config);

/* Fails with "FOLDER/FILE: MESSAGE". */
sf_status sf_tokenizer_fail(sf_context *ctx, const sf_tokenizer_documents *documents,
                            sf_tokenizer_file file, sf_status status, const char *format, ...)
    SF_PRINTF(5, 6);

/* ---- the tokenizer ------------------------------------------------------------------------------
 */

struct sf_tokenizer {
    sf_context *ctx; /* borrowed */
    int max_length;
    bool split_special;
    int32_t start, end, padding;
    sf_bpe bpe;
    sf_added_tokens written;    /* looked for in the text as written */
    sf_added_tokens normalized; /* looked for in normalized text */
};

/* Reads vocabulary and merges into *vocabulary and tokenizer->bpe. Entries borrow from documents.
 */
sf_status sf_tokenizer_read_model(sf_tokenizer *tokenizer, const sf_tokenizer_documents *documents,
                                  sf_vocabulary *vocabulary);

/* Gives the configuration's tokens their ids and fills in what the tokenizer keeps of them. */
sf_status sf_tokenizer_add_tokens(sf_tokenizer *tokenizer, const sf_tokenizer_documents *documents,
                                  const sf_tokenizer_config *config, sf_vocabulary *vocabulary);

#endif

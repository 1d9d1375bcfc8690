/*
 * Cuts normalized text into pieces as the two patterns of CLIP's pre-tokenizer do, one after the
 * other (transformers: pre_tokenizers.Sequence of Split and ByteLevel):
 *
 *   <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 * The second, GPT-2's, changes only what the first takes whole as a special token's name: it falls
 * into
 * "<|", "startoftext" and "|>". Other pieces of the first pattern are of one class already.
 */
#include "models/tokenizer/internal.h"

typedef enum piece_class { CLASS_SPACE, CLASS_LETTER, CLASS_NUMBER, CLASS_OTHER } piece_class;

static piece_class class_of(int32_t codepoint) {
    if (codepoint < 0x80) {
        if ((codepoint >= 'a' && codepoint <= 'z') || (codepoint >= 'A' && codepoint <= 'Z'))
            return CLASS_LETTER;
        if (codepoint >= '0' && codepoint <= '9')
            return CLASS_NUMBER;
    }
    return sf_unicode_is_space(codepoint)    ? CLASS_SPACE
           : sf_unicode_is_letter(codepoint) ? CLASS_LETTER
           : sf_unicode_is_number(codepoint) ? CLASS_NUMBER
                                             : CLASS_OTHER;
}

/* The length of the first of names (NULL at the end) that the text starts with; 0: none. */
static size_t starts_with(const int32_t *text, size_t count, const char *const *names) {
    for (; *names; names++) {
        size_t length = 0;
        while ((*names)[length] && length < count && text[length] == (*names)[length])
            length++;
        if (!(*names)[length])
            return length;
    }
    return 0;
}

bool sf_pieces_next(sf_pieces *pieces, size_t *start, size_t *length) {
    static const char *const literals[] = {"<|startoftext|>", "<|endoftext|>", NULL};
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d", NULL};
    const int32_t *text = pieces->text;
    size_t at = pieces->next;
    while (at < pieces->count && sf_unicode_is_space(text[at]))
        at++;
    if (at >= pieces->count)
        return false;
    if (at >= pieces->literal_end) {
        size_t literal = starts_with(text + at, pieces->count - at, literals);
        pieces->literal_end = literal ? at + literal : 0;
    }
    size_t limit = pieces->literal_end ? pieces->literal_end : pieces->count;

    piece_class class = class_of(text[at]);
    size_t ending = starts_with(text + at, limit - at, endings);
    size_t end = at + 1;
    if (ending)
        end = at + ending;
    else if (class != CLASS_NUMBER)
        while (end < limit && class_of(text[end]) == class)
            end++;
    *start = at;
    *length = end - at;
    pieces->next = end;
    return true;
}

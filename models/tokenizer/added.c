/*
 * Finds added tokens in text: leftmost first, of those that start at one place the longest, none
 * inside another (tokenizers: AddedVocabulary::find_matches).
 */
#include <stdlib.h>

#include "core/memory.h"
#include "models/tokenizer/internal.h"

static int compare(const void *a, const void *b) {
    const sf_added_token *left = a, *right = b;
    for (size_t i = 0; i < left->length && i < right->length; i++)
        if (left->pattern[i] != right->pattern[i])
            return left->pattern[i] < right->pattern[i] ? -1 : 1;
    if (left->length != right->length)
        return left->length < right->length ? -1 : 1;
    return (left->id > right->id) - (left->id < right->id);
}

void sf_added_tokens_sort(sf_added_tokens *added) {
    if (added->count)
        qsort(added->tokens, added->count, sizeof *added->tokens, compare);
}

void sf_added_tokens_clear(sf_context *ctx, sf_added_tokens *added) {
    for (size_t i = 0; i < added->count; i++)
        sf_free(ctx, added->tokens[i].pattern);
    sf_free(ctx, added->tokens);
    *added = (sf_added_tokens){0};
}

/* The first token whose pattern starts with codepoint or something greater. */
static size_t first_with(const sf_added_tokens *added, int32_t codepoint) {
    size_t low = 0, high = added->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (added->tokens[middle].pattern[0] < codepoint)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool matches(const sf_added_token *token, const int32_t *text, size_t count) {
    if (token->length > count)
        return false;
    for (size_t i = 0; i < token->length; i++)
        if (text[i] != token->pattern[i])
            return false;
    return true;
}

/* The longest token that the text starts with; NULL: none. */
static const sf_added_token *longest_at(const sf_added_tokens *added, const int32_t *text,
                                        size_t count) {
    const sf_added_token *longest = NULL;
    for (size_t i = first_with(added, text[0]);
         i < added->count && added->tokens[i].pattern[0] == text[0]; i++) {
        const sf_added_token *token = &added->tokens[i];
        if ((!longest || token->length > longest->length) && matches(token, text, count))
            longest = token;
    }
    return longest;
}

static bool stands_alone(const int32_t *text, size_t count, size_t start, size_t stop) {
    return (start == 0 || !sf_unicode_is_word(text[start - 1])) &&
           (stop == count || !sf_unicode_is_word(text[stop]));
}

bool sf_added_tokens_next(const sf_added_tokens *added, const int32_t *text, size_t count,
                          bool skip_special, size_t *search, size_t done, sf_added_match *match) {
    if (!added->count)
        return false;
    for (size_t at = *search; at < count;) {
        const sf_added_token *token = longest_at(added, text + at, count - at);
        if (!token) {
            at++;
            continue;
        }
        size_t start = at, stop = at + token->length;
        at = *search = stop;
        if ((skip_special && token->special) ||
            (token->single_word && !stands_alone(text, count, start, stop)))
            continue;
        while (token->strip_left && start > done && sf_unicode_is_space(text[start - 1]))
            start--;
        while (token->strip_right && stop < count && sf_unicode_is_space(text[stop]))
            stop++;
        *match = (sf_added_match){.start = start, .stop = stop, .id = token->id};
        return true;
    }
    *search = count;
    return false;
}

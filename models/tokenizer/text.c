/*
 * Text before it is cut into pieces: decoding of UTF-8 and the normalization of CLIP, which is NFC,
 * one space for each run of white space, and lower case (transformers: normalizers.Sequence of NFC,
 * Replace(\s+, " ") and Lowercase).
 */
#include <string.h>

#include <utf8proc.h>

#include "core/memory.h"
#include "models/tokenizer/internal.h"

/* Below this no code point composes, decomposes to something else that composes back, or reorders.
 */
#define FIRST_COMBINING 0x300

/* A full canonical decomposition has at most this many code points (U+1F82 has as many). */
#define MAX_DECOMPOSED 4

sf_status sf_codepoints_push(sf_codepoints *text, int32_t codepoint) {
    SF_TRY(sf_grow(text->ctx, (void **)&text->data, &text->capacity, text->count + 1,
                   sizeof *text->data));
    text->data[text->count++] = codepoint;
    return SF_OK;
}

/*
 * Decodes one code point at bytes, with size > 0 bytes there, and returns how many it takes.
 * Malformed: U+FFFD for the longest start of a well-formed sequence, or for one byte (The Unicode
 * Standard, 3.9, table 3-7 and "U+FFFD Substitution of Maximal Subparts").
 */
static size_t decode_one(const uint8_t *bytes, size_t size, int32_t *codepoint) {
    uint8_t lead = bytes[0];
    *codepoint = lead;
    if (lead < 0x80)
        return 1;
    *codepoint = 0xfffd;
    if (lead < 0xc2 || lead > 0xf4)
        return 1;
    size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    int32_t value = lead & (0x7f >> length);
    for (size_t i = 1; i < length; i++) {
        if (i == size || bytes[i] < low || bytes[i] > high)
            return i;
        value = value << 6 | (bytes[i] & 0x3f);
        low = 0x80;
        high = 0xbf;
    }
    *codepoint = value;
    return length;
}

sf_status sf_codepoints_decode(sf_codepoints *text, const char *bytes, size_t size) {
    for (size_t at = 0; at < size;) {
        int32_t codepoint;
        at += decode_one((const uint8_t *)bytes + at, size - at, &codepoint);
        SF_TRY(sf_codepoints_push(text, codepoint));
    }
    return SF_OK;
}

size_t sf_utf8_encode(int32_t codepoint, uint8_t bytes[4]) {
    if (codepoint < 0x80) {
        bytes[0] = (uint8_t)codepoint;
        return 1;
    }
    size_t length = codepoint < 0x800 ? 2 : codepoint < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        bytes[i] = (uint8_t)(0x80 | (codepoint & 0x3f));
        codepoint >>= 6;
    }
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    bytes[0] = (uint8_t)(leads[length] | codepoint);
    return length;
}

static int combining_class(int32_t codepoint) {
    if (codepoint < FIRST_COMBINING || sf_unicode_is_inert(codepoint))
        return 0;
    return utf8proc_get_property(codepoint)->combining_class & 0xff;
}

/* Appends the canonical decomposition of text. */
static sf_status decompose(const int32_t *text, size_t count, sf_codepoints *out) {
    for (size_t i = 0; i < count; i++) {
        int32_t parts[MAX_DECOMPOSED] = {text[i]};
        utf8proc_ssize_t n_parts = 1;
        if (text[i] >= 0xc0 && !sf_unicode_is_inert(text[i]))
            n_parts =
                utf8proc_decompose_char(text[i], parts, MAX_DECOMPOSED, UTF8PROC_DECOMPOSE, NULL);
        if (n_parts < 0 || n_parts > MAX_DECOMPOSED)
            SF_FAIL(out->ctx, ERROR_INTERNAL, "tokenizer: U+%04X can't be decomposed",
                    (unsigned)text[i]);
        for (utf8proc_ssize_t part = 0; part < n_parts; part++)
            SF_TRY(sf_codepoints_push(out, parts[part]));
    }
    return SF_OK;
}

/*
 * Sorts a run of marks by combining class, equal ones in their order. Counting keeps the time
 * linear in a text that is nothing but marks. scratch holds as many.
 */
static void sort_marks(int32_t *marks, size_t count, int32_t *scratch) {
    size_t starts[257] = {0};
    for (size_t i = 0; i < count; i++)
        starts[combining_class(marks[i]) + 1]++;
    for (size_t class = 1; class < 257; class ++)
        starts[class] += starts[class - 1];
    for (size_t i = 0; i < count; i++)
        scratch[starts[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, scratch, count * sizeof *marks);
}

/* The canonical ordering algorithm (The Unicode Standard, 3.11, D109). */
static sf_status reorder(sf_codepoints *text) {
    int32_t *scratch = SF_NEW_ARRAY(text->ctx, int32_t, text->count);
    if (!scratch)
        return SF_ERROR_MEMORY;
    for (size_t i = 0; i < text->count;) {
        size_t end = i;
        while (end < text->count && combining_class(text->data[end]) != 0)
            end++;
        if (end - i > 1)
            sort_marks(text->data + i, end - i, scratch);
        i = end + 1;
    }
    sf_free(text->ctx, scratch);
    return SF_OK;
}

/* Composes the parts between inert code points, in place. */
static sf_status compose(sf_codepoints *text) {
    size_t written = 0;
    for (size_t start = 0; start < text->count;) {
        size_t end = start;
        while (end < text->count && !sf_unicode_is_inert(text->data[end]))
            end++;
        utf8proc_ssize_t composed =
            utf8proc_normalize_utf32(text->data + start, (utf8proc_ssize_t)(end - start),
                                     UTF8PROC_COMPOSE | UTF8PROC_STABLE);
        if (composed < 0)
            SF_FAIL(text->ctx, ERROR_INTERNAL, "tokenizer: %s",
                    utf8proc_errmsg((utf8proc_ssize_t)composed));
        memmove(text->data + written, text->data + start, (size_t)composed * sizeof *text->data);
        written += (size_t)composed;
        if (end < text->count)
            text->data[written++] = text->data[end];
        start = end + 1;
    }
    text->count = written;
    return SF_OK;
}

static bool is_composed(const int32_t *text, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (text[i] >= FIRST_COMBINING)
            return false;
    return true;
}

/* White space and lower case of text in NFC, appended to normal. */
static sf_status collapse_and_lower(const int32_t *text, size_t count, sf_codepoints *normal) {
    for (size_t i = 0; i < count; i++) {
        int32_t lower[2] = {' '};
        int n_lower = 1;
        if (!sf_unicode_is_space(text[i]))
            n_lower = sf_unicode_lower(text[i], lower);
        else if (i > 0 && sf_unicode_is_space(text[i - 1]))
            continue;
        for (int part = 0; part < n_lower; part++)
            SF_TRY(sf_codepoints_push(normal, lower[part]));
    }
    return SF_OK;
}

sf_status sf_tokenizer_normalize(const int32_t *text, size_t count, sf_codepoints *normal) {
    if (is_composed(text, count))
        return collapse_and_lower(text, count, normal);
    sf_codepoints nfc = {.ctx = normal->ctx};
    sf_status status;
    SF_TRY_OUT(decompose(text, count, &nfc));
    SF_TRY_OUT(reorder(&nfc));
    SF_TRY_OUT(compose(&nfc));
    SF_TRY_OUT(collapse_and_lower(nfc.data, nfc.count, normal));
out:
    sf_free(normal->ctx, nfc.data);
    return status;
}

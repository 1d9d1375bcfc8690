/*
 * Text that grows, and the few things about text that must not depend on the locale: numbers in
 * their shortest form, JSON strings, UTF-8 and Latin-1.
 */
#ifndef SF_CORE_TEXT_H
#define SF_CORE_TEXT_H

#include <stdint.h>

#include "core/context.h"

/* Start with {.ctx = ctx}. chars is NULL until something was appended, then NUL-terminated. */
typedef struct sf_text {
    sf_context *ctx; /* borrowed */
    char *chars;     /* owned; sf_free(ctx, chars) */
    size_t length;   /* without the NUL */
    size_t capacity;
} sf_text;

sf_status sf_text_append(sf_text *text, const char *chars);
sf_status sf_text_append_bytes(sf_text *text, const char *chars, size_t length);

/*
 * The shortest decimal number that reads back as value ("7.5", "7", "1e-05"), with '.' in every
 * locale; "inf", "-inf" and "nan" as Python's str().
 */
sf_status sf_text_append_float(sf_text *text, float value);

/*
 * The double nearest to that decimal number: 0.1 for 0.1f, where (double)0.1f is 0.10000000149. What a
 * person wrote, for a program that would have read it as a double. NaN and infinities stay.
 */
double sf_float_decimal(float value);

/*
 * chars between quotes as Python's json.dumps(..., ensure_ascii=False) writes it. The caller sees
 * to it that they are UTF-8 where that matters.
 */
sf_status sf_text_append_json_string(sf_text *text, const char *chars);

/* 1 if the length bytes are well-formed UTF-8 (no surrogates, no overlong forms, no NUL). */
bool sf_utf8_valid(const char *chars, size_t length);

/* Latin-1 bytes as UTF-8. */
sf_status sf_text_append_latin1(sf_text *text, const char *chars, size_t length);

/* Valid UTF-8 as Latin-1; *fits is false (and text unchanged) if a character is past U+00FF. */
sf_status sf_text_append_as_latin1(sf_text *text, const char *utf8, bool *fits);

/* "1.2 GB": a number of bytes for people, in powers of 1000. */
void sf_bytes_text(uint64_t bytes, char text[32]);

#endif

/*
 * Text that grows; numbers, JSON strings, UTF-8 and Latin-1. See text.h.
 */
#include "core/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

sf_status sf_text_append_bytes(sf_text *text, const char *chars, size_t length) {
    if (length >= SIZE_MAX - text->length)
        SF_FAIL(text->ctx, ERROR_MEMORY, "out of memory: a text of %zu more bytes", length);
    SF_TRY(
        sf_grow(text->ctx, (void **)&text->chars, &text->capacity, text->length + length + 1, 1));
    if (length)
        memcpy(text->chars + text->length, chars, length);
    text->length += length;
    text->chars[text->length] = '\0';
    return SF_OK;
}

sf_status sf_text_append(sf_text *text, const char *chars) {
    return sf_text_append_bytes(text, chars, strlen(chars));
}

/* printf writes the locale's decimal point, which may be any characters: they become one '.'. */
static void neutral_point(char *number) {
    char *out = number;
    for (const char *in = number; *in; in++)
        if (strchr("0123456789+-e", *in))
            *out++ = *in;
        else if (out == number || out[-1] != '.')
            *out++ = '.';
    *out = '\0';
}

/* Writes the shortest decimal number that reads back as value, finite: "7.5e+00". Returns its digits. */
static int shortest_decimal(float value, char number[64]) {
    /* 9 significant digits identify every float (C11 5.2.4.2.2, FLT_DECIMAL_DIG). */
    int digits = 0;
    do
        snprintf(number, 64, "%.*e", digits++, (double)value);
    while (digits < 9 && strtof(number, NULL) != value);
    return digits;
}

double sf_float_decimal(float value) {
    char number[64];
    if (!isfinite(value))
        return (double)value;
    shortest_decimal(value, number);
    return strtod(number, NULL); /* in the locale in which it was written */
}

sf_status sf_text_append_float(sf_text *text, float value) {
    char number[64];
    if (isnan(value))
        return sf_text_append(text, "nan");
    if (isinf(value))
        return sf_text_append(text, value < 0 ? "-inf" : "inf");
    int digits = shortest_decimal(value, number);
    /* Plain notation, where it is no longer: with as many places as those digits reach. */
    int exponent = (int)strtol(strchr(number, 'e') + 1, NULL, 10);
    if (exponent >= -4 && exponent < 9)
        snprintf(number, sizeof number, "%.*f", digits > exponent ? digits - 1 - exponent : 0,
                 (double)value);
    neutral_point(number);
    return sf_text_append(text, number);
}

/* The two-character escape of a byte, or NULL. */
static const char *short_escape(unsigned char byte) {
    switch (byte) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    default:
        return NULL;
    }
}

sf_status sf_text_append_json_string(sf_text *text, const char *chars) {
    SF_TRY(sf_text_append(text, "\""));
    for (; *chars; chars++) {
        unsigned char byte = (unsigned char)*chars;
        const char *escape = short_escape(byte);
        char code[8];
        if (!escape && byte < 0x20) {
            snprintf(code, sizeof code, "\\u%04x", (unsigned)byte);
            escape = code;
        }
        SF_TRY(escape ? sf_text_append(text, escape) : sf_text_append_bytes(text, chars, 1));
    }
    return sf_text_append(text, "\"");
}

/*
 * The bytes of the UTF-8 character at chars, 0 if it is malformed; *code is its code point. Table
 * 3-7 of the Unicode standard: no overlong forms, no surrogates, nothing past U+10FFFF.
 */
static size_t decode_utf8(const unsigned char *chars, size_t left, uint32_t *code) {
    static const uint32_t first_code[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = chars[0] < 0x80              ? 1
                    : (chars[0] & 0xe0u) == 0xc0 ? 2
                    : (chars[0] & 0xf0u) == 0xe0 ? 3
                    : (chars[0] & 0xf8u) == 0xf0 ? 4
                                                 : 0;
    if (!length || length > left)
        return 0;
    uint32_t value = length == 1 ? chars[0] : chars[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((chars[i] & 0xc0u) != 0x80)
            return 0;
        value = value << 6 | (chars[i] & 0x3fu);
    }
    if (value < first_code[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *code = value;
    return length;
}

bool sf_utf8_valid(const char *chars, size_t length) {
    uint32_t code;
    for (size_t i = 0, step; i < length; i += step) {
        step = decode_utf8((const unsigned char *)chars + i, length - i, &code);
        if (!step || !code)
            return false;
    }
    return true;
}

sf_status sf_text_append_latin1(sf_text *text, const char *chars, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)chars[i];
        char utf8[2] = {(char)(0xc0u | byte >> 6), (char)(0x80u | (byte & 0x3fu))};
        SF_TRY(byte < 0x80 ? sf_text_append_bytes(text, chars + i, 1)
                           : sf_text_append_bytes(text, utf8, 2));
    }
    return SF_OK;
}

sf_status sf_text_append_as_latin1(sf_text *text, const char *utf8, bool *fits) {
    size_t before = text->length, length = strlen(utf8);
    uint32_t code = 0;
    *fits = true;
    for (size_t i = 0, step; i < length && *fits; i += step) {
        step = decode_utf8((const unsigned char *)utf8 + i, length - i, &code);
        *fits = step > 0 && code <= 0xff;
        char byte = (char)code;
        if (*fits)
            SF_TRY(sf_text_append_bytes(text, &byte, 1));
    }
    if (!*fits && text->chars) {
        text->length = before;
        text->chars[before] = '\0';
    }
    return SF_OK;
}

void sf_bytes_text(uint64_t bytes, char text[32]) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1000 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1000;
    snprintf(text, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

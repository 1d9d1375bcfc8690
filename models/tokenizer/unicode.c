/*
 * Character classes and lower case of the tokenizer.
 *
 * The oracle mixes three Unicode versions: its regular expressions (Oniguruma) know 16.0, its lower
 * case (Rust's standard library) 17.0 and its NFC (the crate unicode-normalization-alignments) 9.0.
 * utf8proc has one version, 15.0 in release 2.8. The tables below hold the differences for all code
 * points, found by comparing every one of them; they stay right where utf8proc is newer than 15.0,
 * up to the versions named.
 */
#include <utf8proc.h>

#include "models/tokenizer/internal.h"

typedef struct range {
    int32_t first, last;
} range;

/* Letters that are new in Unicode 15.1 and 16.0. */
static const range new_letters[] = {
    {0x1c89, 0x1c8a},   {0xa7cb, 0xa7cd},   {0xa7da, 0xa7dc},   {0x105c0, 0x105f3},
    {0x10d4a, 0x10d65}, {0x10d6f, 0x10d85}, {0x10ec2, 0x10ec4}, {0x11380, 0x11389},
    {0x1138b, 0x1138b}, {0x1138e, 0x1138e}, {0x11390, 0x113b5}, {0x113b7, 0x113b7},
    {0x113d1, 0x113d1}, {0x113d3, 0x113d3}, {0x11bc0, 0x11be0}, {0x13460, 0x143fa},
    {0x16100, 0x1611d}, {0x16d40, 0x16d6c}, {0x18cff, 0x18cff}, {0x1e5d0, 0x1e5ed},
    {0x1e5f0, 0x1e5f0}, {0x2ebf0, 0x2ee5d},
};

/* Numbers that are new in Unicode 16.0. */
static const range new_numbers[] = {
    {0x10d40, 0x10d49}, {0x116d0, 0x116e3}, {0x11bf0, 0x11bf9}, {0x16130, 0x16139},
    {0x16d70, 0x16d79}, {0x1ccf0, 0x1ccf9}, {0x1e5f1, 0x1e5fa},
};

/*
 * Marks with a combining class, and parts of compositions, that came after Unicode 9.0. The
 * oracle's NFC takes them for unassigned. From 15.1 on whole blocks are named, which does no harm:
 * their other characters neither compose nor reorder.
 */
static const range inert[] = {
    {0x7fd, 0x7fd},     {0x897, 0x89f},     {0x8ca, 0x8d3},     {0x9fe, 0x9fe},
    {0xc3c, 0xc3c},     {0xd3b, 0xd3c},     {0xeba, 0xeba},     {0x1715, 0x1715},
    {0x1abf, 0x1aff},   {0x1df6, 0x1dfa},   {0xa82c, 0xa82c},   {0x105c0, 0x105ff},
    {0x10d24, 0x10d27}, {0x10d69, 0x10d6d}, {0x10eab, 0x10eac}, {0x10efa, 0x10eff},
    {0x10f46, 0x10f50}, {0x10f82, 0x10f85}, {0x11070, 0x11070}, {0x1133b, 0x1133b},
    {0x11380, 0x113ff}, {0x1145e, 0x1145e}, {0x11839, 0x1183a}, {0x11930, 0x11930},
    {0x11938, 0x11938}, {0x1193d, 0x1193e}, {0x11943, 0x11943}, {0x119e0, 0x119e0},
    {0x11a34, 0x11a34}, {0x11a47, 0x11a47}, {0x11a99, 0x11a99}, {0x11d42, 0x11d42},
    {0x11d44, 0x11d45}, {0x11d97, 0x11d97}, {0x11f41, 0x11f42}, {0x16100, 0x1613f},
    {0x16d40, 0x16d7f}, {0x16ff0, 0x16ff1}, {0x1e08f, 0x1e08f}, {0x1e130, 0x1e136},
    {0x1e2ae, 0x1e2ae}, {0x1e2ec, 0x1e2ef}, {0x1e4ec, 0x1e4ef}, {0x1e5ee, 0x1e5ef},
    {0x1e6c0, 0x1e6ff},
};

/* Capitals that are new in Unicode 16.0 and 17.0, and how far away their small letters are. */
static const struct lower_range {
    int32_t first, last, distance;
} new_capitals[] = {
    {0x1c89, 0x1c89, 1},      {0xa7cb, 0xa7cb, 0x264 - 0xa7cb},
    {0xa7cc, 0xa7cc, 1},      {0xa7ce, 0xa7ce, 1},
    {0xa7d2, 0xa7d2, 1},      {0xa7d4, 0xa7d4, 1},
    {0xa7da, 0xa7da, 1},      {0xa7dc, 0xa7dc, 0x19b - 0xa7dc},
    {0x10d50, 0x10d65, 0x20}, {0x16ea0, 0x16eb8, 0x1b},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool contains(const range *ranges, size_t count, int32_t codepoint) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (codepoint < ranges[middle].first)
            high = middle;
        else if (codepoint > ranges[middle].last)
            low = middle + 1;
        else
            return true;
    }
    return false;
}

static bool category_between(int32_t codepoint, utf8proc_category_t first,
                             utf8proc_category_t last) {
    utf8proc_category_t category = utf8proc_category(codepoint);
    return category >= first && category <= last;
}

/* The property White_Space. */
bool sf_unicode_is_space(int32_t codepoint) {
    return (codepoint >= 0x09 && codepoint <= 0x0d) || codepoint == 0x20 || codepoint == 0x85 ||
           codepoint == 0xa0 || codepoint == 0x1680 ||
           (codepoint >= 0x2000 && codepoint <= 0x200a) || codepoint == 0x2028 ||
           codepoint == 0x2029 || codepoint == 0x202f || codepoint == 0x205f || codepoint == 0x3000;
}

bool sf_unicode_is_letter(int32_t codepoint) {
    return category_between(codepoint, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO) ||
           contains(new_letters, COUNT(new_letters), codepoint);
}

bool sf_unicode_is_number(int32_t codepoint) {
    return category_between(codepoint, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO) ||
           contains(new_numbers, COUNT(new_numbers), codepoint);
}

/* Alphabetic, marks, decimal digits, connectors and joiners (UTS #18, annex C). */
bool sf_unicode_is_word(int32_t codepoint) {
    static const range alphabetic_symbols[] = {
        {0x24b6, 0x24e9}, {0x1f130, 0x1f149}, {0x1f150, 0x1f169}, {0x1f170, 0x1f189}};
    return sf_unicode_is_letter(codepoint) ||
           category_between(codepoint, UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_NL) ||
           utf8proc_category(codepoint) == UTF8PROC_CATEGORY_PC || codepoint == 0x200c ||
           codepoint == 0x200d ||
           contains(alphabetic_symbols, COUNT(alphabetic_symbols), codepoint);
}

bool sf_unicode_is_inert(int32_t codepoint) {
    return codepoint >= inert[0].first && contains(inert, COUNT(inert), codepoint);
}

int sf_unicode_lower(int32_t codepoint, int32_t lower[2]) {
    lower[0] = codepoint;
    if (codepoint < 0x80) {
        if (codepoint >= 'A' && codepoint <= 'Z')
            lower[0] = codepoint + ('a' - 'A');
        return 1;
    }
    /* I with a dot: the one letter whose small form is two code points (SpecialCasing.txt). */
    if (codepoint == 0x130) {
        lower[0] = 'i';
        lower[1] = 0x307;
        return 2;
    }
    for (size_t i = 0; i < COUNT(new_capitals); i++) {
        if (codepoint >= new_capitals[i].first && codepoint <= new_capitals[i].last) {
            lower[0] = codepoint + new_capitals[i].distance;
            return 1;
        }
    }
    lower[0] = utf8proc_tolower(codepoint);
    return 1;
}

/*
 * Names of the files that `generate` writes. See output_name.h.
 */
#include "cli/output_name.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_SLUG 60

/* Letters and digits in lower case, one '-' for whatever is between them. Other scripts stay out.
 */
static void make_slug(const char *prompt, char slug[LONGEST_SLUG + 1]) {
    size_t length = 0;
    for (const char *c = prompt; *c && length < LONGEST_SLUG; c++) {
        if (isalnum((unsigned char)*c) && (unsigned char)*c < 128)
            slug[length++] = (char)tolower((unsigned char)*c);
        else if (length && slug[length - 1] != '-')
            slug[length++] = '-';
    }
    while (length && slug[length - 1] == '-')
        length--;
    slug[length] = '\0';
    if (!length)
        snprintf(slug, LONGEST_SLUG + 1, "picture");
}

char *output_name(const char *output, const char *prompt, const char *suffix) {
    char slug[LONGEST_SLUG + 1];
    if (!output)
        make_slug(prompt, slug);
    const char *stem = output ? output : slug;
    const char *dot = output ? strrchr(output, '.') : NULL;
    if (dot && strchr(dot, '/'))
        dot = NULL;
    size_t stem_length = dot ? (size_t)(dot - stem) : strlen(stem);
    const char *extension = dot ? dot : output ? "" : ".png";
    size_t bytes = stem_length + strlen(suffix) + strlen(extension) + 1;
    char *name = malloc(bytes);
    if (name)
        snprintf(name, bytes, "%.*s%s%s", (int)stem_length, stem, suffix, extension);
    return name;
}

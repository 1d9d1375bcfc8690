/*
 * "a, b, c": the choices in an error message.
 */
#ifndef SF_SAMPLERS_NAMES_H
#define SF_SAMPLERS_NAMES_H

#include <stdio.h>
#include <string.h>

/* Room for a list of names; a longer one is cut off. {0} is empty. */
typedef struct sf_names {
    char text[1024];
} sf_names;

static inline void sf_names_add(sf_names *names, const char *name) {
    size_t used = strlen(names->text);
    snprintf(names->text + used, sizeof names->text - used, "%s%s", used ? ", " : "", name);
}

#endif

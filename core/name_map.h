/*
 * Names in the order in which they were added, found by hash. The index of a name is its position,
 * so whoever keeps values beside the names has them in a plain array. Names are never removed.
 *
 * Names come from hostile files, so the hash is keyed with a random number for each map: a file
 * can't be made of names that all collide. Order and indices do not depend on it.
 */
#ifndef SF_CORE_NAME_MAP_H
#define SF_CORE_NAME_MAP_H

#include "core/context.h"

typedef struct sf_name_map {
    sf_context *ctx; /* borrowed */
    char **names;    /* owned, each owned */
    size_t count;
    size_t capacity;
    uint32_t *slots; /* open addressing: index + 1, 0 is free */
    size_t n_slots;  /* a power of two, at least twice count */
    uint64_t key;
} sf_name_map;

void sf_name_map_init(sf_context *ctx, sf_name_map *map);
void sf_name_map_clear(sf_name_map *map);

/* The index of name, or -1. */
int sf_name_map_find(const sf_name_map *map, const char *name);

/* Adds a copy of name, which must not be there yet, at index count. The map is unchanged on
 * failure. */
sf_status sf_name_map_add(sf_name_map *map, const char *name);

#endif

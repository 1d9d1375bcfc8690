/*
 * Names found by hash. See name_map.h.
 */
#include "core/name_map.h"

#include <limits.h>
#include <string.h>
#include <sys/random.h>

#include "core/memory.h"

void sf_name_map_init(sf_context *ctx, sf_name_map *map) {
    *map = (sf_name_map){.ctx = ctx};
    if (getrandom(&map->key, sizeof map->key, GRND_NONBLOCK) != (ssize_t)sizeof map->key)
        map->key = (uint64_t)(uintptr_t)map; /* early in a boot: better than a constant */
}

void sf_name_map_clear(sf_name_map *map) {
    for (size_t i = 0; i < map->count; i++)
        sf_free(map->ctx, map->names[i]);
    sf_free(map->ctx, map->names);
    sf_free(map->ctx, map->slots);
    *map = (sf_name_map){.ctx = map->ctx, .key = map->key};
}

/*
 * FNV-1a (Fowler, Noll, Vo; RFC 9923) from a keyed start, then the finaliser of MurmurHash3, since
 * the low bits of FNV alone mix badly.
 */
static uint64_t hash_name(uint64_t key, const char *name) {
    uint64_t hash = 0xcbf29ce484222325u ^ key;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53u;
    return hash ^ hash >> 33;
}

/* The slot that holds name, or the free one where it would go. n_slots > count, so there is one. */
static size_t find_slot(const sf_name_map *map, const char *name) {
    size_t mask = map->n_slots - 1;
    size_t slot = (size_t)hash_name(map->key, name) & mask;
    while (map->slots[slot] && strcmp(map->names[map->slots[slot] - 1], name) != 0)
        slot = (slot + 1) & mask;
    return slot;
}

int sf_name_map_find(const sf_name_map *map, const char *name) {
    if (!map->n_slots)
        return -1;
    return (int)map->slots[find_slot(map, name)] - 1;
}

static sf_status grow_slots(sf_name_map *map) {
    size_t n_slots = map->n_slots ? map->n_slots * 2 : 16;
    uint32_t *slots = SF_NEW_ARRAY(map->ctx, uint32_t, n_slots);
    if (!slots)
        return SF_ERROR_MEMORY;
    sf_free(map->ctx, map->slots);
    map->slots = slots;
    map->n_slots = n_slots;
    for (size_t i = 0; i < map->count; i++)
        map->slots[find_slot(map, map->names[i])] = (uint32_t)i + 1;
    return SF_OK;
}

sf_status sf_name_map_add(sf_name_map *map, const char *name) {
    if (map->count >= INT_MAX)
        SF_FAIL(map->ctx, ERROR_MEMORY, "out of memory: more than %d names", INT_MAX);
    if ((map->count + 1) * 2 > map->n_slots)
        SF_TRY(grow_slots(map));
    SF_TRY(sf_grow(map->ctx, (void **)&map->names, &map->capacity, map->count + 1,
                   sizeof *map->names));
    char *copy = sf_strdup(map->ctx, name);
    if (!copy)
        return SF_ERROR_MEMORY;
    map->slots[find_slot(map, copy)] = (uint32_t)map->count + 1;
    map->names[map->count++] = copy;
    return SF_OK;
}

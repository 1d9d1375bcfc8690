/*
 * A hash table from piece to id, used while a tokenizer is loaded. Pieces are borrowed, not copied.
 */
#include <string.h>

#include "core/memory.h"
#include "models/tokenizer/internal.h"

#define FIRST_SLOTS 1024

/* FNV-1a (Fowler, Noll, Vo), with its high bits folded into those that choose the slot. */
static uint64_t hash_of(const char *text, size_t length) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

/* The slot of the piece, or the free one where it would go. There is always a free one. */
static sf_vocabulary_entry *slot_of(sf_vocabulary_entry *slots, size_t n_slots, const char *text,
                                    size_t length) {
    size_t at = hash_of(text, length) & (n_slots - 1);
    while (slots[at].text &&
           (slots[at].length != length || memcmp(slots[at].text, text, length) != 0))
        at = (at + 1) & (n_slots - 1);
    return &slots[at];
}

sf_vocabulary_entry *sf_vocabulary_find(const sf_vocabulary *vocabulary, const char *text,
                                        size_t length) {
    if (!vocabulary->count)
        return NULL;
    sf_vocabulary_entry *slot = slot_of(vocabulary->slots, vocabulary->n_slots, text, length);
    return slot->text ? slot : NULL;
}

/* Keeps at least half of the slots free. */
static sf_status make_room(sf_vocabulary *vocabulary) {
    if (vocabulary->count < vocabulary->n_slots / 2)
        return SF_OK;
    size_t n_slots = vocabulary->n_slots ? vocabulary->n_slots * 2 : FIRST_SLOTS;
    sf_vocabulary_entry *slots = SF_NEW_ARRAY(vocabulary->ctx, sf_vocabulary_entry, n_slots);
    if (!slots)
        return SF_ERROR_MEMORY;
    for (size_t i = 0; i < vocabulary->n_slots; i++) {
        const sf_vocabulary_entry *entry = &vocabulary->slots[i];
        if (entry->text)
            *slot_of(slots, n_slots, entry->text, entry->length) = *entry;
    }
    sf_free(vocabulary->ctx, vocabulary->slots);
    vocabulary->slots = slots;
    vocabulary->n_slots = n_slots;
    return SF_OK;
}

sf_status sf_vocabulary_add(sf_vocabulary *vocabulary, const char *text, size_t length,
                            int32_t id) {
    SF_TRY(make_room(vocabulary));
    *slot_of(vocabulary->slots, vocabulary->n_slots, text, length) =
        (sf_vocabulary_entry){.text = text, .length = length, .id = id, .added = -1};
    vocabulary->count++;
    return SF_OK;
}

void sf_vocabulary_clear(sf_vocabulary *vocabulary) {
    sf_free(vocabulary->ctx, vocabulary->slots);
    *vocabulary = (sf_vocabulary){.ctx = vocabulary->ctx};
}

/*
 * Byte pair encoding of one word (Sennrich, Haddow, Birch: "Neural Machine Translation of Rare
 * Words with Subword Units", 2016, algorithm 1): the pair of neighbours that was learnt first is
 * merged first, of equal pairs the leftmost, until no pair is left that was learnt.
 *
 * The symbols are a linked list and the pairs wait in a binary heap, so that a word of n bytes
 * takes n log n steps. A pair whose symbols have changed since it was pushed is dropped when it
 * comes up.
 */
#include "core/memory.h"
#include "models/tokenizer/internal.h"

#define NONE SIZE_MAX

struct sf_bpe_symbol {
    int32_t id; /* -1: merged into the one before */
    size_t previous, next;
};

/* Merging symbols[position] with its neighbour. */
struct sf_bpe_candidate {
    uint32_t rank;
    int32_t id;
    size_t position;
};

typedef struct sf_bpe_symbol symbol;
typedef struct sf_bpe_candidate candidate;

static uint64_t pair_of(int32_t left, int32_t right) {
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* The finalizer of splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
 * generators"). */
static size_t hash_of(uint64_t pair) {
    pair = (pair ^ pair >> 30) * 0xbf58476d1ce4e5b9u;
    pair = (pair ^ pair >> 27) * 0x94d049bb133111ebu;
    return (size_t)(pair ^ pair >> 31);
}

static sf_merge_slot *slot_of(const sf_bpe *bpe, uint64_t pair) {
    size_t at = hash_of(pair) & (bpe->n_slots - 1);
    while (bpe->slots[at].pair != UINT64_MAX && bpe->slots[at].pair != pair)
        at = (at + 1) & (bpe->n_slots - 1);
    return &bpe->slots[at];
}

sf_status sf_bpe_reserve(sf_context *ctx, sf_bpe *bpe, size_t n_merges) {
    size_t n_slots = 2;
    while (n_slots / 2 <= n_merges)
        n_slots *= 2;
    bpe->slots = SF_NEW_ARRAY(ctx, sf_merge_slot, n_slots);
    if (!bpe->slots)
        return SF_ERROR_MEMORY;
    bpe->n_slots = n_slots;
    for (size_t i = 0; i < n_slots; i++)
        bpe->slots[i].pair = UINT64_MAX;
    return SF_OK;
}

void sf_bpe_add(sf_bpe *bpe, int32_t left, int32_t right, uint32_t rank, int32_t id) {
    uint64_t pair = pair_of(left, right);
    *slot_of(bpe, pair) = (sf_merge_slot){.pair = pair, .rank = rank, .id = id};
}

static bool comes_before(const candidate *a, const candidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->position < b->position;
}

/* Pushes the pair that starts at position, if it can be merged. */
static sf_status push(const sf_bpe *bpe, sf_bpe_work *work, size_t position) {
    const symbol *left = &work->symbols[position];
    const sf_merge_slot *merge = slot_of(bpe, pair_of(left->id, work->symbols[left->next].id));
    if (merge->pair == UINT64_MAX)
        return SF_OK;
    SF_TRY(sf_grow(work->ctx, (void **)&work->heap, &work->heap_capacity, work->heap_count + 1,
                   sizeof *work->heap));
    candidate pushed = {.rank = merge->rank, .id = merge->id, .position = position};
    size_t at = work->heap_count++;
    for (size_t parent; at > 0; at = parent) {
        parent = (at - 1) / 2;
        if (!comes_before(&pushed, &work->heap[parent]))
            break;
        work->heap[at] = work->heap[parent];
    }
    work->heap[at] = pushed;
    return SF_OK;
}

/* Takes the first pair out of the heap, which is not empty. */
static candidate pop(sf_bpe_work *work) {
    candidate *heap = work->heap;
    candidate first = heap[0], moved = heap[--work->heap_count];
    size_t at = 0;
    for (size_t child = 1; child < work->heap_count; child = 2 * at + 1) {
        if (child + 1 < work->heap_count && comes_before(&heap[child + 1], &heap[child]))
            child++;
        if (!comes_before(&heap[child], &moved))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
    return first;
}

/* The word's bytes as symbols. */
static sf_status start_word(const sf_bpe *bpe, sf_bpe_work *work, const uint8_t *bytes,
                            size_t n_bytes) {
    SF_TRY(sf_grow(work->ctx, (void **)&work->symbols, &work->symbol_capacity, n_bytes,
                   sizeof *work->symbols));
    for (size_t i = 0; i < n_bytes; i++) {
        bool is_last = i + 1 == n_bytes;
        int32_t id = is_last ? bpe->final_letters[bytes[i]] : bpe->letters[bytes[i]];
        if (id < 0)
            id = bpe->unknown;
        if (id < 0)
            SF_FAIL(work->ctx, ERROR_FORMAT,
                    "tokenizer: the vocabulary has neither byte 0x%02x%s nor the unknown token",
                    bytes[i], is_last ? " at the end of a word" : "");
        work->symbols[i] =
            (symbol){.id = id, .previous = i == 0 ? NONE : i - 1, .next = is_last ? NONE : i + 1};
    }
    return SF_OK;
}

static sf_status merge_pairs(const sf_bpe *bpe, sf_bpe_work *work) {
    while (work->heap_count > 0) {
        candidate best = pop(work);
        symbol *left = &work->symbols[best.position];
        if (left->id < 0 || left->next == NONE)
            continue;
        symbol *right = &work->symbols[left->next];
        const sf_merge_slot *merge = slot_of(bpe, pair_of(left->id, right->id));
        if (merge->pair == UINT64_MAX || merge->id != best.id)
            continue;
        left->id = best.id;
        left->next = right->next;
        right->id = -1;
        if (left->next != NONE)
            work->symbols[left->next].previous = best.position;
        if (left->previous != NONE)
            SF_TRY(push(bpe, work, left->previous));
        if (left->next != NONE)
            SF_TRY(push(bpe, work, best.position));
    }
    return SF_OK;
}

sf_status sf_bpe_encode(const sf_bpe *bpe, sf_bpe_work *work, const uint8_t *bytes,
                        size_t n_bytes) {
    work->n_ids = 0;
    work->heap_count = 0;
    if (n_bytes == 0)
        return SF_OK;
    SF_TRY(start_word(bpe, work, bytes, n_bytes));
    for (size_t i = 0; i + 1 < n_bytes; i++)
        SF_TRY(push(bpe, work, i));
    SF_TRY(merge_pairs(bpe, work));
    SF_TRY(sf_grow(work->ctx, (void **)&work->ids, &work->id_capacity, n_bytes, sizeof *work->ids));
    for (size_t i = 0; i != NONE; i = work->symbols[i].next)
        work->ids[work->n_ids++] = work->symbols[i].id;
    return SF_OK;
}

void sf_bpe_work_clear(sf_bpe_work *work) {
    sf_free(work->ctx, work->symbols);
    sf_free(work->ctx, work->heap);
    sf_free(work->ctx, work->ids);
    *work = (sf_bpe_work){.ctx = work->ctx};
}

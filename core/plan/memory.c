/*
 * Memory: how long each place is alive, and where in its side's arena it lies, such that places
 * that are alive at the same time do not overlap.
 *
 * Offsets are found greedily, the largest place first, each at the lowest offset where it fits
 * between the places that live at the same time (Pisarchyk and Lee, "Efficient Memory Management
 * for Deep Neural Net Inference", 2020, greedy by size).
 */
#include "core/plan/internal.h"

#include <stdlib.h>

#include "core/memory.h"

#define ARENA_ALIGNMENT 256

/* No machine has this much; refusing it keeps the sums below from overflowing. */
#define MAX_PLACE_BYTES (UINT64_C(1) << 47)
#define MAX_SUM_BYTES   (UINT64_C(1) << 60)

static uint64_t align_up(uint64_t bytes) {
    return (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

/* ---- lifetimes ---- */

static void touch(sf_plan *plan, int place, int step) {
    if (place == SF_NO_PLACE)
        return;
    sf_place *p = &plan->places[place];
    if (step < p->first)
        p->first = step;
    if (step > p->last)
        p->last = step;
}

static void find_lifetimes(sf_plan *plan) {
    int end = (int)plan->n_steps;
    for (size_t i = 0; i < plan->n_places; i++) {
        plan->places[i].first = end;
        plan->places[i].last = -1;
    }
    for (int s = 0; s < end; s++) {
        sf_step *step = &plan->steps[s];
        for (int i = 0; i < SF_MAX_INPUTS; i++)
            touch(plan, step->inputs[i].place, s);
        touch(plan, step->output.place, s);
        touch(plan, step->scratch, s);
    }
    for (size_t i = 0; i < plan->n_places; i++)
        if (plan->places[i].kept) {
            touch(plan, (int)i, -1);
            touch(plan, (int)i, end);
        }
    /* Inputs keep what was written before the first run; outputs are read after the last step. */
    for (int i = 0; i < plan->n_inputs; i++) {
        int place = plan->place_of[SF_SIDE_BACKEND][plan->inputs[i]];
        touch(plan, place, -1);
        touch(plan, place, end);
    }
    for (size_t i = 0; i < plan->graph->n_outputs; i++) {
        sf_value root = plan->layouts[plan->graph->outputs[i].value].root;
        touch(plan, plan->place_of[SF_SIDE_BACKEND][root], end);
    }
}

/* ---- offsets ---- */

static int by_size(const void *a, const void *b) {
    const sf_place *x = *(const sf_place *const *)a, *y = *(const sf_place *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->first != y->first ? (x->first < y->first ? -1 : 1) : (x < y ? -1 : x > y);
}

static bool live_together(const sf_place *a, const sf_place *b) {
    return a->side == b->side && a->first <= b->shared_last && b->first <= a->shared_last;
}

/* The lowest offset for `place` among those in `placed`, which are sorted by offset. */
static uint64_t lowest_offset(const sf_place *place, sf_place *const *placed, size_t n_placed) {
    uint64_t offset = 0;
    for (size_t i = 0; i < n_placed; i++) {
        if (!live_together(place, placed[i]))
            continue;
        if (placed[i]->offset >= offset && placed[i]->offset - offset >= place->bytes)
            break;
        uint64_t end = align_up(placed[i]->offset + placed[i]->bytes);
        if (end > offset)
            offset = end;
    }
    return offset;
}

static void insert_by_offset(sf_place **placed, size_t n_placed, sf_place *place) {
    size_t i = n_placed;
    for (; i > 0 && placed[i - 1]->offset > place->offset; i--)
        placed[i] = placed[i - 1];
    placed[i] = place;
}

/* Scratch that each step's op asks for. */
static sf_status add_scratch(sf_plan *plan) {
    for (size_t s = 0; s < plan->n_steps; s++) {
        sf_step *step = &plan->steps[s];
        if (step->kind != SF_STEP_OP)
            continue;
        const sf_op_entry *entry = &plan->backends[step->side]->entries[step->op];
        uint64_t bytes = entry->workspace ? entry->workspace(&step->call) : 0;
        if (!bytes)
            continue;
        SF_TRY(sf_grow(plan->ctx, (void **)&plan->places, &plan->places_capacity,
                       plan->n_places + 1, sizeof *plan->places));
        if (bytes > MAX_PLACE_BYTES)
            SF_FAIL(plan->ctx, ERROR_MEMORY,
                    "out of memory: %s \"%s\" would take %llu bytes of scratch", step->call.op,
                    plan->graph->nodes[step->node].name, (unsigned long long)bytes);
        step->scratch = (int)plan->n_places;
        step->call.workspace_bytes = bytes;
        plan->places[plan->n_places++] = (sf_place){
            .kind = SF_PLACE_ARENA,
            .side = plan->shared_memory ? SF_SIDE_BACKEND : step->side,
            .root = SF_NO_VALUE,
            .bytes = bytes,
            .shares = SF_NO_PLACE,
        };
    }
    return SF_OK;
}

static sf_status check_sizes(sf_plan *plan) {
    uint64_t sum = 0;
    for (size_t i = 0; i < plan->n_places; i++) {
        const sf_place *place = &plan->places[i];
        if (place->bytes > MAX_PLACE_BYTES || sum > MAX_SUM_BYTES)
            SF_FAIL(plan->ctx, ERROR_MEMORY, "out of memory: \"%s\" would take %llu bytes",
                    place->root == SF_NO_VALUE ? "scratch" : plan->graph->nodes[place->root].name,
                    (unsigned long long)place->bytes);
        sum += align_up(place->bytes);
    }
    return SF_OK;
}

static void assign_offsets(sf_plan *plan, sf_place **order, sf_place **placed) {
    size_t n_order = 0, n_placed = 0;
    for (size_t i = 0; i < plan->n_places; i++)
        if (plan->places[i].kind == SF_PLACE_ARENA && plan->places[i].shares == SF_NO_PLACE)
            order[n_order++] = &plan->places[i];
    qsort(order, n_order, sizeof(sf_place *), by_size);
    for (size_t i = 0; i < n_order; i++) {
        sf_place *place = order[i];
        place->offset = lowest_offset(place, placed, n_placed);
        insert_by_offset(placed, n_placed++, place);
        uint64_t end = align_up(place->offset + place->bytes);
        if (end > plan->arena_bytes[place->side])
            plan->arena_bytes[place->side] = end;
    }
    for (size_t i = 0; i < plan->n_places; i++)
        if (plan->places[i].shares != SF_NO_PLACE)
            plan->places[i].offset = plan->places[plan->places[i].shares].offset;
}

static void count_bytes(sf_plan *plan) {
    for (size_t i = 0; i < plan->n_places; i++) {
        const sf_place *place = &plan->places[i];
        if (place->kind == SF_PLACE_CONSTANT)
            plan->stats.weight_bytes += place->bytes;
        else if (place->side == SF_SIDE_BACKEND)
            plan->stats.unshared_bytes += align_up(place->bytes);
    }
    plan->stats.arena_bytes = plan->arena_bytes[SF_SIDE_BACKEND];
    plan->stats.staging_bytes = plan->arena_bytes[SF_SIDE_FALLBACK];
}

sf_status sf_plan_assign_memory(sf_plan *plan) {
    SF_TRY(add_scratch(plan));
    SF_TRY(check_sizes(plan));
    find_lifetimes(plan);
    sf_plan_share_places(plan);
    sf_place **order = SF_NEW_ARRAY(plan->ctx, sf_place *, plan->n_places);
    sf_place **placed = SF_NEW_ARRAY(plan->ctx, sf_place *, plan->n_places);
    sf_status status = order && placed ? SF_OK : SF_ERROR_MEMORY;
    if (status == SF_OK) {
        assign_offsets(plan, order, placed);
        count_bytes(plan);
    }
    sf_free(plan->ctx, order);
    sf_free(plan->ctx, placed);
    return status;
}

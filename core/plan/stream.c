/*
 * Streamed weights: those whose pages go from the process' memory after each op that reads them, and
 * come back from the file's cache when it reads them again. So a plan can run in less memory than
 * its weights take.
 *
 * Only weights in mapped files can be streamed, and only where the backend uses them in place (host
 * memory). Weights that settled steps alone read are always streamed, as they are not read again.
 */
#include "core/plan/internal.h"

#include "core/text.h"

/* ---- what it takes ---- */

static const sf_tensors *weights_of(const sf_plan *plan) {
    return plan->source->weights;
}

static bool on_host(const sf_plan *plan, sf_side side) {
    return plan->backends[side] && sf_backend_has_host_memory(plan->backends[side]);
}

static bool is_mapped(const sf_plan *plan, const sf_place *place) {
    return place->kind == SF_PLACE_CONSTANT && on_host(plan, place->side) &&
           sf_tensors_is_mapped(weights_of(plan), plan->graph->nodes[place->root].data,
                                (size_t)place->bytes);
}

/* The streamed place that operand `input` lies in, once a step; NULL: none. */
static sf_place *streamed_operand(const sf_plan *plan, const sf_step *step, int input) {
    sf_place *place = sf_plan_operand_place(plan, step, input);
    return place && place->streamed ? place : NULL;
}

/* Bytes of streamed weights that are there while the step runs. */
static uint64_t bytes_at(const sf_plan *plan, const sf_step *step) {
    uint64_t bytes = 0;
    for (int i = 0; i < SF_MAX_INPUTS; i++) {
        const sf_place *place = streamed_operand(plan, step, i);
        if (place)
            bytes += place->bytes + 2 * SF_PAGES_AROUND;
    }
    return bytes;
}

/* The most bytes of mapped weights that are there at a time. */
static uint64_t resident_weights(const sf_plan *plan) {
    uint64_t kept = 0, most = 0;
    for (size_t i = 0; i < plan->n_places; i++)
        if (plan->places[i].mapped && !plan->places[i].streamed)
            kept += plan->places[i].bytes;
    for (size_t s = 0; s < plan->n_steps; s++) {
        uint64_t bytes = bytes_at(plan, &plan->steps[s]);
        most = bytes > most ? bytes : most;
    }
    return kept + most;
}

static void stream_all(sf_plan *plan) {
    for (size_t i = 0; i < plan->n_places; i++)
        plan->places[i].streamed = plan->places[i].mapped;
}

/* Keeps what steps that run each time read, as far as `room` goes. */
static void keep_in_order(sf_plan *plan, uint64_t room) {
    for (size_t s = 0; s < plan->n_steps; s++) {
        for (int i = 0; plan->steps[s].pace == SF_PACE_EACH_RUN && i < SF_MAX_INPUTS; i++) {
            sf_place *place = streamed_operand(plan, &plan->steps[s], i);
            if (!place)
                continue;
            if (place->bytes > room)
                return;
            room -= place->bytes;
            place->streamed = false;
        }
    }
}

static void note(sf_plan *plan) {
    plan->stats.resident_weight_bytes = resident_weights(plan);
    for (size_t s = 0; s < plan->n_steps; s++)
        plan->steps[s].streams = bytes_at(plan, &plan->steps[s]) > 0;
}

static bool has_work(const sf_plan *plan, int side) {
    for (size_t s = 0; s < plan->n_steps; s++)
        if (plan->steps[s].kind == SF_STEP_OP && plan->steps[s].side == (sf_side)side)
            return true;
    return false;
}

static uint64_t fixed_bytes(const sf_plan *plan) {
    uint64_t bytes = 0;
    for (int side = 0; side < SF_N_SIDES; side++) {
        if (!plan->backends[side])
            continue;
        if (has_work(plan, side))
            bytes += sf_backend_memory_bytes(plan->backends[side]);
        if (on_host(plan, (sf_side)side))
            bytes += plan->arena_bytes[side];
    }
    return bytes;
}

void sf_plan_find_streamed(sf_plan *plan) {
    for (size_t i = 0; i < plan->n_places; i++)
        plan->places[i].mapped = is_mapped(plan, &plan->places[i]);
    stream_all(plan);
    plan->stats.host_bytes = fixed_bytes(plan);
    plan->stats.least_weight_bytes = resident_weights(plan);
    keep_in_order(plan, UINT64_MAX);
    note(plan);
}

/* ---- within a limit ---- */

static sf_status fail_to_fit(const sf_plan *plan, uint64_t most, uint64_t beside) {
    char needed[32], activations[32], weights[32], other[32], allowed[32];
    const sf_plan_stats *stats = &plan->stats;
    sf_bytes_text(stats->host_bytes + stats->least_weight_bytes + beside, needed);
    sf_bytes_text(stats->host_bytes, activations);
    sf_bytes_text(stats->least_weight_bytes, weights);
    sf_bytes_text(beside, other);
    sf_bytes_text(most, allowed);
    SF_FAIL(plan->ctx, ERROR_MEMORY,
            "out of memory: %s are needed (activations %s, weights at a time %s, all else %s) and "
            "%s are allowed; it takes a smaller size, or %s as the limit (max-memory)",
            needed, activations, weights, other, allowed, needed);
}

/* An eighth of the room stays free, for pages that the system brings along with others. */
sf_status sf_plan_fit(sf_plan *plan, uint64_t most, uint64_t beside) {
    uint64_t least = plan->stats.host_bytes + plan->stats.least_weight_bytes + beside;
    if (most && least > most)
        return fail_to_fit(plan, most, beside);
    stream_all(plan);
    keep_in_order(plan, most ? (most - least) / 8 * 7 : UINT64_MAX);
    note(plan);
    return SF_OK;
}

/* ---- while it runs ---- */

static void advise(const sf_plan *plan, const sf_step *step, bool wanted) {
    for (int i = 0; i < SF_MAX_INPUTS; i++) {
        const sf_place *place = streamed_operand(plan, step, i);
        if (place)
            sf_tensors_advise(weights_of(plan), plan->graph->nodes[place->root].data,
                              (size_t)place->bytes, wanted);
    }
}

void sf_plan_let_weights_go(const sf_plan *plan, size_t s) {
    advise(plan, &plan->steps[s], false);
    for (s++; s < plan->n_steps; s++)
        if (plan->steps[s].streams && plan->steps[s].pace >= plan->due) {
            advise(plan, &plan->steps[s], true);
            break;
        }
}

void sf_plan_let_constant_go(const sf_plan *plan, int place) {
    const sf_part *parts;
    sf_part one;
    size_t n_parts = sf_node_parts(&plan->graph->nodes[plan->places[place].root], &one, &parts);
    for (size_t i = 0; i < n_parts; i++)
        sf_tensors_advise(weights_of(plan), parts[i].data, (size_t)parts[i].bytes, false);
}

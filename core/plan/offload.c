/*
 * Offloading: running a plan in less device memory than its weights take. Only for backends without
 * host memory, whose weights are copies.
 *
 * A plan knows what it takes of the device before it runs: the arena and the weights. With the option
 * `offload` two things change. Weights are on the device only while the plan is at work, not while it
 * rests. And of a plan that is still too large, the weights of its first steps stay as far as there is
 * room; the others come in from host memory, each time that a step reads them, into one of two slots:
 * while a step reads one, the weights of the next such step are copied to the other.
 */
#include "core/plan/internal.h"

#include "core/text.h"

#define SLOT_ALIGNMENT 256

static uint64_t align_up(uint64_t bytes) {
    return (bytes + SLOT_ALIGNMENT - 1) / SLOT_ALIGNMENT * SLOT_ALIGNMENT;
}

static bool is_device_weight(const sf_place *place) {
    return place->kind == SF_PLACE_CONSTANT && place->side == SF_SIDE_BACKEND;
}

/* The place of operand `input` if it is an offloaded weight, once a step; NULL: it is not. */
static sf_place *offloaded_operand(const sf_plan *plan, const sf_step *step, int input) {
    sf_place *place = sf_plan_operand_place(plan, step, input);
    return place && place->offloaded ? place : NULL;
}

static uint64_t bytes_at(const sf_plan *plan, const sf_step *step) {
    uint64_t bytes = 0;
    for (int i = 0; i < SF_MAX_INPUTS; i++) {
        const sf_place *place = offloaded_operand(plan, step, i);
        if (place)
            bytes += align_up(place->bytes);
    }
    return bytes;
}

/* ---- what it takes ---- */

/* The two slots have room for any two steps that follow each other. */
static uint64_t slot_bytes(const sf_plan *plan) {
    uint64_t most = 0;
    for (size_t s = 0; s < plan->n_steps; s++) {
        uint64_t bytes = bytes_at(plan, &plan->steps[s]);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static uint64_t kept_bytes(const sf_plan *plan) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < plan->n_places; i++)
        if (is_device_weight(&plan->places[i]) && !plan->places[i].offloaded)
            bytes += align_up(plan->places[i].bytes);
    return bytes;
}

static void note(sf_plan *plan) {
    plan->slot_bytes = slot_bytes(plan);
    plan->stats.device_bytes =
        plan->arena_bytes[SF_SIDE_BACKEND] + kept_bytes(plan) + 2 * plan->slot_bytes;
    plan->stats.offloaded_bytes = 0;
    for (size_t i = 0; i < plan->n_places; i++)
        if (plan->places[i].offloaded)
            plan->stats.offloaded_bytes += plan->places[i].bytes;
}

/* Keeps weights in the order in which steps read them, as far as `room` goes. */
static void keep_in_order(sf_plan *plan, uint64_t room) {
    for (size_t s = 0; s < plan->n_steps; s++)
        for (int i = 0; i < SF_MAX_INPUTS; i++) {
            sf_place *place = offloaded_operand(plan, &plan->steps[s], i);
            if (!place)
                continue;
            if (align_up(place->bytes) > room)
                return;
            room -= align_up(place->bytes);
            place->offloaded = false;
        }
}

static void set_all(sf_plan *plan, bool offloaded) {
    for (size_t i = 0; i < plan->n_places; i++)
        plan->places[i].offloaded = offloaded && is_device_weight(&plan->places[i]);
}

/* ---- deciding ---- */

/* What the tensors beside the plan and the backend itself take. */
static uint64_t bytes_beside(const sf_plan *plan) {
    return plan->options.beside_device_bytes +
           sf_backend_device_memory_bytes(plan->backends[SF_SIDE_BACKEND]);
}

static bool fits(const sf_plan *plan, uint64_t most) {
    return !most || plan->stats.device_bytes + bytes_beside(plan) <= most;
}

static sf_status fail_to_fit(const sf_plan *plan, uint64_t most) {
    char needed[32], activations[32], weights[32], beside[32], has[32], lacking[32];
    uint64_t own = plan->stats.device_bytes, arena = plan->arena_bytes[SF_SIDE_BACKEND];
    uint64_t bytes = own + bytes_beside(plan);
    sf_bytes_text(bytes, needed);
    sf_bytes_text(arena, activations);
    sf_bytes_text(own - arena, weights);
    sf_bytes_text(bytes_beside(plan), beside);
    sf_bytes_text(most, has);
    sf_bytes_text(bytes - most, lacking);
    SF_FAIL(
        plan->ctx, ERROR_MEMORY,
        "out of device memory: %s takes %s (activations %s, weights %s, beside them %s) and there "
        "are %s, %s too few; %s",
        plan->backends[SF_SIDE_BACKEND]->name, needed, activations, weights, beside, has, lacking,
        plan->options.offload ? "a smaller size would fit"
                              : "--offload makes weights come in from host memory");
}

static bool can_offload(const sf_plan *plan) {
    return plan->options.offload && plan->backends[SF_SIDE_BACKEND]->plugin.start_upload;
}

/* Each offloading step's operands get their places in its slot; the slots take turns. */
static void assign_slots(sf_plan *plan) {
    uint32_t slot = 0;
    for (size_t s = 0; s < plan->n_steps; s++) {
        sf_step *step = &plan->steps[s];
        uint64_t offset = slot * plan->slot_bytes;
        step->uploads = bytes_at(plan, step) > 0;
        if (!step->uploads)
            continue;
        step->slot = slot;
        for (int i = 0; i < SF_MAX_INPUTS; i++) {
            const sf_place *place = offloaded_operand(plan, step, i);
            if (!place)
                continue;
            for (int k = i; k < SF_MAX_INPUTS; k++)
                if (step->inputs[k].place == step->inputs[i].place)
                    step->inputs[k].slot_offset = offset;
            offset += align_up(place->bytes);
        }
        slot ^= 1;
    }
}

sf_status sf_plan_offload(sf_plan *plan) {
    const sf_backend *backend = plan->backends[SF_SIDE_BACKEND];
    uint64_t most =
        plan->options.most_device_bytes ? plan->options.most_device_bytes : backend->device_bytes;
    if (sf_backend_has_host_memory(backend))
        return SF_OK;
    set_all(plan, false);
    note(plan);
    if (fits(plan, most))
        return SF_OK;
    if (!can_offload(plan))
        return fail_to_fit(plan, most);
    set_all(plan, true);
    note(plan);
    if (!fits(plan, most))
        return fail_to_fit(plan, most);
    keep_in_order(plan, most - plan->stats.device_bytes - bytes_beside(plan));
    note(plan);
    assign_slots(plan);
    return SF_OK;
}

/* ---- while it runs ---- */

static sf_status start_upload(sf_plan *plan, const sf_step *step, int input, sf_value root) {
    uint64_t offset = step->inputs[input].slot_offset;
    const sf_part *parts;
    sf_part one;
    size_t n_parts = sf_node_parts(&plan->graph->nodes[root], &one, &parts);
    for (size_t i = 0; i < n_parts; i++) {
        SF_TRY(sf_backend_start_upload(plan->backends[SF_SIDE_BACKEND], step->slot, plan->slots,
                                       offset, parts[i].data, parts[i].bytes));
        offset += parts[i].bytes;
    }
    return SF_OK;
}

static sf_status start_uploads(sf_plan *plan, const sf_step *step) {
    for (int i = 0; i < SF_MAX_INPUTS; i++) {
        const sf_place *place = offloaded_operand(plan, step, i);
        if (place)
            SF_TRY(start_upload(plan, step, i, place->root));
    }
    return SF_OK;
}

/* The first offloading step of s .. end - 1 that is due; end: there is none. */
static size_t next_offloading(const sf_plan *plan, size_t s, size_t end, sf_pace due) {
    while (s < end && !(plan->steps[s].uploads && plan->steps[s].pace >= due))
        s++;
    return s;
}

sf_status sf_plan_begin_uploads(sf_plan *plan, size_t first, size_t end, sf_pace due) {
    size_t s = next_offloading(plan, first, end, due);
    return s < end ? start_uploads(plan, &plan->steps[s]) : SF_OK;
}

/*
 * An upload waits for the steps that were asked for before it, so that of the next step is started
 * before this one is asked for, unless both lie in the same slot (a step between them is not due).
 */
sf_status sf_plan_before_step(sf_plan *plan, size_t s, size_t end, sf_pace due) {
    const sf_step *step = &plan->steps[s];
    size_t next = next_offloading(plan, s + 1, end, due);
    SF_TRY(sf_backend_await_upload(plan->backends[SF_SIDE_BACKEND], step->slot));
    if (next < end && plan->steps[next].slot != step->slot)
        SF_TRY(start_uploads(plan, &plan->steps[next]));
    return SF_OK;
}

sf_status sf_plan_after_step(sf_plan *plan, size_t s, size_t end, sf_pace due) {
    size_t next = next_offloading(plan, s + 1, end, due);
    if (next < end && plan->steps[next].slot == plan->steps[s].slot)
        return start_uploads(plan, &plan->steps[next]);
    return SF_OK;
}

/*
 * Running a plan, and looking for the op that first gave NaN or infinity.
 */
#include <math.h>
#include <stdio.h>

#include "core/memory.h"
#include "core/plan/internal.h"

static void count_fallback(sf_plan *plan, sf_op_id op, uint64_t n_runs, uint64_t bytes) {
    int i = 0;
    while (i < plan->n_fallbacks && plan->fallbacks[i].op != op)
        i++;
    if (i == plan->n_fallbacks)
        plan->fallbacks[plan->n_fallbacks++].op = op;
    plan->fallbacks[i].n_runs += n_runs;
    plan->fallbacks[i].bytes_copied += bytes;
    sf_fallback_count *total = &plan->backends[SF_SIDE_BACKEND]->fallbacks[op];
    total->n_runs += n_runs;
    total->bytes_copied += bytes;
}

/* Between device and host memory; the fallback always has host memory. */
static sf_status run_copy(sf_plan *plan, const sf_step *step) {
    const sf_place *from = &plan->places[step->inputs[0].place];
    const sf_place *to = &plan->places[step->output.place];
    sf_backend *device = plan->backends[SF_SIDE_BACKEND];
    count_fallback(plan, step->op, 0, to->bytes);
    if (to->side == SF_SIDE_BACKEND)
        return sf_backend_upload(device, to->buffer, to->offset,
                                 (const char *)from->buffer + from->offset, to->bytes);
    return sf_backend_download(device, (char *)to->buffer + to->offset, from->buffer, from->offset,
                               from->bytes);
}

/*
 * Calls on one backend take effect in order and may return before they are done. Before memory that
 * both sides see goes from one to the other, the one has to be through.
 */
static sf_status wait_for(sf_plan *plan, sf_side side) {
    if (!plan->busy[side])
        return SF_OK;
    plan->busy[side] = false;
    return sf_backend_synchronize(plan->backends[side]);
}

static sf_status run_op(sf_plan *plan, const sf_step *step) {
    sf_backend *backend = plan->backends[step->side];
    if (plan->shared_memory)
        SF_TRY(wait_for(plan, step->side == SF_SIDE_BACKEND ? SF_SIDE_FALLBACK : SF_SIDE_BACKEND));
    plan->busy[step->side] = true;
    if (step->side == SF_SIDE_FALLBACK)
        count_fallback(plan, step->op, 1, 0);
    sf_backend_mark mark = sf_backend_enter(backend);
    return sf_backend_leave(backend, mark,
                            backend->entries[step->op].run(backend->instance, &step->call));
}

static sf_status run_step(sf_plan *plan, const sf_step *step) {
    if (step->kind == SF_STEP_COPY) {
        SF_TRY(wait_for(plan, SF_SIDE_FALLBACK));
        return run_copy(plan, step);
    }
    if (sf_spec_elements(&plan->graph->nodes[step->node].spec) == 0)
        return SF_OK;
    sf_status status = run_op(plan, step);
    if (status != SF_OK)
        sf_fail_in(plan->ctx, status, "%s \"%s\" on %s", step->call.op,
                   plan->graph->nodes[step->node].name, plan->backends[step->side]->name);
    return status;
}

/* The step's weights are needed until its op is done. */
static sf_status stream(sf_plan *plan, size_t s) {
    SF_TRY(wait_for(plan, plan->steps[s].side));
    sf_plan_let_weights_go(plan, s);
    return SF_OK;
}

static sf_status run_observed(sf_plan *plan, size_t s) {
    const sf_plan_observer *observer = &plan->observer;
    SF_TRY(sf_plan_synchronize(plan));
    observer->before(observer->user, s);
    SF_TRY(run_step(plan, &plan->steps[s]));
    SF_TRY(sf_plan_synchronize(plan));
    observer->after(observer->user, s);
    return SF_OK;
}

static sf_status run_due_step(sf_plan *plan, size_t s, size_t end, sf_pace due) {
    const sf_step *step = &plan->steps[s];
    if (step->uploads)
        SF_TRY(sf_plan_before_step(plan, s, end, due));
    SF_TRY(plan->observer.before ? run_observed(plan, s) : run_step(plan, step));
    if (step->uploads)
        SF_TRY(sf_plan_after_step(plan, s, end, due));
    return step->streams ? stream(plan, s) : SF_OK;
}

/*
 * Runs those of steps first .. end - 1 that have at least the pace `due`. Other plans may have kept the backend busy before; the fallback is
 * through when a run ends, so that the caller has to do with the backend alone.
 */
static sf_status run_steps(sf_plan *plan, size_t first, size_t end, sf_pace due) {
    sf_status status = SF_OK;
    plan->busy[SF_SIDE_BACKEND] = true;
    if (plan->slot_bytes)
        status = sf_plan_begin_uploads(plan, first, end, due);
    for (size_t s = first; s < end && status == SF_OK; s++)
        if (plan->steps[s].pace >= due)
            status = run_due_step(plan, s, end, due);
    sf_status waited = wait_for(plan, SF_SIDE_FALLBACK);
    return status != SF_OK ? status : waited;
}

static sf_status check_runnable(sf_plan *plan) {
    if (plan->options.no_memory)
        SF_FAIL(plan->ctx, ERROR_ARGUMENT, "a plan that was made without memory can't run");
    return sf_plan_wake(plan);
}

sf_status sf_plan_run(sf_plan *plan) {
    SF_TRY(check_runnable(plan));
    SF_TRY(run_steps(plan, 0, plan->n_steps, plan->due));
    plan->due = SF_PACE_EACH_RUN;
    return SF_OK;
}

/* ---- where did it go wrong ---- */

static bool has_nonfinite(sf_dtype dtype, const void *data, int64_t n_elements) {
    for (int64_t i = 0; i < n_elements; i++) {
        float value = 0;
        if (dtype == SF_F32)
            value = ((const float *)data)[i];
        else if (dtype == SF_F16)
            value = sf_f16_to_f32(((const uint16_t *)data)[i]);
        else if (dtype == SF_BF16)
            value = sf_bf16_to_f32(((const uint16_t *)data)[i]);
        if (!isfinite(value))
            return true;
    }
    return false;
}

static int64_t count_blocks(sf_dtype dtype, uint64_t bytes) {
    return (int64_t)bytes / sf_dtype_get(dtype)->block_bytes;
}

/* A weight that is on the device only while a step reads it, where it comes from. */
static void look_at_offloaded(const sf_plan *plan, const sf_place *place, sf_dtype dtype,
                              bool *nonfinite) {
    const sf_part *parts;
    sf_part one;
    size_t n_parts = sf_node_parts(&plan->graph->nodes[place->root], &one, &parts);
    *nonfinite = false;
    for (size_t i = 0; i < n_parts; i++)
        *nonfinite =
            *nonfinite || has_nonfinite(dtype, parts[i].data, count_blocks(dtype, parts[i].bytes));
}

/* Reads a place's content into host memory and looks at it. */
static sf_status look_at(sf_plan *plan, int place_index, sf_dtype dtype, bool *nonfinite) {
    const sf_place *place = &plan->places[place_index];
    if (place->offloaded) {
        look_at_offloaded(plan, place, dtype, nonfinite);
        return SF_OK;
    }
    void *data = sf_alloc(plan->ctx, (size_t)place->bytes, 1);
    if (!data)
        return SF_ERROR_MEMORY;
    sf_status status = sf_backend_download(plan->backends[place->side], data, place->buffer,
                                           place->offset, place->bytes);
    if (status == SF_OK)
        *nonfinite = has_nonfinite(dtype, data, count_blocks(dtype, place->bytes));
    sf_free(plan->ctx, data);
    return status;
}

/* The first weight or plan input among a step's operands that holds NaN or infinity, or
 * SF_NO_VALUE. */
static sf_status find_bad_leaf(sf_plan *plan, const sf_step *step, sf_value *leaf) {
    for (int i = 0; i < SF_MAX_INPUTS; i++) {
        if (step->inputs[i].place == SF_NO_PLACE)
            continue;
        int place = step->inputs[i].place;
        sf_value root = plan->places[place].root;
        bool bad = false;
        if (plan->graph->nodes[root].kind == SF_NODE_OP)
            continue;
        /* The step may have written over a copy of an input, but never over the input. */
        if (plan->graph->nodes[root].kind == SF_NODE_INPUT)
            place = plan->place_of[SF_SIDE_BACKEND][root];
        SF_TRY(look_at(plan, place, plan->graph->nodes[root].spec.dtype, &bad));
        if (bad) {
            *leaf = root;
            return SF_OK;
        }
    }
    return SF_OK;
}

static sf_status describe_bad_step(sf_plan *plan, const sf_step *step, char *text, size_t bytes) {
    sf_value leaf = SF_NO_VALUE;
    SF_TRY(find_bad_leaf(plan, step, &leaf));
    int used =
        snprintf(text, bytes, "%s \"%s\"", step->call.op, plan->graph->nodes[step->node].name);
    if (leaf != SF_NO_VALUE && used > 0 && (size_t)used < bytes)
        snprintf(text + used, bytes - (size_t)used, ", whose %s \"%s\" holds NaN or infinity",
                 plan->graph->nodes[leaf].kind == SF_NODE_CONSTANT ? "weight" : "input",
                 plan->graph->nodes[leaf].name);
    return SF_OK;
}

sf_status sf_plan_find_nonfinite(sf_plan *plan, char *text, size_t text_bytes) {
    SF_TRY(check_runnable(plan));
    text[0] = '\0';
    for (size_t s = 0; s < plan->n_steps; s++) {
        const sf_step *step = &plan->steps[s];
        bool bad = false;
        SF_TRY(run_steps(plan, s, s + 1, SF_PACE_ONCE));
        if (step->kind == SF_STEP_OP)
            SF_TRY(
                look_at(plan, step->output.place, plan->graph->nodes[step->node].spec.dtype, &bad));
        if (bad)
            return describe_bad_step(plan, step, text, text_bytes);
    }
    return SF_OK;
}

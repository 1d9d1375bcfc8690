#include "tests/support/plans.h"

#include <stdlib.h>

#include "core/plan/internal.h"
#include "plugins/registry.h"
#include "tests/support/support.h"

/* ---- backends ---- */

sf_backend *open_reference(sf_context *ctx) {
    sf_backend *reference = NULL;
    ck_ok(ctx, sf_registry_open_reference(ctx, &reference));
    return reference;
}

void close_backends(sf_context *ctx) {
    if (ctx->registry)
        ctx->free_registry(ctx->registry);
    ctx->registry = NULL;
    ctx->backend = ctx->fallback = NULL;
}

sf_backend *limit_backend(const sf_backend *backend, const char *name, bool (*has)(sf_op_id op)) {
    sf_backend *limited = malloc(sizeof *limited);
    ck_assert_ptr_nonnull(limited);
    *limited = *backend;
    limited->name = name;
    for (int op = 0; op < SF_OP_COUNT; op++)
        if (!has((sf_op_id)op))
            limited->entries[op] = (sf_op_entry){.run = NULL};
    return limited;
}

/* ---- plans ---- */

sf_plan *make_plan(sf_context *ctx, sf_graph *graph, sf_backend *backend, sf_backend *fallback,
                   bool no_fusion) {
    sf_plan *plan = NULL;
    sf_plan_options options = {.backend = backend, .fallback = fallback, .no_fusion = no_fusion};
    ck_ok(ctx, sf_plan_new(ctx, graph, &options, &plan));
    return plan;
}

void write_inputs(sf_context *ctx, sf_plan *plan, const void *const *inputs) {
    for (int i = 0; i < sf_plan_n_inputs(plan); i++)
        ck_ok(ctx, sf_plan_write(plan, i, inputs[i], sf_spec_bytes(sf_plan_input_spec(plan, i))));
}

void read_outputs(sf_context *ctx, sf_plan *plan, void **outputs) {
    for (int i = 0; i < sf_plan_n_outputs(plan); i++) {
        size_t bytes = sf_spec_bytes(sf_plan_output_spec(plan, i));
        outputs[i] = malloc(bytes + 1);
        ck_assert_ptr_nonnull(outputs[i]);
        ck_ok(ctx, sf_plan_read(plan, i, outputs[i], bytes));
    }
}

void run_plan(sf_context *ctx, sf_plan *plan, const void *const *inputs, void **outputs) {
    write_inputs(ctx, plan, inputs);
    ck_ok(ctx, sf_plan_run(plan));
    read_outputs(ctx, plan, outputs);
}

/* ---- memory ---- */

static bool overlap(const sf_place *a, const sf_place *b) {
    return a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static void check_pair(const sf_place *a, const sf_place *b) {
    if (a->kind != SF_PLACE_ARENA || b->kind != SF_PLACE_ARENA || a->side != b->side)
        return;
    bool together = a->first <= b->last && b->first <= a->last;
    ck_assert_msg(!together || !overlap(a, b), "places of steps %d-%d and %d-%d overlap", a->first,
                  a->last, b->first, b->last);
}

static void check_alive(const sf_plan *plan, int place, int step) {
    if (place == SF_NO_PLACE)
        return;
    const sf_place *p = &plan->places[place];
    ck_assert_msg(p->first <= step && step <= p->last, "step %d uses a place of steps %d-%d", step,
                  p->first, p->last);
}

static void check_steps(const sf_plan *plan) {
    for (size_t s = 0; s < plan->n_steps; s++) {
        const sf_step *step = &plan->steps[s];
        for (int i = 0; i < SF_MAX_INPUTS; i++) {
            check_alive(plan, step->inputs[i].place, (int)s);
            ck_assert_int_ne(step->output.place, step->inputs[i].place);
        }
        check_alive(plan, step->output.place, (int)s);
        check_alive(plan, step->scratch, (int)s);
    }
    for (int i = 0; i < plan->n_inputs; i++) /* what was written stays for the next run */
        for (int s = -1; s <= (int)plan->n_steps; s++)
            check_alive(plan, plan->place_of[SF_SIDE_BACKEND][plan->inputs[i]], s);
    for (size_t i = 0; i < plan->graph->n_outputs; i++) {
        sf_value root = plan->layouts[plan->graph->outputs[i].value].root;
        check_alive(plan, plan->place_of[SF_SIDE_BACKEND][root], (int)plan->n_steps);
    }
}

void check_plan_memory(const sf_plan *plan) {
    for (size_t i = 0; i < plan->n_places; i++) {
        const sf_place *place = &plan->places[i];
        if (place->kind == SF_PLACE_ARENA) {
            ck_assert_uint_le(place->offset + place->bytes, plan->arena_bytes[place->side]);
            ck_assert_uint_eq(place->offset % 256, 0);
        }
        for (size_t k = 0; k < i; k++)
            check_pair(place, &plan->places[k]);
    }
    check_steps(plan);
    ck_assert_uint_le(plan->stats.arena_bytes, plan->stats.unshared_bytes);
}

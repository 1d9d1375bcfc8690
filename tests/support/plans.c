#include "tests/support/plans.h"

#include <stdlib.h>
#include <string.h>

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

/* ---- a device ---- */

device_traffic device_uploads;

static sf_status device_new(void *instance, uint64_t bytes, void **buffer) {
    (void)instance;
    *buffer = aligned_alloc(256, (size_t)(bytes / 256 + 1) * 256);
    device_uploads.live_buffers += *buffer != NULL;
    return *buffer ? SF_OK : SF_ERROR_MEMORY;
}

static void device_free(void *instance, void *buffer) {
    (void)instance;
    device_uploads.live_buffers--;
    free(buffer);
}

static sf_status device_upload(void *instance, void *buffer, uint64_t offset, const void *source,
                               uint64_t bytes) {
    (void)instance;
    memcpy((char *)buffer + offset, source, (size_t)bytes);
    device_uploads.n_uploads++;
    device_uploads.upload_bytes += bytes;
    return SF_OK;
}

static sf_status device_download(void *instance, void *destination, void *buffer, uint64_t offset,
                                 uint64_t bytes) {
    (void)instance;
    memcpy(destination, (const char *)buffer + offset, (size_t)bytes);
    return SF_OK;
}

static bool has_all(sf_op_id op) {
    (void)op;
    return true;
}

sf_backend *device_backend(const sf_backend *backend, const char *name) {
    sf_backend *device = limit_backend(backend, name, has_all);
    device->plugin.flags &= ~SF_PLUGIN_HOST_MEMORY;
    device->plugin.buffer_new = device_new;
    device->plugin.buffer_free = device_free;
    device->plugin.upload = device_upload;
    device->plugin.download = device_download;
    device->residents = NULL;
    return device;
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
    return a->kind == SF_PLACE_ARENA && b->kind == SF_PLACE_ARENA && a->side == b->side &&
           a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

/* A place is written: what lay there before is lost. */
static void overwrite(const sf_plan *plan, int place, bool *holds) {
    if (place == SF_NO_PLACE)
        return;
    for (size_t i = 0; i < plan->n_places; i++)
        if (overlap(&plan->places[i], &plan->places[place]))
            holds[i] = false;
    holds[place] = true;
}

/* Whether the step's op may find its output where the operand is. */
static bool may_be_same(const sf_plan *plan, const sf_step *step, int input) {
    const sf_place *from = &plan->places[step->inputs[input].place];
    const sf_place *to = &plan->places[step->output.place];
    sf_value value = plan->graph->nodes[step->node].inputs[input];
    return (sf_backend_in_place(plan->backends[step->side], step->op) >> input & 1) != 0 &&
           from->offset == to->offset && from->bytes == to->bytes &&
           sf_spec_equal(sf_value_spec(plan->graph, value),
                         sf_value_spec(plan->graph, step->node)) &&
           sf_layout_is_contiguous(sf_value_spec(plan->graph, value), &plan->layouts[value]);
}

static void check_operand(const sf_plan *plan, size_t s, int input, const bool *holds) {
    const sf_step *step = &plan->steps[s];
    int place = step->inputs[input].place;
    if (place == SF_NO_PLACE)
        return;
    ck_assert_msg(holds[place] || plan->places[place].kind != SF_PLACE_ARENA,
                  "step %zu reads place %d, whose content is lost", s, place);
    ck_assert_msg(!overlap(&plan->places[place], &plan->places[step->output.place]) ||
                      (step->kind == SF_STEP_OP && may_be_same(plan, step, input)),
                  "step %zu writes over its input %d", s, input);
    if (step->scratch != SF_NO_PLACE)
        ck_assert(!overlap(&plan->places[place], &plan->places[step->scratch]));
}

static void follow_step(const sf_plan *plan, size_t s, bool *holds) {
    const sf_step *step = &plan->steps[s];
    for (int i = 0; i < SF_MAX_INPUTS; i++)
        check_operand(plan, s, i, holds);
    overwrite(plan, step->scratch, holds);
    overwrite(plan, step->output.place, holds);
    if (step->scratch != SF_NO_PLACE)
        ck_assert(!overlap(&plan->places[step->scratch], &plan->places[step->output.place]));
}

/* Follows what each place holds through some runs; inputs are written before the first alone. */
static void check_contents(const sf_plan *plan) {
    bool *holds = calloc(plan->n_places + 1, sizeof *holds);
    ck_assert_ptr_nonnull(holds);
    for (int i = 0; i < plan->n_inputs; i++)
        overwrite(plan, plan->place_of[SF_SIDE_BACKEND][plan->inputs[i]], holds);
    static const sf_pace due[] = {SF_PACE_ONCE, SF_PACE_EACH_RUN, SF_PACE_WHEN_WRITTEN,
                                  SF_PACE_EACH_RUN, SF_PACE_ONCE};
    for (size_t run = 0; run < sizeof due / sizeof *due; run++) {
        for (size_t s = 0; s < plan->n_steps; s++)
            if (plan->steps[s].pace >= due[run])
                follow_step(plan, s, holds);
        for (size_t i = 0; i < plan->graph->n_outputs; i++) {
            sf_value root = plan->layouts[plan->graph->outputs[i].value].root;
            int place = plan->place_of[SF_SIDE_BACKEND][root];
            ck_assert(holds[place] || plan->places[place].kind != SF_PLACE_ARENA);
        }
    }
    free(holds);
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
    }
    check_steps(plan);
    check_contents(plan);
    ck_assert_uint_le(plan->stats.arena_bytes, plan->stats.unshared_bytes);
}

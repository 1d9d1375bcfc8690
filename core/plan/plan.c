/*
 * Making and freeing a plan, and its inputs and outputs. See plan.h; the phases are in internal.h.
 */
#include <string.h>

#include "core/memory.h"
#include "core/plan/internal.h"

static sf_status check_backends(sf_plan *plan) {
    const sf_backend *fallback = plan->options.fallback;
    plan->backends[SF_SIDE_BACKEND] = plan->options.backend;
    if (!fallback || fallback == plan->options.backend)
        return SF_OK;
    if (!sf_backend_has_host_memory(fallback))
        SF_FAIL(plan->ctx, ERROR_BACKEND, "%s can't be a fallback: it has no host memory",
                fallback->name);
    plan->backends[SF_SIDE_FALLBACK] = plan->options.fallback;
    plan->shared_memory = sf_backend_has_host_memory(plan->options.backend);
    return SF_OK;
}

static sf_status compile(sf_plan *plan) {
    SF_TRY(sf_graph_status(plan->source));
    if (plan->source->assumed != SF_NONE && !plan->options.no_memory)
        SF_FAIL(plan->ctx, ERROR_ARGUMENT, "a plan whose weights are assumed can't run");
    SF_TRY(check_backends(plan));
    if (!plan->options.no_fusion)
        SF_TRY(sf_plan_fuse(plan));
    if (!plan->options.no_fusion)
        SF_TRY(sf_plan_merge(plan));
    SF_TRY(sf_plan_place(plan));
    SF_TRY(sf_plan_schedule(plan));
    sf_plan_settle(plan);
    sf_plan_describe_steps(plan);
    SF_TRY(sf_plan_assign_memory(plan));
    sf_plan_find_streamed(plan);
    SF_TRY(sf_plan_offload(plan));
    for (size_t s = 0; s < plan->n_steps; s++)
        plan->stats.n_steps += plan->steps[s].kind == SF_STEP_OP;
    plan->stats.flops = sf_plan_count_flops(plan);
    return plan->options.no_memory ? SF_OK : sf_plan_resolve(plan);
}

sf_status sf_plan_new(sf_context *ctx, sf_graph *graph, const sf_plan_options *options,
                      sf_plan **plan) {
    sf_plan *made = SF_NEW(ctx, sf_plan);
    if (!made) {
        sf_graph_free(graph);
        return SF_ERROR_MEMORY;
    }
    made->ctx = ctx;
    made->options = *options;
    made->source = graph;
    sf_status status = compile(made);
    if (status != SF_OK) {
        sf_plan_free(made);
        return status;
    }
    *plan = made;
    return SF_OK;
}

void sf_plan_free(sf_plan *plan) {
    if (!plan)
        return;
    sf_plan_release(plan);
    sf_free(plan->ctx, plan->inputs);
    sf_free(plan->ctx, plan->held);
    sf_free(plan->ctx, plan->steps);
    sf_free(plan->ctx, plan->places);
    for (int side = 0; side < SF_N_SIDES; side++)
        sf_free(plan->ctx, plan->place_of[side]);
    sf_free(plan->ctx, plan->layouts);
    sf_free(plan->ctx, plan->sides);
    sf_graph_free(plan->graph);
    sf_graph_free(plan->source);
    sf_free(plan->ctx, plan);
}

/* ---- what it costs ---- */

const char *sf_plan_backend_name(const sf_plan *plan) {
    return plan->backends[SF_SIDE_BACKEND]->name;
}

const sf_plan_stats *sf_plan_get_stats(const sf_plan *plan) {
    return &plan->stats;
}

void sf_plan_count_ops(const sf_plan *plan, int *on_backend, int *on_fallback) {
    memset(on_backend, 0, SF_OP_COUNT * sizeof *on_backend);
    memset(on_fallback, 0, SF_OP_COUNT * sizeof *on_fallback);
    for (size_t s = 0; s < plan->n_steps; s++) {
        const sf_step *step = &plan->steps[s];
        if (step->kind == SF_STEP_OP)
            (step->side == SF_SIDE_BACKEND ? on_backend : on_fallback)[step->op]++;
    }
}

const sf_fallback_count *sf_plan_fallbacks(const sf_plan *plan, int *n_counts) {
    *n_counts = plan->n_fallbacks;
    return plan->fallbacks;
}

/* ---- inputs and outputs ---- */

int sf_plan_n_inputs(const sf_plan *plan) {
    return plan->n_inputs;
}

const char *sf_plan_input_name(const sf_plan *plan, int input) {
    return plan->graph->nodes[plan->inputs[input]].name;
}

int sf_plan_find_input(const sf_plan *plan, const char *name) {
    for (int i = 0; i < plan->n_inputs; i++)
        if (strcmp(sf_plan_input_name(plan, i), name) == 0)
            return i;
    return -1;
}

const sf_spec *sf_plan_input_spec(const sf_plan *plan, int input) {
    return &plan->graph->nodes[plan->inputs[input]].spec;
}

int sf_plan_n_outputs(const sf_plan *plan) {
    return (int)plan->graph->n_outputs;
}

const char *sf_plan_output_name(const sf_plan *plan, int output) {
    return plan->graph->outputs[output].name;
}

int sf_plan_find_output(const sf_plan *plan, const char *name) {
    for (int i = 0; i < sf_plan_n_outputs(plan); i++)
        if (strcmp(sf_plan_output_name(plan, i), name) == 0)
            return i;
    return -1;
}

const sf_spec *sf_plan_output_spec(const sf_plan *plan, int output) {
    return sf_value_spec(plan->graph, plan->graph->outputs[output].value);
}

/* The place of an input or output on the backend's side. */
static int place_of_input(const sf_plan *plan, int input) {
    return plan->place_of[SF_SIDE_BACKEND][plan->inputs[input]];
}

static int place_of_output(const sf_plan *plan, int output) {
    sf_value root = plan->layouts[plan->graph->outputs[output].value].root;
    return plan->place_of[SF_SIDE_BACKEND][root];
}

static sf_status check_index(const sf_plan *plan, const char *what, int index, int count) {
    if (index < 0 || index >= count)
        SF_FAIL(plan->ctx, ERROR_ARGUMENT, "the plan has no %s %d; it has %d", what, index, count);
    return SF_OK;
}

static sf_status check_transfer(const sf_plan *plan, const char *name, const sf_spec *spec,
                                size_t bytes) {
    char text[SF_SHAPE_TEXT];
    if (plan->options.no_memory)
        SF_FAIL(plan->ctx, ERROR_ARGUMENT, "a plan that was made without memory holds no \"%s\"",
                name);
    if (bytes != sf_spec_bytes(spec))
        SF_FAIL(plan->ctx, ERROR_SHAPE, "\"%s\" is %s, %zu bytes, not %zu", name,
                sf_spec_text(spec, text), sf_spec_bytes(spec), bytes);
    return SF_OK;
}

static bool is_settled(const sf_plan *plan, int input) {
    return plan->graph->nodes[plan->inputs[input]].settled;
}

sf_status sf_plan_write(sf_plan *plan, int input, const void *data, size_t bytes) {
    SF_TRY(check_index(plan, "input", input, plan->n_inputs));
    SF_TRY(check_transfer(plan, sf_plan_input_name(plan, input), sf_plan_input_spec(plan, input),
                          bytes));
    SF_TRY(sf_plan_wake(plan));
    const sf_place *place = &plan->places[place_of_input(plan, input)];
    plan->held[input] = false;
    if (is_settled(plan, input) && plan->due > SF_PACE_WHEN_WRITTEN)
        plan->due = SF_PACE_WHEN_WRITTEN;
    SF_TRY(sf_backend_upload(plan->backends[SF_SIDE_BACKEND], place->buffer, place->offset, data,
                             bytes));
    plan->held[input] = true;
    return SF_OK;
}

bool sf_plan_holds(const sf_plan *plan, int input) {
    return input >= 0 && input < plan->n_inputs && plan->held[input];
}

sf_status sf_plan_read(sf_plan *plan, int output, void *data, size_t bytes) {
    SF_TRY(check_index(plan, "output", output, sf_plan_n_outputs(plan)));
    SF_TRY(check_transfer(plan, sf_plan_output_name(plan, output),
                          sf_plan_output_spec(plan, output), bytes));
    if (plan->rests)
        SF_FAIL(plan->ctx, ERROR_ARGUMENT, "a plan that rests holds no \"%s\"",
                sf_plan_output_name(plan, output));
    const sf_place *place = &plan->places[place_of_output(plan, output)];
    return sf_backend_download(plan->backends[SF_SIDE_BACKEND], data, place->buffer, place->offset,
                               bytes);
}

static sf_status bind(sf_plan *plan, int place, const char *name, const sf_spec *spec,
                      const sf_tensor_desc *desc) {
    char text[SF_SHAPE_TEXT];
    sf_layout contiguous;
    sf_layout_contiguous(spec, SF_NO_VALUE, &contiguous);
    bool fits = desc->dtype == (int32_t)spec->dtype && desc->n_dims == spec->n_dims;
    for (int axis = 0; fits && axis < spec->n_dims; axis++)
        fits = desc->dims[axis] == spec->dims[axis] &&
               (spec->dims[axis] <= 1 || sf_spec_elements(spec) == 0 ||
                desc->strides[axis] == contiguous.strides[axis]);
    if (!fits || !desc->buffer)
        SF_FAIL(plan->ctx, ERROR_SHAPE, "what is bound to \"%s\" is not a contiguous %s", name,
                sf_spec_text(spec, text));
    plan->places[place].kind = SF_PLACE_BOUND;
    plan->places[place].buffer = desc->buffer;
    plan->places[place].offset = desc->offset;
    sf_plan_point_operands(plan, place);
    return SF_OK;
}

sf_status sf_plan_bind_input(sf_plan *plan, int input, const sf_tensor_desc *desc) {
    SF_TRY(check_index(plan, "input", input, plan->n_inputs));
    if (is_settled(plan, input))
        SF_FAIL(plan->ctx, ERROR_ARGUMENT, "\"%s\" is a settled input: it is written, not bound",
                sf_plan_input_name(plan, input));
    plan->held[input] = false;
    return bind(plan, place_of_input(plan, input), sf_plan_input_name(plan, input),
                sf_plan_input_spec(plan, input), desc);
}

sf_status sf_plan_bind_output(sf_plan *plan, int output, const sf_tensor_desc *desc) {
    SF_TRY(check_index(plan, "output", output, sf_plan_n_outputs(plan)));
    return bind(plan, place_of_output(plan, output), sf_plan_output_name(plan, output),
                sf_plan_output_spec(plan, output), desc);
}

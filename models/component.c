/*
 * sf_component_*: one component of a model, run on named tensors. The plan of the last shapes is
 * kept, so that repeated runs cost only the run.
 */
#include "models/component.h"

#include "core/memory.h"
#include "core/process.h"
#include "plugins/registry.h"

struct sf_component {
    sf_context *ctx; /* borrowed */
    sf_model *model;
    sf_ports ports;
    sf_dtype compute;
    sf_plan *plan;        /* NULL until the first run */
    size_t n_plan_inputs; /* bound ones, without those that feed() writes */
    int n_plans;
};

sf_status sf_component_assume(sf_context *context, const char *folder, const char *component,
                              sf_dtype assumed, sf_component **loaded) {
    sf_component *made = SF_NEW(context, sf_component);
    if (!made)
        return SF_ERROR_MEMORY;
    made->ctx = context;
    made->compute = SF_F32;
    sf_status status = assumed == SF_NONE
                           ? sf_model_load(context, folder, component, &made->model)
                           : sf_model_assume(context, folder, component, assumed, &made->model);
    if (status != SF_OK) {
        sf_component_free(made);
        return sf_fail_in(context, status, "component %.64s", component);
    }
    made->model->role->declare(made->model->config, &made->ports);
    *loaded = made;
    return SF_OK;
}

sf_status sf_component_load(sf_context *context, const char *folder, const char *component,
                            sf_component **loaded) {
    return sf_component_assume(context, folder, component, SF_NONE, loaded);
}

void sf_component_free(sf_component *component) {
    if (!component)
        return;
    sf_plan_free(component->plan);
    sf_model_free(component->model);
    sf_free(component->ctx, component);
}

static void drop_plan(sf_component *component) {
    sf_plan_free(component->plan);
    component->plan = NULL;
}

sf_status sf_component_set_compute(sf_component *component, sf_dtype compute) {
    if (!sf_dtype_is_float(compute))
        SF_FAIL(component->ctx, ERROR_ARGUMENT, "activations can't be %s", sf_dtype_name(compute));
    if (compute != component->compute)
        drop_plan(component);
    component->compute = compute;
    return SF_OK;
}

int sf_component_n_plans(const sf_component *component) {
    return component->n_plans;
}

const sf_model *sf_component_model(const sf_component *component) {
    return component->model;
}

const sf_ports *sf_component_ports(const sf_component *component) {
    return &component->ports;
}

/* ---- planning ---- */

static bool fits_plan(const sf_component *component, const sf_bound *bound) {
    if (!component->plan || component->n_plan_inputs != bound->count)
        return false;
    for (size_t i = 0; i < bound->count; i++) {
        const sf_bound_input *input = &bound->items[i];
        int index = sf_plan_find_input(component->plan, input->name);
        if (index < 0)
            return false;
        const sf_spec *spec = sf_plan_input_spec(component->plan, index);
        for (int axis = 0; axis < input->n_dims; axis++)
            if (spec->dims[axis] != input->dims[axis])
                return false;
    }
    return true;
}

/* What the process has beside the plan: all of it now, without weights, and the results to come. */
static uint64_t bytes_beside(const sf_component *component) {
    sf_tensors_release_pages(component->model->weights);
    uint64_t bytes = sf_process_resident_bytes();
    for (int i = 0; i < sf_plan_n_outputs(component->plan); i++)
        bytes += sf_spec_bytes(sf_plan_output_spec(component->plan, i));
    return bytes;
}

static sf_status fit_plan(sf_component *component) {
    uint64_t most = component->ctx->options.max_memory;
    if (component->model->assumed != SF_NONE)
        return SF_OK;
    return sf_plan_fit(component->plan, most, most ? bytes_beside(component) : 0);
}

static sf_status make_plan(sf_component *component, sf_bound *bound) {
    const sf_model *model = component->model;
    sf_plan_options options = {0};
    sf_graph *graph = NULL;
    drop_plan(component);
    if (model->assumed == SF_NONE)
        SF_TRY(sf_plan_options_for(component->ctx, &options));
    else
        SF_TRY(sf_plan_options_on_paper(component->ctx, &options));
    SF_TRY(sf_model_graph(model, &graph));
    sf_bound_add_inputs(bound, graph);
    model->role->build(graph, model->config, bound, component->compute);
    SF_TRY(sf_plan_new(component->ctx, graph, &options, &component->plan));
    sf_status status = fit_plan(component);
    if (status != SF_OK) {
        drop_plan(component);
        return status;
    }
    component->n_plan_inputs = bound->count;
    component->n_plans++;
    return SF_OK;
}

sf_status sf_component_prepare(sf_component *component, const sf_tensors *inputs, sf_plan **plan) {
    const sf_model *model = component->model;
    sf_bound bound = {0};
    sf_status status;
    SF_TRY_OUT(
        sf_bound_given(component->ctx, model->role->component, &component->ports, inputs, &bound));
    if (!fits_plan(component, &bound))
        SF_TRY_OUT(make_plan(component, &bound));
    *plan = component->plan;
out:
    sf_bound_clear(&bound);
    return status == SF_OK ? SF_OK : sf_fail_in(component->ctx, status, "%s", model->folder);
}

/* ---- running ---- */

static sf_status write_inputs(sf_component *component, const sf_bound *bound) {
    const sf_role *role = component->model->role;
    for (size_t i = 0; i < bound->count; i++) {
        const sf_bound_input *input = &bound->items[i];
        SF_TRY(sf_plan_write(component->plan, sf_plan_find_input(component->plan, input->name),
                             input->tensor->data, input->tensor->bytes));
    }
    return role->feed ? role->feed(component->model->config, bound, component->plan) : SF_OK;
}

static sf_status read_output(sf_component *component, int output, sf_tensors *set) {
    const sf_spec *spec = sf_plan_output_spec(component->plan, output);
    sf_tensor *tensor = NULL;
    SF_TRY(sf_tensor_new(component->ctx, spec->dtype, spec->n_dims, spec->dims, &tensor));
    sf_status status = sf_plan_read(component->plan, output, tensor->data, tensor->bytes);
    if (status != SF_OK) {
        sf_tensor_free(tensor);
        return status;
    }
    return sf_tensors_add(set, sf_plan_output_name(component->plan, output), tensor);
}

static sf_status read_outputs(sf_component *component, sf_tensors **outputs) {
    sf_tensors *set = NULL;
    SF_TRY(sf_tensors_new(component->ctx, &set));
    sf_status status = SF_OK;
    for (int i = 0; i < sf_plan_n_outputs(component->plan) && status == SF_OK; i++)
        status = read_output(component, i, set);
    if (status == SF_OK)
        *outputs = set;
    else
        sf_tensors_free(set);
    return status;
}

sf_status sf_component_run(sf_component *component, const sf_tensors *inputs,
                           sf_tensors **outputs) {
    const sf_model *model = component->model;
    sf_bound bound = {0};
    sf_status status;
    SF_TRY_OUT(
        sf_bound_given(component->ctx, model->role->component, &component->ports, inputs, &bound));
    if (!fits_plan(component, &bound))
        SF_TRY_OUT(make_plan(component, &bound));
    SF_TRY_OUT(write_inputs(component, &bound));
    SF_TRY_OUT(sf_plan_run(component->plan));
    SF_TRY_OUT(read_outputs(component, outputs));
out:
    sf_registry_warn_of_fallbacks(component->ctx);
    sf_bound_clear(&bound);
    return status == SF_OK ? SF_OK : sf_fail_in(component->ctx, status, "%s", model->folder);
}

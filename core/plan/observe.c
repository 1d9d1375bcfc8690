/*
 * What the steps of a plan are, what they compute, and who watches them. See plan.h.
 */
#include "core/plan/internal.h"

void sf_plan_observe(sf_plan *plan, const sf_plan_observer *observer) {
    plan->observer = observer ? *observer : (sf_plan_observer){0};
}

sf_status sf_plan_synchronize(sf_plan *plan) {
    for (int side = 0; side < SF_N_SIDES; side++) {
        plan->busy[side] = false;
        if (plan->backends[side])
            SF_TRY(sf_backend_synchronize(plan->backends[side]));
    }
    return SF_OK;
}

size_t sf_plan_step_count(const sf_plan *plan) {
    return plan->n_steps;
}

/* A copy has the tensor that is copied as input and output. */
void sf_plan_get_step(const sf_plan *plan, size_t index, sf_plan_step *step) {
    const sf_step *from = &plan->steps[index];
    const sf_node *node = &plan->graph->nodes[from->node];
    *step = (sf_plan_step){
        .op = from->op,
        .is_copy = from->kind == SF_STEP_COPY,
        .on_fallback = from->kind == SF_STEP_OP && from->side == SF_SIDE_FALLBACK,
        .is_settled = from->pace != SF_PACE_EACH_RUN,
        .name = node->name,
        .output = node->spec,
        .attributes = &node->attributes,
    };
    step->n_inputs = step->is_copy ? 1 : node->n_inputs;
    for (int i = 0; i < step->n_inputs; i++) {
        sf_value input = step->is_copy ? from->node : node->inputs[i];
        if (input != SF_NO_VALUE)
            step->inputs[i] = plan->graph->nodes[input].spec;
    }
}

double sf_plan_count_flops(const sf_plan *plan) {
    double flops = 0;
    for (size_t s = 0; s < plan->n_steps; s++) {
        sf_plan_step step;
        sf_plan_get_step(plan, s, &step);
        if (!step.is_copy)
            flops +=
                sf_op_flops(step.op, step.inputs, step.n_inputs, step.attributes, &step.output);
    }
    return flops;
}

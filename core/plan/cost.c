/*
 * What a plan costs on a device that is known by its data sheet alone. See plan.h.
 *
 * The roofline (Williams, Waterman and Patterson, "Roofline: an insightful visual performance model
 * for multicore architectures", 2009): a step takes as long as its arithmetic at the device's peak or
 * its memory traffic at the full bandwidth, whichever is longer, and each launch comes on top.
 */
#include "core/plan/internal.h"

/* What is read and written once; of a table only what is looked up. */
static uint64_t operand_bytes(const sf_plan_step *step) {
    uint64_t bytes = sf_spec_bytes(&step->output);
    for (int i = 0; i < step->n_inputs; i++) {
        bool is_table = step->op == SF_OP_embedding && i == 0 && !step->is_copy;
        bytes += sf_spec_bytes(is_table ? &step->output : &step->inputs[i]);
    }
    return bytes;
}

/* As the backend says; without its word one launch. */
static sf_status ask(const sf_plan *plan, const sf_step *step, sf_step_cost *cost) {
    const sf_op_entry *entry = &plan->backends[step->side]->entries[step->op];
    sf_op_cost told = {.struct_size = sizeof told,
                       .n_launches = 1,
                       .n_bytes = cost->n_bytes,
                       .compute_dtype = step->call.output->dtype};
    if (entry->cost) {
        sf_status status = entry->cost(&step->call, &told);
        if (status != SF_OK)
            return sf_fail(plan->ctx, status, "%s \"%s\": %s tells no cost", step->call.op,
                           plan->graph->nodes[step->node].name, plan->backends[step->side]->name);
    }
    cost->n_launches = told.n_launches;
    cost->n_bytes = told.n_bytes;
    cost->is_in_f32 = told.compute_dtype == SF_F32;
    return SF_OK;
}

sf_status sf_plan_step_cost(const sf_plan *plan, size_t index, sf_step_cost *cost) {
    sf_plan_step step;
    sf_step_cost counted = {0};
    sf_plan_get_step(plan, index, &step);
    if (step.is_copy || sf_spec_elements(&step.output) > 0) /* what else run.c leaves out */
        counted.n_bytes = operand_bytes(&step);
    if (!step.is_copy && counted.n_bytes) {
        counted.flops =
            sf_op_flops(step.op, step.inputs, step.n_inputs, step.attributes, &step.output);
        if (!step.on_fallback)
            SF_TRY(ask(plan, &plan->steps[index], &counted));
    }
    *cost = counted;
    return SF_OK;
}

double sf_cost_seconds(const sf_step_cost *cost, const sf_device_speed *speed, sf_limit *limit) {
    double launching = cost->n_launches * speed->seconds_per_launch;
    double moving = (double)cost->n_bytes / speed->bytes_per_second;
    bool is_slower = cost->is_in_f32 && speed->f32_flops_per_second > 0;
    double computing =
        cost->flops / (is_slower ? speed->f32_flops_per_second : speed->flops_per_second);
    double longer = moving > computing ? moving : computing;
    *limit = launching > longer    ? SF_LIMIT_LAUNCH
             : moving >= computing ? SF_LIMIT_MEMORY
                                   : SF_LIMIT_COMPUTE;
    return launching + longer;
}

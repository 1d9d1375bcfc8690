/*
 * Outputs in place: where an op may write its output over an input (sf_op_entry.in_place, and all
 * elementwise ops) and that input is read for the last time, the output takes over its memory.
 *
 * The place whose memory is taken over lives as long as all that have it, one after the other. Plan
 * inputs and outputs, weights and kept results are alive past the last step, so none of them is
 * ever overwritten.
 */
#include "core/plan/internal.h"

/* Whether operand `input` of the step is laid out as the output is, and is all of its place. */
static bool lies_like_output(const sf_plan *plan, const sf_step *step, int input) {
    const sf_node *node = &plan->graph->nodes[step->node];
    sf_value value = node->inputs[input];
    const sf_layout *layout = &plan->layouts[value];
    const sf_spec *spec = sf_value_spec(plan->graph, value);
    return sf_spec_equal(spec, &node->spec) && layout->offset == 0 &&
           sf_layout_is_contiguous(spec, layout) &&
           plan->places[step->inputs[input].place].bytes == plan->places[step->output.place].bytes;
}

/* Whether step s may write over operand `input`. */
static bool may_take(const sf_plan *plan, int s, int input) {
    const sf_step *step = &plan->steps[s];
    uint32_t allowed = sf_backend_in_place(plan->backends[step->side], step->op);
    const sf_place *output = &plan->places[step->output.place];
    int taken = step->inputs[input].place;
    if (taken == SF_NO_PLACE)
        return false;
    const sf_place *place = &plan->places[taken];
    if (place->kind != SF_PLACE_ARENA || place->side != output->side || place->last != s ||
        output->first != s)
        return false;
    for (int i = 0; i < SF_MAX_INPUTS; i++)
        if (step->inputs[i].place == taken &&
            (!(allowed >> i & 1) || !lies_like_output(plan, step, i)))
            return false;
    return true;
}

static void take(sf_plan *plan, const sf_step *step, int input) {
    sf_place *output = &plan->places[step->output.place];
    int owner = step->inputs[input].place;
    if (plan->places[owner].shares != SF_NO_PLACE)
        owner = plan->places[owner].shares;
    output->shares = owner;
    if (output->last > plan->places[owner].shared_last)
        plan->places[owner].shared_last = output->last;
    plan->stats.n_in_place++;
}

void sf_plan_share_places(sf_plan *plan) {
    for (size_t i = 0; i < plan->n_places; i++)
        plan->places[i].shared_last = plan->places[i].last;
    for (int s = 0; s < (int)plan->n_steps; s++) {
        const sf_step *step = &plan->steps[s];
        if (step->kind != SF_STEP_OP)
            continue;
        for (int i = 0; i < SF_MAX_INPUTS; i++)
            if (may_take(plan, s, i)) {
                take(plan, step, i);
                break;
            }
    }
}

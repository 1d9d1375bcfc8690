/*
 * Settled steps: those that read only weights and inputs that change rarely (sf_settled_input())
 * need not run each time. Cross-attention's keys and values are such, as they depend on the text.
 *
 * A settled step's output lives from run to run where a step that runs more often reads it, and as
 * others do where only its equals read it. What a plan gives out is computed each time, as it may
 * be bound to other memory meanwhile.
 */
#include "core/plan/internal.h"

static sf_pace pace_of_leaf(const sf_node *node) {
    if (node->kind == SF_NODE_CONSTANT)
        return SF_PACE_ONCE;
    return node->settled ? SF_PACE_WHEN_WRITTEN : SF_PACE_EACH_RUN;
}

static void start_with_leaves(sf_plan *plan) {
    for (size_t i = 0; i < plan->n_places; i++) {
        const sf_node *node = &plan->graph->nodes[plan->places[i].root];
        if (node->kind != SF_NODE_OP)
            plan->places[i].pace = pace_of_leaf(node);
    }
}

static bool is_output(const sf_plan *plan, int place) {
    for (size_t i = 0; i < plan->graph->n_outputs; i++) {
        sf_value root = plan->layouts[plan->graph->outputs[i].value].root;
        if (plan->place_of[SF_SIDE_BACKEND][root] == place)
            return true;
    }
    return false;
}

static void set_pace(sf_plan *plan, sf_step *step) {
    sf_pace pace = is_output(plan, step->output.place) ? SF_PACE_EACH_RUN : SF_PACE_ONCE;
    for (int i = 0; i < SF_MAX_INPUTS; i++) {
        int place = step->inputs[i].place;
        if (place != SF_NO_PLACE && plan->places[place].pace > pace)
            pace = plan->places[place].pace;
    }
    step->pace = plan->places[step->output.place].pace = pace;
    plan->stats.n_settled += step->kind == SF_STEP_OP && pace != SF_PACE_EACH_RUN;
}

static void keep_inputs(sf_plan *plan, const sf_step *step) {
    for (int i = 0; i < SF_MAX_INPUTS; i++) {
        int place = step->inputs[i].place;
        if (place != SF_NO_PLACE && plan->places[place].pace < step->pace)
            plan->places[place].kept = true;
    }
}

void sf_plan_settle(sf_plan *plan) {
    start_with_leaves(plan);
    for (size_t s = 0; s < plan->n_steps; s++)
        set_pace(plan, &plan->steps[s]);
    for (size_t s = 0; s < plan->n_steps; s++)
        keep_inputs(plan, &plan->steps[s]);
}

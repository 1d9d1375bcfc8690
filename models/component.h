/*
 * One component run on tensors: what the library itself sees of sf_component beyond sfumato.h.
 */
#ifndef SF_MODELS_COMPONENT_H
#define SF_MODELS_COMPONENT_H

#include "models/model.h"

/*
 * sf_component_load() from the configuration alone, with weights of the type `assumed`, for a plugin
 * whose device need not be there (sf_plan_options_on_paper()): its plans only count.
 */
sf_status sf_component_assume(sf_context *context, const char *folder, const char *component,
                              sf_dtype assumed, sf_component **loaded);

/* The type in which activations are stored, f32 at first. Inputs and outputs stay f32. */
sf_status sf_component_set_compute(sf_component *component, sf_dtype compute);

/*
 * Makes the plan for inputs of these names and shapes without running it. *plan stays the
 * component's and lives until the next call with other inputs.
 */
sf_status sf_component_prepare(sf_component *component, const sf_tensors *inputs, sf_plan **plan);

/* What it takes; owned by the component. */
const sf_ports *sf_component_ports(const sf_component *component);

/* How many plans were made so far: one more only when the inputs' names or shapes change. */
int sf_component_n_plans(const sf_component *component);

const sf_model *sf_component_model(const sf_component *component);

#endif

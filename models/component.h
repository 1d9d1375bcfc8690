/*
 * One component run on tensors: what the library itself sees of sf_component beyond sfumato.h.
 */
#ifndef SF_MODELS_COMPONENT_H
#define SF_MODELS_COMPONENT_H

#include "models/model.h"

/* The type in which activations are stored, f32 at first. Inputs and outputs stay f32. */
sf_status sf_component_set_compute(sf_component *component, sf_dtype compute);

/* How many plans were made so far: one more only when the inputs' names or shapes change. */
int sf_component_n_plans(const sf_component *component);

const sf_model *sf_component_model(const sf_component *component);

#endif

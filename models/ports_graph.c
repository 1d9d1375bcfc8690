/*
 * Ports as values of a graph. See ports.h.
 */
#include <stdio.h>
#include <string.h>

#include "models/ports.h"

void sf_bound_add_inputs(sf_bound *bound, sf_graph *graph) {
    for (size_t i = 0; i < bound->count; i++) {
        sf_bound_input *input = &bound->items[i];
        input->value = sf_input(graph, input->name, input->port->dtype, input->n_dims, input->dims);
    }
}

static const sf_bound_input *find(const sf_bound *bound, const char *name) {
    for (size_t i = 0; i < bound->count; i++)
        if (strcmp(bound->items[i].name, name) == 0)
            return &bound->items[i];
    return NULL;
}

sf_value sf_bound_value(const sf_bound *bound, const char *name) {
    const sf_bound_input *input = find(bound, name);
    return input ? input->value : SF_NO_VALUE;
}

const sf_tensor *sf_bound_tensor(const sf_bound *bound, const char *name) {
    const sf_bound_input *input = find(bound, name);
    return input ? input->tensor : NULL;
}

int sf_bound_list(const sf_bound *bound, const char *name, sf_value *values, int max) {
    int count = 0;
    for (size_t i = 0; i < bound->count && count < max; i++)
        if (bound->items[i].port->count && strcmp(bound->items[i].port->name, name) == 0)
            values[count++] = bound->items[i].value;
    return count;
}

sf_value sf_image_in(sf_graph *graph, sf_value image, sf_dtype compute) {
    return sf_cast(graph, sf_permute(graph, image, (const int[]){0, 2, 3, 1}), compute);
}

void sf_image_out(sf_graph *graph, const char *name, sf_value image) {
    sf_value turned = sf_permute(graph, image, (const int[]){0, 3, 1, 2});
    sf_output(graph, name, sf_cast(graph, turned, SF_F32));
}

void sf_output_numbered(sf_graph *graph, const char *name, int number, sf_value value) {
    char full[128];
    snprintf(full, sizeof full, "%s.%d", name, number);
    sf_output(graph, full, value);
}

/*
 * What the shape rules and lowerings of several ops share. core/op.h has the checks of one input.
 */
#ifndef SF_CORE_OPS_RULES_H
#define SF_CORE_OPS_RULES_H

#include "core/graph.h"

/* Input i, or NULL where it is absent. */
const sf_spec *sf_optional_spec(const sf_spec *inputs, int n_inputs, int i);
sf_value sf_optional_value(const sf_value *inputs, int n_inputs, int i);

/* Fails unless spec, if there is one, is a float tensor of shape [size]. */
sf_status sf_need_vector(sf_context *ctx, const char *name, const sf_spec *spec, int64_t size);

/* Fails unless spec, if there is one, is a float tensor of the output's shape. */
sf_status sf_need_residual(sf_context *ctx, const sf_spec *spec, const sf_spec *output);

/* Fails unless x [..., K] and weight [N, K] are floats that a linear layer can multiply. */
sf_status sf_need_product(sf_context *ctx, const sf_spec *x, const sf_spec *weight);

sf_status sf_need_activation(sf_context *ctx, int32_t activation);

/* Fails unless axis is one of spec's. */
sf_status sf_need_axis(sf_context *ctx, const sf_spec *spec, int64_t axis);

/* Fails unless 0 <= n_dims <= SF_MAX_DIMS and no dimension is negative. */
sf_status sf_need_shape(sf_context *ctx, int64_t n_dims, const int64_t *dims);

/* Attributes that hold a shape; a wrong n_dims is kept for the shape rule to refuse. */
sf_attributes sf_shape_attributes(int n_dims, const int64_t *dims);

/* The shape rules that more than one file uses: the output is as the float x. */
sf_status sf_infer_same(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                        const sf_attributes *attributes, sf_spec *output);

/*
 * Lowered forms keep to the rule that all is computed in f32 and rounded once: x as f32 (x itself if
 * it is), and a result in the type of `like`.
 */
sf_value sf_widened(sf_graph *graph, sf_value x);
sf_value sf_rounded(sf_graph *graph, sf_value result, sf_value like);

/* A reshape of x to the shape of spec. */
sf_value sf_reshape_like(sf_graph *graph, sf_value x, const sf_spec *spec);

#endif

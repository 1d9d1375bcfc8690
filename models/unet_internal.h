/*
 * What the files of UNet2DConditionModel share: unet.c puts it together, unet_time.c makes the time
 * embedding, unet_blocks.c the levels, unet_component.c the inputs and outputs.
 */
#ifndef SF_MODELS_UNET_INTERNAL_H
#define SF_MODELS_UNET_INTERNAL_H

#include "models/unet.h"

/* A forward pass that is being built. */
typedef struct sf_unet_pass {
    sf_graph *graph;
    const sf_unet_config *config;
    sf_value time;           /* [N or 1, D] */
    sf_value activated_time; /* the same after act_fn, which nearly every block wants */
    sf_value context;        /* [N, T, D] */
    sf_value skips[SF_UNET_MAX_SKIPS];
    int n_skips;
} sf_unet_pass;

/* The embedding of timestep, class and further conditions, [N or 1, D]. */
sf_value sf_unet_time_embedding(sf_graph *graph, const sf_unet_config *config,
                                const sf_unet_inputs *inputs, sf_dtype compute);

/* The levels, in their scopes. Down pushes skips, up takes them. */
sf_value sf_unet_down_block(sf_unet_pass *pass, int i, sf_value x);
sf_value sf_unet_mid_block(sf_unet_pass *pass, sf_value x);
sf_value sf_unet_up_block(sf_unet_pass *pass, int i, sf_value x);

#endif

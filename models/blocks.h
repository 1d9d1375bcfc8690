/*
 * The blocks that U-Nets and autoencoders are made of, on channels-last images [N, H, W, C]. Each
 * is named as its class in diffusers and enters no scope of its own: the caller has entered it.
 */
#ifndef SF_MODELS_BLOCKS_H
#define SF_MODELS_BLOCKS_H

#include "models/layers.h"

typedef enum sf_resample { SF_RESAMPLE_NONE, SF_RESAMPLE_DOWN, SF_RESAMPLE_UP } sf_resample;

/* ResnetBlock2D */
typedef struct sf_resnet {
    int64_t out_channels;
    int64_t groups;
    double epsilon;
    sf_activation activation;
    sf_value time;        /* [N or 1, D], activated already; SF_NO_VALUE: none */
    bool scale_shift;     /* the time scales and shifts after the second norm */
    double output_scale;  /* the result is divided by it */
    sf_resample resample; /* halves or doubles height and width */
} sf_resnet;

sf_value sf_resnet_block(sf_graph *graph, sf_value x, const sf_resnet *resnet);

/*
 * Downsample2D with convolution: 3x3, stride 2. padding 0 stands for one row below and one column
 * to the right, as diffusers pads it.
 */
sf_value sf_downsample(sf_graph *graph, const char *name, sf_value x, int64_t out_channels,
                       int padding);

/* Upsample2D with convolution: nearest pixel to height x width, then 3x3. 0 x 0: twice the size. */
sf_value sf_upsample(sf_graph *graph, const char *name, sf_value x, int64_t out_channels,
                     int64_t height, int64_t width);

/*
 * Timesteps: sinusoidal features of t [M], an f32 [M, dim] (Vaswani et al. 2017, section 3.5):
 *
 *   f_i = exp(-ln(10000) i / (dim/2 - shift)),   [sin(t f), cos(t f)], or cos first where flip
 *
 * with a column of zeros where dim is odd.
 */
sf_value sf_timestep_features(sf_graph *graph, sf_value t, int64_t dim, bool flip, double shift);

/* TimestepEmbedding: linear_1, activation, linear_2, post activation. */
typedef struct sf_time_mlp {
    int64_t width;
    sf_activation activation, post_activation;
    sf_value condition; /* [N, D], projected and added before; SF_NO_VALUE: none */
} sf_time_mlp;

sf_value sf_timestep_embedding(sf_graph *graph, const char *name, sf_value x, sf_time_mlp mlp);

#endif

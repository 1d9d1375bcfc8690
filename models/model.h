/*
 * Models: the classes that are known, and one that was loaded from a folder.
 *
 * A class says how its config.json is read and which components it serves (an autoencoder is two:
 * vae_encoder and vae_decoder). What a component computes is in two layers: a builder on channels-
 * last values (models/unet.h, vae.h, clip.h), which pipelines put together as they like, and the
 * role here, which gives it the inputs and outputs of the matching module in PyTorch's order.
 *
 * doc/add-model.md tells how to add one.
 */
#ifndef SF_MODELS_MODEL_H
#define SF_MODELS_MODEL_H

#include "core/io/json.h"
#include "core/plan.h"
#include "models/ports.h"

/* A component in use, for sizes that its configuration does not fix. */
typedef struct sf_usage {
    int64_t pixels;   /* a side of the picture; 0: what the configuration says */
    int64_t factor;   /* pixels a side that one latent pixel stands for */
    int64_t n_tokens; /* of a text */
} sf_usage;

/* A component that a class serves. */
typedef struct sf_role {
    const char *component; /* "vae_decoder", as `sfumato run` names it */
    const char *folder;    /* its usual folder in a pipeline: "vae" */

    /* What it takes. */
    void (*declare)(const void *config, sf_ports *ports);
    /* Sizes of letters at which build() must work; letters not set are 1. NULL: all are 1. */
    void (*example_sizes)(const void *config, sf_sizes *sizes);
    /* Sizes of letters as in use, where they are larger than the example's. NULL: they are not. */
    void (*usual_sizes)(const void *config, const sf_usage *usage, sf_sizes *sizes);
    /* Adds everything to graph, outputs too. Activations have the type compute. */
    void (*build)(sf_graph *graph, const void *config, const sf_bound *inputs, sf_dtype compute);
    /* Writes inputs of the graph that no port stands for. NULL: there are none. */
    sf_status (*feed)(const void *config, const sf_bound *inputs, sf_plan *plan);
} sf_role;

#define SF_MAX_ROLES 2
#define SF_MAX_NAMES 3

typedef struct sf_model_class {
    const char *names[SF_MAX_NAMES]; /* of the classes in configurations */
    const char *model_type;          /* transformers' name of the first; NULL: none */
    size_t config_bytes;
    /* Reads and checks a configuration into a zeroed struct, which owns nothing. */
    sf_status (*configure)(sf_context *ctx, const char *where, const char *class_name,
                           const json_t *json, void *config);
    const sf_role *roles[SF_MAX_ROLES];
} sf_model_class;

#define SF_MODEL(name) extern const sf_model_class sf_model_##name;
#include "models/models.def"
#undef SF_MODEL

typedef struct sf_model {
    sf_context *ctx; /* borrowed */
    const sf_model_class *model_class;
    const sf_role *role;
    const char *class_name; /* borrowed from model_class */
    char *folder;           /* the one with config.json; owned, as is all below */
    char *weights_file;     /* or the index of the shards */
    void *config;           /* the class's struct */
    sf_tensors *weights;    /* NULL: assumed */
    sf_dtype assumed;       /* type of weights that were not looked for; SF_NONE: they are there */
} sf_model;

/*
 * Loads a component of a pipeline's folder, or from its own folder. All that the configuration asks
 * for is checked to be in the weights, with the right shapes; no weight's values are read.
 */
sf_status sf_model_load(sf_context *ctx, const char *folder, const char *component,
                        sf_model **model);
/*
 * The same from the configuration alone: all weights that it asks for are taken to be there in the
 * type `assumed`, for plans that only count.
 */
sf_status sf_model_assume(sf_context *ctx, const char *folder, const char *component,
                          sf_dtype assumed, sf_model **model);
void sf_model_free(sf_model *model);

/* A graph that finds the model's weights. */
sf_status sf_model_graph(const sf_model *model, sf_graph **graph);

#endif

/*
 * The recipe of a picture: everything that is needed to draw it again, as texts that go with it.
 */
#ifndef SF_PIPELINES_RECIPE_H
#define SF_PIPELINES_RECIPE_H

#include "core/context.h"

/* What is written into a picture. All borrowed; all set (no defaults left). */
typedef struct sf_recipe_facts {
    const sf_generate_options *options;
    uint64_t seed;          /* of this picture */
    const char *model;      /* the folder's name */
    const char *model_hash; /* 64 hex digits */
    const char *backend;    /* "reference" */
    const char *plugin_version;
    const char *sampler_title;  /* as sampler users know it: "Euler" */
    const char *schedule_title; /* "Karras"; NULL: not told */
} sf_recipe_facts;

/*
 * Sets the image's texts "parameters" (stable-diffusion-webui's format) and "sfumato" (JSON, from
 * which sf_recipe_read() gives back the options).
 */
sf_status sf_recipe_write(sf_image *image, const sf_recipe_facts *facts);

#endif

/*
 * A loaded text-to-picture pipeline, and one drawing: its options and the three stages, each in a file.
 *
 *   load.c      opens the folder
 *   drawing.c   checks options, fills in the model's defaults, sets up the stages
 *   text.c      prompts -> token ids -> text encoder -> embeddings [1 or 2, T, D]
 *   guidance_embedding.c  the guidance scale as an input of the U-Net, for distilled models
 *   denoise.c   latents, timestep, embeddings -> U-Net -> guidance -> model output, once a step
 *   decode.c    latents -> autoencoder -> pixels
 *   text2img.c  runs the stages in turn, makes the pictures
 *   describe.c  tells what would be done
 *   memory.c    how much memory that takes
 */
#ifndef SF_PIPELINES_PIPELINE_H
#define SF_PIPELINES_PIPELINE_H

#include "core/eager.h"
#include "core/rng.h"
#include "core/sha256.h"
#include "models/model.h"
#include "pipelines/stage.h"
#include "samplers/sampler.h"

struct sf_pipeline {
    sf_context *ctx; /* borrowed */
    char *folder;
    char model_hash[SF_SHA256_HEX];       /* "" until it was wanted */
    const struct sf_pipeline_class *kind; /* static; load.c */
    int default_steps;
    float default_guidance;
    bool warned_of_guidance; /* that the negative prompt has no effect */
    sf_tokenizer *tokenizer;
    sf_model *text_encoder, *unet, *vae;
    sf_scheduler_config scheduler;
};

/* The folder's last part: how people call the model. Borrowed. */
const char *sf_pipeline_name(const sf_pipeline *pipeline);

/* Bytes of the process' memory, as planned. */
typedef struct sf_memory_use {
    uint64_t base;      /* what the process had before the stages ran; 0: not known */
    uint64_t stages[3]; /* text, denoise, decode: all of the process while each is at work */
    uint64_t peak;      /* the largest of them */
    uint64_t least;     /* the smallest limit that could be kept */
    uint64_t limit;     /* the context's; 0: none */
    uint64_t device;    /* of a device with memory of its own, 0: there is none */
} sf_memory_use;

/* One call of sf_pipeline_generate(). */
typedef struct sf_drawing {
    sf_pipeline *pipeline;       /* borrowed */
    sf_context *ctx;             /* borrowed */
    sf_generate_options options; /* no defaults are left in it; strings borrowed */
    sf_rng_kind rng_kind;
    bool guided;               /* two conditions: the negative prompt, then the prompt */
    float *guidance_embedding; /* [1, time_cond_proj_dim]; NULL: the U-Net takes none */
    double mu;                 /* the options'; NAN: not given */
    sf_spec latents;           /* f32 [1, C, h, w] */
    int64_t *ids;              /* token ids [conditions, T] */
    sf_spec text;              /* i64, of ids */
    float *embeddings;         /* [conditions, T, D], as the text stage gave them */
    size_t embeddings_bytes;
    sf_spec embedding_spec;
    sf_stage text_stage, denoise_stage, decode_stage;
    sf_memory_use memory;
    int n_sampler_tensors; /* of the latents' shape; set by sf_drawing_keep_room() */

    /* while a picture is drawn */
    sf_eager *eager;
    sf_device_tensor *model_output;
    const sf_device_tensor *sample; /* what the U-Net or the decoder is given; borrowed */
    float timestep, input_scale;    /* of the evaluation that is due */
} sf_drawing;

/* Checks options against the pipeline, fills in its defaults and makes the stages, without planning. */
sf_status sf_drawing_init(sf_drawing *drawing, sf_pipeline *pipeline,
                          const sf_generate_options *options);
void sf_drawing_clear(sf_drawing *drawing);

/* 2 with guidance, 1 without. */
int sf_drawing_n_conditions(const sf_drawing *drawing);

/* Channels of the guidance embedding that the U-Net takes; 0: it takes none, and is guided from outside. */
int64_t sf_pipeline_guidance_channels(const sf_pipeline *pipeline);

/* Sampler, schedule and steps as the sampler's room wants them. */
sf_sampler_options sf_drawing_sampler_options(const sf_drawing *drawing);

void sf_text_stage_init(sf_drawing *drawing);
void sf_denoise_stage_init(sf_drawing *drawing);
void sf_decode_stage_init(sf_drawing *drawing);

/* Before stages are planned: counts the sampler's tensors, for which they leave room in a device's memory. */
void sf_drawing_keep_room(sf_drawing *drawing, const sf_sampler *sampler);

/*
 * Plans the memory of the drawing, all of whose stages are planned: fills drawing->memory. Streams
 * weights where the context's limit asks for it; SF_ERROR_MEMORY where that is not enough.
 */
sf_status sf_drawing_fit(sf_drawing *drawing);

/* Tokenizes and encodes the prompts into drawing->embeddings. */
sf_status sf_text_stage_run(sf_drawing *drawing);

/* Answers for drawing->sample, timestep and input_scale into drawing->model_output. */
sf_status sf_denoise_stage_run(sf_drawing *drawing, int step, int n_steps);

/* drawing->sample as a picture. */
sf_status sf_decode_stage_run(sf_drawing *drawing, sf_image **image);

#endif

/*
 * Samplers as the rest of Sfumato uses them: choose one, start it on noise, run the loop.
 *
 *     sf_scheduler_config config = {0};
 *     sf_scheduler_config_load(ctx, "scheduler_config.json", &config);
 *     sf_sampler_new(ctx, &config, &options, &sampler);          no device is needed so far
 *     sf_sampler_start(sampler, eager, &noise_source, noise);    all allocation is done here
 *     sf_sampler_run(sampler, &loop);                            loop.h
 *
 * What a sampler is made of, and how to write one: class.h and doc/add-sampler.md.
 */
#ifndef SF_SAMPLERS_SAMPLER_H
#define SF_SAMPLERS_SAMPLER_H

#include <jansson.h>

#include "core/eager.h"

/* ---- configuration ---- */

/*
 * A scheduler_config.json as it was read: what it means depends on the sampler, since defaults and
 * options differ. {0} is an empty one. It can outlive many samplers and is not changed by them.
 */
typedef struct sf_scheduler_config {
    sf_context *ctx; /* borrowed */
    char *where;     /* owned: the file's name, for messages */
    json_t *json;    /* owned: an object */
} sf_scheduler_config;

sf_status sf_scheduler_config_load(sf_context *ctx, const char *path, sf_scheduler_config *config);
sf_status sf_scheduler_config_parse(sf_context *ctx, const char *where, const char *text,
                                    size_t size, sf_scheduler_config *config);
void sf_scheduler_config_clear(sf_scheduler_config *config);

/* What a user says beside the file. An option that the sampler lacks is an error. */
typedef struct sf_sampler_options {
    const char *sampler;  /* name, title or diffusers' class; NULL: the file's class */
    const char *schedule; /* of the sigmas, see schedules.def; NULL: the file's */
    double eta;           /* 0..1, of samplers that have it; < 0: the class's, mostly 0 */
    int n_steps;          /* as diffusers counts num_inference_steps; 0: as many as are listed */

    /* The run's own timesteps or noise levels in place of the schedule's; NULL: none. Borrowed. */
    const double *timesteps, *sigmas;
    int n_timesteps, n_sigmas;

    /* Of flow matching with use_dynamic_shifting: mu itself (NULL: not given; borrowed), or else the
     * number of tokens that the picture is for the model (0: not known), from which it follows. */
    const double *mu;
    int64_t n_tokens;
} sf_sampler_options;

/* ---- a sampler ---- */

typedef struct sf_sampler sf_sampler;

/*
 * Chooses the class, reads the configuration as that class does, and sets the timesteps and noise
 * levels. Errors name the file and the key, and the choices where a name is not known.
 */
sf_status sf_sampler_new(sf_context *ctx, const sf_scheduler_config *config,
                         const sf_sampler_options *options, sf_sampler **sampler);
void sf_sampler_free(sf_sampler *sampler);

/* Name, title and class. Static. */
const sf_sampler_info *sf_sampler_get_info(const sf_sampler *sampler);

/* The sigma schedule's title as in stable-diffusion-webui ("Karras"); NULL: it has no sigmas. */
const char *sf_sampler_schedule_title(const sf_sampler *sampler);

/* As diffusers counts them: what was asked for, or as many as were listed. */
int sf_sampler_n_steps(const sf_sampler *sampler);

/* Tensors of the sample's shape that it has once it is started. */
int sf_sampler_n_tensors(const sf_sampler *sampler);

/*
 * The timesteps, one for each evaluation of the model; they may have fractions. Where an adaptive
 * method (sf_sampler_info) has not finished, it knows those up to the evaluation that is due, and
 * their number is a guess that changes from step to step.
 */
int sf_sampler_n_evaluations(const sf_sampler *sampler);
double sf_sampler_timestep(const sf_sampler *sampler, int evaluation);

/* The noise levels whole, the last one included, or so far, and the last one; 0 of them where the method has none. */
int sf_sampler_n_sigmas(const sf_sampler *sampler);
double sf_sampler_sigma(const sf_sampler *sampler, int i);

/* ---- on a device ---- */

/* Where a stochastic sampler gets its noise: fills a tensor of the sample's shape, standard normal,
 * once for each draw and in diffusers' order. */
typedef struct sf_noise_source {
    sf_status (*draw)(void *user, sf_device_tensor *noise);

    /* What a generator that starts at that seed draws first, and the seed of the source itself, for
     * methods that draw from a Brownian path. NULL: the source has none (recorded noise), and such a
     * method calls draw. */
    sf_status (*draw_seeded)(void *user, uint64_t seed, sf_device_tensor *noise);
    uint64_t seed;
    void *user;
} sf_noise_source;

/*
 * Starts on noise of unit variance (f32, 1 to 5 dimensions; axis 0 is the batch, axis 1 the
 * channels), which is read only here. eager is of the noise's backend and outlives the sampler.
 */
sf_status sf_sampler_start(sf_sampler *sampler, sf_eager *eager, const sf_noise_source *source,
                           const sf_device_tensor *noise);

/* The current sample: the same tensor in all steps. Borrowed. */
const sf_device_tensor *sf_sampler_sample(const sf_sampler *sampler);

/* What the model is to be asked: its input is input_scale times the sample. */
typedef struct sf_evaluation {
    int index; /* from 0 */
    int count; /* sf_sampler_n_evaluations() */
    double timestep;
    double input_scale;
} sf_evaluation;

/* The evaluation that is due; false: the sample is finished. */
bool sf_sampler_next(const sf_sampler *sampler, sf_evaluation *evaluation);

/*
 * The shape of the model's answer: the sample's, or with twice the channels where the model also
 * predicts the variance.
 */
void sf_sampler_output_spec(const sf_sampler *sampler, sf_spec *spec);

/* Takes the model's answer to the evaluation that was due and moves the sample on. */
sf_status sf_sampler_step(sf_sampler *sampler, const sf_device_tensor *model_output);

#endif

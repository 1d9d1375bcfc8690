/*
 * A sampler's life: chosen and configured, started on noise, asked and stepped. See sampler.h.
 */
#include "samplers/sampler.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "samplers/brownian.h"
#include "samplers/class.h"
#include "samplers/names.h"

#define MOST_STEPS 1000000

/* ---- the list ---- */

const sf_sampler_info *const *sf_sampler_list(int *n_samplers) {
    static const sf_sampler_info *const list[] = {
#define SF_SAMPLER(name) &sf_sampler_##name.info,
#include "samplers/samplers.def"
#undef SF_SAMPLER
    };
    *n_samplers = (int)(sizeof list / sizeof list[0]);
    return list;
}

const sf_schedule_info *const *sf_schedule_list(int *n_schedules) {
    static const sf_schedule_info *const list[] = {
#define SF_SCHEDULE(name) &sf_sigma_schedule_##name.info,
#include "samplers/schedules.def"
#undef SF_SCHEDULE
    };
    *n_schedules = (int)(sizeof list / sizeof list[0]);
    return list;
}

/* ---- making ---- */

static sf_status check_options(sf_context *ctx, const sf_sampler_class *class,
                               const sf_sampler_options *options) {
    if (!(options->eta <= 1))
        SF_FAIL(ctx, ERROR_ARGUMENT, "eta %g is not within 0 to 1", options->eta);
    if (options->eta > 0 && !class->has_eta)
        SF_FAIL(ctx, ERROR_ARGUMENT, "the sampler %s has no eta (%g was given); ddim has one",
                class->info.name, options->eta);
    return SF_OK;
}

/* What was asked for beside the file: taken by the class? */
static sf_status check_taken(sf_context *ctx, const sf_sampler_class *class,
                             const sf_sampler_options *options) {
    const struct {
        bool asked;
        unsigned bit;
        const char *what;
    } asked[] = {
        {options->timesteps != NULL, SF_TAKES_TIMESTEPS, "timesteps"},
        {options->sigmas != NULL, SF_TAKES_SIGMAS, "sigmas"},
        {options->mu != NULL, SF_TAKES_MU, "mu"},
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        sf_names names = {0};
        if (!asked[i].asked || (class->takes & asked[i].bit))
            continue;
#define SF_SAMPLER(sampler)                                                                        \
    if (sf_sampler_##sampler.takes & asked[i].bit)                                                 \
        sf_names_add(&names, #sampler);
#include "samplers/samplers.def"
#undef SF_SAMPLER
        SF_FAIL(ctx, ERROR_ARGUMENT, "the sampler %s takes no %s of its own; these do: %s",
                class->info.name, asked[i].what, names.text);
    }
    return SF_OK;
}

/* How many steps that is: what was said, which must be what is listed. */
static sf_status count_steps(sf_sampler *sampler, const sf_sampler_options *options) {
    sf_context *ctx = sampler->ctx;
    bool with_last = (sampler->class->takes & SF_TAKES_LAST_SIGMA) != 0;
    int listed = options->timesteps ? options->n_timesteps
                 : options->sigmas  ? options->n_sigmas - with_last
                                    : options->n_steps;
    if (options->timesteps && options->sigmas && (with_last || options->n_sigmas != listed))
        SF_FAIL(ctx, ERROR_ARGUMENT, "%d timesteps and %d sigmas were given; %s takes %s",
                options->n_timesteps, options->n_sigmas, sampler->class->info.name,
                with_last ? "one of the two" : "as many of both");
    if (listed < 1 || listed > MOST_STEPS)
        SF_FAIL(ctx, ERROR_ARGUMENT, "%d steps; 1 to %d are possible", listed, MOST_STEPS);
    if (options->n_steps && options->n_steps != listed)
        SF_FAIL(ctx, ERROR_ARGUMENT, "%d steps, but timesteps or sigmas for %d were given",
                options->n_steps, listed);
    sampler->n_steps = listed;
    return SF_OK;
}

/* base_shift at base_image_seq_len tokens, max_shift at max_image_seq_len, linear between and beyond. */
static double mu_of_tokens(const sf_scheduler_settings *settings, int64_t n_tokens) {
    double slope = (settings->max_shift - settings->base_shift) /
                   (settings->max_image_seq_len - settings->base_image_seq_len);
    return (double)n_tokens * slope + settings->base_shift - slope * settings->base_image_seq_len;
}

/* Lists and mu are borrowed for the time that begin() takes. */
static sf_status begin(sf_sampler *sampler, const sf_sampler_options *options) {
    sf_scheduler_settings *settings = &sampler->settings;
    double mu = options->n_tokens > 0 ? mu_of_tokens(settings, options->n_tokens) : 0;
    settings->custom_timesteps = (sf_asked_numbers){options->timesteps, options->n_timesteps};
    settings->custom_sigmas = (sf_asked_numbers){options->sigmas, options->n_sigmas};
    settings->mu = options->mu ? options->mu : options->n_tokens > 0 ? &mu : NULL;
    sf_status status = sampler->class->begin(sampler);
    settings->custom_timesteps = settings->custom_sigmas = (sf_asked_numbers){0};
    settings->mu = NULL;
    return status;
}

/* Settings, table and timesteps of a sampler that has its class. */
static sf_status configure(sf_sampler *sampler, const sf_scheduler_config *config,
                           const sf_sampler_options *options) {
    sf_context *ctx = sampler->ctx;
    SF_TRY(check_options(ctx, sampler->class, options));
    SF_TRY(check_taken(ctx, sampler->class, options));
    SF_TRY(count_steps(sampler, options));
    sampler->eta = options->eta >= 0 ? options->eta : sampler->class->default_eta;
    SF_TRY(sf_scheduler_settings_read(ctx, config, sampler->class, &sampler->settings));
    if (options->sampler && sampler->class->insist &&
        strcmp(options->sampler, sampler->class->info.class_name) != 0)
        sampler->class->insist(&sampler->settings);
    SF_TRY(sf_scheduler_settings_schedule(ctx, sampler->class, &sampler->settings,
                                          options->schedule, &sampler->schedule));
    SF_TRY(sf_alphas_new(ctx, &sampler->settings, &sampler->alphas));
    sampler->initial_scale = 1;
    sf_status status = begin(sampler, options);
    return status == SF_OK ? SF_OK : sf_fail_in(ctx, status, "%s", sampler->class->info.name);
}

sf_status sf_sampler_new(sf_context *ctx, const sf_scheduler_config *config,
                         const sf_sampler_options *options, sf_sampler **sampler) {
    const sf_sampler_class *class;
    SF_TRY(sf_scheduler_config_choose(ctx, config, options->sampler, &class));
    sf_sampler *made = SF_NEW(ctx, sf_sampler);
    if (!made)
        return SF_ERROR_MEMORY;
    made->ctx = ctx;
    made->class = class;
    sf_status status = configure(made, config, options);
    if (status == SF_OK)
        *sampler = made;
    else
        sf_sampler_free(made);
    return status;
}

static void free_tensors(sf_sampler *sampler) {
    for (int i = 0; i < SF_WORK_COUNT; i++) {
        sf_device_tensor_free(sampler->work[i]);
        sampler->work[i] = NULL;
    }
    for (int i = 0; i < SF_MOST_KEPT; i++) {
        sf_device_tensor_free(sampler->kept[i]);
        sampler->kept[i] = NULL;
    }
    sf_free(sampler->ctx, sampler->memory);
    sampler->memory = NULL;
    sf_brownian_free(sampler->path);
    sampler->path = NULL;
    sf_device_tensor_free(sampler->scalar);
    sampler->scalar = NULL;
    sampler->eager = NULL;
}

void sf_sampler_free(sf_sampler *sampler) {
    if (!sampler)
        return;
    sf_context *ctx = sampler->ctx;
    free_tensors(sampler);
    sf_scheduler_settings_clear(ctx, &sampler->settings);
    sf_free(ctx, sampler->alphas.values);
    sf_free(ctx, sampler->timesteps);
    sf_free(ctx, sampler->sigmas);
    sf_free(ctx, sampler->levels);
    sf_free(ctx, sampler);
}

/* ---- what it is ---- */

const sf_sampler_info *sf_sampler_get_info(const sf_sampler *sampler) {
    return &sampler->class->info;
}

const char *sf_sampler_schedule_title(const sf_sampler *sampler) {
    return sampler->sigmas ? sampler->schedule->info.title : NULL;
}

int sf_sampler_n_steps(const sf_sampler *sampler) {
    return sampler->n_steps;
}

int sf_sampler_n_tensors(const sf_sampler *sampler) {
    int n = SF_WORK_COUNT + sampler->class->n_kept;
    double low, high;
    if (!sampler->class->path_ends)
        return n;
    sampler->class->path_ends(sampler, &low, &high);
    return n + sf_brownian_n_tensors(low, high);
}

int sf_sampler_n_evaluations(const sf_sampler *sampler) {
    return sampler->class->expected ? sampler->class->expected(sampler) : sampler->n_timesteps;
}

double sf_sampler_timestep(const sf_sampler *sampler, int evaluation) {
    return sampler->timesteps[evaluation];
}

int sf_sampler_n_sigmas(const sf_sampler *sampler) {
    return sampler->n_sigmas;
}

double sf_sampler_sigma(const sf_sampler *sampler, int i) {
    return sampler->sigmas[i];
}

/* ---- running ---- */

static bool predicts_variance(const sf_sampler *sampler) {
    return (sampler->class->options & SF_OPTION(variance_type)) != 0 &&
           (sampler->settings.variance_type == SF_VARIANCE_learned ||
            sampler->settings.variance_type == SF_VARIANCE_learned_range);
}

static sf_status check_noise(const sf_sampler *sampler, const sf_device_tensor *noise) {
    char text[SF_SHAPE_TEXT];
    const sf_spec *spec = &noise->spec;
    if (spec->dtype != SF_F32 || spec->n_dims < 1)
        SF_FAIL(sampler->ctx, ERROR_SHAPE, "%s: the noise is %s, must be f32 of 1 to %d dimensions",
                sampler->class->info.name, sf_spec_text(spec, text), SF_MAX_DIMS);
    if (predicts_variance(sampler) && (spec->n_dims < 2 || spec->dims[1] > INT64_MAX / 2))
        SF_FAIL(sampler->ctx, ERROR_SHAPE,
                "%s: a learned variance needs channels on axis 1; the noise is %s",
                sampler->class->info.name, sf_spec_text(spec, text));
    return SF_OK;
}

static sf_status make_tensors(sf_sampler *sampler, const sf_device_tensor *noise) {
    const sf_spec one = {.dtype = SF_F32, .n_dims = 1, .dims = {1}};
    for (int i = 0; i < SF_WORK_COUNT; i++)
        SF_TRY(sf_device_tensor_new(noise->backend, &noise->spec, &sampler->work[i]));
    for (int i = 0; i < sampler->class->n_kept; i++)
        SF_TRY(sf_device_tensor_new(noise->backend, &noise->spec, &sampler->kept[i]));
    if (sampler->class->memory_bytes) {
        sampler->memory = sf_alloc(sampler->ctx, 1, sampler->class->memory_bytes);
        if (!sampler->memory)
            return SF_ERROR_MEMORY;
    }
    return sf_device_tensor_new(noise->backend, &one, &sampler->scalar);
}

/* noise_sampler_seed, where the file has one, or else the source's seed. */
static sf_status make_path(sf_sampler *sampler) {
    double low, high, seed = sampler->settings.noise_sampler_seed;
    if (!sampler->class->path_ends || !sampler->source.draw_seeded)
        return SF_OK;
    sampler->class->path_ends(sampler, &low, &high);
    return sf_brownian_new(sampler, low, high, isnan(seed) ? sampler->source.seed : (uint64_t)seed,
                           &sampler->path);
}

sf_status sf_sampler_start(sf_sampler *sampler, sf_eager *eager, const sf_noise_source *source,
                           const sf_device_tensor *noise) {
    SF_TRY(check_noise(sampler, noise));
    free_tensors(sampler);
    sf_status status = make_tensors(sampler, noise);
    if (status == SF_OK) {
        sampler->eager = eager;
        sampler->source = *source;
        sampler->evaluation = 0;
        status = sf_sampler_scale(sampler, sampler->work[SF_WORK_SAMPLE],
                                  (float)sampler->initial_scale, noise);
    }
    if (status == SF_OK)
        status = make_path(sampler);
    if (status != SF_OK)
        free_tensors(sampler);
    return status;
}

const sf_device_tensor *sf_sampler_sample(const sf_sampler *sampler) {
    return sampler->work[SF_WORK_SAMPLE];
}

bool sf_sampler_next(const sf_sampler *sampler, sf_evaluation *evaluation) {
    int i = sampler->evaluation;
    if (i >= sampler->n_timesteps)
        return false;
    double scale = sampler->class->input_scale ? sampler->class->input_scale(sampler, i) : 1;
    *evaluation = (sf_evaluation){.index = i,
                                  .count = sf_sampler_n_evaluations(sampler),
                                  .timestep = sampler->timesteps[i],
                                  .input_scale = scale};
    return true;
}

void sf_sampler_output_spec(const sf_sampler *sampler, sf_spec *spec) {
    *spec = sampler->work[SF_WORK_SAMPLE]->spec;
    if (predicts_variance(sampler))
        spec->dims[1] *= 2;
}

sf_status sf_sampler_step(sf_sampler *sampler, const sf_device_tensor *model_output) {
    char wanted_text[SF_SHAPE_TEXT], text[SF_SHAPE_TEXT];
    sf_evaluation evaluation;
    sf_spec wanted;
    if (!sampler->eager || !sf_sampler_next(sampler, &evaluation))
        SF_FAIL(sampler->ctx, ERROR_ARGUMENT, "%s: %s", sampler->class->info.name,
                sampler->eager ? "all steps are done" : "it was not started");
    sf_sampler_output_spec(sampler, &wanted);
    if (!sf_spec_equal(&model_output->spec, &wanted))
        SF_FAIL(sampler->ctx, ERROR_SHAPE, "%s: the model's output is %s, must be %s",
                sampler->class->info.name, sf_spec_text(&model_output->spec, text),
                sf_spec_text(&wanted, wanted_text));
    sf_status status = sampler->class->step(sampler, evaluation.index, model_output);
    if (status != SF_OK)
        return sf_fail_in(sampler->ctx, status, "%s, step %d of %d", sampler->class->info.name,
                          evaluation.index + 1, evaluation.count);
    sampler->evaluation++;
    return SF_OK;
}

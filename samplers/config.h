/*
 * A scheduler's options as one class reads them: see options.def for the list.
 */
#ifndef SF_SAMPLERS_CONFIG_H
#define SF_SAMPLERS_CONFIG_H

#include "samplers/sampler.h"

struct sf_sampler_class;
typedef struct sf_sigma_schedule sf_sigma_schedule;

/* The values of each SF_CHOICE option, as diffusers spells them, but for those of config.c's
 * spelling_of(), which are no C names. */
/* clang-format off */
#define SF_CHOICES_beta_schedule(X)                                                                \
    X(BETA, linear) X(BETA, scaled_linear) X(BETA, squaredcos_cap_v2) X(BETA, sigmoid)             \
    X(BETA, laplace) X(BETA, exp)
#define SF_CHOICES_prediction_type(X)                                                              \
    X(PREDICTION, epsilon) X(PREDICTION, sample) X(PREDICTION, v_prediction)                       \
    X(PREDICTION, original_sample) X(PREDICTION, flow_prediction)
#define SF_CHOICES_timestep_spacing(X)                                                             \
    X(SPACING, leading) X(SPACING, trailing) X(SPACING, linspace)
#define SF_CHOICES_timestep_type(X)                                                                \
    X(TIMESTEP, discrete) X(TIMESTEP, continuous)
#define SF_CHOICES_variance_type(X)                                                                \
    X(VARIANCE, fixed_small) X(VARIANCE, fixed_small_log) X(VARIANCE, fixed_large)                 \
    X(VARIANCE, fixed_large_log) X(VARIANCE, learned) X(VARIANCE, learned_range)
#define SF_CHOICES_interpolation_type(X)                                                           \
    X(INTERPOLATION, linear) X(INTERPOLATION, log_linear)
#define SF_CHOICES_final_sigmas_type(X)                                                            \
    X(FINAL, zero) X(FINAL, sigma_min)
#define SF_CHOICES_time_shift_type(X)                                                              \
    X(SHIFT, exponential) X(SHIFT, linear)
#define SF_CHOICES_sigma_schedule(X)                                                               \
    X(SPREAD, karras) X(SPREAD, exponential)
#define SF_CHOICES_algorithm_type(X)                                                               \
    X(ALGORITHM, dpmsolver) X(ALGORITHM, dpmsolverpp) X(ALGORITHM, sde_dpmsolver)                  \
    X(ALGORITHM, sde_dpmsolverpp) X(ALGORITHM, deis) X(ALGORITHM, data_prediction)                 \
    X(ALGORITHM, noise_prediction)
#define SF_CHOICES_solver_type(X)                                                                  \
    X(SOLVER, midpoint) X(SOLVER, heun) X(SOLVER, bh1) X(SOLVER, bh2) X(SOLVER, logrho)
/* clang-format on */

/* SF_BETA_linear, SF_SPACING_trailing and so on; one enum an option, counted from 0. */
#define SF_CHOICE_ENUM(group, name) SF_##group##_##name,
#define SF_INTEGER(...)
#define SF_NUMBER(...)
#define SF_FLAG(...)
#define SF_NUMBERS(...)
#define SF_CHOICE(name, value) enum sf_choice_##name{SF_CHOICES_##name(SF_CHOICE_ENUM)};
#include "samplers/options.def"
#undef SF_CHOICE_ENUM

/* SF_OPTION_beta_start and so on. */
typedef enum sf_option_id {
#define SF_INTEGER(name, ...) SF_OPTION_##name,
#define SF_NUMBER(name, ...)  SF_OPTION_##name,
#define SF_FLAG(name, ...)    SF_OPTION_##name,
#define SF_CHOICE(name, ...)  SF_OPTION_##name,
#define SF_NUMBERS(name, ...) SF_OPTION_##name,
#include "samplers/options.def"
    SF_OPTION_COUNT
} sf_option_id;

typedef struct sf_numbers {
    double *values; /* owned; NULL: not given */
    int count;
} sf_numbers;

/* What a user asks for; values is borrowed, NULL: nothing. */
typedef struct sf_asked_numbers {
    const double *values;
    int count;
} sf_asked_numbers;

/* All options; those that the class lacks have their default and mean nothing. */
typedef struct sf_scheduler_settings {
#define SF_INTEGER(name, ...) int name;
#define SF_NUMBER(name, ...)  double name;
#define SF_FLAG(name, ...)    bool name;
#define SF_CHOICE(name, ...)  int name; /* a value of enum sf_choice_NAME */
#define SF_NUMBERS(name, ...) sf_numbers name;
#include "samplers/options.def"

    /* Asked for beside the file, set while begin() runs. */
    sf_asked_numbers custom_timesteps, custom_sigmas;
    const double *mu; /* borrowed; NULL: not given */
    /* No option but the class's: timesteps with fractions are f64 until sigmas are read off. */
    bool timesteps_are_f64;
} sf_scheduler_settings;

_Static_assert(SF_OPTION_COUNT <= 64, "sf_sampler_class.options has a bit for each");

/* A bit of sf_sampler_class.options, and of .choices. */
#define SF_BIT(value)   ((uint64_t)1 << (value))
#define SF_OPTION(name) SF_BIT(SF_OPTION_##name)

/* The class that sampler (name, title or class; may be NULL) or else the file asks for. */
sf_status sf_scheduler_config_choose(sf_context *ctx, const sf_scheduler_config *config,
                                     const char *sampler, const struct sf_sampler_class **class);

/*
 * Reads the options that class has, with the class's defaults. Keys that it does not have are left
 * alone, as in diffusers: files keep those of other classes. null means the default, but false for
 * a flag, as Python takes None.
 */
sf_status sf_scheduler_settings_read(sf_context *ctx, const sf_scheduler_config *config,
                                     const struct sf_sampler_class *class,
                                     sf_scheduler_settings *settings);
void sf_scheduler_settings_clear(sf_context *ctx, sf_scheduler_settings *settings);

/* The sigma schedule that the use_..._sigmas flags ask for, or the one of that name. */
sf_status sf_scheduler_settings_schedule(sf_context *ctx, const struct sf_sampler_class *class,
                                         const sf_scheduler_settings *settings, const char *name,
                                         const sf_sigma_schedule **schedule);

#endif

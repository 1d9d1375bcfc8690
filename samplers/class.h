/*
 * A sampler's class, the state of a run, and the arithmetic that steps are written in.
 *
 * Arithmetic on tensors is linear combinations and a few elementwise ops, on the sample's backend
 * and in its order, so nothing comes to the host. Coefficients are computed on the host.
 *
 * Rounding. Steps subtract large numbers that nearly cancel (at sigma 4096 a sample has few digits
 * left of the clean one), so that two correct ways to compute one formula differ by more than the
 * 1e-5 within which samplers agree with diffusers. Therefore a step follows diffusers' order of f32
 * operations, each with a rounding of its own: products apart from sums, quotients as quotients.
 * Coefficients are computed in f32 where diffusers does so with 0-dimensional f32 tensors.
 */
#ifndef SF_SAMPLERS_CLASS_H
#define SF_SAMPLERS_CLASS_H

#include "samplers/config.h"
#include "samplers/schedule.h"

/* What diffusers' set_timesteps() takes, by class; and the schedules that no option names. */
enum {
    SF_TAKES_TIMESTEPS = 1, /* as begin() reads settings.custom_timesteps */
    SF_TAKES_SIGMAS = 2,    /* settings.custom_sigmas, which have the last one where that is set: */
    SF_TAKES_LAST_SIGMA = 4,
    SF_TAKES_MU = 8,
    SF_TAKES_SCHEDULES = 16, /* all of schedules.def: its levels come from sf_sigma_run_new() */
};

/* brownian.h */
typedef struct sf_brownian sf_brownian;

typedef struct sf_sampler_class {
    sf_sampler_info info;
    uint64_t options;                  /* SF_OPTION(name) | ...: those that it has */
    uint64_t choices[SF_OPTION_COUNT]; /* SF_BIT(value) | ...: the values that it takes; 0: all */
    bool has_eta;
    double default_eta;  /* where none is given */
    unsigned takes;      /* SF_TAKES_TIMESTEPS | ...: what may be asked for beside the file */
    bool any_schedule;   /* a user may ask for any sigma schedule, whatever a file can ask for */
    int n_kept;          /* tensors that the method remembers, at most SF_MOST_KEPT */
    size_t memory_bytes; /* of the numbers that it remembers */

    /* Other names that users know it by; NULL ends. May be NULL. */
    const char *const *aliases;

    /* What being asked for by name means, whatever the file says; may be NULL. */
    void (*insist)(sf_scheduler_settings *settings);

    /* Sets the defaults that differ from options.def; may be NULL. */
    void (*set_defaults)(sf_scheduler_settings *settings);

    /* Sets timesteps, sigmas and initial_scale from the settings and the table of alphas. */
    sf_status (*begin)(sf_sampler *sampler);

    /* Where timesteps follow from the answers: how many there will be, as far as can be told. begin()
     * then sets the first, and each step the next until the sample is finished. NULL: begin() sets all. */
    int (*expected)(const sf_sampler *sampler);

    /* The factor of the model's input at an evaluation; NULL: 1. */
    double (*input_scale)(const sf_sampler *sampler, int evaluation);

    /* The noise levels between which draws are those of a Brownian path; NULL: they are independent. */
    void (*path_ends)(const sf_sampler *sampler, double *low, double *high);

    /* Moves the sample on with the model's answer to that evaluation. */
    sf_status (*step)(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output);
} sf_sampler_class;

#define SF_SAMPLER(name) extern const sf_sampler_class sf_sampler_##name;
#include "samplers/samplers.def"
#undef SF_SAMPLER

/*
 * The class of that name, title or alias, in which case, spaces and signs do not count and + is p
 * ("DPM++ 2M" is dpmpp_2m); or the first of that diffusers class. NULL: there is none.
 */
const sf_sampler_class *sf_sampler_class_find(const char *name);

/* Tensors that steps work in, all of the sample's shape, made when a run starts. */
typedef enum sf_work {
    SF_WORK_SAMPLE,   /* x */
    SF_WORK_DENOISED, /* the predicted clean sample, x_0 */
    SF_WORK_NOISE,    /* the predicted or the drawn noise */
    SF_WORK_OUTPUT,   /* the model's answer without the predicted variance */
    SF_WORK_VARIANCE, /* the predicted variance */
    SF_WORK_PRODUCT,  /* of sf_sampler_add_scaled(); steps leave it alone */
    SF_WORK_COUNT
} sf_work;

#define SF_MOST_KEPT 8

struct sf_sampler {
    sf_context *ctx; /* borrowed */
    const sf_sampler_class *class;
    sf_scheduler_settings settings;    /* its lists are owned */
    const sf_sigma_schedule *schedule; /* static; NULL: the class has no sigmas */
    int n_steps;
    double eta;

    sf_alphas alphas;  /* the training schedule, owned */
    double *timesteps; /* one an evaluation, owned */
    int n_timesteps;   /* with expected(): so far */
    double *sigmas;    /* owned; NULL: the method has none */
    int n_sigmas;
    double *levels;       /* sigma of each evaluation, owned; NULL: it is sigmas[evaluation] */
    double initial_scale; /* of the noise at the start */

    int evaluation;         /* the one that is due */
    sf_eager *eager;        /* borrowed; NULL until started */
    sf_noise_source source; /* its user is borrowed */
    sf_brownian *path;      /* owned; NULL: the class has none, or the source has no seeds */
    sf_device_tensor *work[SF_WORK_COUNT]; /* owned; NULL until started */
    sf_device_tensor *scalar;              /* f32 [1], owned */
    sf_device_tensor *kept[SF_MOST_KEPT]; /* n_kept of them, owned; what is in them is the class' */
    void *memory;                         /* memory_bytes, zero when a run starts; owned */
};

/* ---- arithmetic; out may be an input ---- */

/* out = factor x */
sf_status sf_sampler_scale(sf_sampler *sampler, sf_device_tensor *out, float factor,
                           const sf_device_tensor *x);
/* out = x + factor y, the product rounded first */
sf_status sf_sampler_add_scaled(sf_sampler *sampler, sf_device_tensor *out,
                                const sf_device_tensor *x, float factor, const sf_device_tensor *y);
/* out = a x + b y, both products rounded first; out is not y */
sf_status sf_sampler_combine(sf_sampler *sampler, sf_device_tensor *out, float a,
                             const sf_device_tensor *x, float b, const sf_device_tensor *y);
/* out = x / divisor */
sf_status sf_sampler_divide(sf_sampler *sampler, sf_device_tensor *out, const sf_device_tensor *x,
                            float divisor);
/* out = x y */
sf_status sf_sampler_multiply(sf_sampler *sampler, sf_device_tensor *out, const sf_device_tensor *x,
                              const sf_device_tensor *y);
/* out = factor (x - y) */
sf_status sf_sampler_difference(sf_sampler *sampler, sf_device_tensor *out, float factor,
                                const sf_device_tensor *x, const sf_device_tensor *y);

typedef struct sf_term {
    float factor;
    const sf_device_tensor *tensor;
} sf_term;

/*
 * out = the terms' sum from the left, products rounded apart; a term of no tensor is left out, but
 * the first has one. out may be the first term's tensor and no other's.
 */
sf_status sf_sampler_sum(sf_sampler *sampler, sf_device_tensor *out, int n_terms,
                         const sf_term *terms);

/* An op of one tensor. */
sf_status sf_sampler_apply(sf_sampler *sampler, sf_op_id op, const sf_attributes *attributes,
                           sf_device_tensor *out, const sf_device_tensor *x);

/* Moves kept[0] to kept[1] and so on, of the first n; kept[0] is then the oldest, to be written. */
void sf_sampler_remember(sf_sampler *sampler, int n);

/* Draws noise into out. */
sf_status sf_sampler_draw(sf_sampler *sampler, sf_device_tensor *out);

/* The same, of a step between two noise levels: where the class has path_ends, the path's noise. */
sf_status sf_sampler_draw_between(sf_sampler *sampler, float from, float to, sf_device_tensor *out);

/* ---- what several methods share (denoise.c) ---- */

/*
 * x_0 from the model's answer m at signal level alpha (the cumulative product): with a = sqrt(alpha)
 * and b = sqrt(1 - alpha), x = a x_0 + b noise.
 *
 *   epsilon       x_0 = (x - b m) / a     Ho et al. 2020, eq. 15
 *   sample        x_0 = m
 *   v_prediction  x_0 = a x - b m         Salimans and Ho 2022, appendix D
 */
sf_status sf_sampler_predict_denoised(sf_sampler *sampler, float alpha,
                                      const sf_device_tensor *model_output, sf_device_tensor *out);

/*
 * The noise that goes with it, before x_0 is clipped:
 *
 *   epsilon       m
 *   sample        (x - a m) / b
 *   v_prediction  a m + b x
 */
sf_status sf_sampler_predict_noise(sf_sampler *sampler, float alpha,
                                   const sf_device_tensor *model_output, sf_device_tensor *out);

/* clip_sample or thresholding, in place. Thresholding needs a quantile: the one copy to the host. */
sf_status sf_sampler_clip(sf_sampler *sampler, sf_device_tensor *denoised);

#endif

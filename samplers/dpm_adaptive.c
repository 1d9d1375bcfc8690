/*
 * DPM adaptive: DPM-Solver-12 and -23, whose steps are as long as their error allows. Lu et al. 2022,
 * "DPM-Solver: a fast ODE solver for diffusion probabilistic model sampling in around 10 steps",
 * algorithms 1 and 2 and appendix C, where alpha is 1 and t = -log sigma; the control of the length h
 * is k-diffusion's (sample_dpm_adaptive).
 *
 * With e(x, t) = (x - x_0) / sigma and E(s) = sigma(t + s h) (e^(s h) - 1), a step of order 3 is
 *
 *   u   = x - E(1/3) e
 *   v   = x - E(2/3) e - 2 sigma(t + 2h/3) ((e^(2h/3) - 1) / (2h/3) - 1) (e(u) - e)
 *   low = x - E(1) e - 3/2 E(1) (e(u) - e)
 *   x'  = x - E(1) e - 3/2 sigma(t + h) ((e^h - 1) / h - 1) (e(v) - e)
 *
 * and one of order 2
 *
 *   u   = x - E(1/2) e
 *   low = x - E(1) e
 *   x'  = x - E(1) e - E(1) (e(u) - e)
 *
 * Its error is the root of the mean square of (low - x') / max(atol, rtol max(|low|, |low before|)).
 * Then f = 1 + atan(error^(-1/order) - 1); x' is taken if f >= 0.81, and h becomes f h either way. The
 * controller's proportional and derivative parts have factors of 0 in k-diffusion and are left out. A
 * step that is not taken keeps e, which k-diffusion asks for again.
 *
 * With eta a step ends below its level, as an ancestral one (sigma_space.h) but no lower than the run's
 * end, noise leads up to the level, and the controller's order is 1.5.
 *
 * It begins at the first level of the schedule and ends at its last but 0, where k-diffusion leaves
 * the sample; the number of steps says nothing else. diffusers has no such class.
 */
#include <math.h>

#include "core/memory.h"
#include "samplers/sigma_space.h"

#define MOST_EVALUATIONS 10000
#define LEAST_LENGTH     1e-6 /* of a step in t, of which f32 has no more places */
#define CLOSE            1e-5 /* in t, to the end */
#define LEAST_FACTOR     0.81 /* of a step that is taken */

/* What the tensors kept are. */
enum { START, SLOPE, LOW, LOW_BEFORE, N_KEPT };

typedef struct progress {
    double time;   /* of START */
    double length; /* h, as proposed */
    int stage;     /* of the step, from 0: what the answer that is due is for */
} progress;

/* The step that is under way. */
typedef struct target {
    double length;       /* of the solver's step, to below the level with eta */
    double time, solved; /* of the level and of where the solver ends: both the same without eta */
} target;

static double end_of(const sf_sampler *sampler) {
    return -log(sampler->sigmas[sampler->n_sigmas - 1]);
}

static target target_of(const sf_sampler *sampler) {
    const progress *now = sampler->memory;
    double end = end_of(sampler), from = exp(-now->time);
    target to = {.time = fmin(end, now->time + now->length)};
    double sigma = exp(-to.time), up = sampler->eta * sigma * sqrt(1 - pow(sigma / from, 2));
    to.solved = up > 0 ? fmin(end, -0.5 * log(sigma * sigma - up * up)) : to.time;
    to.length = to.solved - now->time;
    return to;
}

/* ---- begin ---- */

/* The levels are those asked for so far and, last, the end. */
static sf_status begin(sf_sampler *sampler) {
    int n = sampler->n_steps;
    double *timesteps, *sigmas;
    if (sampler->settings.solver_order < 2)
        SF_FAIL(sampler->ctx, ERROR_UNSUPPORTED, "solver_order: %d; 2 and 3 are possible",
                sampler->settings.solver_order);
    sampler->n_steps = n > 1 ? n : 2; /* one level has no length */
    SF_TRY(sf_sigma_begin(sampler));
    sampler->n_steps = n;
    if (!(sampler->sigmas[0] > sampler->sigmas[sampler->n_sigmas - 2]))
        SF_FAIL(sampler->ctx, ERROR_ARGUMENT, "the noise levels do not fall: %g to %g",
                sampler->sigmas[0], sampler->sigmas[sampler->n_sigmas - 2]);
    SF_TRY(sf_sigma_room(sampler, MOST_EVALUATIONS, MOST_EVALUATIONS + 1, &timesteps, &sigmas));
    timesteps[0] = sampler->timesteps[0];
    sigmas[0] = sampler->sigmas[0];
    sigmas[1] = sampler->sigmas[sampler->n_sigmas - 2];
    sf_sigma_replace(sampler, timesteps, 1, sigmas, 2);
    return SF_OK;
}

/* Those so far, and what is left at the present length. */
static int expected(const sf_sampler *sampler) {
    const progress *now = sampler->memory;
    int done = sampler->evaluation, order = sampler->settings.solver_order;
    bool runs = now && done > 0;
    if (runs && done >= sampler->n_timesteps)
        return done;
    double left = end_of(sampler) - (runs ? now->time : -log(sampler->sigmas[0]));
    double n_steps = ceil(left / (runs ? now->length : sampler->settings.h_init));
    double n = done - (runs ? now->stage : 0) + order * fmax(n_steps, 1);
    return n < MOST_EVALUATIONS ? (int)n : MOST_EVALUATIONS;
}

/* The model is to be asked at that time next. */
static sf_status ask(sf_sampler *sampler, int stage, double time) {
    progress *now = sampler->memory;
    int n = sampler->n_timesteps;
    double end = sampler->sigmas[n], *level = &sampler->sigmas[n];
    if (n == MOST_EVALUATIONS)
        SF_FAIL(sampler->ctx, ERROR_NUMERIC,
                "%d evaluations led to sigma %g, not yet to %g; a larger rtol needs fewer", n,
                exp(-now->time), end);
    now->stage = stage;
    level[0] = (double)(float)exp(-time);
    level[1] = end;
    SF_TRY(sf_sigma_timesteps(sampler->ctx, &sampler->alphas, 1, level, &sampler->timesteps[n]));
    sampler->n_timesteps = n + 1;
    sampler->n_sigmas = n + 2;
    return SF_OK;
}

/* ---- the solver ---- */

/* out = x - sigma (e^length - 1) e - factor difference, from the step's start to a level sigma */
static sf_status solve(sf_sampler *sampler, sf_device_tensor *out, double sigma, double length,
                       double factor, const sf_device_tensor *difference) {
    SF_TRY(sf_sampler_add_scaled(sampler, out, sampler->kept[START],
                                 (float)(-sigma * expm1(length)), sampler->kept[SLOPE]));
    return difference ? sf_sampler_add_scaled(sampler, out, out, (float)-factor, difference)
                      : SF_OK;
}

/* From a start whose slope is known to where the step asks next. */
static sf_status set_out(sf_sampler *sampler) {
    const progress *now = sampler->memory;
    double length = target_of(sampler).length / sampler->settings.solver_order;
    if (length < LEAST_LENGTH)
        SF_FAIL(sampler->ctx, ERROR_NUMERIC,
                "the model's answers change so much at sigma %g that no step is short enough",
                exp(-now->time));
    double time = now->time + length;
    SF_TRY(solve(sampler, sampler->work[SF_WORK_SAMPLE], exp(-time), length, 0, NULL));
    return ask(sampler, 1, time);
}

/* The second answer: LOW, and v or x'. */
static sf_status refine(sf_sampler *sampler, bool *complete) {
    const progress *now = sampler->memory;
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE], *e = sampler->work[SF_WORK_DENOISED];
    target to = target_of(sampler);
    double sigma = exp(-to.solved), rise = sigma * expm1(to.length), part = to.length * 2 / 3;
    double time = now->time + part, between = exp(-time);
    SF_TRY(sf_sampler_add_scaled(sampler, e, e, -1, sampler->kept[SLOPE]));
    *complete = sampler->settings.solver_order == 2;
    if (*complete) {
        SF_TRY(solve(sampler, sampler->kept[LOW], sigma, to.length, 0, NULL));
        return solve(sampler, x, sigma, to.length, rise, e);
    }
    SF_TRY(solve(sampler, sampler->kept[LOW], sigma, to.length, 1.5 * rise, e));
    SF_TRY(solve(sampler, x, between, part, 2 * between * (expm1(part) / part - 1), e));
    return ask(sampler, 2, time);
}

/* The third answer: x'. */
static sf_status finish(sf_sampler *sampler) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE], *e = sampler->work[SF_WORK_DENOISED];
    target to = target_of(sampler);
    double sigma = exp(-to.solved), factor = 1.5 * sigma * (expm1(to.length) / to.length - 1);
    SF_TRY(sf_sampler_add_scaled(sampler, e, e, -1, sampler->kept[SLOPE]));
    return solve(sampler, x, sigma, to.length, factor, e);
}

/* ---- the error ---- */

static sf_status positive_part(sf_sampler *sampler, sf_device_tensor *x) {
    return sf_sampler_apply(sampler, SF_OP_relu, NULL, x, x);
}

/* out = |x| = max(x, 0) + max(-x, 0) */
static sf_status absolute(sf_sampler *sampler, sf_device_tensor *out, sf_device_tensor *room,
                          const sf_device_tensor *x) {
    SF_TRY(sf_sampler_scale(sampler, out, 1, x));
    SF_TRY(sf_sampler_scale(sampler, room, -1, x));
    SF_TRY(positive_part(sampler, out));
    SF_TRY(positive_part(sampler, room));
    return sf_sampler_add_scaled(sampler, out, out, 1, room);
}

/* (low - x') / max(atol, rtol max(|low|, |low before|)), number by number; max(a, b) = a + max(b - a, 0) */
static sf_status divide_error(sf_sampler *sampler, sf_device_tensor *out) {
    const sf_scheduler_settings *settings = &sampler->settings;
    const sf_attributes least = {.range = {.low = (float)settings->atol, .high = INFINITY}};
    const sf_device_tensor *low = sampler->kept[LOW];
    sf_device_tensor *allowed = sampler->work[SF_WORK_OUTPUT];
    sf_device_tensor *before = sampler->work[SF_WORK_NOISE];
    SF_TRY(absolute(sampler, allowed, out, low));
    SF_TRY(absolute(sampler, before, out, sampler->kept[LOW_BEFORE]));
    SF_TRY(sf_sampler_add_scaled(sampler, before, before, -1, allowed));
    SF_TRY(positive_part(sampler, before));
    SF_TRY(sf_sampler_add_scaled(sampler, allowed, allowed, 1, before));
    SF_TRY(sf_sampler_scale(sampler, allowed, (float)settings->rtol, allowed));
    SF_TRY(sf_sampler_apply(sampler, SF_OP_clamp, &least, allowed, allowed));
    SF_TRY(sf_sampler_add_scaled(sampler, out, low, -1, sampler->work[SF_WORK_SAMPLE]));
    const sf_device_tensor *inputs[] = {out, allowed};
    return sf_eager_run(sampler->eager, SF_OP_divide, inputs, 2, NULL, out);
}

/*
 * The step's error as a part of what is allowed. The host must know it to say what comes next, so that
 * each step has one copy of the sample's size from the device, summed there in f64: then all backends
 * take the same steps.
 */
static sf_status measure(sf_sampler *sampler, double *error) {
    sf_device_tensor *parts = sampler->work[SF_WORK_VARIANCE];
    size_t n = (size_t)sf_spec_elements(&parts->spec);
    double sum = 0;
    sf_status status;
    SF_TRY(divide_error(sampler, parts));
    float *values = SF_NEW_ARRAY(sampler->ctx, float, n + 1);
    if (!values)
        return SF_ERROR_MEMORY;
    SF_TRY_OUT(sf_device_tensor_read(parts, values, n * sizeof *values));
    for (size_t i = 0; i < n; i++)
        sum += (double)values[i] * (double)values[i];
    *error = n ? sqrt(sum / (double)n) : 0;
    if (!isfinite(*error))
        SF_FAIL_OUT(sampler->ctx, ERROR_NUMERIC, "the model's answers lead to NaN or infinity");
out:
    sf_free(sampler->ctx, values);
    return status;
}

/* ---- the steps ---- */

/* x' becomes the start of the next step, or the end. */
static sf_status take(sf_sampler *sampler) {
    progress *now = sampler->memory;
    target to = target_of(sampler);
    double rest = exp(-2 * to.time) - exp(-2 * to.solved);
    sf_device_tensor *low = sampler->kept[LOW];
    sampler->kept[LOW] = sampler->kept[LOW_BEFORE];
    sampler->kept[LOW_BEFORE] = low;
    if (sampler->eta > 0)
        SF_TRY(sf_sigma_add_noise(sampler,
                                  (float)(sampler->settings.s_noise * sqrt(rest > 0 ? rest : 0))));
    now->time = to.time;
    return to.time < end_of(sampler) - CLOSE ? ask(sampler, 0, to.time) : SF_OK;
}

/* Takes the step or goes back to its start, and sets the length of the next. */
static sf_status judge(sf_sampler *sampler) {
    progress *now = sampler->memory;
    double error, order = sampler->eta > 0 ? 1.5 : sampler->settings.solver_order;
    SF_TRY(measure(sampler, &error));
    double factor = 1 + atan(pow(error + 1e-8, -1 / order) - 1);
    if (factor < LEAST_FACTOR) {
        now->length *= factor;
        return set_out(sampler);
    }
    SF_TRY(take(sampler));
    now->length *= factor;
    return SF_OK;
}

static sf_status begin_run(sf_sampler *sampler) {
    progress *now = sampler->memory;
    sampler->sigmas[1] = sampler->sigmas[sampler->n_sigmas - 1];
    sampler->n_timesteps = 1;
    sampler->n_sigmas = 2;
    *now = (progress){.time = -log(sampler->sigmas[0]), .length = sampler->settings.h_init};
    return sf_sampler_scale(sampler, sampler->kept[LOW_BEFORE], 1, sampler->work[SF_WORK_SAMPLE]);
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    const progress *now = sampler->memory;
    bool complete = true;
    if (evaluation == 0)
        SF_TRY(begin_run(sampler));
    SF_TRY(sf_sigma_derivative(sampler, (float)sampler->sigmas[evaluation], model_output));
    if (now->stage == 0) {
        SF_TRY(sf_sampler_scale(sampler, sampler->kept[START], 1, sampler->work[SF_WORK_SAMPLE]));
        SF_TRY(sf_sampler_scale(sampler, sampler->kept[SLOPE], 1, sampler->work[SF_WORK_DENOISED]));
        return set_out(sampler);
    }
    SF_TRY(now->stage == 1 ? refine(sampler, &complete) : finish(sampler));
    return complete ? judge(sampler) : SF_OK;
}

/* ---- the class ---- */

static void set_defaults(sf_scheduler_settings *settings) {
    sf_sigma_set_defaults(settings);
    settings->solver_order = 3;
}

/* Not what a file for another solver says. */
static void insist(sf_scheduler_settings *settings) {
    settings->solver_order = 3;
}

static const char *const aliases[] = {"k_dpm_adaptive", NULL};

const sf_sampler_class sf_sampler_dpm_adaptive = {
    .info =
        {
            .name = "dpm_adaptive",
            .title = "DPM adaptive",
            .class_name = "sample_dpm_adaptive",
            .description = "DPM-Solver-23 with steps as long as its error allows, however many",
            .order = 3,
            .evaluations_per_step = 3,
            .stochastic = 0,
            .least_steps = 1,
            .most_steps = 1000,
            .adaptive = 1,
        },
    .options = SF_SIGMA_OTHER_OPTIONS | SF_OPTION(solver_order) | SF_OPTION(s_noise) |
               SF_OPTION(rtol) | SF_OPTION(atol) | SF_OPTION(h_init),
    .choices = {[SF_OPTION_prediction_type] = SF_SIGMA_ALL_PREDICTIONS},
    .has_eta = true,
    .any_schedule = true,
    .n_kept = N_KEPT,
    .memory_bytes = sizeof(progress),
    .aliases = aliases,
    .insist = insist,
    .set_defaults = set_defaults,
    .begin = begin,
    .expected = expected,
    .input_scale = sf_sigma_input_scale,
    .step = step,
};

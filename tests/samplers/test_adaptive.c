/*
 * Methods whose steps follow from the model's answers: against k-diffusion on normally distributed data
 * (tests/oracle/make_adaptive_goldens.py), and what a caller is told while nobody knows how many steps
 * there will be.
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "core/rng.h"
#include "samplers/class.h"
#include "tests/support/failing.h"
#include "tests/support/sampling.h"
#include "tests/support/support.h"

Suite *suite_samplers_adaptive(void);

#define MEAN     0.7
#define VARIANCE 0.64

static sf_context *ctx;
static json_t *cases;

static void setup(void) {
    ctx = test_context();
    cases = json_load_file(test_data("samplers/adaptive.json"), 0, NULL);
    ck_assert_ptr_nonnull(cases);
}

static void teardown(void) {
    json_decref(cases);
    test_context_free(ctx);
}

struct answers {
    sf_rng noise;
    double at_start;  /* of the first element, in deviations of the data at its level */
    double last;      /* sigma */
    int counts[4096]; /* that were told */
    bool told_too_few;
};

/* The clean sample that is expected; the answer of prediction_type sample. */
static void model(void *user, const sf_sampler *sampler, const sf_evaluation *evaluation,
                  const float *model_input, float *m) {
    struct answers *answers = user;
    double sigma = sampler->sigmas[evaluation->index], square = sigma * sigma;
    for (int i = 0; i < SAMPLING_SIZE; i++) {
        double x = (double)model_input[i] / evaluation->input_scale;
        m[i] = (float)(MEAN + VARIANCE / (VARIANCE + square) * (x - MEAN));
        if (i == 0 && evaluation->index == 0)
            answers->at_start = (x - MEAN) / sqrt(VARIANCE + square);
    }
    answers->last = sf_sampler_sigma(sampler, sf_sampler_n_sigmas(sampler) - 1);
    answers->told_too_few |= evaluation->count <= evaluation->index;
    answers->counts[evaluation->index] = evaluation->count;
}

static void draw(void *user, int n, float *noise) {
    struct answers *answers = user;
    (void)n;
    sf_rng_normal(&answers->noise, noise, SAMPLING_SIZE);
}

/* Runs a configuration on the noise of seed 3. */
static sf_status run_config(const char *json, double eta, struct answers *answers, float *sample,
                            int *n_evaluations) {
    float noise[SAMPLING_SIZE];
    struct sampling run = {
        .ctx = ctx,
        .config = json,
        .options = {.eta = eta, .n_steps = 20},
        .model = model,
        .noise = draw,
        .user = answers,
    };
    sf_rng rng;
    *answers = (struct answers){.at_start = 0};
    sf_rng_seed(&rng, SF_RNG_TORCH, 3);
    sf_rng_seed(&answers->noise, SF_RNG_TORCH, 4);
    sf_rng_normal(&rng, noise, SAMPLING_SIZE);
    sf_status status = sampling_run(&run, noise, sample);
    *n_evaluations = run.n_evaluations;
    return status;
}

/* ---- k-diffusion ---- */

START_TEST(runs_are_k_diffusions) {
    ck_assert_uint_eq(json_array_size(cases), 9);
    const json_t *entry = json_array_get(cases, (size_t)_i);
    const json_t *config = json_object_get(entry, "config"), *order;
    double eta = json_number_value(json_object_get(entry, "eta"));
    int taken = (int)json_integer_value(json_object_get(entry, "taken"));
    int refused = (int)json_integer_value(json_object_get(entry, "refused")), n_evaluations;
    float sample[SAMPLING_SIZE];
    struct answers answers;
    char *json = json_dumps(config, 0);
    ck_ok(ctx, run_config(json, eta, &answers, sample, &n_evaluations));
    order = json_object_get(config, "solver_order");
    int of_step = order ? (int)json_integer_value(order) : 3;
    /* The error of a short step of order 3 is a small difference of large numbers, whose rounding
     * shows in the next lengths: k-diffusion in f32 is 4e-4 off. */
    double allowed = of_step == 2 ? 1e-5 : 5e-4;
    /* a step that is refused has asked for all but the first */
    ck_assert_int_eq(n_evaluations, of_step * taken + (of_step - 1) * refused);
    for (int i = 0; i < SAMPLING_SIZE; i++) {
        double wanted =
            json_number_value(json_array_get(json_object_get(entry, "sample"), (size_t)i));
        ck_assert_msg(fabs((double)sample[i] - wanted) < allowed, "%s, %d: %.9g, not %.9g", json, i,
                      (double)sample[i], wanted);
    }
    free(json);
}
END_TEST

/* ---- the error that is allowed ---- */

#define CONFIG(options)                                                                            \
    "{\"_class_name\": \"sample_dpm_adaptive\", \"prediction_type\": \"sample\"" options "}"

/* A hundredth of what is allowed asks for more steps and leads to a smaller error. */
START_TEST(tolerance_is_kept) {
    static const char *const configs[] = {
        CONFIG(", \"rtol\": 0.05, \"atol\": 0.01"),
        CONFIG(", \"rtol\": 0.0005, \"atol\": 0.0001"),
        CONFIG(", \"rtol\": 0.05, \"atol\": 0.01, \"solver_order\": 2"),
        CONFIG(", \"rtol\": 0.0005, \"atol\": 0.0001, \"solver_order\": 2"),
    };
    double errors[4];
    int n_evaluations[4];
    for (int k = 0; k < 4; k++) {
        struct answers answers;
        float sample[SAMPLING_SIZE];
        ck_ok(ctx, run_config(configs[k], 0, &answers, sample, &n_evaluations[k]));
        /* paths of the flow keep their deviations */
        errors[k] = fabs((double)sample[0] - MEAN -
                         answers.at_start * sqrt(VARIANCE + answers.last * answers.last));
    }
    for (int k = 0; k < 4; k += 2) {
        ck_assert_msg(errors[k] < 0.05, "%g off", errors[k]);
        ck_assert_msg(errors[k + 1] < errors[k] / 10, "%g, and %g with a hundredth", errors[k],
                      errors[k + 1]);
        ck_assert_int_gt(n_evaluations[k + 1], n_evaluations[k]);
    }
    ck_assert_int_gt(2 * n_evaluations[3], 3 * n_evaluations[1]); /* the order pays */
}
END_TEST

/* ---- what is told ---- */

START_TEST(the_number_of_evaluations_is_guessed) {
    float sample[SAMPLING_SIZE];
    struct answers answers;
    int n;
    ck_ok(ctx, run_config(CONFIG(""), 0, &answers, sample, &n));
    ck_assert(!answers.told_too_few);
    ck_assert_int_gt(answers.counts[0], n); /* h_init is short */
    ck_assert_int_eq(answers.counts[n - 1], n);
    ck_assert_int_le(abs(answers.counts[n / 2] - n), n);
}
END_TEST

START_TEST(only_adaptive_methods_guess) {
    int n, n_adaptive = 0;
    const sf_sampler_info *const *list = sf_sampler_list(&n);
    for (int i = 0; i < n; i++) {
        const sf_sampler_class *class = sf_sampler_class_find(list[i]->name);
        ck_assert_msg(list[i]->adaptive == (class->expected != NULL), "%s", list[i]->name);
        n_adaptive += list[i]->adaptive;
    }
    ck_assert_int_ge(n_adaptive, 1);
}
END_TEST

/* ---- answers that lead nowhere ---- */

static void not_a_number(void *user, const sf_sampler *sampler, const sf_evaluation *evaluation,
                         const float *model_input, float *m) {
    (void)user, (void)sampler, (void)model_input;
    for (int i = 0; i < SAMPLING_SIZE; i++)
        m[i] = evaluation->index == 4 ? NAN : 0;
}

/* Another answer whenever it is asked. */
static void restless(void *user, const sf_sampler *sampler, const sf_evaluation *evaluation,
                     const float *model_input, float *m) {
    const float *size = user;
    (void)sampler, (void)model_input;
    for (int i = 0; i < SAMPLING_SIZE; i++)
        m[i] = evaluation->index % 2 ? -*size : *size;
}

static sf_status run_model(const char *json,
                           void (*answer)(void *user, const sf_sampler *sampler,
                                          const sf_evaluation *evaluation, const float *model_input,
                                          float *m),
                           float size) {
    struct sampling run = {.ctx = ctx,
                           .config = json,
                           .options = {.eta = -1, .n_steps = 20},
                           .model = answer,
                           .user = &size};
    float noise[SAMPLING_SIZE] = {1}, sample[SAMPLING_SIZE];
    return sampling_run(&run, noise, sample);
}

/* NaN; steps that would have to be shorter than numbers allow; steps that would be too many. */
START_TEST(it_ends_whatever_the_answers) {
    ck_fails(ctx, run_model(CONFIG(""), not_a_number, 0), SF_ERROR_NUMERIC, "NaN");
    ck_fails(ctx, run_model(CONFIG(""), restless, 1e7f), SF_ERROR_NUMERIC,
             "no step is short enough");
    ck_fails(ctx, run_model(CONFIG(""), restless, 30), SF_ERROR_NUMERIC,
             "10000 evaluations led to sigma");
}
END_TEST

static const struct {
    const char *config, *part;
    sf_status status;
} refused[] = {
    {CONFIG(", \"solver_order\": 1"), "solver_order: 1; 2 and 3", SF_ERROR_UNSUPPORTED},
    {CONFIG(", \"rtol\": 0"), "rtol", SF_ERROR_FORMAT},
    {CONFIG(", \"h_init\": -1"), "h_init", SF_ERROR_FORMAT},
};

START_TEST(options_are_checked) {
    ck_fails(ctx, run_model(refused[_i].config, NULL, 0), refused[_i].status, refused[_i].part);
}
END_TEST

/* ---- failing allocations ---- */

START_TEST(failing_allocations_leave_nothing) {
    struct failing_allocator allocator = {0};
    sf_context *own = failing_context(&allocator), *other = ctx;
    ck_ok(own, sf_context_open_backend(own));
    long live = allocator.live, n = 0;
    ctx = own;
    for (bool met = true; met;) {
        allocator.calls = 0;
        allocator.fail_at = ++n;
        sf_status status = run_model(CONFIG(""), NULL, 0);
        met = allocator.calls >= n;
        ck_assert_msg(status == (met ? SF_ERROR_MEMORY : SF_OK), "allocation %ld: %d, %s", n,
                      (int)status, sf_error_message(own));
        ck_assert_msg(allocator.live == live, "allocation %ld: %ld blocks are left", n,
                      allocator.live - live);
    }
    ctx = other;
    ck_assert_int_gt(n, 50);
    sf_context_free(own);
}
END_TEST

Suite *suite_samplers_adaptive(void) {
    Suite *suite = suite_create("samplers_adaptive");
    TCase *tcase = tcase_create("adaptive");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, runs_are_k_diffusions, 0, 9);
    tcase_add_test(tcase, tolerance_is_kept);
    tcase_add_test(tcase, the_number_of_evaluations_is_guessed);
    tcase_add_test(tcase, only_adaptive_methods_guess);
    tcase_add_test(tcase, it_ends_whatever_the_answers);
    tcase_add_test(tcase, failing_allocations_leave_nothing);
    tcase_add_loop_test(tcase, options_are_checked, 0, (int)(sizeof refused / sizeof *refused));
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return suite;
}

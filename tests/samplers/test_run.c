/*
 * Samplers at work: properties that hold whatever diffusers says, the loop, what is refused, and
 * failing allocations.
 */
#include <math.h>
#include <stdio.h>

#include "core/tensor.h"
#include "samplers/class.h"
#include "tests/support/failing.h"
#include "tests/support/sampling.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_samplers_run(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}
static void teardown(void) {
    test_context_free(ctx);
}

static void random_noise(void *user, int draw, float *noise) {
    (void)user;
    sampling_random(1000 + (unsigned)draw, noise);
}

static void random_model(void *user, const sf_sampler *sampler, const sf_evaluation *evaluation,
                         const float *model_input, float *m) {
    (void)user;
    (void)sampler;
    (void)model_input;
    sampling_random(2000 + (unsigned)evaluation->index, m);
}

/* ---- properties ---- */

/*
 * A model that knows the clean sample x_0: it answers with the noise (or velocity) that leads from
 * x_0 to where the sample is. Any sampler with any prediction type must then end at x_0.
 */
static void perfect_model(void *user, const sf_sampler *sampler, const sf_evaluation *evaluation,
                          const float *model_input, float *m) {
    const float *clean = user;
    for (int i = 0; i < SAMPLING_SIZE; i++)
        m[i] =
            (float)sampling_answer(sampler, evaluation, (double)model_input[i], (double)clean[i]);
}

static const char *const samplers[] = {"ddim", "ddpm", "euler"};
static const struct {
    const char *sampler, *options;
    double eta;
} perfect[] = {
    {"ddim", "", 0.5},
    {"ddpm", "", -1},
    {"euler", "", -1},
    {"lcm", "", -1},
    {"tcd", ", \"beta_start\": 1e-10", 0.3}, /* it ends at timestep 0, not before it */
    {"cm", ", \"clip_denoised\": false", -1},
    {"flow_euler", ", \"shift\": 3", -1},
    {"flow_euler", ", \"stochastic_sampling\": true", -1},
    {"flow_heun", "", -1},
    {"flow_lcm", "", -1},
    {"rectified_flow", "", -1},
};

#define N_PERFECT (int)(sizeof perfect / sizeof *perfect)
static const char *const predictions[] = {"epsilon", "sample", "v_prediction"};

START_TEST(a_perfect_model_leads_to_the_clean_sample) {
    char json[256];
    float clean[SAMPLING_SIZE], noise[SAMPLING_SIZE], sample[SAMPLING_SIZE];
    struct sampling run = {
        .ctx = ctx,
        .config = json,
        .options = {.sampler = perfect[_i / 3].sampler, .eta = perfect[_i / 3].eta, .n_steps = 10},
        .model = perfect_model,
        .noise = random_noise,
        .user = clean,
    };
    snprintf(json, sizeof json, "{\"prediction_type\": \"%s\", \"clip_sample\": false%s}",
             predictions[_i % 3], perfect[_i / 3].options);
    sampling_random(1, clean);
    sampling_random(2, noise);
    ck_ok(ctx, sampling_run(&run, noise, sample));
    ck_assert_int_eq(run.n_evaluations, strcmp(perfect[_i / 3].sampler, "flow_heun") ? 10 : 19);
    for (int i = 0; i < SAMPLING_SIZE; i++)
        /* sigma begins at 157: errors of its last place are 1e-5 */
        ck_assert_msg(fabsf(sample[i] - clean[i]) < 1e-4f, "%s, %s, %d: %g, not %g",
                      perfect[_i / 3].sampler, predictions[_i % 3], i, (double)sample[i],
                      (double)clean[i]);
}
END_TEST

/*
 * DDIM with eta 1 that visits every timestep is DDPM with the posterior variance: Song et al. 2021,
 * section 4.1. So from the same answers and noise both draw the same sample.
 */
START_TEST(ddim_with_eta_1_is_ddpm) {
    float noise[SAMPLING_SIZE], samples[2][SAMPLING_SIZE];
    sampling_random(3, noise);
    for (int i = 0; i < 2; i++) {
        struct sampling run = {
            .ctx = ctx,
            .config = "{\"num_train_timesteps\": 40, \"beta_end\": 0.2, \"clip_sample\": false}",
            .options = {.sampler = samplers[i], .eta = i == 0 ? 1 : -1, .n_steps = 40},
            .model = random_model,
            .noise = random_noise,
        };
        ck_ok(ctx, sampling_run(&run, noise, samples[i]));
        ck_assert_int_eq(run.n_draws, i == 0 ? 40 : 39);
    }
    for (int i = 0; i < SAMPLING_SIZE; i++)
        ck_assert_float_eq_tol(samples[0][i], samples[1][i], 1e-4f);
}
END_TEST

/*
 * DDPM's deviation from the mean for unit step noise, over one step from t = T - 1 of all T: the
 * posterior variance and beta of the linear schedule, computed in f64 from eq. 7 of Ho et al. 2020.
 */
static void unit_noise(void *user, int draw, float *noise) {
    for (int i = 0; draw == 0 && i < SAMPLING_SIZE; i++)
        noise[i] = *(const float *)user;
}

static void keep_first(void *user, const sf_evaluation *evaluation, const float *sample) {
    if (evaluation->index == 0)
        ((float *)user)[1] = sample[0];
}

START_TEST(ddpm_has_the_posterior_variance) {
    static const struct {
        const char *type;
        double variance;
    } known[] = {{"fixed_small", 0.0199999835}, {"fixed_large", 0.02}};
    char json[128];
    float noise[SAMPLING_SIZE] = {0}, sample[SAMPLING_SIZE], state[2], first[2];
    snprintf(json, sizeof json, "{\"clip_sample\": false, \"variance_type\": \"%s\"}",
             known[_i].type);
    for (int k = 0; k < 2; k++) {
        struct sampling run = {
            .ctx = ctx,
            .config = json,
            .options = {.sampler = "ddpm", .eta = -1, .n_steps = 1000},
            .noise = unit_noise,
            .after = keep_first,
            .user = state,
        };
        state[0] = (float)k;
        ck_ok(ctx, sampling_run(&run, noise, sample));
        first[k] = state[1];
    }
    double deviation = (double)(first[1] - first[0]);
    ck_assert_double_eq_tol(deviation * deviation, known[_i].variance, 1e-7);
}
END_TEST

START_TEST(noise_is_drawn_as_often_as_in_diffusers) {
    static const struct {
        const char *sampler, *json;
        double eta;
        int n_draws;
    } known[] = {
        {"ddim", "{}", -1, 0},
        {"ddim", "{}", 0, 0},
        {"ddim", "{}", 0.1, 5},
        {"ddpm", "{}", -1, 4}, /* none at timestep 0 */
        {"ddpm", "{\"steps_offset\": 1}", -1, 5},
        {"ddpm", "{\"timestep_spacing\": \"trailing\"}", 0, 5},
        {"euler", "{}", -1, 0},
        {"lcm", "{}", -1, 4}, /* none in the last step */
        {"tcd", "{}", -1, 4},
        {"tcd", "{}", 0, 0},
        {"cm", "{}", -1, 5},
        {"flow_euler", "{}", -1, 0},
        {"flow_euler", "{\"stochastic_sampling\": true}", -1, 5},
        {"flow_heun", "{}", -1, 0},
        {"flow_lcm", "{}", -1, 5},
    };
    float noise[SAMPLING_SIZE], sample[SAMPLING_SIZE];
    struct sampling run = {
        .ctx = ctx,
        .config = known[_i].json,
        .options = {.sampler = known[_i].sampler, .eta = known[_i].eta, .n_steps = 5},
        .noise = random_noise,
    };
    sampling_random(4, noise);
    ck_ok(ctx, sampling_run(&run, noise, sample));
    ck_assert_int_eq(run.n_draws, known[_i].n_draws);
}
END_TEST

/* A start at an infinite noise-to-signal ratio with an epsilon model: infinite, as in diffusers, but
 * finite where it is clipped. */
START_TEST(zero_signal_is_clipped) {
    float noise[SAMPLING_SIZE], sample[SAMPLING_SIZE];
    struct sampling run = {
        .ctx = ctx,
        .config = "{\"rescale_betas_zero_snr\": true, \"timestep_spacing\": \"trailing\"}",
        .options = {.sampler = "ddim", .eta = -1, .n_steps = 3},
        .model = random_model,
    };
    sampling_random(5, noise);
    ck_ok(ctx, sampling_run(&run, noise, sample));
    for (int i = 0; i < SAMPLING_SIZE; i++)
        ck_assert(fabsf(sample[i]) <= 1);
    run.config = "{\"rescale_betas_zero_snr\": true, \"timestep_spacing\": \"trailing\","
                 " \"clip_sample\": false}";
    ck_ok(ctx, sampling_run(&run, noise, sample));
    ck_assert(!isfinite(sample[0]));
}
END_TEST

/* ---- the list ---- */

#define SF_SAMPLER(name) +1
static const int n_listed = 0
#include "samplers/samplers.def"
    ;
#undef SF_SAMPLER

START_TEST(the_list_is_complete) {
    int n;
    const sf_sampler_info *const *list = sf_sampler_list(&n);
    ck_assert_int_eq(n, n_listed);
    for (int i = 0; i < n; i++) {
        ck_assert(*list[i]->title && *list[i]->description && list[i]->order > 0);
        ck_assert(list[i]->evaluations_per_step > 0);
        ck_assert_ptr_eq(&sf_sampler_class_find(list[i]->name)->info, list[i]);
        ck_assert_str_eq(sf_sampler_class_find(list[i]->class_name)->info.class_name,
                         list[i]->class_name);
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(list[k]->name, list[i]->name);
    }
}
END_TEST

/* ---- the loop ---- */

static int cancel_at_2(void *user, const sf_progress *progress) {
    int *reports = user;
    ck_assert_str_eq(progress->stage, "sample");
    ck_assert_int_eq(progress->step, *reports);
    ck_assert_int_eq(progress->n_steps, 5);
    ck_assert(progress->seconds >= 0);
    return ++*reports > 2;
}

START_TEST(progress_can_cancel) {
    int reports = 0;
    float noise[SAMPLING_SIZE], sample[SAMPLING_SIZE] = {7};
    sf_context_options options;
    sf_context *own;
    sf_context_options_init(&options);
    options.progress = cancel_at_2;
    options.user = &reports;
    ck_assert_int_eq(sf_context_new(&options, &own), SF_OK);
    struct sampling run = {
        .ctx = own, .config = "{}", .options = {.sampler = "euler", .eta = -1, .n_steps = 5}};
    sampling_random(6, noise);
    ck_assert_int_eq(sampling_run(&run, noise, sample), SF_ERROR_CANCELLED);
    ck_assert_int_eq(run.n_evaluations, 2);
    ck_assert(sample[0] == 7);
    sf_context_free(own);
}
END_TEST

START_TEST(a_run_can_be_repeated) {
    float noise[SAMPLING_SIZE], samples[2][SAMPLING_SIZE];
    sampling_random(8, noise);
    for (int i = 0; i < 2; i++) {
        struct sampling run = {.ctx = ctx,
                               .config = "{}",
                               .options = {.sampler = "ddpm", .eta = -1, .n_steps = 5},
                               .model = random_model,
                               .noise = random_noise};
        ck_ok(ctx, sampling_run(&run, noise, samples[i]));
    }
    ck_assert_mem_eq(samples[0], samples[1], sizeof samples[0]);
}
END_TEST

/* ---- replay ---- */

static void write_config(const char *json) {
    scratch_write("scheduler_config.json", json, strlen(json));
}

static sf_tensors *new_set(void) {
    sf_tensors *set;
    ck_ok(ctx, sf_tensors_new(ctx, &set));
    return set;
}

static sf_status add(sf_context *own, sf_tensors *set, const char *name, sf_dtype dtype, int n_dims,
                     const int64_t *dims) {
    sf_tensor *tensor;
    SF_TRY(sf_tensor_new(own, dtype, n_dims, dims, &tensor));
    if (dtype == SF_F32)
        for (int64_t i = 0; i < sf_tensor_n_elements(tensor); i++)
            ((float *)sf_tensor_data(tensor))[i] = (float)(i % 7) - 3;
    return sf_tensors_add(set, name, tensor);
}

static sf_status replay(sf_context *own, const sf_tensors *set, int steps, sf_tensors **outputs) {
    sf_replay_options options;
    sf_replay_options_init(&options);
    options.config = scratch("scheduler_config.json");
    options.steps = steps;
    return sf_sampler_replay(own, &options, set, outputs);
}

#define DIMS(...)                                                                                  \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) {                       \
        __VA_ARGS__                                                                                \
    }

#define DDPM  "{\"_class_name\": \"DDPMScheduler\""
#define EULER "{\"_class_name\": \"EulerDiscreteScheduler\"}"

static const struct {
    const char *config, *part, *also; /* of the message */
    sf_status status;
    sf_dtype dtype;
    int n_dims;
    int64_t dims[SF_MAX_DIMS]; /* of model_output.1; n_dims < 0: it is missing */
} bad_inputs[] = {
    {EULER, "\"model_output.1\"", "2 times", SF_ERROR_NOT_FOUND, SF_F32, -1, {0}},
    {EULER,
     "\"model_output.1\" is f32 [1, 4, 3]",
     "f32 [1, 4, 2]",
     SF_ERROR_SHAPE,
     SF_F32,
     3,
     {1, 4, 3}},
    {EULER, "\"model_output.1\" is f16", "f32 [1, 4, 2]", SF_ERROR_SHAPE, SF_F16, 3, {1, 4, 2}},
    {EULER, "\"model_output.1\" is f32 [8]", "f32 [1, 4, 2]", SF_ERROR_SHAPE, SF_F32, 1, {8}},
    {DDPM "}", "\"step_noise.0\"", "ddpm", SF_ERROR_NOT_FOUND, SF_F32, 3, {1, 4, 2}},
    {DDPM ", \"variance_type\": \"learned\"}",
     "\"model_output.0\"",
     "f32 [1, 8, 2]",
     SF_ERROR_SHAPE,
     SF_F32,
     3,
     {1, 4, 2}},
};

START_TEST(a_bad_input_is_refused) {
    sf_tensors *set = new_set(), *outputs = NULL;
    scratch_setup();
    write_config(bad_inputs[_i].config);
    ck_ok(ctx, add(ctx, set, "noise", SF_F32, DIMS(1, 4, 2)));
    ck_ok(ctx, add(ctx, set, "model_output.0", SF_F32, DIMS(1, 4, 2)));
    if (bad_inputs[_i].n_dims >= 0)
        ck_ok(ctx, add(ctx, set, "model_output.1", bad_inputs[_i].dtype, bad_inputs[_i].n_dims,
                       bad_inputs[_i].dims));
    ck_fails(ctx, replay(ctx, set, 2, &outputs), bad_inputs[_i].status, bad_inputs[_i].part);
    ck_assert_msg(strstr(sf_error_message(ctx), bad_inputs[_i].also), "%s", sf_error_message(ctx));
    ck_assert_ptr_null(outputs);
    sf_tensors_free(set);
    scratch_teardown();
}
END_TEST

START_TEST(bad_noise_is_refused) {
    sf_tensors *set = new_set(), *outputs = NULL;
    scratch_setup();
    write_config("{\"_class_name\": \"DDPMScheduler\", \"variance_type\": \"learned\"}");
    ck_fails(ctx, replay(ctx, set, 2, &outputs), SF_ERROR_NOT_FOUND, "\"noise\"");
    ck_ok(ctx, add(ctx, set, "noise", SF_F32, DIMS(4)));
    ck_fails(ctx, replay(ctx, set, 2, &outputs), SF_ERROR_SHAPE, "channels on axis 1");
    sf_tensors_free(set);
    set = new_set();
    ck_ok(ctx, add(ctx, set, "noise", SF_I64, DIMS(4)));
    ck_fails(ctx, replay(ctx, set, 2, &outputs), SF_ERROR_SHAPE, "i64 [4]");
    sf_tensors_free(set);
    set = new_set();
    ck_ok(ctx, add(ctx, set, "noise", SF_F32, 0, NULL));
    ck_fails(ctx, replay(ctx, set, 2, &outputs), SF_ERROR_SHAPE, "1 to 5 dimensions");
    sf_tensors_free(set);
    scratch_teardown();
}
END_TEST

/* Ranks 1 to 5, one element, none. */
START_TEST(any_shape_is_replayed) {
    static const struct {
        int n_dims;
        int64_t dims[SF_MAX_DIMS];
    } shapes[] = {{1, {7}},          {2, {2, 3}},          {3, {1, 4, 2}},
                  {4, {2, 1, 3, 5}}, {5, {1, 2, 3, 2, 2}}, {1, {1}},
                  {4, {0, 4, 2, 2}}, {2, {3, 0}}};
    static const char *const configs[] = {
        "{\"_class_name\": \"DDIMScheduler\", \"thresholding\": true}",
        "{\"_class_name\": \"DDPMScheduler\"}",
        "{\"_class_name\": \"EulerDiscreteScheduler\", \"prediction_type\": \"v_prediction\"}",
        "{\"_class_name\": \"DPMSolverMultistepScheduler\", \"thresholding\": true}",
    };
    scratch_setup();
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        sf_tensors *set = new_set(), *outputs;
        static const char *const names[] = {"noise", "model_output.0", "model_output.1",
                                            "step_noise.0"};
        for (int k = 0; k < 4; k++)
            ck_ok(ctx, add(ctx, set, names[k], SF_F32, shapes[i].n_dims, shapes[i].dims));
        for (int c = 0; c < 4; c++) {
            write_config(configs[c]);
            ck_ok(ctx, replay(ctx, set, 2, &outputs));
            ck_assert_int_eq(sf_tensors_count(outputs), c >= 2 ? 6 : 5);
            const sf_tensor *sample = sf_tensors_find(outputs, "sample.1");
            ck_assert_int_eq(sample->n_dims, shapes[i].n_dims);
            for (int64_t e = 0; e < sf_tensor_n_elements(sample); e++)
                ck_assert(isfinite(((const float *)sample->data)[e]));
            sf_tensors_free(outputs);
        }
        sf_tensors_free(set);
    }
    scratch_teardown();
}
END_TEST

/* ---- failing allocations ---- */

static sf_status replay_all(sf_context *own, const sf_tensors *set) {
    sf_tensors *outputs = NULL;
    sf_status status = replay(own, set, 2, &outputs);
    sf_tensors_free(outputs);
    return status;
}

START_TEST(failing_allocations_leave_nothing) {
    static const char *const configs[] = {
        "{\"_class_name\": \"DDIMScheduler\", \"thresholding\": true}",
        "{\"_class_name\": \"DDPMScheduler\", \"variance_type\": \"learned_range\","
        " \"rescale_betas_zero_snr\": true, \"trained_betas\": [0.1, 0.2, 0.3, 0.4],"
        " \"num_train_timesteps\": 4}",
        "{\"_class_name\": \"EulerDiscreteScheduler\", \"use_beta_sigmas\": true}",
        "{\"_class_name\": \"LCMScheduler\"}",
        "{\"_class_name\": \"CMStochasticIterativeScheduler\"}",
        "{\"_class_name\": \"FlowMatchHeunDiscreteScheduler\"}",
        "{\"_class_name\": \"DPMSolverMultistepScheduler\", \"use_lu_lambdas\": true}",
    };
    struct failing_allocator allocator = {0};
    int64_t channels = _i == 1 ? 4 : 2;
    scratch_setup();
    write_config(configs[_i]);
    sf_tensors *set = new_set();
    ck_ok(ctx, add(ctx, set, "noise", SF_F32, DIMS(1, 2, 3)));
    ck_ok(ctx, add(ctx, set, "step_noise.0", SF_F32, DIMS(1, 2, 3)));
    ck_ok(ctx, add(ctx, set, "model_output.0", SF_F32, DIMS(1, channels, 3)));
    ck_ok(ctx, add(ctx, set, "model_output.1", SF_F32, DIMS(1, channels, 3)));
    ck_ok(ctx, add(ctx, set, "model_output.2", SF_F32, DIMS(1, channels, 3)));
    ck_ok(ctx, add(ctx, set, "step_noise.1", SF_F32, DIMS(1, 2, 3)));
    sf_context *own = failing_context(&allocator);
    ck_ok(own, sf_context_open_backend(own));
    long live = allocator.live, n = 0;
    for (bool met = true; met;) {
        allocator.calls = 0;
        allocator.fail_at = ++n;
        sf_status status = replay_all(own, set);
        met = allocator.calls >= n;
        ck_assert_msg(status == (met ? SF_ERROR_MEMORY : SF_OK), "allocation %ld: %d, %s", n,
                      (int)status, sf_error_message(own));
        ck_assert_msg(allocator.live == live, "allocation %ld: %ld blocks are left", n,
                      allocator.live - live);
    }
    ck_assert_int_gt(n, 50);
    sf_context_free(own);
    sf_tensors_free(set);
    scratch_teardown();
}
END_TEST

Suite *suite_samplers_run(void) {
    Suite *suite = suite_create("samplers_run");
    TCase *properties = tcase_create("properties"), *use = tcase_create("use");
    tcase_add_checked_fixture(properties, setup, teardown);
    tcase_add_checked_fixture(use, setup, teardown);
    tcase_add_loop_test(properties, a_perfect_model_leads_to_the_clean_sample, 0, 3 * N_PERFECT);
    tcase_add_test(properties, ddim_with_eta_1_is_ddpm);
    tcase_add_loop_test(properties, ddpm_has_the_posterior_variance, 0, 2);
    tcase_add_loop_test(properties, noise_is_drawn_as_often_as_in_diffusers, 0, 15);
    tcase_add_test(properties, zero_signal_is_clipped);
    tcase_add_test(use, the_list_is_complete);
    tcase_add_test(use, progress_can_cancel);
    tcase_add_test(use, a_run_can_be_repeated);
    tcase_add_loop_test(use, a_bad_input_is_refused, 0,
                        (int)(sizeof bad_inputs / sizeof bad_inputs[0]));
    tcase_add_test(use, bad_noise_is_refused);
    tcase_add_test(use, any_shape_is_replayed);
    tcase_add_loop_test(use, failing_allocations_leave_nothing, 0, 7);
    suite_add_tcase(suite, properties);
    suite_add_tcase(suite, use);
    return suite;
}

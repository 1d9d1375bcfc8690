/*
 * scheduler_config.json: defaults by class, partial and odd files, and what each bad value is told.
 */
#include <math.h>
#include <stdio.h>

#include "core/memory.h"
#include "samplers/class.h"
#include "tests/support/sampling.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_samplers_config(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

static sf_status make(const char *json, const char *name, const char *schedule, double eta,
                      int n_steps) {
    const sf_sampler_options options = {
        .sampler = name, .schedule = schedule, .eta = eta, .n_steps = n_steps};
    sf_sampler *sampler = NULL;
    sf_status status = sampling_new(ctx, json, &options, &sampler);
    sf_sampler_free(sampler);
    return status;
}

static sf_scheduler_settings read_as(const sf_sampler_class *class, const char *json) {
    sf_scheduler_config config = {0};
    sf_scheduler_settings settings;
    ck_ok(ctx, sf_scheduler_config_parse(ctx, "test.json", json, strlen(json), &config));
    ck_ok(ctx, sf_scheduler_settings_read(ctx, &config, class, &settings));
    sf_scheduler_config_clear(&config);
    return settings;
}

/* ---- what loads ---- */

START_TEST(defaults_are_the_classs) {
    sf_scheduler_settings ddim = read_as(&sf_sampler_ddim, "{}");
    sf_scheduler_settings euler = read_as(&sf_sampler_euler, "{}");
    ck_assert_int_eq(ddim.num_train_timesteps, 1000);
    ck_assert(ddim.beta_start == 0.0001 && ddim.beta_end == 0.02);
    ck_assert_int_eq(ddim.beta_schedule, SF_BETA_linear);
    ck_assert_int_eq(ddim.timestep_spacing, SF_SPACING_leading);
    ck_assert(ddim.clip_sample && ddim.set_alpha_to_one && !ddim.thresholding);
    ck_assert(ddim.dynamic_thresholding_ratio == 0.995);
    ck_assert_int_eq(euler.timestep_spacing, SF_SPACING_linspace);
    ck_assert(isnan(euler.sigma_min) && isnan(euler.sigma_max));
    ck_assert_int_eq(euler.final_sigmas_type, SF_FINAL_zero);
}
END_TEST

/* None is false in Python, and otherwise means the default. */
START_TEST(null_is_the_default_or_false) {
    sf_scheduler_settings settings = read_as(
        &sf_sampler_ddim, "{\"clip_sample\": null, \"set_alpha_to_one\": null, \"beta_end\": null,"
                          " \"beta_schedule\": null, \"trained_betas\": null}");
    ck_assert(!settings.clip_sample && !settings.set_alpha_to_one);
    ck_assert(settings.beta_end == 0.02 && settings.beta_schedule == SF_BETA_linear);
    ck_assert_ptr_null(settings.trained_betas.values);
}
END_TEST

START_TEST(a_class_reads_only_its_own_options) {
    const char *json =
        "{\"use_karras_sigmas\": true, \"interpolation_type\": \"nonsense\","
        " \"lambda_min_clipped\": -Infinity, \"solver_order\": 2, \"x\": {\"y\": []}}";
    sf_scheduler_settings settings = read_as(&sf_sampler_ddim, json);
    ck_assert(!settings.use_karras_sigmas);
    ck_assert_int_eq(settings.interpolation_type, SF_INTERPOLATION_linear);
}
END_TEST

START_TEST(names_find_their_class) {
    static const struct {
        const char *name;
        const sf_sampler_class *class;
    } known[] = {
        {"ddim", &sf_sampler_ddim},
        {"DDIM", &sf_sampler_ddim},
        {"Euler", &sf_sampler_euler},
        {"EulerDiscreteScheduler", &sf_sampler_euler},
        {"ddpm", &sf_sampler_ddpm},
        {"DDPMScheduler", &sf_sampler_ddpm},
        {"eulerdiscretescheduler", NULL},
        {"", NULL},
        {"ddi", NULL},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        ck_assert_msg(sf_sampler_class_find(known[i].name) == known[i].class, "%s", known[i].name);
}
END_TEST

START_TEST(the_file_names_the_class) {
    const char *json = "{\"_class_name\": \"EulerDiscreteScheduler\"}";
    sf_sampler *sampler;
    sf_sampler_options options = {.eta = -1, .n_steps = 3};
    ck_ok(ctx, sampling_new(ctx, json, &options, &sampler));
    ck_assert_str_eq(sf_sampler_get_info(sampler)->name, "euler");
    ck_assert_str_eq(sf_sampler_schedule_title(sampler), "Normal");
    sf_sampler_free(sampler);
    options.sampler = "ddpm";
    ck_ok(ctx, sampling_new(ctx, json, &options, &sampler));
    ck_assert_str_eq(sf_sampler_get_info(sampler)->name, "ddpm");
    ck_assert_ptr_null(sf_sampler_schedule_title(sampler));
    sf_sampler_free(sampler);
}
END_TEST

START_TEST(a_file_is_loaded) {
    sf_scheduler_config config;
    static const char text[] = "{\"_class_name\": \"DDIMScheduler\"}";
    scratch_setup();
    scratch_write("scheduler_config.json", text, strlen(text));
    ck_ok(ctx, sf_scheduler_config_load(ctx, scratch("scheduler_config.json"), &config));
    sf_scheduler_config_clear(&config);
    ck_fails(ctx, sf_scheduler_config_load(ctx, scratch("absent.json"), &config), SF_ERROR_IO,
             "absent.json");
    scratch_teardown();
}
END_TEST

/* ---- what is refused ---- */

#define DDIM  "\"_class_name\": \"DDIMScheduler\""
#define DDPM  "\"_class_name\": \"DDPMScheduler\""
#define LCM   "\"_class_name\": \"LCMScheduler\""
#define CM    "\"_class_name\": \"CMStochasticIterativeScheduler\""
#define FLOW  "\"_class_name\": \"FlowMatchEulerDiscreteScheduler\""
#define EULER "\"_class_name\": \"EulerDiscreteScheduler\""

static const struct {
    const char *json, *sampler, *schedule;
    double eta;
    int n_steps;
    sf_status status;
    const char *part, *also; /* of the message */
} refused[] = {
    {"{}", NULL, NULL, -1, 4, SF_ERROR_FORMAT, "_class_name", "ddim, ddpm, euler"},
    {"{\"_class_name\": 7}", NULL, NULL, -1, 4, SF_ERROR_FORMAT, "_class_name", "a string"},
    {"{\"_class_name\": \"NoSuchScheduler\"}", NULL, NULL, -1, 4, SF_ERROR_UNSUPPORTED,
     "NoSuchScheduler", "DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler"},
    {"{" DDIM "}", "nosuch", NULL, -1, 4, SF_ERROR_NOT_FOUND, "\"nosuch\"", "ddim, ddpm, euler"},
    {"{" DDIM "}", NULL, "ays", -1, 4, SF_ERROR_NOT_FOUND, "ddim has no schedule", "normal"},
    {"{" LCM "}", NULL, NULL, -1, 51, SF_ERROR_ARGUMENT, "51 steps", "original_inference_steps"},
    {"{" LCM ", \"original_inference_steps\": 1001}", NULL, NULL, -1, 4, SF_ERROR_FORMAT,
     "original_inference_steps 1001", "1000 of training"},
    {"{" LCM ", \"trained_betas\": [0.1, 0.2]}", NULL, NULL, -1, 4, SF_ERROR_ARGUMENT,
     "timestep 999", "0 to 1"},
    {"{" CM "}", NULL, NULL, -1, 41, SF_ERROR_ARGUMENT, "41 steps", "40 in training"},
    {"{" CM ", \"sigma_max\": 0.001}", NULL, NULL, -1, 4, SF_ERROR_FORMAT, "sigma_min",
     "above sigma_max"},
    {"{" FLOW ", \"use_dynamic_shifting\": true}", NULL, NULL, -1, 4, SF_ERROR_ARGUMENT,
     "mu is needed", "use_dynamic_shifting"},
    {"{" FLOW ", \"use_dynamic_shifting\": true}", "unipc", NULL, -1, 4, SF_ERROR_ARGUMENT,
     "mu is needed", "use_dynamic_shifting"},
    {"{" FLOW ", \"time_shift_type\": \"square\"}", NULL, NULL, -1, 4, SF_ERROR_UNSUPPORTED,
     "time_shift_type", "exponential, linear"},
    {"{" FLOW "}", NULL, "sgm_uniform", -1, 4, SF_ERROR_NOT_FOUND, "flow_euler has no schedule",
     "normal, karras, exponential, beta"},
    {"{\"scale_factors\": [0.5, 0.75]}", "flow_lcm", NULL, -1, 3, SF_ERROR_UNSUPPORTED,
     "scale_factors", "size"},
    {"{\"scale_factors\": 0.5}", "flow_lcm", NULL, -1, 3, SF_ERROR_FORMAT, "scale_factors", "list"},
    {"{" DDIM "}", NULL, "karras", -1, 4, SF_ERROR_NOT_FOUND, "ddim has no schedule", "normal"},
    {"{" EULER "}", NULL, "kerras", -1, 4, SF_ERROR_NOT_FOUND, "kerras",
     "normal, karras, exponential, beta"},
    {"{" EULER "}", NULL, NULL, 0.5, 4, SF_ERROR_ARGUMENT, "euler has no eta", "ddim"},
    {"{" DDIM "}", NULL, NULL, 1.5, 4, SF_ERROR_ARGUMENT, "eta 1.5", "0 to 1"},
    {"{" DDIM "}", NULL, NULL, NAN, 4, SF_ERROR_ARGUMENT, "eta", "0 to 1"},
    {"{" DDIM "}", NULL, NULL, -1, 0, SF_ERROR_ARGUMENT, "0 steps", "1 to"},
    {"{" DDIM "}", NULL, NULL, -1, 1001, SF_ERROR_ARGUMENT, "1001 steps", "1000 of training"},
    {"{" DDIM ", \"steps_offset\": 1}", NULL, NULL, -1, 1000, SF_ERROR_ARGUMENT, "timestep 1000",
     "steps_offset 1"},
    {"{" DDIM ", \"steps_offset\": -1}", NULL, NULL, -1, 4, SF_ERROR_ARGUMENT, "timestep -1",
     "0 to 999"},
    {"{" DDPM ", \"trained_betas\": [0.1, 0.2]}", NULL, NULL, -1, 4, SF_ERROR_ARGUMENT,
     "timestep 750", "0 to 1"},
    {"{" DDIM ", \"beta_schedule\": \"sigmoid\"}", NULL, NULL, -1, 4, SF_ERROR_UNSUPPORTED,
     "beta_schedule: \"sigmoid\"", "linear, scaled_linear, squaredcos_cap_v2"},
    {"{" DDIM ", \"prediction_type\": \"flow\"}", NULL, NULL, -1, 4, SF_ERROR_UNSUPPORTED,
     "prediction_type: \"flow\"", "epsilon, sample, v_prediction"},
    {"{" EULER ", \"use_karras_sigmas\": true, \"use_beta_sigmas\": true}", NULL, NULL, -1, 4,
     SF_ERROR_FORMAT, "karras", "beta"},
    {"{" EULER ", \"trained_betas\": [1.0]}", NULL, NULL, -1, 4, SF_ERROR_NUMERIC, "sigma 0",
     "inf"},
    {"{" DDIM ", \"trained_betas\": [0.1, \"x\"]}", NULL, NULL, -1, 1, SF_ERROR_FORMAT,
     "trained_betas", "element 1"},
    {"{" DDIM ", \"trained_betas\": []}", NULL, NULL, -1, 1, SF_ERROR_FORMAT, "trained_betas",
     "a list"},
    {"{" DDIM ", \"beta_end\": -Infinity}", NULL, NULL, -1, 1, SF_ERROR_FORMAT, "beta_end", "-inf"},
    {"{" DDIM ", \"beta_end\": NaN}", NULL, NULL, -1, 1, SF_ERROR_FORMAT, "beta_end", "nan"},
    {"{" DDIM ", \"num_train_timesteps\": 1152921504606846976}", NULL, NULL, -1, 1, SF_ERROR_FORMAT,
     "num_train_timesteps", "1152921504606846976"},
    {"{\"solver_order\": 3}", "CosineDPMSolverMultistepScheduler", NULL, -1, 4,
     SF_ERROR_UNSUPPORTED, "solver_order", "orders 1 and 2"},
    {"{\"sigma_min\": 9, \"sigma_max\": 8}", "edm_euler", NULL, -1, 4, SF_ERROR_FORMAT,
     "sigma_min 9", "sigma_max 8"},
    {"{\"algorithm_type\": \"dpmsolver\"}", "edm_dpmpp_2m", NULL, -1, 4, SF_ERROR_UNSUPPORTED,
     "algorithm_type", "dpmsolver++, sde-dpmsolver++"},
    {"{\"rho\": 0.001}", "edm_euler", NULL, -1, 4, SF_ERROR_NUMERIC, "sigma 0", "edm_euler"},
    {"{\"trained_betas\": [0.0, 0.0]}", "dpm_fast", NULL, -1, 4, SF_ERROR_NUMERIC, "noise level 1",
     "dpm_fast"},
    {"[]", NULL, NULL, -1, 1, SF_ERROR_FORMAT, "test.json", "object"},
    {"{", NULL, NULL, -1, 1, SF_ERROR_FORMAT, "test.json", ""},
};

START_TEST(a_bad_file_is_refused) {
    ck_fails(ctx,
             make(refused[_i].json, refused[_i].sampler, refused[_i].schedule, refused[_i].eta,
                  refused[_i].n_steps),
             refused[_i].status, refused[_i].part);
    ck_assert_msg(strstr(sf_error_message(ctx), refused[_i].also), "no \"%s\" in \"%s\"",
                  refused[_i].also, sf_error_message(ctx));
}
END_TEST

/* ---- what a user lists ---- */

static const struct {
    const char *sampler, *json;
    double timesteps[4], sigmas[4]; /* as many as are not 0 or stand before one that is not */
    int n_timesteps, n_sigmas, n_steps;
    const char *part, *also;
} lists[] = {
    {"ddim", "{}", {9, 5}, {0}, 2, 0, 0, "ddim takes no timesteps", "ddpm, euler"},
    {"lcm", "{}", {0}, {3, 1}, 0, 2, 0, "lcm takes no sigmas", "euler"},
    {"ddpm", "{}", {9, 9}, {0}, 2, 0, 0, "must fall", "9 follows 9"},
    {"ddpm", "{}", {9, 5.5}, {0}, 2, 0, 0, "5.5", "0 to 999"},
    {"euler", "{}", {1000, 5}, {0}, 2, 0, 0, "1000", "0 to 999"},
    {"euler", "{}", {999, 5}, {0}, 2, 0, 3, "3 steps", "for 2"},
    {"euler", "{}", {999}, {3, 0}, 1, 2, 0, "1 timesteps and 2 sigmas", "one of the two"},
    {"euler", "{}", {0}, {3}, 0, 1, 0, "0 steps", "1 to"},
    {"euler", "{}", {0}, {3, 0, 1}, 0, 3, 0, "sigma 1", "is 0"},
    {"euler", "{\"use_karras_sigmas\": true}", {999, 1}, {0}, 2, 0, 0, "karras", "timesteps"},
    {"flow_euler", "{}", {999}, {1, 0.5}, 1, 2, 0, "1 timesteps and 2 sigmas", "as many"},
    {"heun", "{\"use_karras_sigmas\": true}", {999, 1}, {0}, 2, 0, 0, "karras", "timesteps"},
    {"heun", "{}", {999, 1}, {0}, 2, 0, 3, "3 steps", "for 2"},
    {"dpmpp_2m", "{\"use_karras_sigmas\": true}", {999, 1}, {0}, 2, 0, 0, "karras", "timesteps"},
    {"dpmpp_2m", "{\"use_lu_lambdas\": true}", {999, 1}, {0}, 2, 0, 0, "lu_lambdas", "timesteps"},
    {"dpmpp_2m", "{\"use_flow_sigmas\": true}", {999, 1}, {0}, 2, 0, 0, "use_flow_sigmas", "one"},
    {"dpmpp_2s", "{}", {9, 9}, {0}, 2, 0, 0, "must fall", "9 follows 9"},
    {"unipc", "{}", {0}, {1, 0.5}, 0, 2, 0, "use_flow_sigmas alone", "sigmas"},
    {"unipc", "{\"use_flow_sigmas\": true}", {0}, {0.5, 1}, 0, 2, 0, "sigma 1", "must fall"},
    {"unipc", "{\"use_flow_sigmas\": true}", {0}, {2, 1}, 0, 2, 0, "sigma 0", "is 2"},
    {"unipc",
     "{\"use_flow_sigmas\": true, \"use_karras_sigmas\": true}",
     {0},
     {1, 0.5},
     0,
     2,
     0,
     "sigmas were given",
     "karras"},
    {"edm_euler", "{}", {0}, {0.5, 0.2}, 0, 2, 0, "sigma 1", "rise"},
    {"edm_euler", "{}", {0}, {0.5, 7}, 0, 2, 0, "is 7", "rise"},
    {"edm_euler",
     "{\"sigma_schedule\": \"exponential\"}",
     {0},
     {0.5, 0.7},
     0,
     2,
     0,
     "exponential",
     "places"},
};

START_TEST(a_bad_list_is_refused) {
    const sf_sampler_options options_ = {
        .sampler = lists[_i].sampler,
        .eta = -1,
        .n_steps = lists[_i].n_steps,
        .timesteps = lists[_i].n_timesteps ? lists[_i].timesteps : NULL,
        .n_timesteps = lists[_i].n_timesteps,
        .sigmas = lists[_i].n_sigmas ? lists[_i].sigmas : NULL,
        .n_sigmas = lists[_i].n_sigmas,
    };
    sf_sampler *sampler = NULL;
    ck_fails(ctx, sampling_new(ctx, lists[_i].json, &options_, &sampler), SF_ERROR_ARGUMENT,
             lists[_i].part);
    ck_assert_msg(strstr(sf_error_message(ctx), lists[_i].also), "no \"%s\" in \"%s\"",
                  lists[_i].also, sf_error_message(ctx));
}
END_TEST

/* calculate_shift() of diffusers' pipelines: 0.5 at 256 tokens, 1.15 at 4096, linear. */
START_TEST(mu_follows_from_the_tokens) {
    static const struct {
        int64_t n_tokens;
        double mu;
    } known[] = {{256, 0.5}, {4096, 1.15}, {1024, 0.63}};
    const char *json = "{" FLOW ", \"use_dynamic_shifting\": true}";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        sf_sampler_options by_tokens = {.eta = -1, .n_steps = 5, .n_tokens = known[i].n_tokens};
        sf_sampler_options by_mu = {.eta = -1, .n_steps = 5, .mu = &known[i].mu};
        sf_sampler *a, *b;
        ck_ok(ctx, sampling_new(ctx, json, &by_tokens, &a));
        ck_ok(ctx, sampling_new(ctx, json, &by_mu, &b));
        for (int k = 0; k < 6; k++)
            ck_assert_double_eq_tol(sf_sampler_sigma(a, k), sf_sampler_sigma(b, k), 1e-7);
        sf_sampler_free(a);
        sf_sampler_free(b);
    }
}
END_TEST

/* Every option, every value of a wrong type: the message names file and option. */
static const struct {
    const char *name;
    sf_option_id option;
    bool number, flag, text, list; /* the types that it takes */
} options[] = {
#define SF_INTEGER(name, ...) {#name, SF_OPTION_##name, .number = true},
#define SF_NUMBER(name, ...)  {#name, SF_OPTION_##name, .number = true},
#define SF_FLAG(name, ...)    {#name, SF_OPTION_##name, .flag = true},
#define SF_CHOICE(name, ...)  {#name, SF_OPTION_##name, .text = true},
#define SF_NUMBERS(name, ...) {#name, SF_OPTION_##name, .list = true},
#include "samplers/options.def"
};

static void check_wrong(const char *class_name, int option, const char *value) {
    char json[256];
    snprintf(json, sizeof json, "{\"_class_name\": \"%s\", \"%s\": %s}", class_name,
             options[option].name, value);
    sf_status status = make(json, NULL, NULL, -1, 1);
    ck_assert_msg(status == SF_ERROR_FORMAT || status == SF_ERROR_UNSUPPORTED, "%s: status %d",
                  json, (int)status);
    ck_assert_msg(strstr(sf_error_message(ctx), options[option].name) &&
                      strstr(sf_error_message(ctx), "test.json"),
                  "%s: %s", json, sf_error_message(ctx));
}

START_TEST(a_value_of_a_wrong_type_is_refused) {
    int n_checked = 0;
    static const sf_sampler_class *const classes[] = {
#define SF_SAMPLER(name) &sf_sampler_##name,
#include "samplers/samplers.def"
#undef SF_SAMPLER
    };
    for (size_t c = 0; c < sizeof classes / sizeof *classes; c++) {
        bool first = sf_sampler_class_find(classes[c]->info.class_name) == classes[c];
        if (!first || !(classes[c]->options & SF_BIT(options[_i].option)))
            continue;
        const char *name = classes[c]->info.class_name;
        n_checked++;
        check_wrong(name, _i, "{}");
        check_wrong(name, _i, "\"nonsense\"");
        if (!options[_i].list)
            check_wrong(name, _i, "[1, 2]");
        else
            check_wrong(name, _i, "[1, {}]");
        if (!options[_i].flag)
            check_wrong(name, _i, "true");
        if (options[_i].option != SF_OPTION_lambda_min_clipped) /* takes any number */
            check_wrong(name, _i, options[_i].number ? "-1e300" : "5");
    }
    ck_assert_int_gt(n_checked, 0); /* an option that no class has is none */
}
END_TEST

Suite *suite_samplers_config(void) {
    Suite *suite = suite_create("samplers_config");
    TCase *loads = tcase_create("loads"), *refuses = tcase_create("refuses");
    tcase_add_checked_fixture(loads, setup, teardown);
    tcase_add_checked_fixture(refuses, setup, teardown);
    tcase_add_test(loads, defaults_are_the_classs);
    tcase_add_test(loads, null_is_the_default_or_false);
    tcase_add_test(loads, a_class_reads_only_its_own_options);
    tcase_add_test(loads, names_find_their_class);
    tcase_add_test(loads, the_file_names_the_class);
    tcase_add_test(loads, a_file_is_loaded);
    tcase_add_loop_test(refuses, a_bad_file_is_refused, 0,
                        (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(loads, mu_follows_from_the_tokens);
    tcase_add_loop_test(refuses, a_bad_list_is_refused, 0, (int)(sizeof lists / sizeof lists[0]));
    tcase_add_loop_test(refuses, a_value_of_a_wrong_type_is_refused, 0,
                        (int)(sizeof options / sizeof options[0]));
    suite_add_tcase(suite, loads);
    suite_add_tcase(suite, refuses);
    return suite;
}

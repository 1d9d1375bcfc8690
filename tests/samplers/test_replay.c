/*
 * sf_sampler_replay() against recorded runs of diffusers: every class and option at 1 to 50 steps, in
 * a folder for each family of methods. tests/oracle/make_sampler_goldens.py says what the files hold.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/tensor.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_samplers_replay(void);

#define N_EVALUATIONS 104
#define CHANNELS      2
#define ROW           6 /* elements of a channel */
#define SAMPLE        24
#define FULL_RUN      7 /* up to so many steps all elements are recorded */
#define FEW           4

static sf_context *ctx;
static sf_tensors *inputs, *runs;
static json_t *cases;

static void setup(void) {
    ctx = test_context();
    ck_ok(ctx, sf_tensors_load(ctx, test_data("samplers/inputs.safetensors"), &inputs));
    scratch_setup();
}

static void teardown(void) {
    scratch_teardown();
    sf_tensors_free(inputs);
    test_context_free(ctx);
}

static void open_family(const char *folder) {
    char file[128];
    snprintf(file, sizeof file, "samplers/%s/runs.safetensors", folder);
    ck_ok(ctx, sf_tensors_load(ctx, test_data(file), &runs));
    snprintf(file, sizeof file, "samplers/%s/cases.json", folder);
    cases = json_load_file(test_data(file), 0, NULL);
    ck_assert_ptr_nonnull(cases);
}

static void close_family(void) {
    json_decref(cases);
    sf_tensors_free(runs);
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const float *input_data(const char *name) {
    return sf_tensor_const_data(sf_tensors_find(inputs, name));
}

static float *add_tensor(sf_tensors *set, const char *name, int k, int64_t channels) {
    char full[64];
    sf_tensor *tensor;
    snprintf(full, sizeof full, k < 0 ? "%s" : "%s.%d", name, k);
    ck_ok(ctx, sf_tensor_new(ctx, SF_F32, 4, (int64_t[]){2, channels, 3, 2}, &tensor));
    ck_ok(ctx, sf_tensors_add(set, full, tensor));
    return sf_tensor_data(tensor);
}

/* What sf_sampler_replay() is given in a case. */
static sf_tensors *make_inputs(const json_t *entry) {
    const char *variance = text_of(json_object_get(entry, "config"), "variance_type");
    bool learned = strncmp(variance, "learned", 7) == 0, squared = strcmp(variance, "learned") == 0;
    int channels = learned ? 2 * CHANNELS : CHANNELS;
    const float *outputs = input_data("model_output");
    sf_tensors *set;
    ck_ok(ctx, sf_tensors_new(ctx, &set));
    memcpy(add_tensor(set, "noise", -1, CHANNELS), input_data("noise"), SAMPLE * sizeof(float));
    for (int k = 0; k < N_EVALUATIONS; k++) {
        memcpy(add_tensor(set, "step_noise", k, CHANNELS), input_data("step_noise") + k * SAMPLE,
               SAMPLE * sizeof(float));
        float *to = add_tensor(set, "model_output", k, channels);
        for (int picture = 0; picture < 2; picture++)
            for (int i = 0; i < channels * ROW; i++) {
                float value = outputs[(k * 2 + picture) * 2 * CHANNELS * ROW + i];
                to[picture * channels * ROW + i] =
                    squared && i >= CHANNELS * ROW ? value * value : value;
            }
    }
    return set;
}

/* ---- comparison ---- */

static double worst; /* of a case: the largest error as a part of what is allowed */

/*
 * 1e-5 relative. scale is the size of the largest number on the way: where such numbers nearly
 * cancel, one that is off in its last place (6e-8; exp, log and pow may be) shows.
 */
static void check_number(const char *name, int n_steps, const char *what, int k, double actual,
                         double expected, double scale) {
    double allowed = 1e-5 * fabs(expected) + 1e-7 * scale;
    double error = fabs(actual - expected);
    worst = fmax(worst, error / allowed);
    ck_assert_msg(error <= allowed, "%s, %d steps, %s %d: %.9g, not %.9g (%.3g off)", name, n_steps,
                  what, k, actual, expected, error);
}

static const float *output_data(const sf_tensors *outputs, const char *name, int k) {
    char full[64];
    snprintf(full, sizeof full, k < 0 ? "%s" : "%s.%d", name, k);
    const sf_tensor *tensor = sf_tensors_find(outputs, full);
    ck_assert_msg(tensor != NULL, "no output %s", full);
    ck_assert_int_eq(sf_tensor_dtype(tensor), SF_F32);
    return sf_tensor_const_data(tensor);
}

static double largest(const float *values) {
    double most = 0;
    for (int i = 0; i < SAMPLE; i++)
        most = fmax(most, fabs((double)values[i]));
    return most;
}

static const float *check_list(const char *name, int n_steps, const char *what, int count,
                               const sf_tensors *outputs, const float *golden) {
    if (count == 0) {
        ck_assert_ptr_null(sf_tensors_find(outputs, what));
        return golden;
    }
    const float *actual = output_data(outputs, what, -1);
    ck_assert_int_eq(sf_tensor_n_elements(sf_tensors_find(outputs, what)), count);
    for (int i = 0; i < count; i++)
        check_number(name, n_steps, what, i, (double)actual[i], (double)golden[i], 1);
    return golden + count;
}

/* Checks a run; returns where the next one is recorded. */
static const float *check_run(const char *name, int n_steps, const sf_tensors *outputs,
                              const float *golden) {
    int n_timesteps = (int)*golden++, n_sigmas = (int)*golden++;
    golden = check_list(name, n_steps, "timesteps", n_timesteps, outputs, golden);
    golden = check_list(name, n_steps, "sigmas", n_sigmas, outputs, golden);
    const float *sigmas = n_sigmas > 0 ? output_data(outputs, "sigmas", -1) : NULL;
    double scale = largest(input_data("noise")) * (sigmas ? (double)sigmas[0] : 1);
    for (int k = 0; k < n_timesteps; k++) {
        const float *model_input = output_data(outputs, "model_input", k);
        const float *sample = output_data(outputs, "sample", k);
        bool few = n_steps > FULL_RUN && k + 1 < n_timesteps;
        check_number(name, n_steps, "model_input", k, (double)model_input[0], (double)*golden++,
                     scale);
        scale = fmax(scale, largest(sample));
        for (int i = 0; i < (few ? FEW : SAMPLE); i++)
            check_number(name, n_steps, "sample", k, (double)sample[i], (double)*golden++, scale);
    }
    ck_assert_int_eq(sf_tensors_count(outputs), 1 + (n_sigmas > 0) + 2 * n_timesteps);
    return golden;
}

struct listed {
    double values[64];
};

/* A list that the case gives instead of steps; NULL: none. */
static const double *read_list(const json_t *entry, const char *key, struct listed *list,
                               int *count) {
    const json_t *given = json_object_get(entry, key);
    *count = (int)json_array_size(given);
    ck_assert_int_le(*count, 64);
    for (int i = 0; i < *count; i++)
        list->values[i] = json_number_value(json_array_get(given, (size_t)i));
    return given ? list->values : NULL;
}

static void check_case(const json_t *entry) {
    const char *name = text_of(entry, "name");
    const json_t *own = json_object_get(entry, "steps");
    const json_t *steps = own ? own : json_object_get(cases, "steps");
    struct listed timesteps, sigmas;
    const sf_tensor *recorded = sf_tensors_find(runs, name);
    sf_tensors *given = make_inputs(entry);
    sf_replay_options options;
    ck_assert_msg(recorded != NULL, "no recorded %s", name);
    const float *golden = sf_tensor_const_data(recorded);
    const float *end = golden + sf_tensor_n_elements(recorded);
    sf_replay_options_init(&options);
    options.config = scratch("scheduler_config.json");
    ck_assert_int_eq(json_dump_file(json_object_get(entry, "config"), options.config, 0), 0);
    options.sampler = json_string_value(json_object_get(entry, "sampler"));
    options.schedule = json_string_value(json_object_get(entry, "schedule"));
    if (json_object_get(entry, "eta"))
        options.eta = (float)json_number_value(json_object_get(entry, "eta"));
    if (json_object_get(entry, "mu"))
        options.mu = (float)json_number_value(json_object_get(entry, "mu"));
    options.timesteps = read_list(entry, "timesteps", &timesteps, &options.n_timesteps);
    options.sigmas = read_list(entry, "sigmas", &sigmas, &options.n_sigmas);
    bool listed = options.timesteps || options.sigmas;
    worst = 0;
    for (size_t i = 0; i < (listed ? 1 : json_array_size(steps)); i++) {
        sf_tensors *outputs;
        options.steps = listed ? 0 : (int)json_integer_value(json_array_get(steps, i));
        ck_ok(ctx, sf_sampler_replay(ctx, &options, given, &outputs));
        int n = options.timesteps ? options.n_timesteps
                : options.sigmas  ? options.n_sigmas
                                  : options.steps;
        golden = check_run(name, n, outputs, golden);
        sf_tensors_free(outputs);
    }
    ck_assert_msg(golden == end, "%s: %td recorded numbers are left", name, end - golden);
    if (getenv("SF_TEST_VERBOSE"))
        printf("%-28s %.3f of what is allowed\n", name, worst), fflush(stdout);
    sf_tensors_free(given);
}

/* Folders of tests/data/samplers/, and how many cases there are at least. */
static const struct {
    const char *folder;
    size_t at_least;
} families[] = {
    /* clang-format off */
    {"ddim", 19},
    {"ddpm", 22},
    {"euler", 24},
    {"override", 4},
    {"sigma", 40},
    {"edm", 20},
    {"k_diffusion", 18},
    {"few", 25},
    {"flow", 20},
    {"listed", 26},
    {"dpm_multistep", 40},
    {"dpm_singlestep", 35},
    {"unipc", 30},
    {"deis", 15},
    {"sa_solver", 25},
    {"pndm", 20},
    {"dpm_inverse", 12},
    /* clang-format on */
};

#define N_FAMILIES (int)(sizeof families / sizeof *families)

START_TEST(a_family_is_that_of_diffusers) {
    open_family(families[_i].folder);
    const json_t *list = json_object_get(cases, "cases");
    ck_assert_uint_ge(json_array_size(list), families[_i].at_least);
    for (size_t i = 0; i < json_array_size(list); i++)
        check_case(json_array_get(list, i));
    close_family();
}
END_TEST

Suite *suite_samplers_replay(void) {
    Suite *suite = suite_create("samplers_replay");
    TCase *tcase = tcase_create("diffusers");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_family_is_that_of_diffusers, 0, N_FAMILIES);
    suite_add_tcase(suite, tcase);
    return suite;
}

/*
 * `sfumato run` against PyTorch (tests/oracle/make_tiny_pipeline.py) and `sfumato sample` against
 * what can be worked out by hand.
 */
#include <math.h>
#include <stdio.h>

#include "tests/support/cli.h"
#include "tests/support/model_folder.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_cli_run(void);

static sf_context *ctx;

static void setup(void) {
    cli_setup();
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
    cli_teardown();
}

static sf_tensors *load(const char *path) {
    sf_tensors *tensors;
    ck_ok(ctx, sf_tensors_load(ctx, path, &tensors));
    return tensors;
}

static const float *floats(const sf_tensors *tensors, const char *name) {
    const sf_tensor *tensor = sf_tensors_find(tensors, name);
    ck_assert_msg(tensor && sf_tensor_dtype(tensor) == SF_F32, "no f32 tensor %s", name);
    return sf_tensor_const_data(tensor);
}

/* ---- run ---- */

static const char *const components[] = {"text_encoder", "unet", "vae_decoder", "vae_encoder"};

/* The bound is the project's for a whole component in f32. */
static void check_tensor(const char *name, const sf_tensors *wanted, const sf_tensors *found) {
    const float *a = floats(found, name), *b = floats(wanted, name);
    const sf_tensor *shape = sf_tensors_find(wanted, name);
    ck_assert_int_eq(sf_tensor_n_dims(sf_tensors_find(found, name)), sf_tensor_n_dims(shape));
    ck_assert_mem_eq(sf_tensor_dims(sf_tensors_find(found, name)), sf_tensor_dims(shape),
                     SF_MAX_DIMS * sizeof(int64_t));
    for (int64_t i = 0; i < sf_tensor_n_elements(shape); i++)
        ck_assert_msg(fabsf(a[i] - b[i]) <= 1e-4f + 1e-3f * fabsf(b[i]), "%s[%lld]: %.9g, not %.9g",
                      name, (long long)i, (double)a[i], (double)b[i]);
}

static void check_run(const char *model, const char *component) {
    char in[128], out[128];
    snprintf(in, sizeof in, "pipelines/tiny/run/%s.in.safetensors", component);
    snprintf(out, sizeof out, "pipelines/tiny/run/%s.out.safetensors", component);
    check_cli(0, "", "", "run", "--quiet", "--model", model, "--component", component, "--input",
              test_data(in), "--output", "out.safetensors");
    sf_tensors *found = load(scratch("out.safetensors")), *wanted = load(test_data(out));
    ck_assert_int_eq(sf_tensors_count(found), sf_tensors_count(wanted));
    for (int i = 0; i < sf_tensors_count(wanted); i++)
        check_tensor(sf_tensors_name(wanted, i), wanted, found);
    sf_tensors_free(found);
    sf_tensors_free(wanted);
    ck_assert_int_eq(cli_count_files(), 1);
}

START_TEST(component_answers_as_pytorch) {
    check_run("tiny", components[_i]);
}
END_TEST

/* A limit that is kept, and one that can't be. */
START_TEST(component_within_a_limit) {
    struct command_result result;
    check_cli(0, "", "", "run", "--quiet", "--model", "tiny", "--component", "unet", "--input",
              test_data("pipelines/tiny/run/unet.in.safetensors"), "--output", "out.safetensors",
              "--max-memory=1T");
    sf_tensors *found = load(scratch("out.safetensors"));
    sf_tensors *wanted = load(test_data("pipelines/tiny/run/unet.out.safetensors"));
    check_tensor("sample", wanted, found);
    sf_tensors_free(found);
    sf_tensors_free(wanted);
    cli_run(&result, "run", "--quiet", "--model", "tiny", "--component", "unet", "--input",
            test_data("pipelines/tiny/run/unet.in.safetensors"), "--output", "none.safetensors",
            "--max-memory=1M");
    ck_assert_int_eq(result.status, 1);
    ck_assert_ptr_nonnull(strstr(result.err, "1.0 MB are allowed"));
    command_result_free(&result);
    ck_assert_int_eq(cli_count_files(), 1);
}
END_TEST

START_TEST(component_of_its_own_folder) {
    check_run(test_data("pipelines/tiny/text_encoder"), "text_encoder");
    check_run(test_data("pipelines/tiny/vae"), "vae_decoder");
    check_run(test_data("pipelines/tiny/unet"), "unet");
}
END_TEST

#define RUN(component, input)                                                                      \
    "run", "-q", "--component", component, "--output=out.safetensors", "--input", input

START_TEST(what_run_refuses) {
    const char *unet = test_data("pipelines/tiny/run/unet.in.safetensors");
    const char *text = test_data("pipelines/tiny/run/text_encoder.in.safetensors");
    check_cli_fails("oracle", RUN("oracle", unet));
    check_cli_fails("nowhere.safetensors", RUN("unet", "nowhere.safetensors"));
    check_cli_fails("there is no model \"nowhere\"", RUN("unet", unet), "--model=nowhere");
    check_cli_fails("input_ids", RUN("unet", text));
    check_cli_fails("input_ids", RUN("text_encoder", unet));
    check_cli_fails("sample", RUN("vae_decoder", text));
    check_cli_fails("No space left on device", "run", "-q", "--component=unet", "--input", unet,
                    "--output=/dev/full");
}
END_TEST

/* An input whose shape or type does not fit is named with what is wanted. */
START_TEST(ill_shaped_input_is_named) {
    static const struct {
        const char *name;
        sf_dtype dtype;
        int n_dims;
        int64_t dims[4];
    } bad[] = {
        {"sample", SF_F32, 3, {4, 5, 6}},
        {"sample", SF_F32, 4, {2, 5, 5, 6}},
        {"sample", SF_F32, 4, {3, 4, 5, 6}},
        {"timestep", SF_F32, 1, {3}},
        {"timestep", SF_F32, 2, {1, 2}},
        {"encoder_hidden_states", SF_F32, 3, {2, 3, 9}},
        {"encoder_hidden_states", SF_F32, 3, {3, 3, 8}},
        {"encoder_hidden_states", SF_F32, 2, {3, 8}},
    };
    static const struct {
        const char *name;
        int n_dims;
        int64_t dims[4];
    } good[] = {
        {"sample", 4, {2, 4, 5, 6}}, {"timestep", 1, {2}}, {"encoder_hidden_states", 3, {2, 3, 8}}};
    sf_tensors *inputs;
    ck_ok(ctx, sf_tensors_new(ctx, &inputs));
    for (int i = 0; i < 3; i++) {
        sf_tensor *tensor;
        if (strcmp(good[i].name, bad[_i].name) == 0)
            ck_ok(ctx, sf_tensor_new(ctx, bad[_i].dtype, bad[_i].n_dims, bad[_i].dims, &tensor));
        else
            ck_ok(ctx, sf_tensor_new(ctx, SF_F32, good[i].n_dims, good[i].dims, &tensor));
        ck_ok(ctx, sf_tensors_add(inputs, good[i].name, tensor));
    }
    ck_ok(ctx, sf_tensors_save(inputs, scratch("in.safetensors")));
    sf_tensors_free(inputs);
    /* A batch of three is that of the sample: then it is the others that do not fit. */
    check_cli_fails(bad[_i].dims[0] == 3 && strcmp(bad[_i].name, "sample") == 0 ? "3"
                                                                                : bad[_i].name,
                    RUN("unet", "in.safetensors"));
}
END_TEST

/* ---- sample ---- */

enum { N_STEPS = 5, N_VALUES = 6 };

static void write_scheduler(const char *class_name) {
    char text[512];
    int length = snprintf(text, sizeof text,
                          "{\"_class_name\": \"%s\", \"num_train_timesteps\": 1000, "
                          "\"beta_start\": 0.00085, \"beta_end\": 0.012, "
                          "\"beta_schedule\": \"scaled_linear\", \"clip_sample\": false}",
                          class_name);
    scratch_write("scheduler.json", text, (size_t)length);
}

static void add_values(sf_tensors *tensors, const char *name, float first, float step) {
    sf_tensor *tensor;
    ck_ok(ctx, sf_tensor_new(ctx, SF_F32, 2, (const int64_t[]){2, N_VALUES / 2}, &tensor));
    for (int i = 0; i < N_VALUES; i++)
        ((float *)sf_tensor_data(tensor))[i] = first + step * (float)i;
    ck_ok(ctx, sf_tensors_add(tensors, name, tensor));
}

/* Noise 1, 2, ...; the model answers with `answer` everywhere. */
static void write_inputs(float answer) {
    sf_tensors *inputs;
    char name[32];
    ck_ok(ctx, sf_tensors_new(ctx, &inputs));
    add_values(inputs, "noise", 1, 1);
    for (int i = 0; i < N_STEPS; i++) {
        snprintf(name, sizeof name, "model_output.%d", i);
        add_values(inputs, name, answer, 0);
        snprintf(name, sizeof name, "step_noise.%d", i);
        add_values(inputs, name, 0, 0);
    }
    ck_ok(ctx, sf_tensors_save(inputs, scratch("in.safetensors")));
    sf_tensors_free(inputs);
}

#define SAMPLE                                                                                     \
    "sample", "-q", "--scheduler=scheduler.json", "--steps=5", "--input=in.safetensors",           \
        "--output=out.safetensors"

/*
 * Euler in sigmas: x += (sigma' - sigma) e, from sigma_0 x noise to sigma 0: x_N = sigma_0 (noise -
 * e).
 */
START_TEST(euler_goes_straight) {
    write_scheduler("EulerDiscreteScheduler");
    write_inputs(0.5f);
    check_cli(0, "", "", SAMPLE);
    sf_tensors *outputs = load(scratch("out.safetensors"));
    const float *sigmas = floats(outputs, "sigmas"), *last = floats(outputs, "sample.4");
    const float *model_input = floats(outputs, "model_input.0");
    ck_assert_int_eq(sf_tensor_n_elements(sf_tensors_find(outputs, "timesteps")), N_STEPS);
    ck_assert_int_eq(sf_tensor_n_elements(sf_tensors_find(outputs, "sigmas")), N_STEPS + 1);
    ck_assert(sigmas[0] > 14 && sigmas[0] < 15 && sigmas[N_STEPS] == 0);
    for (int i = 0; i < N_VALUES; i++) {
        float noise = 1 + (float)i, x0 = sigmas[0] * noise;
        ck_assert_float_eq_tol(last[i], x0 - 0.5f * sigmas[0], 1e-4f * x0);
        ck_assert_float_eq_tol(model_input[i], x0 / sqrtf(sigmas[0] * sigmas[0] + 1),
                               1e-4f * noise);
    }
    sf_tensors_free(outputs);
}
END_TEST

/* The share of the picture in the variance after t steps of noise, from write_scheduler()'s betas. */
static double alpha_bar(int t) {
    double product = 1;
    for (int i = 0; i <= t; i++) {
        double root = sqrt(0.00085) + (sqrt(0.012) - sqrt(0.00085)) * i / 999;
        product *= 1 - root * root;
    }
    return product;
}

/*
 * A model that sees no noise: each DDIM step is then x' = x sqrt(a' / a), the last one to a' = 1.
 */
START_TEST(ddim_grows_what_is_no_noise) {
    write_scheduler("EulerDiscreteScheduler");
    write_inputs(0);
    check_cli(0, "", "", SAMPLE, "--sampler=ddim", "--eta=0");
    sf_tensors *outputs = load(scratch("out.safetensors"));
    const float *first = floats(outputs, "sample.0"), *last = floats(outputs, "sample.4");
    for (int i = 0; i < N_VALUES; i++) {
        float noise = 1 + (float)i;
        ck_assert_float_eq_tol(first[i], noise * (float)sqrt(alpha_bar(600) / alpha_bar(800)),
                               1e-4f * noise);
        ck_assert_float_eq_tol(last[i], noise / (float)sqrt(alpha_bar(800)), 1e-3f * noise);
    }
    ck_assert_int_eq(sf_tensor_n_elements(sf_tensors_find(outputs, "timesteps")), N_STEPS);
    sf_tensors_free(outputs);
}
END_TEST

/*
 * Flow matching: x += (sigma' - sigma) m, from the noise at sigma 1 to sigma 0: x_N = noise - m. With mu
 * the levels are shifted: exp(mu) / (exp(mu) + 1 / s - 1).
 */
START_TEST(flow_is_shifted_by_mu) {
    static const char text[] = "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\","
                               " \"use_dynamic_shifting\": true}";
    scratch_write("scheduler.json", text, strlen(text));
    write_inputs(0.5f);
    check_cli_fails("--mu", SAMPLE);
    check_cli(0, "", "", SAMPLE, "--mu=0.6931472", "--sigmas=1,0.8,0.6,0.4,0.2");
    sf_tensors *outputs = load(scratch("out.safetensors"));
    const float *sigmas = floats(outputs, "sigmas"), *last = floats(outputs, "sample.4");
    for (int i = 0; i < N_STEPS; i++) {
        float s = 1 - 0.2f * (float)i;
        ck_assert_float_eq_tol(sigmas[i], 2 / (2 + 1 / s - 1), 1e-6f);
    }
    for (int i = 0; i < N_VALUES; i++)
        ck_assert_float_eq_tol(last[i], 0.5f + (float)i, 1e-5f);
    sf_tensors_free(outputs);
}
END_TEST

/* Levels of one's own without --steps. */
START_TEST(listed_levels) {
    write_scheduler("EulerDiscreteScheduler");
    write_inputs(0.5f);
    check_cli(0, "", "", "sample", "-q", "--scheduler=scheduler.json", "--input=in.safetensors",
              "--output=out.safetensors", "--timesteps=999,500,1");
    sf_tensors *outputs = load(scratch("out.safetensors"));
    const float *timesteps = floats(outputs, "timesteps");
    ck_assert_int_eq(sf_tensor_n_elements(sf_tensors_find(outputs, "timesteps")), 3);
    ck_assert(timesteps[0] == 999 && timesteps[1] == 500 && timesteps[2] == 1);
    sf_tensors_free(outputs);
}
END_TEST

START_TEST(what_sample_refuses) {
    write_scheduler("EulerDiscreteScheduler");
    write_inputs(0);
    check_cli_fails("euler", SAMPLE, "--sampler=eular");
    check_cli_fails("for 2 were given", SAMPLE, "--sampler=ddpm", "--timesteps=9,1");
    check_cli_fails("ddim takes no mu", SAMPLE, "--sampler=ddim", "--mu=1");
    check_cli_fails("karras", SAMPLE, "--schedule=carras");
    check_cli_fails("model_output.5", SAMPLE, "--steps=6");
    check_cli_fails("nowhere.json", SAMPLE, "--scheduler=nowhere.json");
    check_cli_fails("nowhere.safetensors", SAMPLE, "--input=nowhere.safetensors");
    check_cli_fails("No space left on device", SAMPLE, "--output=/dev/full");
    write_scheduler("CrystalBallScheduler");
    check_cli_fails("CrystalBallScheduler", SAMPLE);
    scratch_write("scheduler.json", "{", 1);
    check_cli_fails("scheduler.json", SAMPLE);
}
END_TEST

Suite *suite_cli_run(void) {
    Suite *suite = suite_create("cli_run");
    TCase *tcase = tcase_create("run");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, component_answers_as_pytorch, 0, 4);
    tcase_add_test(tcase, component_of_its_own_folder);
    tcase_add_test(tcase, component_within_a_limit);
    tcase_add_test(tcase, what_run_refuses);
    tcase_add_loop_test(tcase, ill_shaped_input_is_named, 0, 8);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("sample");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, euler_goes_straight);
    tcase_add_test(tcase, ddim_grows_what_is_no_noise);
    tcase_add_test(tcase, flow_is_shifted_by_mu);
    tcase_add_test(tcase, listed_levels);
    tcase_add_test(tcase, what_sample_refuses);
    suite_add_tcase(suite, tcase);
    return suite;
}

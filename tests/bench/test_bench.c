/*
 * sf_bench_component() and sf_bench_op() as a program calls them: options, callbacks, failing
 * allocations. What they count is tested with the command (tests/cli/test_bench.c).
 */
#include "tests/support/failing.h"
#include "tests/support/model_folder.h"
#include "tests/support/plans.h"
#include "tests/support/support.h"

Suite *suite_bench(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

/* ---- options ---- */

static sf_status bench_relu(const sf_bench_options *options) {
    char *json = NULL;
    sf_status status = sf_bench_op(ctx, "relu", options, &json);
    ck_assert_int_eq(status == SF_OK, json != NULL);
    sf_text_free(ctx, json);
    return status;
}

START_TEST(options_are_checked) {
    const char *const inputs[] = {"3x4"};
    sf_bench_options good, bad;
    sf_bench_options_init(&good);
    good.inputs = inputs;
    good.n_inputs = 1;
    ck_ok(ctx, bench_relu(&good));
    bad = good;
    bad.struct_size = 8;
    ck_fails(ctx, bench_relu(&bad), SF_ERROR_ARGUMENT, "struct_size");
    bad = good;
    bad.repeat = 0;
    ck_fails(ctx, bench_relu(&bad), SF_ERROR_ARGUMENT, "0 runs");
    bad = good;
    bad.warmup = -1;
    ck_fails(ctx, bench_relu(&bad), SF_ERROR_ARGUMENT, "after -1");
    bad = good;
    bad.precision = "i64";
    ck_fails(ctx, bench_relu(&bad), SF_ERROR_ARGUMENT, "\"i64\"");
    bad = good;
    bad.n_inputs = 0;
    bad.n_attributes = 1;
    ck_fails(ctx, bench_relu(&bad), SF_ERROR_ARGUMENT, "attributes go with inputs");
    bad = good;
    bad.n_inputs = 10;
    ck_fails(ctx, bench_relu(&bad), SF_ERROR_ARGUMENT, "10 inputs; at most 9");
}
END_TEST

START_TEST(sizes_of_components_are_checked) {
    char *json = NULL;
    sf_bench_options options;
    sf_bench_options_init(&options);
    options.batch = 0;
    ck_fails(ctx, sf_bench_component(ctx, TINY_MODEL, "unet", &options, &json), SF_ERROR_ARGUMENT,
             "a batch of 0");
    options.batch = 1;
    options.size = -8;
    ck_fails(ctx, sf_bench_component(ctx, TINY_MODEL, "unet", &options, &json), SF_ERROR_ARGUMENT,
             "-8 pixels");
    ck_assert_ptr_null(json);
}
END_TEST

/* ---- progress ---- */

typedef struct calls {
    int n, stop_at;
} calls;

static int on_progress(void *user, const sf_progress *progress) {
    calls *seen = user;
    seen->n++;
    ck_assert_str_eq(progress->stage, "bench");
    ck_assert_int_eq(progress->step, seen->n);
    ck_assert_int_eq(progress->n_steps, 8);
    ck_assert(progress->seconds >= 0);
    return seen->n == seen->stop_at;
}

/* 2 before, 3 timed, 3 step by step; a callback that says stop ends it at any of them. */
START_TEST(progress_counts_and_cancels) {
    calls seen = {.stop_at = _i};
    sf_context_options context_options;
    sf_context_options_init(&context_options);
    context_options.progress = on_progress;
    context_options.user = &seen;
    context_options.plugin_path = test_build("plugins/.libs");
    context_options.backend = "reference";
    sf_context *watched;
    ck_ok(ctx, sf_context_new(&context_options, &watched));
    sf_bench_options options;
    sf_bench_options_init(&options);
    options.warmup = 2;
    options.repeat = 3;
    options.per_op = 1;
    char *json = NULL;
    sf_status status = sf_bench_component(watched, TINY_MODEL, "text_encoder", &options, &json);
    ck_assert_int_eq(status, _i ? SF_ERROR_CANCELLED : SF_OK);
    ck_assert_int_eq(seen.n, _i ? _i : 8);
    sf_text_free(watched, json);
    sf_context_free(watched);
}
END_TEST

/* ---- memory ---- */

static sf_status bench_convolution(sf_context *context, void *user) {
    static const char *const inputs[] = {"1x3x3x2", "2x2x3x3:f16", "2"};
    static const char *const attributes[] = {"padding=1"};
    sf_bench_options options;
    char *json = NULL;
    (void)user;
    sf_bench_options_init(&options);
    options.warmup = 0;
    options.repeat = 1;
    options.inputs = inputs;
    options.n_inputs = 3;
    options.attributes = attributes;
    options.n_attributes = 1;
    sf_status status = sf_bench_op(context, "conv2d", &options, &json);
    sf_text_free(context, json);
    close_backends(context);
    return status;
}

/* user: the device on paper, NULL: it runs */
static sf_status bench_decoder(sf_context *context, void *user) {
    sf_bench_options options;
    char *json = NULL;
    sf_bench_options_init(&options);
    options.roofline = user;
    options.warmup = 0;
    options.repeat = 1;
    options.per_op = 2;
    options.size = 4;
    sf_status status = sf_bench_component(context, TINY_MODEL, "vae_decoder", &options, &json);
    sf_text_free(context, json);
    close_backends(context);
    return status;
}

START_TEST(no_memory_is_an_error) {
    static char device[] = "a100,launch=1u";
    check_each_allocation(_i ? bench_decoder : bench_convolution, _i == 2 ? device : NULL, 0);
}
END_TEST

Suite *suite_bench(void) {
    Suite *suite = suite_create("bench");
    TCase *tcase = tcase_create("bench");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, options_are_checked);
    tcase_add_test(tcase, sizes_of_components_are_checked);
    tcase_add_loop_test(tcase, progress_counts_and_cancels, 0, 9);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("memory");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, no_memory_is_an_error, 0, 3);
    suite_add_tcase(suite, tcase);
    return suite;
}

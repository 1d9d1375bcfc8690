/*
 * No memory at any point of the main path (load, draw, save, read back) is SF_ERROR_MEMORY, leaks
 * nothing and leaves no file; so it is where jansson, which parses configurations and headers, gets
 * none.
 *
 * Every allocation is tried where a round is quick; of long series every one of the first and then
 * each n-th, with an n that shares no factor with the counts of repeated structures.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/failing.h"
#include "tests/support/model_folder.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_pipelines_memory_failure(void);

#define SECONDS 100

/* Numbers up to `dense` are all tried, later ones each `stride`-th; SFUMATO_TEST_SLOW tries all. */
struct series {
    long dense, stride;
};

static long next_in(const struct series *series, long n) {
    return n < series->dense || getenv("SFUMATO_TEST_SLOW") ? n + 1 : n + series->stride;
}

/* ---- the main path ---- */

static sf_status draw_and_save(sf_context *ctx, const char *model) {
    sf_pipeline *pipeline = NULL;
    sf_image *image = NULL, *read = NULL;
    sf_recipe *recipe = NULL;
    sf_generate_options options;
    sf_generate_options_init(&options);
    options.prompt = "a red apple";
    options.steps = 1;
    options.guidance_scale = 3;
    options.width = options.height = 4;
    sf_status status = sf_pipeline_load(ctx, model, &pipeline);
    if (status == SF_OK)
        status = sf_pipeline_generate(pipeline, &options, &image);
    if (status == SF_OK)
        status = sf_image_save(image, scratch("picture.png"));
    if (status == SF_OK)
        status = sf_image_load(ctx, scratch("picture.png"), &read);
    if (status == SF_OK)
        status = sf_recipe_read(ctx, read, &recipe);
    sf_recipe_free(recipe);
    sf_image_free(read);
    sf_image_free(image);
    sf_pipeline_free(pipeline);
    return status;
}

static sf_status describe(sf_context *ctx, const char *model) {
    sf_pipeline *pipeline = NULL;
    sf_generate_options options;
    char *json = NULL;
    sf_generate_options_init(&options);
    options.prompt = "a red apple";
    sf_status status = sf_pipeline_load(ctx, model, &pipeline);
    if (status == SF_OK)
        status = sf_pipeline_describe(pipeline, &options, &json);
    sf_text_free(ctx, json);
    sf_pipeline_free(pipeline);
    return status;
}

static sf_status inspect(sf_context *ctx, const char *model) {
    char *json = NULL;
    sf_status status = sf_inspect(ctx, model, &json);
    sf_text_free(ctx, json);
    return status;
}

static sf_status inspect_weights(sf_context *ctx, const char *model) {
    char file[4096];
    snprintf(file, sizeof file, "%s/text_encoder/model.safetensors", model);
    return inspect(ctx, file);
}

static sf_status inspect_component(sf_context *ctx, const char *model) {
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/unet", model);
    return inspect(ctx, folder);
}

static sf_status list_backends(sf_context *ctx, const char *model) {
    (void)model;
    const sf_backend_info *backends;
    int n_backends;
    sf_status status = sf_context_open_backend(ctx);
    return status == SF_OK ? sf_backend_list(ctx, &backends, &n_backends) : status;
}

static const struct path {
    const char *name;
    sf_status (*run)(sf_context *ctx, const char *model);
    struct series ours, json;
} paths[] = {
    {"draw", draw_and_save, {400, 7}, {100, 41}},
    {"describe", describe, {100, 29}, {100, 97}},
    {"inspect", inspect, {400, 7}, {200, 23}},
    {"inspect weights", inspect_weights, {400, 7}, {1000, 7}},
    {"inspect component", inspect_component, {400, 7}, {400, 23}},
    {"backends", list_backends, {1000, 1}, {1000, 1}},
};
enum { N_PATHS = sizeof paths / sizeof *paths };

static void check_no_file(void) {
    unlink(scratch("picture.png"));
    ck_assert_int_eq(scratch_count(), 0);
}

/*
 * jansson has no word for it when there is no memory for a token: "string or '}' expected" is then a
 * syntax error to it, and so to us.
 */
static bool is_failure(sf_status status, const char *message) {
    return *message && (status == SF_ERROR_MEMORY ||
                        (status == SF_ERROR_FORMAT && strstr(message, "not JSON")));
}

/* The allocator's counts end with the context: it frees its backend and plugins then. */
static void check_run(const struct path *path, long n, struct failing_allocator *allocator,
                      const long *met) {
    sf_context *ctx = failing_context(allocator);
    sf_status status = path->run(ctx, TINY_MODEL);
    char message[1024];
    snprintf(message, sizeof message, "%s", sf_error_message(ctx));
    sf_context_free(ctx);
    if (*met >= n)
        ck_assert_msg(is_failure(status, message), "%s, allocation %ld: status %d, '%s'",
                      path->name, n, (int)status, message);
    else
        ck_assert_msg(status == SF_OK, "%s without a failure: %s", path->name, message);
    /* The context's own block was not counted, but its end was. */
    ck_assert_msg(allocator->live == -1, "%s, allocation %ld: %ld blocks are left", path->name, n,
                  allocator->live + 1);
    check_no_file();
}

START_TEST(every_allocation_may_fail) {
    const struct path *path = &paths[_i];
    long n = 1;
    for (bool met = true; met; n = next_in(&path->ours, n)) {
        struct failing_allocator allocator = {.fail_at = n};
        check_run(path, n, &allocator, &allocator.calls);
        met = allocator.calls >= n;
    }
    ck_assert_int_gt(n, 2);
}
END_TEST

/* ---- jansson ---- */

static long json_calls, json_fail_at, json_live;

static void *json_allocate(size_t bytes) {
    if (++json_calls == json_fail_at)
        return NULL;
    void *block = malloc(bytes);
    json_live += block != NULL;
    return block;
}

static void json_release(void *block) {
    json_live -= block != NULL;
    free(block);
}

START_TEST(every_allocation_of_json_may_fail) {
    const struct path *path = &paths[_i];
    long n = 1;
    json_set_alloc_funcs(json_allocate, json_release);
    for (bool met = true; met; n = next_in(&path->json, n)) {
        struct failing_allocator allocator = {0};
        json_calls = json_live = 0;
        json_fail_at = n;
        check_run(path, n, &allocator, &json_calls);
        ck_assert_msg(json_live == 0, "%s, allocation %ld: %ld JSON blocks are left", path->name, n,
                      json_live);
        met = json_calls >= n;
    }
    json_set_alloc_funcs(malloc, free);
}
END_TEST

Suite *suite_pipelines_memory_failure(void) {
    Suite *suite = suite_create("pipelines_memory_failure");
    TCase *tcase = tcase_create("memory_failure");
    tcase_set_timeout(tcase, SECONDS);
    tcase_add_checked_fixture(tcase, scratch_setup, scratch_teardown);
    tcase_add_loop_test(tcase, every_allocation_may_fail, 0, N_PATHS);
    tcase_add_loop_test(tcase, every_allocation_of_json_may_fail, 0, N_PATHS);
    suite_add_tcase(suite, tcase);
    return suite;
}

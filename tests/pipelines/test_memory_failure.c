/*
 * No memory at any point of the main path (load, draw, save, read back) is SF_ERROR_MEMORY, leaks
 * nothing and leaves no file; so it is where jansson, which parses configurations and headers, gets
 * none.
 *
 * Every allocation is tried where a round is quick; of long series every one of the first and then
 * each n-th, with an n that shares no factor with the counts of repeated structures.
 */
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/failing.h"
#include "tests/support/model_folder.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_pipelines_memory_failure(void);

#define SECONDS 300

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
    int n_tolerated;      /* failures of ours that may go by: of blocks that can be done without */
    int n_json_tolerated; /* of jansson's: the tokenizer's configuration is parsed another way then */
} paths[] = {
    /* Giving back what a picture's text took too much may fail. */
    {"draw", draw_and_save, {LONG_MAX, 1}, {300, 41}, 1, 40},
    {"describe", describe, {400, 7}, {100, 43}, 0, 40},
    {"inspect", inspect, {LONG_MAX, 1}, {300, 41}, 0, 0},
    {"inspect weights", inspect_weights, {LONG_MAX, 1}, {500, 5}, 0, 0},
    {"inspect component", inspect_component, {LONG_MAX, 1}, {300, 31}, 0, 0},
    {"backends", list_backends, {LONG_MAX, 1}, {LONG_MAX, 1}, 0, 0},
};
enum { N_PATHS = sizeof paths / sizeof *paths };

/* One round, with what it left behind. */
struct round {
    sf_status status;
    char message[1024];
};

/* The allocator's counts end with the context: it frees its backend and plugins then. */
static struct round run_round(const struct path *path, long n,
                              struct failing_allocator *allocator) {
    struct round round;
    sf_context *ctx = failing_context(allocator);
    round.status = path->run(ctx, TINY_MODEL);
    snprintf(round.message, sizeof round.message, "%s", sf_error_message(ctx));
    sf_context_free(ctx);
    /* The context's own block was not counted, but its end was. */
    ck_assert_msg(allocator->live == -1, "%s, allocation %ld: %ld blocks are left", path->name, n,
                  allocator->live + 1);
    unlink(scratch("picture.png"));
    ck_assert_int_eq(scratch_count(), 0);
    return round;
}

START_TEST(every_allocation_may_fail) {
    const struct path *path = &paths[_i];
    int n_unnoticed = 0;
    long n = 1;
    for (bool met = true; met; n = next_in(&path->ours, n)) {
        struct failing_allocator allocator = {.fail_at = n};
        struct round round = run_round(path, n, &allocator);
        met = allocator.calls >= n;
        if (round.status == SF_OK)
            n_unnoticed += met;
        else
            ck_assert_msg(met && round.status == SF_ERROR_MEMORY && *round.message,
                          "%s, allocation %ld: status %d, '%s'", path->name, n, (int)round.status,
                          round.message);
    }
    ck_assert_int_gt(n, 2);
    ck_assert_msg(n_unnoticed <= path->n_tolerated, "%s: %d failures went by", path->name,
                  n_unnoticed);
}
END_TEST

/* ---- jansson ---- */

/*
 * jansson 2.14 does not look whether the buffer for a token could grow. If not, it loses a character
 * without a word or stops at an assertion of its own; no caller can do anything about that. A round
 * without failures finds these allocations, and they are left alone: 32, 64 or 128 bytes, after which a
 * block of half that size is freed at once.
 */
enum { MOST_JSON_CALLS = 100000, BLOCK_HEAD = 16 };

static struct json_allocator {
    long calls, fail_at, live;
    size_t last_bytes; /* of the last call, if nothing was freed since */
    bool is_token_buffer[MOST_JSON_CALLS];
} json_allocator;

static void *json_allocate(size_t bytes) {
    struct json_allocator *all = &json_allocator;
    ck_assert_int_lt(++all->calls, MOST_JSON_CALLS);
    if (all->calls == all->fail_at)
        return NULL;
    char *block = malloc(bytes + BLOCK_HEAD);
    ck_assert_ptr_nonnull(block);
    memcpy(block, &bytes, sizeof bytes);
    all->live++;
    all->last_bytes = bytes;
    return block + BLOCK_HEAD;
}

static void json_release(void *given) {
    struct json_allocator *all = &json_allocator;
    size_t bytes;
    if (!given)
        return;
    char *block = (char *)given - BLOCK_HEAD;
    memcpy(&bytes, block, sizeof bytes);
    if ((bytes == 16 || bytes == 32 || bytes == 64) && all->last_bytes == 2 * bytes)
        all->is_token_buffer[all->calls] = true;
    all->last_bytes = 0;
    all->live--;
    free(block);
}

static struct round run_json_round(const struct path *path, long n) {
    struct failing_allocator allocator = {0};
    json_allocator.calls = json_allocator.live = 0;
    json_allocator.fail_at = n;
    struct round round = run_round(path, n, &allocator);
    ck_assert_msg(json_allocator.live == 0, "%s, allocation %ld: %ld JSON blocks are left",
                  path->name, n, json_allocator.live);
    return round;
}

/* Without memory for a token's value, jansson says that the syntax is wrong. */
static bool is_json_failure(const struct round *round) {
    return round->status == SF_ERROR_MEMORY ||
           (round->status == SF_ERROR_FORMAT && strstr(round->message, "not JSON"));
}

START_TEST(every_allocation_of_json_may_fail) {
    const struct path *path = &paths[_i];
    json_set_alloc_funcs(json_allocate, json_release);
    ck_assert_int_eq(run_json_round(path, 0).status, SF_OK);
    long n_calls = json_allocator.calls;
    int n_unnoticed = 0;
    for (long n = 1; n <= n_calls; n = next_in(&path->json, n)) {
        if (json_allocator.is_token_buffer[n])
            continue;
        struct round round = run_json_round(path, n);
        n_unnoticed += round.status == SF_OK;
        ck_assert_msg(round.status == SF_OK || is_json_failure(&round),
                      "%s, allocation %ld of %ld: status %d, '%s'", path->name, n, n_calls,
                      (int)round.status, round.message);
    }
    json_set_alloc_funcs(malloc, free);
    ck_assert_msg(n_unnoticed <= path->n_json_tolerated, "%s: %d failures went by", path->name,
                  n_unnoticed);
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

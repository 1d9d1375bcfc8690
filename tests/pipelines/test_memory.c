/*
 * The memory of a drawing: what is planned is what the allocator then sees, a limit is kept by
 * streaming weights, which changes no pixel, and what can't be kept is refused before any work.
 *
 * Resident memory itself is compared outside of this suite, by bench/memory.py: it depends on the
 * system and on how the library was built.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/model_folder.h"
#include "tests/support/support.h"

Suite *suite_pipelines_memory(void);

#define HEADER 16 /* bytes before a block, with its size; keeps malloc's alignment */

/* An allocator that counts bytes, and a context on it. */
static struct {
    size_t live, peak;
    size_t at_start; /* when the text stage began: all is planned, nothing runs */
} counted;
static int n_text_reports;

static void *counting_resize(void *user, void *block, size_t bytes) {
    (void)user;
    char *start = block ? (char *)block - HEADER : NULL;
    size_t old = 0;
    if (start)
        memcpy(&old, start, sizeof old);
    if (bytes == 0) {
        counted.live -= old;
        free(start);
        return NULL;
    }
    char *resized = realloc(start, bytes + HEADER);
    ck_assert_ptr_nonnull(resized);
    memcpy(resized, &bytes, sizeof bytes);
    counted.live += bytes - old;
    if (counted.live > counted.peak)
        counted.peak = counted.live;
    return resized + HEADER;
}

static int note_progress(void *user, const sf_progress *progress) {
    (void)user;
    if (strcmp(progress->stage, "text") != 0)
        return 0;
    n_text_reports++;
    if (progress->step == 0)
        counted.peak = counted.at_start = counted.live;
    return 0;
}

static sf_context *counting_context(uint64_t max_memory) {
    sf_context_options options;
    sf_context *ctx = NULL;
    sf_context_options_init(&options);
    options.allocator = (sf_allocator){.resize = counting_resize};
    options.progress = note_progress;
    options.max_memory = max_memory;
    options.backend = "reference"; /* it takes nothing for itself */
    n_text_reports = 0;
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    return ctx;
}

static sf_generate_options few_steps(int size) {
    sf_generate_options options;
    sf_generate_options_init(&options);
    options.prompt = "a red apple";
    options.steps = 2;
    options.width = options.height = size;
    return options;
}

static json_t *describe(const sf_generate_options *options) {
    char *text = NULL;
    sf_context *ctx = counting_context(0);
    sf_pipeline *pipeline = NULL;
    ck_ok(ctx, sf_pipeline_load(ctx, test_model(""), &pipeline));
    ck_ok(ctx, sf_pipeline_describe(pipeline, options, &text));
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(json);
    sf_text_free(ctx, text);
    sf_pipeline_free(pipeline);
    sf_context_free(ctx);
    return json;
}

static uint64_t memory_of(const json_t *json, const char *key) {
    const json_t *number = json_object_get(json_object_get(json, "memory"), key);
    ck_assert(json_is_integer(number));
    return (uint64_t)json_integer_value(number);
}

static uint64_t of_stage(const json_t *json, size_t stage, const char *key) {
    const json_t *number =
        json_object_get(json_array_get(json_object_get(json, "stages"), stage), key);
    ck_assert(json_is_integer(number));
    return (uint64_t)json_integer_value(number);
}

/* Of each stage what is neither in the process before nor a weight: the most of all stages. */
static uint64_t planned_work(const json_t *json) {
    uint64_t most = 0;
    for (size_t i = 0; i < 3; i++) {
        uint64_t bytes = of_stage(json, i, "process_bytes") - memory_of(json, "base_bytes") -
                         of_stage(json, i, "resident_weight_bytes");
        most = bytes > most ? bytes : most;
    }
    return most;
}

START_TEST(the_allocator_sees_what_was_planned) {
    static const int sizes[] = {32, 64, 96};
    sf_generate_options options = few_steps(sizes[_i]);
    json_t *json = describe(&options);
    uint64_t planned = planned_work(json);
    sf_context *ctx = counting_context(0);
    sf_pipeline *pipeline = NULL;
    sf_image *image = NULL;
    ck_ok(ctx, sf_pipeline_load(ctx, test_model(""), &pipeline));
    ck_ok(ctx, sf_pipeline_generate(pipeline, &options, &image));
    uint64_t seen = counted.peak - counted.at_start;
    ck_assert_msg(seen >= planned - planned / 10 && seen <= planned + planned / 10,
                  "%d pixels a side: %llu bytes planned, %llu seen", sizes[_i],
                  (unsigned long long)planned, (unsigned long long)seen);
    sf_image_free(image);
    sf_pipeline_free(pipeline);
    sf_context_free(ctx);
    ck_assert_uint_eq(counted.live, 0);
    json_decref(json);
}
END_TEST

/* Draws into pixels, 32 x 32. */
static void draw_within(uint64_t max_memory, uint8_t *pixels) {
    sf_generate_options options = few_steps(32);
    sf_context *ctx = counting_context(max_memory);
    sf_pipeline *pipeline = NULL;
    sf_image *image = NULL;
    char *text = NULL;
    ck_ok(ctx, sf_pipeline_load(ctx, test_model(""), &pipeline));
    ck_ok(ctx, sf_pipeline_describe(pipeline, &options, &text));
    json_t *json = json_loads(text, 0, NULL);
    bool streams =
        of_stage(json, 1, "resident_weight_bytes") + 1000000 < of_stage(json, 1, "weight_bytes");
    ck_assert_int_eq(streams, max_memory != 0);
    ck_assert_uint_eq(memory_of(json, "limit_bytes"), max_memory);
    if (max_memory)
        ck_assert_uint_le(memory_of(json, "peak_bytes"), max_memory);
    json_decref(json);
    sf_text_free(ctx, text);
    ck_ok(ctx, sf_pipeline_generate(pipeline, &options, &image));
    memcpy(pixels, sf_image_pixels(image), 32 * 32 * 3);
    sf_image_free(image);
    sf_pipeline_free(pipeline);
    sf_context_free(ctx);
}

/* Between what is least and what all weights take; a process differs a little from the next. */
START_TEST(a_limit_changes_no_pixel) {
    static uint8_t without[32 * 32 * 3], within[32 * 32 * 3];
    sf_generate_options options = few_steps(32);
    json_t *json = describe(&options);
    uint64_t least = memory_of(json, "least_bytes"), peak = memory_of(json, "peak_bytes");
    json_decref(json);
    ck_assert_uint_gt(peak, least + 6000000);
    draw_within(0, without);
    draw_within(least + (peak - least) / 2, within);
    ck_assert_mem_eq(within, without, sizeof within);
}
END_TEST

START_TEST(what_does_not_fit_is_refused_before_any_work) {
    sf_generate_options options = few_steps(32);
    sf_context *ctx = counting_context(1000000);
    sf_pipeline *pipeline = NULL;
    sf_image *image = NULL;
    char *text = NULL;
    ck_ok(ctx, sf_pipeline_load(ctx, test_model(""), &pipeline));
    ck_fails(ctx, sf_pipeline_generate(pipeline, &options, &image), SF_ERROR_MEMORY,
             "1.0 MB are allowed");
    ck_assert_ptr_nonnull(strstr(sf_error_message(ctx), "stage text: out of memory: "));
    ck_assert_ptr_null(image);
    ck_assert_int_eq(n_text_reports, 0);
    ck_fails(ctx, sf_pipeline_describe(pipeline, &options, &text), SF_ERROR_MEMORY,
             "1.0 MB are allowed");
    ck_assert_ptr_null(text);
    sf_pipeline_free(pipeline);
    sf_context_free(ctx);
    ck_assert_uint_eq(counted.live, 0);
}
END_TEST

/* Options of a program that was built before there was a limit. */
START_TEST(older_options_have_no_limit) {
    sf_context_options options;
    sf_context *ctx = NULL;
    sf_generate_options drawn = few_steps(16);
    sf_pipeline *pipeline = NULL;
    sf_image *image = NULL;
    sf_context_options_init(&options);
    options.max_memory = 1;
    options.struct_size = offsetof(sf_context_options, max_memory);
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    ck_ok(ctx, sf_pipeline_load(ctx, TINY_MODEL, &pipeline));
    ck_ok(ctx, sf_pipeline_generate(pipeline, &drawn, &image));
    sf_image_free(image);
    sf_pipeline_free(pipeline);
    sf_context_free(ctx);
}
END_TEST

Suite *suite_pipelines_memory(void) {
    Suite *suite = suite_create("pipelines_memory");
    TCase *tcase = tcase_create("memory");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, the_allocator_sees_what_was_planned, 0, 3);
    tcase_add_test(tcase, a_limit_changes_no_pixel);
    tcase_add_test(tcase, what_does_not_fit_is_refused_before_any_work);
    tcase_add_test(tcase, older_options_have_no_limit);
    suite_add_tcase(suite, tcase);
    return suite;
}

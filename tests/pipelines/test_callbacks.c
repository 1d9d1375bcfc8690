/*
 * Progress, preview and cancelling: what the callbacks are told, and that a pipeline can be used
 * after it was stopped anywhere. On the tiny model.
 */
#include <stdio.h>

#include "tests/support/model_folder.h"
#include "tests/support/pictures.h"
#include "tests/support/recorder.h"
#include "tests/support/support.h"

Suite *suite_pipelines_callbacks(void);

enum { N_STEPS = 4, N_PICTURES = 2 };

static struct recorder recorder;
static sf_context *ctx;
static sf_pipeline *pipeline;
static sf_generate_options options;
static sf_image *images[N_PICTURES];

static void setup(void) {
    recorder = (struct recorder){0};
    ctx = recorder_context(&recorder);
    ck_ok(ctx, sf_pipeline_load(ctx, TINY_MODEL, &pipeline));
    sf_generate_options_init(&options);
    options.prompt = "a tiny red apple";
    options.steps = N_STEPS;
    options.seed = 9;
    options.batch = N_PICTURES;
    options.width = 24;
}

static void free_images(void) {
    for (int i = 0; i < N_PICTURES; i++) {
        sf_image_free(images[i]);
        images[i] = NULL;
    }
}

static void teardown(void) {
    free_images();
    sf_pipeline_free(pipeline);
    test_context_free(ctx);
}

static void draw(void) {
    recorder_clear(&recorder);
    ck_ok(ctx, sf_pipeline_generate(pipeline, &options, images));
}

/* ---- what is told ---- */

/* The order of stages in a call: each step of denoise for each picture, then its decode. */
START_TEST(progress_tells_each_stage_in_turn) {
    draw();
    const char *stage = "";
    int step = 0, n_ends = 0;
    for (int i = 0; i < recorder.n_calls; i++) {
        const struct recorded_call *call = &recorder.calls[i];
        ck_assert_msg(strcmp(call->stage, "text") == 0 || strcmp(call->stage, "denoise") == 0 ||
                          strcmp(call->stage, "decode") == 0,
                      "stage %s", call->stage);
        ck_assert_int_ge(call->step, 0);
        ck_assert_int_le(call->step, call->n_steps);
        ck_assert(call->seconds >= 0);
        if (strcmp(call->stage, stage) == 0 && call->step != 0)
            ck_assert_msg(call->step == step + 1, "%s: step %d after %d", stage, call->step, step);
        stage = call->stage;
        step = call->step;
        n_ends += strcmp(call->stage, "denoise") == 0 && call->step == call->n_steps;
    }
    ck_assert_int_ge(recorder_count(&recorder, "text"), 1);
    ck_assert_int_ge(recorder_count(&recorder, "denoise"), N_PICTURES * N_STEPS);
    ck_assert_int_ge(recorder_count(&recorder, "decode"), 1);
    ck_assert_int_ge(n_ends, 1);
    const struct recorded_call *last = &recorder.calls[recorder.n_calls - 1];
    ck_assert_str_eq(last->stage, "decode");
    ck_assert_int_eq(last->step, last->n_steps);
}
END_TEST

START_TEST(loading_tells_too) {
    ck_assert_int_ge(recorder_count(&recorder, "load"), 1);
    ck_assert_int_eq(recorder_count(&recorder, "load"), recorder.n_calls);
}
END_TEST

START_TEST(preview_has_the_latents_shape) {
    draw();
    ck_assert_int_eq(recorder.n_previews, N_PICTURES * N_STEPS);
    for (int i = 0; i < recorder.n_previews; i++) {
        const struct recorded_preview *preview = &recorder.previews[i];
        ck_assert_int_eq(preview->step, i % N_STEPS + 1);
        ck_assert_int_eq(preview->n_steps, N_STEPS);
        /* Latents are half the picture's size; a preview may be enlarged, but keeps the ratio. */
        ck_assert_int_eq(preview->width * 16, preview->height * 24);
        ck_assert_int_ge(preview->width, 12);
    }
    ck_assert_str_eq(recorder.log, "");
}
END_TEST

/* Whose number of evaluations nobody knows before the end. */
START_TEST(an_adaptive_sampler_is_told_as_a_guess) {
    options.sampler = "dpm_adaptive";
    options.batch = 1;
    draw();
    int n = recorder_count(&recorder, "denoise") - 1, step = 0;
    ck_assert_int_gt(n, N_STEPS);
    for (int i = 0; i < recorder.n_calls; i++) {
        const struct recorded_call *call = &recorder.calls[i];
        if (strcmp(call->stage, "denoise") != 0)
            continue;
        ck_assert_int_eq(call->step, step++);
        ck_assert(step <= n ? call->step < call->n_steps : call->n_steps == n);
    }
    ck_assert_int_eq(recorder.n_previews, n);
}
END_TEST

/* ---- stopping ---- */

/* A stopped call gives no picture; the next call on the same pipeline gives the right ones. */
static void check_cancelled_then_drawn(sf_image *const wanted[]) {
    ck_fails(ctx, sf_pipeline_generate(pipeline, &options, images), SF_ERROR_CANCELLED,
             "cancelled");
    for (int i = 0; i < N_PICTURES; i++)
        ck_assert_ptr_null(images[i]);
    recorder.cancel_progress_at = recorder.cancel_preview_at = 0;
    draw();
    for (int i = 0; i < N_PICTURES; i++)
        check_pictures_equal(images[i], wanted[i]);
    free_images();
}

START_TEST(every_callback_can_cancel) {
    sf_image *wanted[N_PICTURES];
    draw();
    int n_calls = recorder.n_calls, n_previews = recorder.n_previews;
    for (int i = 0; i < N_PICTURES; i++) {
        wanted[i] = images[i];
        images[i] = NULL;
    }
    for (int i = 1; i <= n_calls; i++) {
        recorder.cancel_progress_at = i;
        recorder_clear(&recorder);
        check_cancelled_then_drawn(wanted);
    }
    for (int i = 1; i <= n_previews; i++) {
        recorder.cancel_preview_at = i;
        recorder_clear(&recorder);
        check_cancelled_then_drawn(wanted);
    }
    for (int i = 0; i < N_PICTURES; i++)
        sf_image_free(wanted[i]);
}
END_TEST

START_TEST(loading_can_be_cancelled) {
    int n_calls = recorder.n_calls;
    for (int i = 1; i <= n_calls; i++) {
        sf_pipeline *other = NULL;
        recorder.cancel_progress_at = i;
        recorder_clear(&recorder);
        ck_fails(ctx, sf_pipeline_load(ctx, TINY_MODEL, &other), SF_ERROR_CANCELLED, "cancelled");
        ck_assert_ptr_null(other);
    }
}
END_TEST

Suite *suite_pipelines_callbacks(void) {
    Suite *suite = suite_create("pipelines_callbacks");
    TCase *tcase = tcase_create("callbacks");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, loading_tells_too);
    tcase_add_test(tcase, progress_tells_each_stage_in_turn);
    tcase_add_test(tcase, preview_has_the_latents_shape);
    tcase_add_test(tcase, an_adaptive_sampler_is_told_as_a_guess);
    tcase_add_test(tcase, every_callback_can_cancel);
    tcase_add_test(tcase, loading_can_be_cancelled);
    suite_add_tcase(suite, tcase);
    return suite;
}

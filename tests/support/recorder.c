#include "tests/support/recorder.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/support.h"

static void on_log(void *user, sf_log_level level, const char *message) {
    static const char *const names[] = {"error", "warning", "info", "debug"};
    struct recorder *recorder = user;
    size_t used = strlen(recorder->log);
    snprintf(recorder->log + used, sizeof recorder->log - used, "%s: %s\n", names[level], message);
}

static int on_progress(void *user, const sf_progress *progress) {
    struct recorder *recorder = user;
    ck_assert_int_lt(recorder->n_calls, RECORDER_CALLS);
    struct recorded_call *call = &recorder->calls[recorder->n_calls++];
    *call = (struct recorded_call){"", progress->step, progress->n_steps, progress->seconds};
    snprintf(call->stage, sizeof call->stage, "%s", progress->stage);
    return recorder->n_calls == recorder->cancel_progress_at;
}

static int on_preview(void *user, int step, int n_steps, const sf_image *image) {
    struct recorder *recorder = user;
    ck_assert_int_lt(recorder->n_previews, RECORDER_CALLS);
    recorder->previews[recorder->n_previews++] =
        (struct recorded_preview){step, n_steps, sf_image_width(image), sf_image_height(image)};
    return recorder->n_previews == recorder->cancel_preview_at;
}

void recorder_clear(struct recorder *recorder) {
    *recorder = (struct recorder){.cancel_progress_at = recorder->cancel_progress_at,
                                  .cancel_preview_at = recorder->cancel_preview_at};
}

sf_context *recorder_context(struct recorder *recorder) {
    sf_context_options options;
    sf_context *ctx = NULL;
    recorder_clear(recorder);
    sf_context_options_init(&options);
    options.log = on_log;
    options.progress = on_progress;
    options.preview = on_preview;
    options.user = recorder;
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    return ctx;
}

int recorder_count(const struct recorder *recorder, const char *stage) {
    int count = 0;
    for (int i = 0; i < recorder->n_calls; i++)
        count += strcmp(recorder->calls[i].stage, stage) == 0;
    return count;
}

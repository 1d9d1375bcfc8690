/*
 * The context: its options, the error message, log and progress.
 */
#include "core/context.h"

#include <stddef.h>
#include <stdlib.h>

#include "core/memory.h"
#include "tests/support/support.h"

Suite *suite_core_context(void);

/* ---- status ---- */

START_TEST(every_status_has_a_text) {
    for (int s = SF_OK; s <= SF_ERROR_INTERNAL; s++) {
        ck_assert_str_ne(sf_status_text((sf_status)s), "unknown status");
        for (int other = SF_OK; other < s; other++)
            ck_assert_str_ne(sf_status_text((sf_status)s), sf_status_text((sf_status)other));
    }
    ck_assert_str_eq(sf_status_text((sf_status)1234), "unknown status");
    ck_assert_str_ne(sf_version(), "");
}
END_TEST

/* ---- options ---- */

START_TEST(options_are_copied) {
    char backend[] = "cuda:1", path[] = "/a:/b";
    sf_context_options options;
    sf_context_options_init(&options);
    options.backend = backend;
    options.plugin_path = path;
    options.strict = 1;
    sf_context *ctx;
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    memset(backend, 'x', sizeof backend - 1);
    memset(path, 'x', sizeof path - 1);
    ck_assert_str_eq(ctx->options.backend, "cuda:1");
    ck_assert_str_eq(ctx->options.plugin_path, "/a:/b");
    ck_assert_int_eq(ctx->options.strict, 1);
    ck_assert_str_eq(sf_error_message(ctx), "");
    sf_context_free(ctx);
    sf_context_free(NULL);
    ck_assert_str_eq(sf_error_message(NULL), "");
}
END_TEST

/* A caller that was compiled with fewer members: those past its struct_size are not read. */
START_TEST(members_past_struct_size_are_defaults) {
    sf_context_options options;
    memset(&options, 0x5a, sizeof options);
    options.struct_size = offsetof(sf_context_options, backend);
    options.allocator = (sf_allocator){.resize = NULL};
    options.log = NULL;
    options.log_level = SF_LOG_ERROR;
    options.progress = NULL;
    options.preview = NULL;
    options.user = NULL;
    sf_context *ctx;
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    ck_assert_ptr_null(ctx->options.backend);
    ck_assert_ptr_null(ctx->options.plugin_path);
    ck_assert_int_eq(ctx->options.strict, 0);
    sf_context_free(ctx);
}
END_TEST

/* One of a later version has more members behind; they are passed over. */
START_TEST(a_larger_struct_is_cut) {
    struct {
        sf_context_options known;
        char more[64];
    } options;
    sf_context_options_init(&options.known);
    memset(options.more, 0x5a, sizeof options.more);
    options.known.struct_size = sizeof options;
    sf_context *ctx;
    ck_assert_int_eq(sf_context_new(&options.known, &ctx), SF_OK);
    ck_assert_uint_eq(ctx->options.struct_size, sizeof ctx->options);
    sf_context_free(ctx);
    ck_assert_int_eq(sf_context_new(NULL, &ctx), SF_OK);
    sf_context_free(ctx);
}
END_TEST

struct counter {
    long calls, fail_at, live;
};

static void *counting_resize(void *user, void *block, size_t bytes) {
    struct counter *counter = user;
    if (bytes == 0) {
        counter->live -= block != NULL;
        free(block);
        return NULL;
    }
    if (++counter->calls == counter->fail_at)
        return NULL;
    counter->live += block == NULL;
    return realloc(block, bytes);
}

START_TEST(making_a_context_survives_each_failed_allocation) {
    long n = 0;
    for (sf_status status = SF_ERROR_MEMORY; status != SF_OK;) {
        struct counter counter = {.fail_at = ++n};
        sf_context_options options;
        sf_context_options_init(&options);
        options.allocator = (sf_allocator){.resize = counting_resize, .user = &counter};
        options.backend = "reference";
        options.plugin_path = "/nowhere";
        sf_context *ctx = NULL;
        status = sf_context_new(&options, &ctx);
        if (status != SF_OK) {
            ck_assert_int_eq(status, SF_ERROR_MEMORY);
            ck_assert_ptr_null(ctx);
        }
        sf_context_free(ctx);
        ck_assert_int_eq(counter.live, 0);
    }
    ck_assert_int_eq(n, 4); /* the context and two strings, then none fails */
}
END_TEST

/* ---- errors ---- */

static sf_status inner(sf_context *ctx) {
    SF_FAIL(ctx, ERROR_SHAPE, "%d channels, not %d", 3, 4);
}

static sf_status outer(sf_context *ctx) {
    sf_status status = inner(ctx);
    return sf_fail_in(ctx, status, "conv2d \"%s\"", "mid");
}

START_TEST(a_failure_is_told_from_the_inside_out) {
    sf_context *ctx = test_context();
    ck_assert_int_eq(outer(ctx), SF_ERROR_SHAPE);
    ck_assert_str_eq(sf_error_message(ctx), "conv2d \"mid\": 3 channels, not 4");
    test_context_free(ctx);
}
END_TEST

START_TEST(message_of_hostile_text_is_one_line) {
    sf_context *ctx = test_context();
    sf_fail(ctx, SF_ERROR_FORMAT, "tensor '%s'", "a\nb\r\x1b[31m\x7f\xc3\xa9");
    ck_assert_str_eq(sf_error_message(ctx), "tensor 'a?b??[31m?\xc3\xa9'");
    sf_fail_in(ctx, SF_ERROR_FORMAT, "file %s", "c\nd");
    ck_assert_str_eq(sf_error_message(ctx), "file c?d: tensor 'a?b??[31m?\xc3\xa9'");
    test_context_free(ctx);
}
END_TEST

START_TEST(long_messages_are_cut) {
    sf_context *ctx = test_context();
    char text[3 * SF_ERROR_BYTES];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ck_assert_int_eq(sf_fail(ctx, SF_ERROR_IO, "%s", text), SF_ERROR_IO);
    ck_assert_uint_eq(strlen(sf_error_message(ctx)), SF_ERROR_BYTES - 1);
    ck_assert_int_eq(sf_fail_in(ctx, SF_ERROR_IO, "%s", text), SF_ERROR_IO);
    ck_assert_uint_eq(strlen(sf_error_message(ctx)), SF_ERROR_BYTES - 1);
    test_context_free(ctx);
}
END_TEST

/* ---- callbacks ---- */

struct heard {
    int n_messages, n_progress, stop_at;
    sf_log_level level;
    char message[64];
};

static void hear(void *user, sf_log_level level, const char *message) {
    struct heard *heard = user;
    heard->n_messages++;
    heard->level = level;
    strncpy(heard->message, message, sizeof heard->message - 1);
}

static int follow(void *user, const sf_progress *progress) {
    struct heard *heard = user;
    heard->n_progress++;
    return progress->step == heard->stop_at;
}

START_TEST(messages_up_to_the_level_are_logged) {
    struct heard heard = {.stop_at = -1};
    sf_context_options options;
    sf_context_options_init(&options);
    ck_assert_int_eq(options.log_level, SF_LOG_WARNING);
    options.log = hear;
    options.user = &heard;
    sf_context *ctx;
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    sf_log(ctx, SF_LOG_INFO, "not this");
    ck_assert_int_eq(heard.n_messages, 0);
    sf_log(ctx, SF_LOG_WARNING, "%s %d", "disk", 7);
    ck_assert_int_eq(heard.n_messages, 1);
    ck_assert_int_eq(heard.level, SF_LOG_WARNING);
    ck_assert_str_eq(heard.message, "disk 7");
    sf_context_free(ctx);
}
END_TEST

START_TEST(progress_can_cancel) {
    struct heard heard = {.stop_at = 3};
    sf_context_options options;
    sf_context_options_init(&options);
    options.progress = follow;
    options.user = &heard;
    sf_context *ctx;
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    sf_progress progress = {.stage = "denoise", .step = 2, .n_steps = 9};
    ck_ok(ctx, sf_report_progress(ctx, &progress));
    progress.step = 3;
    ck_fails(ctx, sf_report_progress(ctx, &progress), SF_ERROR_CANCELLED, "denoise, step 3 of 9");
    ck_assert_int_eq(heard.n_progress, 2);
    sf_context_free(ctx);

    ctx = test_context();
    ck_ok(ctx, sf_report_progress(ctx, &progress));
    test_context_free(ctx);
}
END_TEST

Suite *suite_core_context(void) {
    Suite *suite = suite_create("core_context");
    TCase *tcase = tcase_create("context");
    tcase_add_test(tcase, every_status_has_a_text);
    tcase_add_test(tcase, options_are_copied);
    tcase_add_test(tcase, members_past_struct_size_are_defaults);
    tcase_add_test(tcase, a_larger_struct_is_cut);
    tcase_add_test(tcase, making_a_context_survives_each_failed_allocation);
    tcase_add_test(tcase, a_failure_is_told_from_the_inside_out);
    tcase_add_test(tcase, message_of_hostile_text_is_one_line);
    tcase_add_test(tcase, long_messages_are_cut);
    tcase_add_test(tcase, messages_up_to_the_level_are_logged);
    tcase_add_test(tcase, progress_can_cancel);
    suite_add_tcase(suite, tcase);
    return suite;
}

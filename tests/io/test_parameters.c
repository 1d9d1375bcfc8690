/* The "parameters" text: written as stable-diffusion-webui does, read as it reads. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/io/json.h"
#include "core/io/parameters.h"
#include "core/memory.h"
#include "tests/support/failing.h"
#include "tests/support/support.h"

Suite *suite_io_parameters(void);

static sf_context *ctx;
static sf_parameters parameters;

static void setup(void) {
    ctx = test_context();
    parameters = (sf_parameters){.ctx = ctx};
}

static void teardown(void) {
    sf_parameters_clear(&parameters);
    test_context_free(ctx);
}

static void assert_text(const char *wanted) {
    char *text;
    ck_ok(ctx, sf_parameters_write(&parameters, &text));
    ck_assert_str_eq(text, wanted);
    sf_free(ctx, text);
}

START_TEST(the_text_is_that_of_webui) {
    ck_ok(ctx, sf_parameters_set_prompts(&parameters, "a red apple,\n(shiny:1.2)", "blurry"));
    ck_ok(ctx, sf_parameters_set_int(&parameters, "Steps", 20));
    ck_ok(ctx, sf_parameters_set(&parameters, "Sampler", "Euler"));
    ck_ok(ctx, sf_parameters_set(&parameters, "Schedule type", "Karras"));
    ck_ok(ctx, sf_parameters_set_float(&parameters, "CFG scale", 7.5f));
    ck_ok(ctx, sf_parameters_set_unsigned(&parameters, "Seed", 18446744073709551615u));
    ck_ok(ctx, sf_parameters_set(&parameters, "Size", "512x512"));
    ck_ok(ctx, sf_parameters_set(&parameters, "Model hash", "0123456789"));
    ck_ok(ctx, sf_parameters_set(&parameters, "Model", "emoji"));
    ck_ok(ctx, sf_parameters_set(&parameters, "Version", "sfumato 0.1.0"));
    assert_text("a red apple,\n(shiny:1.2)\nNegative prompt: blurry\nSteps: 20, Sampler: Euler, "
                "Schedule type: Karras, CFG scale: 7.5, Seed: 18446744073709551615, Size: 512x512, "
                "Model hash: 0123456789, Model: emoji, Version: sfumato 0.1.0");
    ck_ok(ctx, sf_parameters_set_float(&parameters, "CFG scale", 7.0f));
    ck_ok(ctx, sf_parameters_set_prompts(&parameters, "", ""));
    char *text;
    ck_ok(ctx, sf_parameters_write(&parameters, &text));
    ck_assert_ptr_eq(strstr(text, "Steps: 20"), text);
    ck_assert_ptr_nonnull(strstr(text, ", CFG scale: 7, Seed: "));
    ck_assert_ptr_null(strstr(text, "Negative"));
    sf_free(ctx, text);
}
END_TEST

START_TEST(values_are_quoted_where_webui_quotes) {
    ck_ok(ctx, sf_parameters_set(&parameters, "A", "a, b"));
    ck_ok(ctx, sf_parameters_set(&parameters, "B", "a:b \"c\" \xc3\xa9\\"));
    ck_ok(ctx, sf_parameters_set(&parameters, "C", "a\nb"));
    ck_ok(ctx, sf_parameters_set(&parameters, "D", "a \"b\""));
    ck_ok(ctx, sf_parameters_set(&parameters, "E", "E"));
    assert_text("A: \"a, b\", B: \"a:b \\\"c\\\" \xc3\xa9\\\\\", C: \"a\\nb\", D: a \"b\", E");
}
END_TEST

START_TEST(nothing_is_an_empty_text) {
    assert_text("");
    ck_ok(ctx, sf_parameters_set_prompts(&parameters, NULL, NULL));
    assert_text("");
    ck_assert_ptr_null(sf_parameters_get(&parameters, "Steps"));
}
END_TEST

/* Goldens by webui's regular expression: tests/oracle/make_io_goldens.py. */
START_TEST(texts_are_read_as_webui_reads_them) {
    json_t *root, *one;
    size_t i;
    ck_ok(ctx, sf_json_load(ctx, test_data("io/parameters.json"), &root));
    json_t *cases = json_object_get(root, "cases");
    ck_assert_uint_gt(json_array_size(cases), 50);
    json_array_foreach(cases, i, one) {
        const char *key;
        json_t *value;
        size_t n = 0;
        ck_ok(ctx,
              sf_parameters_parse(json_string_value(json_object_get(one, "text")), &parameters));
        ck_assert_str_eq(parameters.prompt, json_string_value(json_object_get(one, "prompt")));
        ck_assert_str_eq(parameters.negative_prompt,
                         json_string_value(json_object_get(one, "negative")));
        json_object_foreach(json_object_get(one, "items"), key, value) {
            ck_assert_msg(n < parameters.n_items, "case %zu: '%s' is missing", i, key);
            ck_assert_str_eq(parameters.items[n].key, key);
            ck_assert_str_eq(parameters.items[n].value, json_string_value(value));
            n++;
        }
        ck_assert_msg(n == parameters.n_items, "case %zu: %zu items, not %zu", i,
                      parameters.n_items, n);
        sf_parameters_clear(&parameters);
    }
    json_decref(root);
}
END_TEST

START_TEST(what_is_written_is_read_again) {
    char *text;
    ck_ok(ctx, sf_parameters_set_prompts(&parameters, "line one\n\nline (two:1.1)", "a, b\nc"));
    ck_ok(ctx, sf_parameters_set(&parameters, "Steps", "20"));
    ck_ok(ctx, sf_parameters_set(&parameters, "Odd value", "a, \"b\": c\nd\\ \xf0\x9f\x8d\x8e"));
    ck_ok(ctx, sf_parameters_set(&parameters, "Version", "sfumato 0.1.0"));
    ck_ok(ctx, sf_parameters_write(&parameters, &text));
    sf_parameters again = {.ctx = ctx};
    ck_ok(ctx, sf_parameters_parse(text, &again));
    ck_assert_str_eq(again.prompt, parameters.prompt);
    ck_assert_str_eq(again.negative_prompt, parameters.negative_prompt);
    ck_assert_uint_eq(again.n_items, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(again.items[i].key, parameters.items[i].key);
        ck_assert_str_eq(again.items[i].value, parameters.items[i].value);
    }
    sf_parameters_clear(&again);
    sf_free(ctx, text);
}
END_TEST

/* Each would take hours if the reader's time grew with the square of the length. */
START_TEST(hostile_texts_take_linear_time) {
    enum { BYTES = 4 << 20 };
    static const char *const pieces[] = {"a",     "a: ",      "a,", "\"", "ab:\"",
                                         "ab:c,", "\\",       " ",  "\n", "Negative prompt:\n",
                                         "-",     "ab: \\\"", ":"};
    char *text = malloc(BYTES + 1);
    ck_assert_ptr_nonnull(text);
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        size_t length = strlen(pieces[p]);
        for (size_t i = 0; i < BYTES; i++)
            text[i] = pieces[p][i % length];
        text[BYTES] = '\0';
        ck_ok(ctx, sf_parameters_parse(text, &parameters));
        sf_parameters_clear(&parameters);
    }
    /* Keys that all differ. */
    for (size_t i = 0; i < BYTES; i++)
        text[i] = i % 8 == 7 ? ',' : i % 8 == 6 ? ':' : (char)('a' + (i / 8 >> (4 * (i % 8)) & 15));
    ck_ok(ctx, sf_parameters_parse(text, &parameters));
    ck_assert_uint_eq(parameters.n_items, 0); /* none has a value */
    sf_parameters_clear(&parameters);
    for (size_t i = 0; i < BYTES; i++)
        if (i % 8 == 6)
            text[i] = 'x';
        else if (i % 8 == 5)
            text[i] = ':';
    ck_ok(ctx, sf_parameters_parse(text, &parameters));
    ck_assert_uint_eq(parameters.n_items, SF_PARAMETERS_MAX);
    free(text);
}
END_TEST

static sf_status parse_and_write(sf_context *failing, void *user) {
    sf_parameters read = {.ctx = failing};
    char *text = NULL;
    sf_status status;
    SF_TRY_OUT(sf_parameters_parse(user, &read));
    SF_TRY_OUT(sf_parameters_set_float(&read, "CFG scale", 1.5f));
    SF_TRY_OUT(sf_parameters_set_int(&read, "New", -1));
    SF_TRY_OUT(sf_parameters_write(&read, &text));
out:
    sf_free(failing, text);
    sf_parameters_clear(&read);
    return status;
}

START_TEST(every_allocation_may_fail) {
    static char text[] =
        "p\nq\nNegative prompt: n\nSteps: 1, CFG scale: 7, Size: \"a, b\", Seed: 2";
    check_each_allocation(parse_and_write, text, 0);
}
END_TEST

Suite *suite_io_parameters(void) {
    Suite *suite = suite_create("io/parameters");
    TCase *tcase = tcase_create("parameters");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_text_is_that_of_webui);
    tcase_add_test(tcase, values_are_quoted_where_webui_quotes);
    tcase_add_test(tcase, nothing_is_an_empty_text);
    tcase_add_test(tcase, texts_are_read_as_webui_reads_them);
    tcase_add_test(tcase, what_is_written_is_read_again);
    tcase_add_test(tcase, hostile_texts_take_linear_time);
    tcase_add_test(tcase, every_allocation_may_fail);
    suite_add_tcase(suite, tcase);
    return suite;
}

/* Growing text, numbers, JSON strings, UTF-8 and Latin-1; and SHA-256. */
#include <check.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/half.h"
#include "core/memory.h"
#include "core/sha256.h"
#include "core/text.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_core_text(void);

static sf_context *ctx;
static sf_text text;

static void setup(void) {
    ctx = test_context();
    text = (sf_text){.ctx = ctx};
}

static void teardown(void) {
    sf_free(ctx, text.chars);
    test_context_free(ctx);
}

static const char *float_text(float value) {
    text.length = 0;
    ck_ok(ctx, sf_text_append_float(&text, value));
    return text.chars;
}

START_TEST(floats_have_their_shortest_form) {
    static const struct {
        float value;
        const char *wanted;
    } cases[] = {{7.5f, "7.5"},
                 {7, "7"},
                 {0, "0"},
                 {-0.0f, "-0"},
                 {0.1f, "0.1"},
                 {1e-5f, "1e-05"},
                 {16777216, "16777216"},
                 {1.0f / 3, "0.33333334"},
                 {FLT_MAX, "3.4028235e+38"},
                 {INFINITY, "inf"},
                 {-INFINITY, "-inf"},
                 {NAN, "nan"},
                 {100, "100"},
                 {512, "512"},
                 {0.00085f, "0.00085"},
                 {1234.5f, "1234.5"},
                 {1e10f, "1e+10"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_str_eq(float_text(cases[i].value), cases[i].wanted);
    for (uint32_t bits = 0; bits < 0x7f800000; bits += 1000003) {
        float value = sf_float_from_bits(bits);
        ck_assert_float_eq(strtof(float_text(value), NULL), value);
    }
}
END_TEST

START_TEST(decimal_of_a_float_is_what_was_written) {
    static const double written[] = {0.1, 8.4, 7.5, 0, -2.3, 1e-5, 1e10, 0.33333334};
    for (size_t i = 0; i < sizeof written / sizeof *written; i++)
        ck_assert_double_eq(sf_float_decimal((float)written[i]), written[i]);
    ck_assert_double_infinite(sf_float_decimal(-INFINITY));
    ck_assert_double_nan(sf_float_decimal(NAN));
}
END_TEST

START_TEST(floats_do_not_depend_on_the_locale) {
    static const char *const with_comma[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "nl_NL.UTF-8"};
    for (size_t i = 0; i < sizeof with_comma / sizeof *with_comma; i++)
        setlocale(LC_ALL, with_comma[i]); /* may not be installed: the test is then a plain one */
    ck_assert_str_eq(float_text(7.5f), "7.5");
    ck_assert_str_eq(float_text(-1.5e-10f), "-1.5e-10");
    setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(json_strings_are_those_of_python) {
    ck_ok(ctx, sf_text_append_json_string(&text, "a\"b\\c\n\r\t\b\f\x01\x1f\x7f/\xc3\xa9"));
    ck_assert_str_eq(text.chars, "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u001f\x7f/\xc3\xa9\"");
}
END_TEST

START_TEST(utf8_is_checked) {
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc3",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "\xff",
                                      "a\xe2\x82",
                                      "\xe2(\xa1"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(sf_utf8_valid(good[i], strlen(good[i])), "good %zu", i);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!sf_utf8_valid(bad[i], strlen(bad[i])), "bad %zu", i);
    ck_assert(!sf_utf8_valid("a\0b", 3));
}
END_TEST

START_TEST(latin1_and_back) {
    char all[255], byte = 1;
    bool fits;
    for (int i = 0; i < 255; i++)
        all[i] = byte++;
    ck_ok(ctx, sf_text_append_latin1(&text, all, sizeof all));
    ck_assert(sf_utf8_valid(text.chars, text.length));
    ck_assert_uint_eq(text.length, 127 + 2 * 128);
    sf_text back = {.ctx = ctx};
    ck_ok(ctx, sf_text_append_as_latin1(&back, text.chars, &fits));
    ck_assert(fits);
    ck_assert_uint_eq(back.length, sizeof all);
    ck_assert_mem_eq(back.chars, all, sizeof all);
    ck_ok(ctx, sf_text_append_as_latin1(&back, "a\xc4\x80", &fits)); /* U+0100 */
    ck_assert(!fits);
    ck_assert_uint_eq(back.length, sizeof all);
    sf_free(ctx, back.chars);
}
END_TEST

/* NIST, FIPS 180-4 examples and the CAVP short message test vectors. */
START_TEST(sha256_of_known_messages) {
    static const struct {
        const char *message, *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[SF_SHA256_HEX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sf_sha256_bytes(cases[i].message, strlen(cases[i].message), hex);
        ck_assert_str_eq(hex, cases[i].hex);
    }
}
END_TEST

START_TEST(sha256_of_a_file) {
    char hex[SF_SHA256_HEX];
    scratch_setup();
    char *million = malloc(1000000);
    ck_assert_ptr_nonnull(million);
    memset(million, 'a', 1000000);
    scratch_write("million", million, 1000000);
    free(million);
    ck_ok(ctx, sf_sha256_file(ctx, scratch("million"), hex));
    ck_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    ck_fails(ctx, sf_sha256_file(ctx, scratch("absent"), hex), SF_ERROR_IO,
             "absent: can't be opened");
    ck_fails(ctx, sf_sha256_file(ctx, scratch(""), hex), SF_ERROR_IO, "Is a directory");
    scratch_teardown();
}
END_TEST

Suite *suite_core_text(void) {
    Suite *suite = suite_create("core/text");
    TCase *tcase = tcase_create("text");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, floats_have_their_shortest_form);
    tcase_add_test(tcase, decimal_of_a_float_is_what_was_written);
    tcase_add_test(tcase, floats_do_not_depend_on_the_locale);
    tcase_add_test(tcase, json_strings_are_those_of_python);
    tcase_add_test(tcase, utf8_is_checked);
    tcase_add_test(tcase, latin1_and_back);
    tcase_add_test(tcase, sha256_of_known_messages);
    tcase_add_test(tcase, sha256_of_a_file);
    suite_add_tcase(suite, tcase);
    return suite;
}

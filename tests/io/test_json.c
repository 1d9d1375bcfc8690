/* JSON files: errors with positions, Python's constants, typed getters. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/io/json.h"
#include "core/memory.h"
#include "tests/support/failing.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_io_json(void);

static sf_context *ctx;
static json_t *object;

static void setup(void) {
    ctx = test_context();
    object = NULL;
}

static void teardown(void) {
    json_decref(object);
    test_context_free(ctx);
}

static void parse(const char *text) {
    json_decref(object);
    object = NULL;
    ck_ok(ctx, sf_json_parse(ctx, "t.json", text, strlen(text), 0, &object));
}

START_TEST(malformed_text_is_refused_with_its_position) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "t.json: not JSON: empty"},
        {" ", "t.json:1:1: not JSON: "},
        {"{\"a\": 1,\n \"b\" 2}", "t.json:2:6: not JSON: ':' expected"},
        {"{\"a\": [1, 2}", "t.json:1:12: not JSON: ']' expected"},
        {"{\"a\": tru}", "invalid token near 'tru'"},
        {"{\"a\": 1} x", "end of file expected"},
        {"{\"a\": \"\\u0000\"}", "\\u0000 is not allowed"},
        {"{\"a\": \"\xff\"}", "t.json:"},
        {"{\"a\": 123456789012345678901}", "too big integer"},
        {"{\"a\": 1e999}", "real number overflow"},
        {"{\"a\": \"\x1b[31m\"}", "control character 0x1b"},
        {"{\"a\": Infinityx}", "t.json:1:"},
        {"{\"a\": -Inf}", "t.json:1:"},
        {"{\"a\": \"NaN}", "premature end of input"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_fails(ctx,
                 sf_json_parse(ctx, "t.json", cases[i].text, strlen(cases[i].text), 0, &object),
                 SF_ERROR_FORMAT, cases[i].message);
    ck_fails(ctx, sf_json_parse(ctx, "t.json", "{\"a\":\x1b}", 7, 0, &object), SF_ERROR_FORMAT,
             "?");
    ck_assert_ptr_null(strchr(sf_error_message(ctx), '\x1b'));
    ck_assert_ptr_null(object);
}
END_TEST

START_TEST(nesting_is_limited) {
    enum { DEPTH = 100000 };
    static char text[DEPTH];
    memset(text, '[', DEPTH);
    ck_fails(ctx, sf_json_parse(ctx, "t.json", text, DEPTH, 0, &object), SF_ERROR_FORMAT,
             "maximum parsing depth");
}
END_TEST

START_TEST(names_twice_count_or_not) {
    static const char text[] = "{\"a\": 1, \"a\": 2}";
    parse(text);
    ck_assert_int_eq(json_integer_value(json_object_get(object, "a")), 2);
    json_t *unique = NULL;
    ck_fails(ctx, sf_json_parse(ctx, "t.json", text, strlen(text), SF_JSON_UNIQUE_NAMES, &unique),
             SF_ERROR_FORMAT, "duplicate object key");
    ck_assert_ptr_null(unique);
}
END_TEST

START_TEST(pythons_constants_are_numbers) {
    double value;
    parse("{\"a\": -Infinity, \"b\": Infinity,\"c\":NaN,\"d\": \"NaN, -Infinity \\\" Infinity\","
          "\"e\": [Infinity,-Infinity], \"f\": 2, \"g\": 2.5}");
    ck_ok(ctx, sf_json_get_number(ctx, "t", object, "a", 1, &value));
    ck_assert_double_eq(value, -INFINITY);
    ck_ok(ctx, sf_json_get_number(ctx, "t", object, "b", 1, &value));
    ck_assert_double_eq(value, INFINITY);
    ck_ok(ctx, sf_json_get_number(ctx, "t", object, "c", 1, &value));
    ck_assert(isnan(value));
    ck_ok(ctx, sf_json_get_number(ctx, "t", object, "f", 1, &value));
    ck_assert_double_eq(value, 2);
    ck_ok(ctx, sf_json_get_number(ctx, "t", object, "g", 1, &value));
    ck_assert_double_eq(value, 2.5);
    ck_assert_str_eq(json_string_value(json_object_get(object, "d")), "NaN, -Infinity \" Infinity");
    sf_json_numbers list = {0};
    ck_ok(ctx, sf_json_get_numbers(ctx, "t", object, "e", 2, &list));
    ck_assert_int_eq(list.count, 2);
    ck_assert_double_eq(list.values[1], -INFINITY);
    ck_fails(ctx, sf_json_get_number(ctx, "t", object, "d", 1, &value), SF_ERROR_FORMAT,
             "t: d: a number is wanted, not \"NaN");
}
END_TEST

START_TEST(getters_read_their_types) {
    int64_t integer;
    int narrow;
    bool flag;
    const char *string;
    parse("{\"i\": -7, \"r\": 4.0, \"t\": true, \"f\": false, \"s\": \"text\", \"n\": null}");
    ck_ok(ctx, sf_json_get_int(ctx, "t", object, "i", 1, -7, 9, &integer));
    ck_assert_int_eq(integer, -7);
    ck_ok(ctx, sf_json_get_int32(ctx, "t", object, "r", 1, 0, 9, &narrow));
    ck_assert_int_eq(narrow, 4);
    ck_ok(ctx, sf_json_get_bool(ctx, "t", object, "t", false, &flag));
    ck_assert(flag);
    ck_ok(ctx, sf_json_get_bool(ctx, "t", object, "f", true, &flag));
    ck_assert(!flag);
    ck_ok(ctx, sf_json_get_string(ctx, "t", object, "s", "d", &string));
    ck_assert_str_eq(string, "text");
}
END_TEST

START_TEST(null_and_absence_mean_the_default) {
    static const char *const keys[] = {"n", "absent"};
    parse("{\"n\": null}");
    for (int i = 0; i < 4; i++) {
        const json_t *from = i < 2 ? object : NULL;
        const char *key = keys[i % 2], *string;
        int64_t integer;
        double number;
        bool flag;
        sf_json_ints ints = {.count = 1, .values = {5}};
        sf_json_strings strings = {.count = 1, .values = {"x"}};
        ck_ok(ctx, sf_json_get_int(ctx, "t", from, key, 100, 0, 9, &integer));
        ck_assert_int_eq(integer, 100);
        ck_ok(ctx, sf_json_get_number(ctx, "t", from, key, 0.5, &number));
        ck_assert_double_eq(number, 0.5);
        ck_ok(ctx, sf_json_get_bool(ctx, "t", from, key, true, &flag));
        ck_assert(flag);
        ck_ok(ctx, sf_json_get_string(ctx, "t", from, key, NULL, &string));
        ck_assert_ptr_null(string);
        ck_ok(ctx, sf_json_get_ints(ctx, "t", from, key, 3, 0, 9, &ints));
        ck_assert(ints.count == 1 && ints.values[0] == 5);
        ck_ok(ctx, sf_json_get_strings(ctx, "t", from, key, 0, &strings));
        ck_assert(strings.count == 1);
    }
}
END_TEST

START_TEST(wrong_types_and_ranges_are_named) {
    int64_t i = 42;
    double number = 42;
    bool flag = true;
    const char *string = "untouched";
    parse("{\"s\": \"text\", \"i\": 12, \"r\": 1.5, \"o\": {}, \"l\": [1, 2], \"b\": true, "
          "\"h\": 1e300}");
    ck_fails(ctx, sf_json_get_int(ctx, "c.json", object, "s", 1, 0, 9, &i), SF_ERROR_FORMAT,
             "c.json: s: an integer is wanted, not \"text\"");
    ck_fails(ctx, sf_json_get_int(ctx, "c.json", object, "i", 1, 0, 9, &i), SF_ERROR_FORMAT,
             "c.json: i: 12 is not within 0 to 9");
    ck_fails(ctx, sf_json_get_int(ctx, "c.json", object, "r", 1, 0, 9, &i), SF_ERROR_FORMAT,
             "an integer is wanted, not 1.5");
    ck_fails(ctx, sf_json_get_int(ctx, "c.json", object, "h", 1, 0, 9, &i), SF_ERROR_FORMAT,
             "an integer is wanted, not 1e+300");
    ck_fails(ctx, sf_json_get_number(ctx, "c.json", object, "l", 1, &number), SF_ERROR_FORMAT,
             "a number is wanted, not a list of 2");
    ck_fails(ctx, sf_json_get_number(ctx, "c.json", object, "b", 1, &number), SF_ERROR_FORMAT,
             "a number is wanted, not true");
    ck_fails(ctx, sf_json_get_bool(ctx, "c.json", object, "i", false, &flag), SF_ERROR_FORMAT,
             "true or false is wanted, not 12");
    ck_fails(ctx, sf_json_get_string(ctx, "c.json", object, "o", "", &string), SF_ERROR_FORMAT,
             "a string is wanted, not an object");
    ck_assert_int_eq(i, 42);
    ck_assert_double_eq(number, 42);
    ck_assert(flag);
    ck_assert_str_eq(string, "untouched");
}
END_TEST

START_TEST(lists_take_single_values_and_check_lengths) {
    sf_json_ints ints = {0};
    sf_json_strings strings = {0};
    parse("{\"l\": [320, 640, 1280], \"one\": 8, \"s\": [\"a\", \"b\"], \"t\": \"c\", \"e\": [], "
          "\"m\": [1, \"x\"]}");
    ck_ok(ctx, sf_json_get_ints(ctx, "t", object, "l", 0, 0, 2000, &ints));
    ck_assert(ints.count == 3 && ints.values[2] == 1280);
    ck_ok(ctx, sf_json_get_ints(ctx, "t", object, "one", 4, 0, 9, &ints));
    ck_assert(ints.count == 4 && ints.values[0] == 8 && ints.values[3] == 8);
    ck_ok(ctx, sf_json_get_ints(ctx, "t", object, "one", 0, 0, 9, &ints));
    ck_assert_int_eq(ints.count, 1);
    ck_ok(ctx, sf_json_get_ints(ctx, "t", object, "e", 0, 0, 9, &ints));
    ck_assert_int_eq(ints.count, 0);
    ck_ok(ctx, sf_json_get_strings(ctx, "t", object, "s", 2, &strings));
    ck_assert(strings.count == 2 && strcmp(strings.values[1], "b") == 0);
    ck_ok(ctx, sf_json_get_strings(ctx, "t", object, "t", 2, &strings));
    ck_assert(strings.count == 2 && strcmp(strings.values[1], "c") == 0);
    ck_fails(ctx, sf_json_get_ints(ctx, "t", object, "l", 2, 0, 2000, &ints), SF_ERROR_FORMAT,
             "t: l: a list of 2 is wanted, not a list of 3");
    ck_fails(ctx, sf_json_get_ints(ctx, "t", object, "l", 3, 0, 1000, &ints), SF_ERROR_FORMAT,
             "t: l: 1280 is not within 0 to 1000");
    ck_fails(ctx, sf_json_get_ints(ctx, "t", object, "m", 0, 0, 9, &ints), SF_ERROR_FORMAT,
             "t: m: an integer is wanted, not \"x\"");
    ck_fails(ctx, sf_json_get_strings(ctx, "t", object, "m", 0, &strings), SF_ERROR_FORMAT,
             "t: m: a string is wanted, not 1");
    ck_fails(ctx, sf_json_get_ints(ctx, "t", object, "one", 65, 0, 9, &ints), SF_ERROR_FORMAT,
             "too long");
    ck_assert_int_eq(ints.count, 0);
}
END_TEST

START_TEST(long_lists_are_refused) {
    char text[512] = "{\"l\": [0";
    sf_json_ints ints = {0};
    for (int i = 0; i < SF_JSON_MAX_LIST; i++)
        strcat(text, ",0");
    strcat(text, "]}");
    parse(text);
    ck_fails(ctx, sf_json_get_ints(ctx, "t", object, "l", 0, 0, 9, &ints), SF_ERROR_FORMAT,
             "a list of at most 64 is wanted, not a list of 65");
    ck_fails(ctx, sf_json_get_ints(ctx, "t", object, "l", 65, 0, 9, &ints), SF_ERROR_FORMAT,
             "not a list of 65");
}
END_TEST

START_TEST(files_are_objects) {
    scratch_setup();
    scratch_write("list.json", "[1]", 3);
    scratch_write("bad.json", "{\n\n  x", 6);
    ck_fails(ctx, sf_json_load(ctx, scratch("list.json"), &object), SF_ERROR_FORMAT,
             "list.json: not a JSON object");
    ck_fails(ctx, sf_json_load(ctx, scratch("bad.json"), &object), SF_ERROR_FORMAT, "bad.json:3:");
    ck_fails(ctx, sf_json_load(ctx, scratch("none.json"), &object), SF_ERROR_IO,
             "No such file or directory");
    scratch_teardown();
    ck_ok(ctx, sf_json_load(ctx, test_model("unet/config.json"), &object));
    sf_json_ints channels = {0};
    ck_ok(ctx, sf_json_get_ints(ctx, "t", object, "block_out_channels", 0, 1, 4096, &channels));
    ck_assert(channels.count == 3 && channels.values[2] == 144);
}
END_TEST

static sf_status parse_constants(sf_context *failing, void *user) {
    static const char text[] = "{\"a\": NaN, \"b\": [1, 2.5, \"c\", -Infinity]}";
    json_t *root;
    (void)user;
    SF_TRY(sf_json_parse(failing, "t", text, strlen(text), 0, &root));
    json_decref(root);
    return SF_OK;
}

/* jansson's own allocations, which are not the context's: it lets a program replace its functions. */
static long jansson_calls, jansson_fail_at, jansson_live;

static void *jansson_allocate(size_t bytes) {
    void *block = ++jansson_calls == jansson_fail_at ? NULL : malloc(bytes);
    jansson_live += block != NULL;
    return block;
}

static void jansson_release(void *block) {
    jansson_live -= block != NULL;
    free(block);
}

START_TEST(every_allocation_may_fail) {
    check_each_allocation(parse_constants, NULL, 0);
    json_set_alloc_funcs(jansson_allocate, jansson_release);
    for (bool met = true; met;) {
        jansson_fail_at++;
        jansson_calls = 0;
        sf_status status = parse_constants(ctx, NULL);
        met = jansson_calls >= jansson_fail_at;
        ck_assert_msg((status == SF_OK) == !met, "allocation %ld: %s", jansson_fail_at,
                      sf_error_message(ctx));
        ck_assert_int_eq(jansson_live, 0);
    }
    json_set_alloc_funcs(malloc, free);
    ck_assert_int_gt(jansson_fail_at, 5);
}
END_TEST

Suite *suite_io_json(void) {
    Suite *suite = suite_create("io/json");
    TCase *tcase = tcase_create("json");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, malformed_text_is_refused_with_its_position);
    tcase_add_test(tcase, nesting_is_limited);
    tcase_add_test(tcase, names_twice_count_or_not);
    tcase_add_test(tcase, pythons_constants_are_numbers);
    tcase_add_test(tcase, getters_read_their_types);
    tcase_add_test(tcase, null_and_absence_mean_the_default);
    tcase_add_test(tcase, wrong_types_and_ranges_are_named);
    tcase_add_test(tcase, lists_take_single_values_and_check_lengths);
    tcase_add_test(tcase, long_lists_are_refused);
    tcase_add_test(tcase, files_are_objects);
    tcase_add_test(tcase, every_allocation_may_fail);
    suite_add_tcase(suite, tcase);
    return suite;
}

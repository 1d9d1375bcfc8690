/*
 * The programs of examples/ do what their first lines say. test_install.c builds one as a stranger
 * would.
 */
#include "tests/support/cli.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_cli_examples(void);

START_TEST(draw_leaves_a_picture) {
    struct command_result result;
    sf_context *ctx = test_context();
    sf_image *image;
    cli_run_command(
        &result, (struct command){.arguments = (const char *[]){test_build("examples/draw"),
                                                                "a red apple", "apple.png", NULL}});
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_ptr_nonnull(strstr(result.err, "denoise 25/25"));
    ck_ok(ctx, sf_image_load(ctx, scratch("apple.png"), &image));
    ck_assert_int_eq(sf_image_width(image), 16);
    ck_assert_int_eq(strncmp(sf_image_text(image, "parameters"), "a red apple\nSteps: 25, ", 23),
                     0);
    ck_assert_int_eq(cli_count_files(), 1);
    sf_image_free(image);
    test_context_free(ctx);
    command_result_free(&result);
}
END_TEST

START_TEST(draw_says_what_is_wrong) {
    struct command_result result;
    cli_run_command(&result, (struct command){.arguments = (const char *[]){
                                                  test_build("examples/draw"), "a red apple",
                                                  "nowhere/apple.png", NULL}});
    ck_assert_int_eq(result.status, 1);
    ck_assert_ptr_nonnull(strstr(result.err, "nowhere/apple.png"));
    ck_assert_int_eq(cli_count_files(), 0);
    command_result_free(&result);
}
END_TEST

Suite *suite_cli_examples(void) {
    Suite *suite = suite_create("cli_examples");
    TCase *tcase = tcase_create("examples");
    tcase_add_checked_fixture(tcase, cli_setup, cli_teardown);
    tcase_add_test(tcase, draw_leaves_a_picture);
    tcase_add_test(tcase, draw_says_what_is_wrong);
    suite_add_tcase(suite, tcase);
    return suite;
}

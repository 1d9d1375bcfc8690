/*
 * `sfumato backends`, `sfumato check-backend`, and the forms of SFUMATO_BACKEND and
 * SFUMATO_PLUGIN_PATH as the command takes them.
 */
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/support/cli.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_cli_backends(void);

/* ---- the list ---- */

START_TEST(list_marks_the_chosen_one) {
    struct command_result result;
    cli_run(&result, "backends", "--backend=reference");
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_str_eq(result.err, "");
    const char *line = strstr(result.out, "* reference ");
    ck_assert_msg(line && (line == result.out || line[-1] == '\n'), "%s", result.out);
    ck_assert_ptr_nonnull(strstr(line, "f32"));
    ck_assert_ptr_nonnull(strstr(line, sf_version()));
    ck_assert_ptr_nonnull(strstr(line, "/reference.so)\n"));
    ck_assert_ptr_null(strstr(line + 1, "\n* "));
    command_result_free(&result);
}
END_TEST

START_TEST(list_as_json) {
    struct command_result result;
    int n_selected = 0, n_reference = 0;
    cli_run(&result, "backends", "--json", "--backend=reference");
    ck_assert_msg(result.status == 0, "%s", result.err);
    json_t *list = json_loads(result.out, 0, NULL);
    ck_assert_msg(json_is_array(list), "%s", result.out);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name, *file, *version, *reason, *device, *types;
        json_int_t memory, priority;
        int usable, selected;
        ck_assert_int_eq(json_unpack(json_array_get(list, i),
                                     "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:b, s:b !}", "name",
                                     &name, "file", &file, "version", &version, "reason", &reason,
                                     "device", &device, "types", &types, "memory_bytes", &memory,
                                     "priority", &priority, "usable", &usable, "selected",
                                     &selected),
                         0);
        n_selected += selected;
        n_reference += selected && usable && strcmp(name, "reference") == 0;
    }
    ck_assert_int_eq(n_selected, 1);
    ck_assert_int_eq(n_reference, 1);
    json_decref(list);
    command_result_free(&result);
}
END_TEST

/* ---- SFUMATO_BACKEND ---- */

static void run_with(struct command_result *result, const char *variable, const char *other) {
    cli_run_command(result,
                    (struct command){.arguments = CLI_ARGUMENTS("backends"),
                                     .environment = (const char *[]){variable, other, NULL}});
}

START_TEST(forms_that_choose_the_reference) {
    static const char *const forms[] = {
        "SFUMATO_BACKEND=reference",         "SFUMATO_BACKEND=reference:0",
        "SFUMATO_BACKEND=nonsuch,reference", "SFUMATO_BACKEND=nonsuch:1,reference:0,auto",
        "SFUMATO_BACKEND=,reference,",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct command_result result;
        run_with(&result, forms[i], NULL);
        ck_assert_msg(result.status == 0, "%s: %s", forms[i], result.err);
        ck_assert_msg(strstr(result.out, "* reference "), "%s: %s", forms[i], result.out);
        command_result_free(&result);
    }
}
END_TEST

START_TEST(auto_chooses_something) {
    static const char *const forms[] = {"SFUMATO_BACKEND",
                                        "SFUMATO_BACKEND=", "SFUMATO_BACKEND=auto",
                                        "SFUMATO_BACKEND=nonsuch,auto"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct command_result result;
        run_with(&result, forms[i], NULL);
        ck_assert_msg(result.status == 0, "%s: %s", forms[i], result.err);
        ck_assert_msg(strstr(result.out, "* "), "%s: %s", forms[i], result.out);
        command_result_free(&result);
    }
}
END_TEST

/* The list is printed, then why the choice can't be had. */
START_TEST(forms_that_cannot_be_had) {
    static const struct {
        const char *form, *message;
    } forms[] = {
        {"SFUMATO_BACKEND=nonsuch", "backend \"nonsuch\" can't be had: nonsuch: there is no such "
                                    "plugin (found: "},
        {"SFUMATO_BACKEND=reference:7", "reference:7"},
        {"SFUMATO_BACKEND=reference:x", "\"x\" is not a device number"},
        {"SFUMATO_BACKEND=reference:", "\"\" is not a device number"},
        {"SFUMATO_BACKEND=a,b", "a: there is no such plugin"},
        {"SFUMATO_BACKEND=,", "names no backend"},
        {"SFUMATO_BACKEND=../reference", "../reference"},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct command_result result;
        run_with(&result, forms[i].form, NULL);
        ck_assert_int_eq(result.status, 1);
        ck_assert_msg(is_one_line(result.err) && strncmp(result.err, "sfumato: ", 9) == 0 &&
                          strstr(result.err, forms[i].message),
                      "%s: %s", forms[i].form, result.err);
        ck_assert_ptr_nonnull(strstr(result.out, "reference"));
        ck_assert_ptr_null(strstr(result.out, "* "));
        command_result_free(&result);
    }
}
END_TEST

START_TEST(option_goes_before_the_variable) {
    struct command_result result;
    cli_run_command(&result, (struct command){
                                 .arguments = CLI_ARGUMENTS("backends", "-b", "reference"),
                                 .environment = (const char *[]){"SFUMATO_BACKEND=nonsuch", NULL}});
    ck_assert_msg(result.status == 0, "%s", result.err);
    command_result_free(&result);
    check_cli_fails("nonsuch", "generate", "x", "-q", "--backend=nonsuch");
    check_cli_fails("nonsuch", "generate", "x", "-q", "--dry-run", "--backend=nonsuch");
}
END_TEST

/* The list says so, auto takes another one, and who asks for cpu is told. */
START_TEST(wrong_settings_of_cpu_are_told) {
    static const struct {
        const char *setting, *message;
    } wrong[] = {
        {"SFUMATO_CPU_ISA=nonsuch",
         "SFUMATO_CPU_ISA is \"nonsuch\"; this processor can run: generic"},
        {"SFUMATO_THREADS=many", "SFUMATO_THREADS is \"many\"; a number from 1 to 1024 is wanted"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct command_result result;
        run_with(&result, wrong[i].setting, "SFUMATO_BACKEND=auto");
        ck_assert_msg(result.status == 0, "%s: %s", wrong[i].setting, result.err);
        const char *line = strstr(result.out, "  cpu              unusable: ");
        ck_assert_msg(line && strstr(line, wrong[i].message), "%s", result.out);
        command_result_free(&result);
        run_with(&result, wrong[i].setting, "SFUMATO_BACKEND=cpu");
        ck_assert_int_eq(result.status, 1);
        ck_assert_msg(is_one_line(result.err) && strstr(result.err, wrong[i].message), "%s",
                      result.err);
        command_result_free(&result);
    }
}
END_TEST

/* ---- where plugins are looked for ---- */

START_TEST(folder_without_plugins) {
    struct command_result result;
    run_with(&result, "SFUMATO_PLUGIN_PATH=/nowhere", "SFUMATO_BACKEND=reference");
    if (result.status != 0) { /* an installed Sfumato may have one in the package's folder */
        ck_assert_int_eq(result.status, 1);
        ck_assert_msg(is_one_line(result.err) && strstr(result.err, "SFUMATO_PLUGIN_PATH"), "%s",
                      result.err);
        ck_assert_str_eq(result.out, "");
    }
    command_result_free(&result);
}
END_TEST

static void write_text(const char *name, const char *text) {
    scratch_write(name, text, strlen(text));
}

/* A folder's broken plugins are lines of the list, each with the reason; the others work. */
START_TEST(broken_plugins_are_told) {
    struct command_result result;
    write_text("broken.so", "\x7f"
                            "ELF and nothing else");
    write_text("text.so", "#!/bin/sh\n");
    write_text("notes.txt", "no plugin");
    cli_run(&result, "backends", "--plugin-path", scratch(""), "--backend", "text");
    ck_assert_int_eq(result.status, 1);
    ck_assert_msg(is_one_line(result.err) && strstr(result.err, "text.so"), "%s", result.err);
    ck_assert_ptr_nonnull(strstr(result.out, "  broken           unusable: "));
    ck_assert_ptr_nonnull(strstr(result.out, "/broken.so)\n"));
    ck_assert_ptr_nonnull(strstr(result.out, "  text             unusable: "));
    ck_assert_ptr_null(strstr(result.out, "notes"));
    command_result_free(&result);
}
END_TEST

/* ---- check-backend ---- */

START_TEST(reference_agrees_with_itself) {
    struct command_result result;
    cli_run(&result, "check-backend", "reference", "--op", "conv2d");
    ck_assert_msg(result.status == 0, "%s%s", result.out, result.err);
    ck_assert_str_eq(result.err, "");
    ck_assert_int_eq(strncmp(result.out, "conv2d ", 7), 0);
    ck_assert_ptr_nonnull(strstr(result.out, " agree, 0 differ, "));
    ck_assert_ptr_nonnull(strstr(result.out, " cases, 0 differ\n"));
    command_result_free(&result);
    cli_run(&result, "check-backend", "reference", "--op=conv2d", "--all");
    ck_assert_int_eq(result.status, 0);
    ck_assert_int_eq(strncmp(result.out, "  conv2d (", 10), 0);
    ck_assert_ptr_nonnull(strstr(result.out, "): agrees, worst "));
    command_result_free(&result);
}
END_TEST

START_TEST(what_check_backend_refuses) {
    check_cli_fails("nonsuch", "check-backend", "nonsuch");
    check_cli_fails("conv9d", "check-backend", "reference", "--op=conv9d");
}
END_TEST

Suite *suite_cli_backends(void) {
    Suite *suite = suite_create("cli_backends");
    TCase *tcase = tcase_create("backends");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, cli_setup, cli_teardown);
    tcase_add_test(tcase, list_marks_the_chosen_one);
    tcase_add_test(tcase, list_as_json);
    tcase_add_test(tcase, forms_that_choose_the_reference);
    tcase_add_test(tcase, auto_chooses_something);
    tcase_add_test(tcase, forms_that_cannot_be_had);
    tcase_add_test(tcase, option_goes_before_the_variable);
    tcase_add_test(tcase, wrong_settings_of_cpu_are_told);
    tcase_add_test(tcase, folder_without_plugins);
    tcase_add_test(tcase, broken_plugins_are_told);
    tcase_add_test(tcase, reference_agrees_with_itself);
    tcase_add_test(tcase, what_check_backend_refuses);
    suite_add_tcase(suite, tcase);
    return suite;
}

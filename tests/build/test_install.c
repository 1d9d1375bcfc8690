/*
 * What `make install` leaves is enough for others: a program and a plugin are built with pkg-config
 * against the installed headers alone, and run.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/command.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

#define MAKE_SECONDS 120

Suite *suite_build_install(void);

/* ---- the installed tree: made once, below a folder of ours (DESTDIR) ---- */

static char installed[4096]; /* "/usr/local/lib", or as configure was told, below DESTDIR */

/* The test suite may itself run under make, whose variables are not for these. */
#define OWN_ENVIRONMENT "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "DESTDIR", "LC_ALL=C"

/* Runs a command that must succeed; its stdout, to be freed. */
static char *run(const char *const *arguments, const char *const *environment) {
    struct command_result result;
    command_run(&result, (struct command){.arguments = arguments,
                                          .environment = environment,
                                          .timeout_seconds = MAKE_SECONDS});
    ck_assert_msg(result.status == 0, "%s %s: status %d\n%s%s", arguments[0], arguments[1],
                  result.status, result.out, result.err);
    free(result.err);
    return result.out;
}

static void install_tree(void) {
    scratch_setup();
    char destination[4096], pkg_config_path[4096];
    snprintf(destination, sizeof destination, "DESTDIR=%s", scratch(""));
    snprintf(pkg_config_path, sizeof pkg_config_path, "PKG_CONFIG_PATH=%s", test_build(""));
    free(run((const char *[]){"make", "-s", "-C", test_build(""), "install", destination, NULL},
             (const char *[]){OWN_ENVIRONMENT, NULL}));
    char *folder = run((const char *[]){"pkg-config", "--variable=libdir", "sfumato", NULL},
                       (const char *[]){pkg_config_path, NULL});
    folder[strcspn(folder, "\n")] = '\0';
    snprintf(installed, sizeof installed, "%s%s", scratch(""), folder);
    free(folder);
}

static void remove_tree(void) {
    free(run((const char *[]){"rm", "-rf", scratch(""), NULL}, NULL));
}

/* Variables with which the installed tree is found although it is below DESTDIR. */
static const char *const *installed_environment(void) {
    static char libraries[5000], plugins[5000], packages[5000], root[5000], data[5000];
    static const char *variables[] = {
        OWN_ENVIRONMENT, libraries, plugins, packages, root, data, NULL};
    snprintf(libraries, sizeof libraries, "LD_LIBRARY_PATH=%s", installed);
    snprintf(plugins, sizeof plugins, "SFUMATO_PLUGIN_PATH=%s/sfumato", installed);
    snprintf(packages, sizeof packages, "PKG_CONFIG_PATH=%s/pkgconfig", installed);
    snprintf(root, sizeof root, "PKG_CONFIG_SYSROOT_DIR=%s", scratch(""));
    snprintf(data, sizeof data, "SFUMATO_DATA_PATH=%s/../share/sfumato", installed);
    return variables;
}

/* ---- symbols ---- */

/* The symbols of a shared object that nm lists with option, one a line, sorted as nm does. */
static char *symbols(const char *file, const char *option) {
    return run((const char *[]){"sh", "-c", "nm -D --format=posix \"$1\" \"$2\" | cut -d' ' -f1",
                                "sh", option, file, NULL},
               (const char *[]){"LC_ALL=C", NULL});
}

START_TEST(a_plugin_needs_no_symbol_of_the_library) {
    char file[4200];
    snprintf(file, sizeof file, "%s/sfumato/reference.so", installed);
    char *defined = symbols(file, "--defined-only");
    char *undefined = symbols(file, "--undefined-only");
    ck_assert_str_eq(defined, "sf_plugin_reference\n");
    ck_assert_ptr_null(strstr(undefined, "sf_"));
    free(defined);
    free(undefined);
}
END_TEST

/* ---- programs of others ---- */

START_TEST(an_example_builds_with_pkg_config_and_draws) {
    const char *const *environment = installed_environment();
    free(run((const char *[]){"sh", "-c",
                              SF_TEST_CC " " SF_TEST_CFLAGS " -Wall -Wextra -Werror \"$1\""
                                         " $(pkg-config --cflags --libs sfumato) -o \"$2\"",
                              "sh", test_source("examples/draw.c"), scratch("draw"), NULL},
             environment));
    free(run((const char *[]){scratch("draw"), "a red apple", scratch("apple.png"), NULL},
             environment));
    char *picture = test_read_file(scratch("apple.png"), NULL);
    ck_assert_mem_eq(picture, "\x89PNG\r\n", 6);
    free(picture);
}
END_TEST

START_TEST(a_header_is_enough_for_cplusplus) {
    if (system("c++ --version >/dev/null 2>&1") != 0)
        return; /* no C++ compiler: nothing that this could be true of */
    static const char program[] = "#include <sfumato_plugin.h>\nint main() { return 0; }\n";
    scratch_write("program.cpp", program, sizeof program - 1);
    free(run((const char *[]){"sh", "-c",
                              "c++ -Wall -Wextra -pedantic -Werror -fsyntax-only \"$1\""
                              " $(pkg-config --cflags sfumato)",
                              "sh", scratch("program.cpp"), NULL},
             installed_environment()));
}
END_TEST

/* The out-of-tree plugin: copied elsewhere, so that it can't see the source tree. */
START_TEST(the_template_plugin_builds_and_agrees_with_the_reference) {
    const char *const *environment = installed_environment();
    char program[4200], plugins[5000];
    snprintf(program, sizeof program, "%s/../bin/sfumato", installed);
    free(run((const char *[]){"cp", "-r", test_source("plugins/template"), scratch("mine"), NULL},
             NULL));
    free(run((const char *[]){"make", "-s", "-C", scratch("mine"), "CC=" SF_TEST_CC,
                              "CFLAGS=" SF_TEST_CFLAGS " -Wall -Wextra -Werror", NULL},
             environment));
    snprintf(plugins, sizeof plugins, "SFUMATO_PLUGIN_PATH=%s/sfumato:%s", installed,
             scratch("mine"));
    char libraries[5000];
    snprintf(libraries, sizeof libraries, "LD_LIBRARY_PATH=%s", installed);
    char *said = run((const char *[]){program, "check-backend", "template", NULL},
                     (const char *[]){plugins, libraries, NULL});
    free(said);
}
END_TEST

START_TEST(the_installed_command_finds_its_parts) {
    char program[4200];
    snprintf(program, sizeof program, "%s/../bin/sfumato", installed);
    char *said = run((const char *[]){program, "--version", NULL}, installed_environment());
    ck_assert_ptr_nonnull(strstr(said, sf_version()));
    free(said);
    said = run((const char *[]){program, "backends", NULL}, installed_environment());
    ck_assert_ptr_nonnull(strstr(said, "reference"));
    free(said);
}
END_TEST

Suite *suite_build_install(void) {
    Suite *suite = suite_create("build_install");
    TCase *tcase = tcase_create("installed");
    tcase_set_timeout(tcase, 2 * MAKE_SECONDS);
    tcase_add_unchecked_fixture(tcase, install_tree, remove_tree);
    tcase_add_test(tcase, a_plugin_needs_no_symbol_of_the_library);
    tcase_add_test(tcase, the_installed_command_finds_its_parts);
    tcase_add_test(tcase, an_example_builds_with_pkg_config_and_draws);
    tcase_add_test(tcase, a_header_is_enough_for_cplusplus);
    tcase_add_test(tcase, the_template_plugin_builds_and_agrees_with_the_reference);
    suite_add_tcase(suite, tcase);
    return suite;
}

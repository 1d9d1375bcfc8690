/*
 * The command line itself: help, version, what is said of wrong options. Exit status 2 and one line
 * that names the option and points to --help.
 */
#include <stdio.h>

#include "tests/support/cli.h"
#include "tests/support/support.h"

Suite *suite_cli_usage(void);

static const struct {
    const char *name, *usage;
} commands[] = {
    {"generate", " PROMPT"},
    {"samplers", ""},
    {"compare", " PROMPT"},
    {"backends", ""},
    {"check-backend", " NAME"},
    {"inspect", " FILE|FOLDER"},
    {"tokenize", " TEXT"},
    {"run", ""},
    {"sample", ""},
    {"bench", ""},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

/* ---- without a command ---- */

START_TEST(version) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "sfumato %s\n", sf_version());
    check_cli(0, wanted, "", "--version");
}
END_TEST

START_TEST(no_command_shows_the_overview) {
    static const char *const asks[] = {"--help", "-h", "help"};
    struct command_result bare, asked;
    cli_run_command(&bare,
                    (struct command){.arguments = (const char *[]){test_build("sfumato"), NULL}});
    ck_assert_int_eq(bare.status, 2);
    ck_assert_str_eq(bare.out, "");
    ck_assert_int_eq(strncmp(bare.err, "usage: sfumato COMMAND [OPTION ...]\n", 36), 0);
    for (int i = 0; i < 3; i++) {
        cli_run(&asked, asks[i]);
        ck_assert_int_eq(asked.status, 0);
        ck_assert_str_eq(asked.out, bare.err);
        ck_assert_str_eq(asked.err, "");
        command_result_free(&asked);
    }
    for (int i = 0; i < N_COMMANDS; i++)
        ck_assert_msg(strstr(bare.err, commands[i].name), "%s is not listed", commands[i].name);
    ck_assert_ptr_nonnull(strstr(bare.err, "example"));
    command_result_free(&bare);
}
END_TEST

START_TEST(unknown_command) {
    check_cli(2, "", "sfumato: unknown command \"genrate\"; see sfumato --help\n", "genrate", "x");
    check_cli(2, "", "sfumato: unknown command \"\"; see sfumato --help\n", "");
    check_cli(2, "", "sfumato: unknown command \"--verbose\"; see sfumato --help\n", "--verbose");
}
END_TEST

/* ---- help of a command ---- */

START_TEST(help_has_usage_options_and_an_example) {
    struct command_result result, again;
    char usage[128], example[64];
    const char *name = commands[_i].name;
    snprintf(usage, sizeof usage, "usage: sfumato %s [OPTION ...]%s\n\n", name, commands[_i].usage);
    snprintf(example, sizeof example, "sfumato %s ", name);
    cli_run(&result, name, "--help");
    ck_assert_int_eq(result.status, 0);
    ck_assert_str_eq(result.err, "");
    ck_assert_msg(strncmp(result.out, usage, strlen(usage)) == 0, "%s", result.out);
    const char *examples = strstr(result.out, "\nexamples:\n  ");
    ck_assert_ptr_nonnull(strstr(result.out, "\noptions:\n"));
    ck_assert_ptr_nonnull(strstr(result.out, "-h, --help"));
    ck_assert_ptr_nonnull(examples);
    ck_assert_msg(strstr(examples, example) || strstr(examples, "sfumato backends\n"), "%s",
                  examples);
    cli_run(&again, name, "-h");
    ck_assert_int_eq(again.status, 0);
    ck_assert_str_eq(again.out, result.out);
    command_result_free(&again);
    command_result_free(&result);
}
END_TEST

/* ---- wrong options ---- */

static const struct wrong {
    const char *arguments[6];
    const char *message; /* between "sfumato COMMAND: " and "; see ..." */
} wrongs[] = {
    {{"generate"}, "needs a PROMPT"},
    {{"generate", "a", "red", "apple"}, "one PROMPT, in quotes, not 3"},
    {{"generate", "x", "--verify"}, "--verify goes with --from-image and one picture"},
    {{"generate", "--from-image", "x.png", "--verify", "--batch=2"},
     "--verify goes with --from-image and one picture"},
    {{"generate", "x", "--colour"}, "unknown option --colour"},
    {{"generate", "x", "--colour=red"}, "unknown option --colour=red"},
    {{"generate", "x", "-Z"}, "unknown option -Z"},
    {{"generate", "x", "-qZ"}, "unknown option -Z"},
    {{"generate", "-Zq", "x"}, "unknown option -Z"},
    {{"generate", "x", "--quiet=yes"}, "--quiet takes no argument"},
    {{"generate", "x", "--s", "3"}, "unknown option --s"},
    {{"generate", "x", "--output"}, "--output needs an argument"},
    {{"generate", "x", "-o"}, "-o needs an argument"},
    {{"generate", "x", "--steps"}, "--steps needs an argument"},
    {{"generate", "x", "--steps", "0"}, "--steps 0: must be from 1 to 10000"},
    {{"generate", "x", "--steps=10001"}, "--steps 10001: must be from 1 to 10000"},
    {{"generate", "x", "-s-1"}, "--steps -1: must be from 1 to 10000"},
    {{"generate", "x", "--steps", "2.5"}, "--steps 2.5: not a whole number"},
    {{"generate", "x", "--steps", "many"}, "--steps many: not a number"},
    {{"generate", "x", "--steps", "5x"}, "--steps 5x: not a number"},
    {{"generate", "x", "--steps", ""}, "--steps : not a number"},
    {{"generate", "x", "--steps", "1e999"}, "--steps 1e999: not a number"},
    {{"generate", "x", "--cfg-scale", "nan"}, "--cfg-scale nan: not a number"},
    {{"generate", "x", "--cfg-scale", "-1"}, "--cfg-scale -1: must be from 0 to 1000"},
    {{"generate", "x", "--eta", "1.01"}, "--eta 1.01: must be from 0 to 1"},
    {{"generate", "x", "--width", "0"}, "--width 0: must be from 1 to 16384"},
    {{"generate", "x", "--height", "16385"}, "--height 16385: must be from 1 to 16384"},
    {{"generate", "x", "--batch", "0"}, "--batch 0: must be from 1 to 10000"},
    {{"generate", "x", "--seed", "-1"},
     "--seed -1: must be a number from 0 to 2^64-1, or \"random\""},
    {{"generate", "x", "--seed", "18446744073709551616"},
     "--seed 18446744073709551616: must be a number from 0 to 2^64-1, or \"random\""},
    {{"generate", "x", "--seed", "1.5"},
     "--seed 1.5: must be a number from 0 to 2^64-1, or \"random\""},
    {{"generate", "x", "--seed", ""}, "--seed : must be a number from 0 to 2^64-1, or \"random\""},
    {{"backends", "all"}, "unexpected argument \"all\""},
    {{"backends", "--batch", "1"}, "unknown option --batch"},
    {{"check-backend"}, "needs the name of one backend"},
    {{"check-backend", "a", "b"}, "needs the name of one backend"},
    {{"inspect"}, "needs one FILE or FOLDER"},
    {{"inspect", "a", "b"}, "needs one FILE or FOLDER"},
    {{"tokenize"}, "needs one TEXT (in quotes)"},
    {{"tokenize", "a", "red", "apple"}, "needs one TEXT (in quotes)"},
    {{"run"}, "needs --component, --input and --output"},
    {{"run", "--component=unet", "--input=a"}, "needs --component, --input and --output"},
    {{"run", "unet"}, "unexpected argument \"unet\""},
    {{"sample"}, "needs --scheduler, --steps, --input and --output"},
    {{"sample", "--steps", "100001"}, "--steps 100001: must be from 1 to 100000"},
    {{"sample", "ddim"}, "unexpected argument \"ddim\""},
    {{"bench"}, "needs either --component or --op"},
    {{"bench", "--component=unet", "--op=add"}, "needs either --component or --op"},
    {{"bench", "--op=add", "--ops"},
     "--model, --size, --batch, --ops, --shapes and --roofline go with --component"},
    {{"bench", "--op=add", "--roofline=a100"},
     "--model, --size, --batch, --ops, --shapes and --roofline go with --component"},
    {{"bench", "--component=unet", "--input=3"}, "--input and --attribute go with --op"},
    {{"bench", "--component=unet", "--dtype=f16"}, "--dtype goes with --op or --roofline"},
    {{"bench", "--op=sum", "--attribute=axis=1"}, "--attribute goes with --input"},
    {{"bench", "--op=add", "--dtype=f64"}, "--dtype f64: f32, f16 and bf16 are possible"},
    {{"bench", "--component=unet", "--precision=half"},
     "--precision half: f32, f16 and bf16 are possible"},
    {{"bench", "--op=add", "--repeat=0"}, "--repeat 0: must be from 1 to 100000"},
    {{"bench", "unet"}, "unexpected argument \"unet\""},
};
enum { N_WRONGS = sizeof wrongs / sizeof *wrongs };

START_TEST(wrong_usage_is_explained) {
    const struct wrong *wrong = &wrongs[_i];
    const char *arguments[8] = {test_build("sfumato")};
    char err[256];
    for (int i = 0; i < 6; i++)
        arguments[i + 1] = wrong->arguments[i];
    snprintf(err, sizeof err, "sfumato %s: %s; see sfumato %s --help\n", wrong->arguments[0],
             wrong->message, wrong->arguments[0]);
    cli_check(2, "", err, arguments);
    ck_assert_int_eq(cli_count_files(), 0);
}
END_TEST

Suite *suite_cli_usage(void) {
    Suite *suite = suite_create("cli_usage");
    TCase *tcase = tcase_create("usage");
    tcase_add_checked_fixture(tcase, cli_setup, cli_teardown);
    tcase_add_test(tcase, version);
    tcase_add_test(tcase, no_command_shows_the_overview);
    tcase_add_test(tcase, unknown_command);
    tcase_add_loop_test(tcase, help_has_usage_options_and_an_example, 0, N_COMMANDS);
    tcase_add_loop_test(tcase, wrong_usage_is_explained, 0, N_WRONGS);
    suite_add_tcase(suite, tcase);
    return suite;
}

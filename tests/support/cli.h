/*
 * Runs the built command in the scratch folder and checks what it says. There `--model tiny` is the
 * tiny model (model_folder.h), which is the default model too.
 *
 *     check_cli(0, "sfumato 0.1.0\n", "", "--version");
 *     check_cli_fails("no such file", "inspect", "nowhere.png");
 */
#ifndef SF_TESTS_SUPPORT_CLI_H
#define SF_TESTS_SUPPORT_CLI_H

#include <jansson.h>

#include "tests/support/command.h"

/* Checked fixtures: the scratch folder with data/models in it. */
void cli_setup(void);
void cli_teardown(void);

/* Files in the scratch folder besides `data` and the `model` that a test may have put there. */
int cli_count_files(void);

/* Any command line; the environment adds to that of cli_setup(). */
void cli_run_command(struct command_result *result, struct command command);

#define CLI_ARGUMENTS(...) ((const char *[]){test_build("sfumato"), __VA_ARGS__, NULL})
#define cli_run(result, ...)                                                                       \
    cli_run_command((result), (struct command){.arguments = CLI_ARGUMENTS(__VA_ARGS__)})

/* The exact exit status, stdout and stderr; NULL: any text. */
void cli_check(int status, const char *out, const char *err, const char *const *arguments);
#define check_cli(status, out, err, ...)                                                           \
    cli_check((status), (out), (err), CLI_ARGUMENTS(__VA_ARGS__))

/*
 * A failure: exit status 1, nothing on stdout, one line on stderr that begins with "sfumato: " and
 * has `part` in it, no new file.
 */
void cli_check_fails(const char *part, const struct command *command);
#define check_cli_fails(part, ...)                                                                 \
    cli_check_fails((part), &(struct command){.arguments = CLI_ARGUMENTS(__VA_ARGS__)})

/* What a run wrote to stdout, as JSON; it must have succeeded without a word on stderr. Clears the result. */
json_t *cli_json(struct command_result *result);

/* A member that must be there and a number, or a text. */
double cli_real(const json_t *object, const char *key);
const char *cli_text(const json_t *object, const char *key);

/* The text is one line, ended by '\n'. */
int is_one_line(const char *text);

#endif

#include "tests/support/cli.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/model_folder.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

static char data_path[PATH_MAX];

void cli_setup(void) {
    scratch_setup();
    snprintf(data_path, sizeof data_path, "SFUMATO_DATA_PATH=%s", scratch("data"));
    ck_assert_int_eq(mkdir(scratch("data"), 0700), 0);
    ck_assert_int_eq(mkdir(scratch("data/models"), 0700), 0);
    ck_assert_int_eq(symlink(TINY_MODEL, scratch("data/models/tiny")), 0);
    ck_assert_int_eq(symlink(TINY_MODEL, scratch("data/models/emoji")), 0);
}

void cli_teardown(void) {
    scratch_teardown();
}

int cli_count_files(void) {
    return scratch_count() - 1 - (access(scratch("model"), F_OK) == 0);
}

void cli_run_command(struct command_result *result, struct command command) {
    const char *environment[16] = {data_path};
    for (int i = 0; command.environment && command.environment[i]; i++) {
        ck_assert_int_lt(i, 14);
        environment[i + 1] = command.environment[i];
    }
    command.environment = environment;
    if (!command.folder)
        command.folder = scratch("");
    command_run(result, command);
}

void cli_check(int status, const char *out, const char *err, const char *const *arguments) {
    struct command_result result;
    cli_run_command(&result, (struct command){.arguments = arguments});
    ck_assert_msg(result.status == status, "exit status %d, not %d; stdout: %sstderr: %s",
                  result.status, status, result.out, result.err);
    if (out)
        ck_assert_str_eq(result.out, out);
    if (err)
        ck_assert_str_eq(result.err, err);
    command_result_free(&result);
}

int is_one_line(const char *text) {
    const char *end = strchr(text, '\n');
    return end && end > text && end[1] == '\0';
}

void cli_check_fails(const char *part, const struct command *command) {
    struct command_result result;
    int n_files = cli_count_files();
    cli_run_command(&result, *command);
    ck_assert_msg(result.status == 1, "exit status %d; stderr: %s", result.status, result.err);
    ck_assert_msg(strstr(result.err, part), "no \"%s\" in: %s", part, result.err);
    ck_assert_msg(is_one_line(result.err) && strncmp(result.err, "sfumato: ", 9) == 0,
                  "not one line that begins with the program: %s", result.err);
    ck_assert_str_eq(result.out, "");
    ck_assert_int_eq(cli_count_files(), n_files);
    command_result_free(&result);
}

json_t *cli_json(struct command_result *result) {
    ck_assert_msg(result->status == 0, "%s", result->err);
    ck_assert_str_eq(result->err, "");
    json_t *json = json_loads(result->out, 0, NULL);
    ck_assert_msg(json != NULL, "%s", result->out);
    command_result_free(result);
    return json;
}

double cli_real(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_number(value), "\"%s\" is no number", key);
    return json_number_value(value);
}

const char *cli_text(const json_t *object, const char *key) {
    const char *value = json_string_value(json_object_get(object, key));
    ck_assert_msg(value != NULL, "\"%s\" is no text", key);
    return value;
}

/*
 * Runs a program and keeps what it said: for tests of the command, of examples and of make.
 *
 *     struct command_result result;
 *     command_run(&result, (struct command){.arguments = (const char *[]){"ls", "/", NULL}});
 *     ck_assert_int_eq(result.status, 0);
 *     command_result_free(&result);
 */
#ifndef SF_TESTS_SUPPORT_COMMAND_H
#define SF_TESTS_SUPPORT_COMMAND_H

#include <stddef.h>

struct command {
    const char *const *arguments;   /* the program (looked up in PATH) and its arguments, NULL */
    const char *const *environment; /* "NAME=value" to set, "NAME" to unset, NULL; or NULL: none */
    const char *folder;             /* where it runs; NULL: here */
    const char *input;              /* its stdin; NULL: empty */
    const char *output;             /* a file for its stdout, "/dev/full"; NULL: captured */
    int timeout_seconds;            /* then it is killed; 0: 60 */
    int interrupt_after_ms;         /* sends SIGINT that long after the start; 0: never */
};

struct command_result {
    int status; /* exit status; 128 + signal where a signal ended it, as shells say it */
    int timed_out;
    char *out; /* NUL-terminated, owned */
    char *err;
    size_t out_bytes, err_bytes;
};

/* Fails the test where the program can't be started or runs out of time. */
void command_run(struct command_result *result, struct command command);
void command_result_free(struct command_result *result);

/* The built command, build/sfumato, with these arguments (needs support.h). */
#define sfumato_run(result, ...)                                                                   \
    command_run((result), (struct command){.arguments = (const char *[]){test_build("sfumato"),    \
                                                                         __VA_ARGS__, NULL}})

#endif

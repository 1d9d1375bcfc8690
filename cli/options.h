/*
 * Options of a command: one table from which parsing and --help derive.
 */
#ifndef SF_CLI_OPTIONS_H
#define SF_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum option_kind {
    OPTION_FLAG,    /* bool, no argument */
    OPTION_TEXT,    /* const char * into argv */
    OPTION_INT,     /* int within low..high */
    OPTION_FLOAT,   /* float within low..high */
    OPTION_SEED,    /* cli_seed; "random" draws one */
    OPTION_SIZE,    /* uint64_t, bytes: 600M, 2G, 512Mi */
    OPTION_LIST,    /* cli_list, an item each time it is given */
    OPTION_NUMBERS, /* cli_numbers, ',' between */
} option_kind;

#define CLI_LIST_MOST 16
typedef struct cli_list {
    int count;
    const char *items[CLI_LIST_MOST]; /* into argv */
} cli_list;

#define CLI_NUMBERS_MOST 1024
typedef struct cli_numbers {
    int count;
    double values[CLI_NUMBERS_MOST];
} cli_numbers;

typedef struct cli_seed {
    bool given;
    uint64_t value;
} cli_seed;

typedef struct option_spec {
    const char *name; /* without "--"; NULL ends the table */
    char letter;      /* short form, 0: none */
    option_kind kind;
    const char *argument; /* "FILE"; NULL for flags */
    const char *help;     /* one line */
    size_t offset;        /* of the target in the command's struct */
    double low, high;     /* bounds of numbers */
} option_spec;

typedef struct cli_command {
    const char *name;
    const char *summary; /* one line, for the list of commands */
    const char *usage;   /* arguments after the options: "PROMPT" */
    const char *about;   /* a few lines */
    const char *examples;
    const option_spec *options;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
} cli_command;

/* Exit statuses. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/*
 * Parses options into *values; afterwards argv[*first..argc-1] are the plain arguments. Returns -1
 * to go on, or an exit status (--help was printed, or the usage was wrong and a line says how).
 */
int options_parse(const cli_command *command, int argc, char **argv, void *values, int *first);

/* "sfumato NAME: message; try ..." on stderr; returns EXIT_USAGE. */
int usage_error(const cli_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif

/*
 * Parsing a command's options with getopt_long, and its --help, both from one table.
 */
#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "cli/session.h"

#define MOST_OPTIONS 64
#define HELP_COLUMN  30

int usage_error(const cli_command *command, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "sfumato %s: ", command->name);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "; see sfumato %s --help\n", command->name);
    va_end(arguments);
    return EXIT_USAGE;
}

/* ---- help ---- */

static void print_option(const option_spec *option) {
    char left[80];
    char letter[8] = "    ";
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, option->name, option->argument ? " " : "",
             option->argument ? option->argument : "");
    if (strlen(left) > HELP_COLUMN - 2)
        printf("%s\n%*s%s\n", left, HELP_COLUMN, "", option->help);
    else
        printf("%-*s%s\n", HELP_COLUMN, left, option->help);
}

static void print_help(const cli_command *command) {
    printf("usage: sfumato %s [OPTION ...]%s%s\n\n%s\n", command->name,
           command->usage[0] ? " " : "", command->usage, command->about);
    printf("\noptions:\n");
    for (const option_spec *option = command->options; option->name; option++)
        print_option(option);
    printf("%-*s%s\n", HELP_COLUMN, "  -h, --help", "show this");
    printf("\nexamples:\n%s", command->examples);
}

/* ---- values ---- */

static int set_number(const cli_command *command, const option_spec *option, const char *text,
                      void *target) {
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end || errno || !isfinite(value))
        return usage_error(command, "--%s %s: not a number", option->name, text);
    if (option->kind == OPTION_INT && value != floor(value))
        return usage_error(command, "--%s %s: not a whole number", option->name, text);
    if (value < option->low || value > option->high)
        return usage_error(command, "--%s %s: must be from %g to %g", option->name, text,
                           option->low, option->high);
    if (option->kind == OPTION_INT)
        *(int *)target = (int)value;
    else
        *(float *)target = (float)value;
    return -1;
}

static uint64_t random_seed(void) {
    uint32_t seed;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = (uint32_t)time(NULL);
    return seed;
}

static int set_seed(const cli_command *command, const option_spec *option, const char *text,
                    void *target) {
    char *end;
    errno = 0;
    if (strcmp(text, "random") == 0) {
        *(cli_seed *)target = (cli_seed){true, random_seed()};
        return -1;
    }
    uint64_t seed = strtoull(text, &end, 10);
    if (end == text || *end || errno || strchr(text, '-'))
        return usage_error(command, "--%s %s: must be a number from 0 to 2^64-1, or \"random\"",
                           option->name, text);
    *(cli_seed *)target = (cli_seed){true, seed};
    return -1;
}

/* What follows a size's number: powers of 1000, or with "i" of 1024; a "B" may end it. */
static bool size_unit(const char *text, double *unit) {
    static const char letters[] = "KMGT";
    const char *letter = *text ? strchr(letters, toupper((unsigned char)*text)) : NULL;
    *unit = 1;
    if (letter) {
        bool binary = text[1] == 'i';
        for (const char *l = letters; l <= letter; l++)
            *unit *= binary ? 1024 : 1000;
        text += binary ? 2 : 1;
    }
    return !*text || strcmp(text, "B") == 0;
}

static int set_size(const cli_command *command, const option_spec *option, const char *text,
                    void *target) {
    char *end;
    double unit, value = strtod(text, &end);
    if (end == text || !size_unit(end, &unit) || !(value > 0 && value * unit < 1e18))
        return usage_error(command, "--%s %s: must be a number of bytes, such as 600M, 2G or 512Mi",
                           option->name, text);
    *(uint64_t *)target = (uint64_t)(value * unit);
    return -1;
}

static int add_item(const cli_command *command, const option_spec *option, const char *text,
                    cli_list *list) {
    if (list->count == CLI_LIST_MOST)
        return usage_error(command, "--%s can be given %d times", option->name, CLI_LIST_MOST);
    list->items[list->count++] = text;
    return -1;
}

static int set_numbers(const cli_command *command, const option_spec *option, const char *text,
                       cli_numbers *numbers) {
    const char *rest = text;
    numbers->count = 0;
    for (;;) {
        char *end;
        double value = strtod(rest, &end);
        if (end == rest || (*end && *end != ',') || !isfinite(value))
            return usage_error(command, "--%s %s: must be numbers with ',' between", option->name,
                               text);
        if (numbers->count == CLI_NUMBERS_MOST)
            return usage_error(command, "--%s: more than %d numbers", option->name,
                               CLI_NUMBERS_MOST);
        numbers->values[numbers->count++] = value;
        if (!*end)
            return -1;
        rest = end + 1;
    }
}

static int set_value(const cli_command *command, const option_spec *option, const char *text,
                     char *values) {
    void *target = values + option->offset;
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)target = true;
        return -1;
    case OPTION_TEXT:
        *(const char **)target = text;
        return -1;
    case OPTION_SEED:
        return set_seed(command, option, text, target);
    case OPTION_SIZE:
        return set_size(command, option, text, target);
    case OPTION_LIST:
        return add_item(command, option, text, target);
    case OPTION_NUMBERS:
        return set_numbers(command, option, text, target);
    default:
        return set_number(command, option, text, target);
    }
}

/* ---- getopt's tables ---- */

static int fill_tables(const cli_command *command, struct option *longs, char *shorts) {
    int n = 0;
    *shorts++ = ':';
    for (const option_spec *option = command->options; option->name; option++, n++) {
        bool has_argument = option->kind != OPTION_FLAG;
        longs[n] =
            (struct option){option->name, has_argument ? required_argument : no_argument, NULL, 0};
        if (!option->letter)
            continue;
        *shorts++ = option->letter;
        if (has_argument)
            *shorts++ = ':';
    }
    longs[n] = (struct option){"help", no_argument, NULL, 0};
    *shorts++ = 'h';
    *shorts = '\0';
    return n;
}

static int index_of_letter(const cli_command *command, int letter) {
    for (int i = 0; command->options[i].name; i++)
        if (command->options[i].letter == letter)
            return i;
    return -1;
}

/*
 * What getopt_long() gave '?' for. Of a long option that takes no argument and was given one it
 * leaves the option's value, 0, in optopt too, so the '=' is looked for.
 */
static int unknown_option(const cli_command *command, const struct option *longs,
                          const char *given) {
    if (optopt)
        return usage_error(command, "unknown option -%c", optopt);
    size_t length = strcspn(given, "=");
    for (const struct option *option = longs; option->name; option++)
        if (given[length] && length == strlen(option->name) + 2 &&
            strncmp(given + 2, option->name, length - 2) == 0)
            return usage_error(command, "--%s takes no argument", option->name);
    return usage_error(command, "unknown option %s", given);
}

int options_parse(const cli_command *command, int argc, char **argv, void *values, int *first) {
    struct option longs[MOST_OPTIONS + 2] = {0};
    char shorts[2 * MOST_OPTIONS + 4];
    int n_options = fill_tables(command, longs, shorts);
    opterr = 0;
    optind = 0;
    for (;;) {
        int index = -1;
        int found = getopt_long(argc, argv, shorts, longs, &index);
        if (found == -1)
            break;
        if (found == '?')
            return unknown_option(command, longs, argv[optind - 1]);
        if (found == ':')
            return usage_error(command, "%s needs an argument", argv[optind - 1]);
        if (found == 'h' || index == n_options) {
            print_help(command);
            return finish_stdout();
        }
        if (found != 0)
            index = index_of_letter(command, found);
        int status = set_value(command, &command->options[index], optarg, values);
        if (status >= 0)
            return status;
    }
    *first = optind;
    return -1;
}

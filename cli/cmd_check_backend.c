/*
 * `sfumato check-backend`: the conformance grid on a plugin. The tool of a plugin's author.
 */
#include <stdio.h>
#include <string.h>

#include "cli/session.h"

typedef struct values {
    session_options session;
    const char *op;
    bool all;
} values;

static const option_spec options[] = {
    {"op", 'o', OPTION_TEXT, "OP", "check this op alone", offsetof(values, op), 0, 0},
    {"all", 'a', OPTION_FLAG, NULL, "print every case, not only failures", offsetof(values, all), 0,
     0},
    SESSION_OPTIONS(values),
    {0},
};

static int run(int argc, char **argv);

const cli_command command_check_backend = {
    .name = "check-backend",
    .summary = "compare every op of a plugin with the reference",
    .usage = "NAME",
    .about =
        "Runs every op, element type and odd shape on backend NAME and on `reference` and "
        "compares\n"
        "the results. Prints what differs and a line an op; fails if anything differs. An op that\n"
        "the backend lacks is counted, not failed.",
    .examples = "  sfumato check-backend reference\n"
                "  SFUMATO_PLUGIN_PATH=. sfumato check-backend template --op linear --all\n",
    .options = options,
    .run = run,
};

/* Counts of the op that is being checked, printed when the next one begins. */
typedef struct tally {
    const char *op;
    int n_agree, n_differ, n_lacking;
    double worst;
    int n_cases;
    bool all;
} tally;

static void print_op(const tally *t) {
    if (!t->op)
        return;
    printf("%-20s %4d agree, %d differ, %d not supported; worst %.3f of the tolerance\n", t->op,
           t->n_agree, t->n_differ, t->n_lacking, t->worst);
}

static void report(void *user, const sf_check_result *result) {
    static const char *const words[] = {"agrees", "DIFFERS", "not supported"};
    tally *t = user;
    if (!t->op || strcmp(t->op, result->op) != 0) {
        print_op(t);
        *t = (tally){.op = result->op, .n_cases = t->n_cases, .all = t->all};
    }
    t->n_cases++;
    t->n_agree += result->outcome == 0;
    t->n_differ += result->outcome == 1;
    t->n_lacking += result->outcome == 2;
    if (result->outcome == 0 && result->worst > t->worst)
        t->worst = result->worst;
    if (t->all || result->outcome == 1)
        printf("  %s (%s): %s, worst %g%s%s\n", result->op, result->test_case,
               words[result->outcome], result->worst, result->message[0] ? ": " : "",
               result->message);
}

static int run(int argc, char **argv) {
    values given = {0};
    int first;
    int status = options_parse(&command_check_backend, argc, argv, &given, &first);
    if (status >= 0)
        return status;
    if (first + 1 != argc)
        return usage_error(&command_check_backend, "needs the name of one backend");
    given.session.backend = argv[first];

    sf_context *context = session_open(&given.session);
    if (!context)
        return EXIT_FAILED;
    tally t = {.all = given.all};
    int n_failed = 0;
    if (sf_backend_check(context, given.op, report, &t, &n_failed) != SF_OK) {
        status = session_failed(context);
    } else {
        print_op(&t);
        printf("%d cases, %d differ\n", t.n_cases, n_failed);
        status = finish_stdout();
        if (n_failed)
            status = EXIT_FAILED;
    }
    session_close(context);
    return status;
}

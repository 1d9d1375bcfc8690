/*
 * The conformance grid on the opencl plugin: no case differs from the reference, and what is not
 * supported is what this file says, no more and no less.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/op.h"
#include "tests/backends/gpu/opencl_test.h"
#include "tests/support/support.h"

Suite *suite_backends_gpu_opencl_conformance(void);

/* Ops of core/ops.def that backends/gpu/entries.def does not have. */
static const char *const left_out[] = {"" /* none */};

/* Cases of the grid that an op's supports() refuses. */
static const struct {
    const char *op;
    int n_cases;
} refused[] = {
    {"none yet", 0},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const entries[] = {
#define GPU_OP(name) #name,
#include "backends/gpu/entries.def"
#undef GPU_OP
};

static bool is_among(const char *name, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

START_TEST(the_list_of_what_is_left_out_is_right) {
    static const char *const ops[] = {
#define SF_OP(name) #name,
#define SF_VIEW(name)
#include "core/ops.def"
#undef SF_OP
    };
    for (size_t i = 0; i < COUNT(ops); i++)
        ck_assert_msg(is_among(ops[i], entries, COUNT(entries)) !=
                          is_among(ops[i], left_out, COUNT(left_out)),
                      "%s is in both lists, or in none", ops[i]);
}
END_TEST

/* ---- the grid ---- */

typedef struct tally {
    int n_agree, n_differ;
    int n_lacking[SF_OP_COUNT], n_cases[SF_OP_COUNT];
    char failure[512]; /* the first case that differs */
} tally;

static int number_of(const char *op) {
    int i = 0;
    while (i < SF_OP_COUNT && strcmp(sf_op_get((sf_op_id)i)->name, op) != 0)
        i++;
    ck_assert_int_lt(i, SF_OP_COUNT);
    return i;
}

static void count(void *user, const sf_check_result *result) {
    tally *t = user;
    int op = number_of(result->op);
    t->n_agree += result->outcome == 0;
    t->n_differ += result->outcome == 1;
    t->n_lacking[op] += result->outcome == 2;
    t->n_cases[op]++;
    if (result->outcome == 1 && !t->failure[0])
        snprintf(t->failure, sizeof t->failure, "%s (%s): %s, worst %g", result->op,
                 result->test_case, result->message, result->worst);
}

static int expected_lacking(const char *op, int n_cases) {
    for (size_t i = 0; i < COUNT(refused); i++)
        if (strcmp(refused[i].op, op) == 0)
            return refused[i].n_cases;
    return is_among(op, left_out, COUNT(left_out)) ? n_cases : 0;
}

/* NULL: as large as the device takes. */
static const char *const groups[] = {NULL, "64", "32"};

static void set_group(int i) {
    unsetenv("SFUMATO_OPENCL_GROUP");
    if (groups[i])
        setenv("SFUMATO_OPENCL_GROUP", groups[i], 1);
}

START_TEST(every_case_agrees) {
    tally t = {.failure = ""};
    int n_failed = -1;
    set_group(_i);
    sf_context *ctx = opencl_context(1);
    ck_ok(ctx, sf_backend_check(ctx, NULL, count, &t, &n_failed));
    ck_assert_msg(t.n_differ == 0, "%d cases differ: %s", t.n_differ, t.failure);
    ck_assert_int_eq(n_failed, 0);
    ck_assert_int_gt(t.n_agree, 1000);
    for (int op = 0; op < SF_OP_COUNT; op++) {
        const char *name = sf_op_get((sf_op_id)op)->name;
        ck_assert_msg(t.n_lacking[op] == expected_lacking(name, t.n_cases[op]),
                      "%s: %d cases of %d are not supported", name, t.n_lacking[op], t.n_cases[op]);
    }
    sf_context_free(ctx);
}
END_TEST

Suite *suite_backends_gpu_opencl_conformance(void) {
    Suite *suite = suite_create("backends_gpu_opencl_conformance");
    TCase *lists = tcase_create("lists"), *grid = tcase_create("grid");
    tcase_add_test(lists, the_list_of_what_is_left_out_is_right);
    tcase_set_timeout(grid, 600);
    opencl_add_test(grid, every_case_agrees, COUNT(groups));
    suite_add_tcase(suite, lists);
    suite_add_tcase(suite, grid);
    return suite;
}

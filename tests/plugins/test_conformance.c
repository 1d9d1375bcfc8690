/*
 * The conformance grid: a right backend passes it, a wrong one does not, and what is not supported
 * is said to be so.
 */
#include <stdio.h>

#include <stdlib.h>

#include "core/op.h"
#include "tests/plugins/plugins.h"
#include "tests/support/plans.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_plugins_conformance(void);

typedef struct tally {
    int outcomes[3];
    char failure[1200]; /* of the first one */
    char last_op[64];
    int n_ops;
} tally;

static void count_result(void *user, const sf_check_result *result) {
    tally *t = user;
    ck_assert_int_ge(result->outcome, 0);
    ck_assert_int_le(result->outcome, 2);
    ck_assert_str_ne(result->test_case, "");
    ck_assert_int_eq(result->outcome == 0 && result->worst > 1, 0);
    if (result->outcome == 1 && t->outcomes[1] == 0)
        snprintf(t->failure, sizeof t->failure, "%s (%s): %s, worst %g", result->op,
                 result->test_case, result->message, result->worst);
    t->outcomes[result->outcome]++;
    if (strcmp(t->last_op, result->op) != 0)
        t->n_ops++;
    snprintf(t->last_op, sizeof t->last_op, "%s", result->op);
}

static bool has_all(sf_op_id op) {
    (void)op;
    return true;
}

/* attention that says it may write over the queries, and clears its output first. */
START_TEST(ops_that_spoil_their_input_are_caught) {
    sf_context *ctx = plugin_context(test_plugins(""), "reference", 0);
    int n_failed = 0;
    tally t = {.n_ops = 0};
    ck_ok(ctx, sf_context_open_backend(ctx));
    sf_backend *right = ctx->backend, *wrong = limit_backend(right, "wrong", has_all);
    wrong->entries[SF_OP_attention].in_place = SF_IN_PLACE(0);
    ctx->backend = wrong;
    ck_ok(ctx, sf_backend_check(ctx, "attention", count_result, &t, &n_failed));
    ck_assert_int_gt(n_failed, 0);
    ck_assert_ptr_nonnull(strstr(t.failure, "in place of input 0"));
    ctx->backend = right;
    free(wrong);
    sf_context_free(ctx);
}
END_TEST

static tally check(const char *path, const char *backend, const char *op) {
    tally t = {.n_ops = 0};
    int n_failed = -1;
    sf_context *ctx = plugin_context(path, backend, 0);
    ck_ok(ctx, sf_backend_check(ctx, op, count_result, &t, &n_failed));
    ck_assert_int_eq(n_failed, t.outcomes[1]);
    sf_context_free(ctx);
    return t;
}

/* It is compared with itself: every case runs, and none is beyond it. */
START_TEST(the_reference_agrees_with_itself) {
    tally t = check(test_plugins(""), "reference", NULL);
    ck_assert_msg(t.outcomes[1] == 0, "%d cases failed: %s", t.outcomes[1], t.failure);
    ck_assert_int_eq(t.outcomes[2], 0);
    ck_assert_int_gt(t.outcomes[0], 10 * SF_OP_COUNT);
    ck_assert_int_eq(t.n_ops, SF_OP_COUNT);
}
END_TEST

/* fake has a few ops, and others in parts. */
START_TEST(ops_that_are_lacking_are_counted_as_such) {
    tally t = check(test_plugins("fake"), "fake", NULL);
    ck_assert_msg(t.outcomes[1] == 0, "%d cases failed: %s", t.outcomes[1], t.failure);
    ck_assert_int_gt(t.outcomes[0], 50);
    ck_assert_int_gt(t.outcomes[2], 50);
    t = check(test_plugins("fake"), "fake", "embedding");
    ck_assert_int_eq(t.outcomes[0], 0);
    ck_assert_int_gt(t.outcomes[2], 0);
    ck_assert_int_eq(fake()->n_errors, 0);
    ck_assert_int_eq(fake()->live_buffers, 0);
}
END_TEST

START_TEST(wrong_kernels_are_caught) {
    static const struct {
        const char *name, *part;
    } wrong[] = {{"last_relu", "worst"},
                 {"scaled_relu", "worst"},
                 {"failing_relu", "relu is not for today"}};
    tally t = check(test_plugins(wrong[_i].name), wrong[_i].name, "relu");
    ck_assert_int_gt(t.outcomes[1], 3);
    ck_assert_int_gt(t.outcomes[2], 0); /* f16 */
    ck_assert_int_eq(t.n_ops, 1);
    ck_assert_msg(strstr(t.failure, wrong[_i].part), "no \"%s\" in \"%s\"", wrong[_i].part,
                  t.failure);
}
END_TEST

START_TEST(unknown_ops_and_absent_backends_are_errors) {
    int n_failed = -1;
    sf_context *ctx = plugin_context(test_plugins(""), "reference", 0);
    ck_fails(ctx, sf_backend_check(ctx, "fold_space", NULL, NULL, &n_failed), SF_ERROR_NOT_FOUND,
             "fold_space");
    ck_ok(ctx, sf_backend_check(ctx, "relu", NULL, NULL, &n_failed)); /* nobody listens */
    ck_assert_int_eq(n_failed, 0);
    sf_context_free(ctx);
    ctx = plugin_context(test_plugins(""), "absent", 0);
    ck_fails(ctx, sf_backend_check(ctx, NULL, NULL, NULL, &n_failed), SF_ERROR_NOT_FOUND, "absent");
    sf_context_free(ctx);
    ctx = plugin_context(test_plugins_alone("lazy"), "lazy", 0);
    ck_fails(ctx, sf_backend_check(ctx, NULL, NULL, NULL, &n_failed), SF_ERROR_NOT_FOUND,
             "\"reference\"");
    sf_context_free(ctx);
}
END_TEST

Suite *suite_plugins_conformance(void) {
    Suite *suite = suite_create("plugins_conformance");
    TCase *tcase = tcase_create("grid");
    tcase_add_checked_fixture(tcase, scratch_setup, scratch_teardown);
    tcase_add_test(tcase, the_reference_agrees_with_itself);
    tcase_add_test(tcase, ops_that_are_lacking_are_counted_as_such);
    tcase_add_test(tcase, ops_that_spoil_their_input_are_caught);
    tcase_add_loop_test(tcase, wrong_kernels_are_caught, 0, 3);
    tcase_add_test(tcase, unknown_ops_and_absent_backends_are_errors);
    suite_add_tcase(suite, tcase);
    return suite;
}

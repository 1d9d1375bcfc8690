/*
 * The conformance grid on the cpu plugin: nothing differs from the reference, and nothing is left to it,
 * with every instruction set and several numbers of threads.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/op.h"
#include "tests/support/backends.h"
#include "tests/support/support.h"

Suite *suite_backends_cpu_conformance(void);

typedef struct tally {
    int outcomes[3];
    char failure[512]; /* the first case that differs or is not supported */
} tally;

static void count(void *user, const sf_check_result *result) {
    tally *t = user;
    ck_assert(result->outcome >= 0 && result->outcome < 3);
    if (result->outcome != 0 && !t->failure[0])
        snprintf(t->failure, sizeof t->failure, "%s (%s): %s, worst %g", result->op,
                 result->test_case, result->message, result->worst);
    t->outcomes[result->outcome]++;
}

static const char *const thread_counts[] = {"1", "3"};
#define N_COUNTS (int)(sizeof thread_counts / sizeof *thread_counts)

START_TEST(every_case_agrees) {
    tally t = {.failure = ""};
    int n_failed = -1, backend = _i / N_COUNTS;
    setenv("SFUMATO_THREADS", thread_counts[_i % N_COUNTS], 1);
    sf_context *ctx = test_context_on(backend);
    ck_ok(ctx, sf_backend_check(ctx, NULL, count, &t, &n_failed));
    ck_assert_msg(t.outcomes[1] == 0 && t.outcomes[2] == 0,
                  "%s, %s threads: %d cases differ, %d are not supported: %s",
                  test_backend_name(backend), thread_counts[_i % N_COUNTS], t.outcomes[1],
                  t.outcomes[2], t.failure);
    ck_assert_int_eq(n_failed, 0);
    ck_assert_int_gt(t.outcomes[0], 10 * SF_OP_COUNT);
    sf_context_free(ctx);
    unsetenv("SFUMATO_THREADS");
}
END_TEST

Suite *suite_backends_cpu_conformance(void) {
    Suite *suite = suite_create("backends_cpu_conformance");
    TCase *cases = tcase_create("grid");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, every_case_agrees, N_COUNTS, N_COUNTS * test_n_backends());
    suite_add_tcase(suite, cases);
    return suite;
}

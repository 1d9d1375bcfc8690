/*
 * plugins/template, as somebody else would build it: a copy of the folder, the installed headers,
 * pkg-config. Then its ops are run.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/eager.h"
#include "plugins/registry.h"
#include "tests/plugins/plugins.h"
#include "tests/support/command.h"
#include "tests/support/plans.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_plugins_template(void);

/* The test suite may itself run under make, whose variables are not for these. */
#define OWN_ENVIRONMENT "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "DESTDIR", "LC_ALL=C"

static void run(const char *const *arguments, const char *const *environment) {
    struct command_result result;
    command_run(&result, (struct command){.arguments = arguments,
                                          .environment = environment,
                                          .timeout_seconds = 100});
    ck_assert_msg(result.status == 0, "%s: status %d\n%s%s", arguments[0], result.status,
                  result.out, result.err);
    free(result.out);
    free(result.err);
}

/* Installs the headers and sfumato.pc below the scratch folder and builds a copy of the template. */
static void build_template(void) {
    char destination[5000], root[5000], packages[5000];
    scratch_setup();
    snprintf(destination, sizeof destination, "DESTDIR=%s", scratch("root"));
    run((const char *[]){"make", "-s", "-C", test_build(""), "install-includeHEADERS",
                         "install-pkgconfigDATA", "pkgconfigdir=/pc", destination, NULL},
        (const char *[]){OWN_ENVIRONMENT, NULL});
    run((const char *[]){"cp", "-r", test_source("plugins/template"), scratch("mine"), NULL}, NULL);
    run((const char *[]){"chmod", "-R", "u+w", scratch("mine"), NULL}, NULL);
    snprintf(root, sizeof root, "PKG_CONFIG_SYSROOT_DIR=%s", scratch("root"));
    snprintf(packages, sizeof packages, "PKG_CONFIG_PATH=%s/pc", scratch("root"));
    run((const char *[]){"make", "-s", "-C", scratch("mine"), "CC=" SF_TEST_CC,
                         "CFLAGS=-Wall -Wextra -Werror", NULL},
        (const char *[]){OWN_ENVIRONMENT, "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1", root, packages,
                         NULL});
}

static void remove_template(void) {
    run((const char *[]){"rm", "-rf", scratch(""), NULL}, NULL);
}

static sf_context *template_context(int strict) {
    char path[9000];
    snprintf(path, sizeof path, "%s:%s", scratch("mine"), test_build("plugins/.libs"));
    return plugin_context(path, "template", strict);
}

static sf_device_tensor *tensor_of(sf_context *ctx, sf_spec spec, const float *data) {
    sf_device_tensor *tensor;
    ck_ok(ctx, sf_device_tensor_new(ctx->backend, &spec, &tensor));
    ck_ok(ctx, sf_device_tensor_write(tensor, data, sf_spec_bytes(&tensor->spec)));
    return tensor;
}

static void check_op(sf_context *ctx, sf_eager *eager, sf_op_id op, int n_inputs,
                     const float *wanted) {
    const float x[] = {1, -1, 0, 2}, w[] = {1, 2, 3, 4}, b[] = {0.5f, -0.5f};
    const sf_spec matrix = {.dtype = SF_F32, .n_dims = 2, .dims = {2, 2}};
    const sf_spec vector = {.dtype = SF_F32, .n_dims = 1, .dims = {2}};
    sf_device_tensor *tensors[] = {tensor_of(ctx, matrix, x), tensor_of(ctx, matrix, w),
                                   tensor_of(ctx, vector, b), tensor_of(ctx, matrix, x)};
    float got[4];
    ck_ok(ctx, sf_eager_run(eager, op, (const sf_device_tensor *const *)tensors, n_inputs, NULL,
                            tensors[3]));
    ck_ok(ctx, sf_device_tensor_read(tensors[3], got, sizeof got));
    for (int i = 0; i < 4; i++)
        ck_assert_msg(fabsf(got[i] - wanted[i]) < 1e-6f, "%s: element %d is %g, not %g",
                      sf_op_get(op)->name, i, (double)got[i], (double)wanted[i]);
    for (int i = 0; i < 4; i++)
        sf_device_tensor_free(tensors[i]);
}

/* Strict: what runs here runs on the template. */
START_TEST(its_ops_compute_what_they_should) {
    sf_context *ctx = template_context(1);
    sf_plan_options options;
    sf_eager *eager;
    ck_ok(ctx, sf_plan_options_for(ctx, &options));
    ck_assert_str_eq(options.backend->name, "template");
    ck_ok(ctx, sf_eager_new(ctx, &options, &eager));
    check_op(ctx, eager, SF_OP_silu, 1, (const float[]){0.7310586f, -0.2689414f, 0, 1.7615942f});
    check_op(ctx, eager, SF_OP_add, 2, (const float[]){2, 1, 3, 6});
    check_op(ctx, eager, SF_OP_linear, 2, (const float[]){-1, -1, 4, 8});
    check_op(ctx, eager, SF_OP_linear, 3, (const float[]){-0.5f, -1.5f, 4.5f, 7.5f});
    sf_eager_free(eager);
    sf_context_free(ctx);
}
END_TEST

typedef struct tally {
    int n_agree, n_differ, n_unsupported;
} tally;

static void count_result(void *user, const sf_check_result *result) {
    tally *t = user;
    t->n_agree += result->outcome == 0;
    t->n_differ += result->outcome == 1;
    t->n_unsupported += result->outcome == 2;
}

START_TEST(it_agrees_with_the_reference) {
    static const char *const ops[] = {"silu", "add", "linear"};
    sf_context *ctx = template_context(0);
    for (int i = 0; i < 3; i++) {
        tally t = {0};
        int n_failed;
        ck_ok(ctx, sf_backend_check(ctx, ops[i], count_result, &t, &n_failed));
        ck_assert_int_eq(n_failed, 0);
        ck_assert_int_gt(t.n_agree, 3);
        ck_assert_int_gt(t.n_unsupported, 0);
    }
    sf_context_free(ctx);
}
END_TEST

Suite *suite_plugins_template(void) {
    Suite *suite = suite_create("plugins_template");
    TCase *tcase = tcase_create("template");
    tcase_add_unchecked_fixture(tcase, build_template, remove_template);
    tcase_add_test(tcase, its_ops_compute_what_they_should);
    tcase_add_test(tcase, it_agrees_with_the_reference);
    suite_add_tcase(suite, tcase);
    return suite;
}

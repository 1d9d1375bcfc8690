/*
 * The reference plugin against PyTorch: every case of tests/data/ops (made by
 * tests/oracle/make_op_goldens.py), with contiguous inputs and with two kinds of strided ones.
 *
 * Tolerances. The goldens are computed in double and rounded once; the reference computes in f32.
 *   f32   sums of at most a few hundred products of numbers near 1, each rounded to 2^-24: 1e-6 of
 *         the largest value; functions of one number: some units in the last place (2^-23)
 *   f16   the f32 result may round to the neighbour: 2^-10 of the value; bf16: 2^-7
 * Ops that only move values, casts and counts agree bit for bit.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/ops/op_call.h"

Suite *suite_ops_goldens(void);

static const char *const ops[] = {
#define SF_OP(name) #name,
#define SF_VIEW(name)
#include "core/ops.def"
#undef SF_OP
};

#define N_OPS (sizeof ops / sizeof *ops)

static double relative_tolerance(sf_dtype dtype) {
    return dtype == SF_F32 ? 2e-6 : dtype == SF_F16 ? 0x1p-10 : 0x1p-7;
}

static const sf_tensor *find(const sf_tensors *goldens, int k, const char *name) {
    char full[64];
    snprintf(full, sizeof full, "%d.%s", k, name);
    return sf_tensors_find(goldens, full);
}

static op_call read_case(const sf_tensors *goldens, const char *op, int k) {
    op_call call = {.op = op};
    for (int j = 0; j < SF_MAX_INPUTS; j++) {
        char name[16];
        snprintf(name, sizeof name, "input.%d", j);
        call.inputs[j] = find(goldens, k, name);
        if (call.inputs[j])
            call.n_inputs = j + 1;
    }
    const sf_tensor *attributes = find(goldens, k, "attributes");
    if (attributes) {
        ck_assert_uint_eq(attributes->bytes, sf_op_get(sf_op_find(op))->attribute_bytes);
        memcpy(call.attributes.bytes, attributes->data, attributes->bytes);
    }
    return call;
}

static void check_result(const char *op, const char *text, op_layout layout, const sf_tensor *given,
                         const sf_tensor *wanted) {
    unsigned flags = sf_op_get(sf_op_find(op))->flags;
    bool exact =
        (flags & SF_OP_EXACT) || strcmp(op, "cast") == 0 || !sf_dtype_is_float(wanted->dtype);
    if (exact) {
        ck_assert_msg(memcmp(given->data, wanted->data, wanted->bytes) == 0,
                      "%s %s, layout %d: other bytes", op, text, layout);
        return;
    }
    double absolute = flags & SF_OP_ELEMENTWISE ? 3e-8 : 1e-6;
    double distance = op_distance(given, wanted, absolute, relative_tolerance(wanted->dtype));
    ck_assert_msg(distance <= 1, "%s %s, layout %d: %g of the tolerance", op, text, layout,
                  distance);
}

static void check_case(sf_context *ctx, const sf_tensors *goldens, const char *op, int k,
                       const char *text) {
    op_call call = read_case(goldens, op, k);
    const sf_tensor *wanted = find(goldens, k, "output");
    sf_spec inferred, spec = op_spec_of(wanted);
    ck_ok(ctx, op_call_infer(ctx, &call, &inferred));
    ck_assert_msg(sf_spec_equal(&inferred, &spec), "%s %s: another type or shape", op, text);
    for (int layout = 0; layout < OP_N_LAYOUTS; layout++) {
        sf_tensor *given;
        call.layout = (op_layout)layout;
        ck_ok(ctx, sf_tensor_new(ctx, spec.dtype, spec.n_dims, spec.dims, &given));
        sf_status status = op_call_run(&call, given);
        ck_assert_msg(status == SF_OK, "%s %s: %s", op, text, call.message);
        check_result(op, text, call.layout, given, wanted);
        sf_tensor_free(given);
    }
}

START_TEST(agrees_with_pytorch) {
    const char *op = ops[_i];
    char path[64];
    sf_tensors *goldens;
    if (strcmp(op, "random_normal") == 0) /* PyTorch draws so on a GPU only: test_properties.c */
        return;
    sf_context *ctx = test_context();
    snprintf(path, sizeof path, "ops/%s.safetensors", op);
    ck_ok(ctx, sf_tensors_load(ctx, test_data(path), &goldens));
    ck_assert_int_gt(sf_tensors_metadata_count(goldens), 0);
    for (int i = 0; i < sf_tensors_metadata_count(goldens); i++) {
        const char *key, *text;
        sf_tensors_metadata_at(goldens, i, &key, &text);
        check_case(ctx, goldens, op, atoi(key), text);
    }
    sf_tensors_free(goldens);
    test_context_free(ctx);
}
END_TEST

Suite *suite_ops_goldens(void) {
    Suite *suite = suite_create("ops_goldens");
    TCase *tests = tcase_create("pytorch");
    tcase_add_loop_test(tests, agrees_with_pytorch, 0, (int)N_OPS);
    suite_add_tcase(suite, tests);
    return suite;
}

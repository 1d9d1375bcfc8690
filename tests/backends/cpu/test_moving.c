/*
 * Moving elements on the cpu plugin: every layout, type and instruction set, to the bit; resizing; ids
 * out of range.
 */
#include "core/graph.h"
#include "tests/backends/cpu/cpu_test.h"

Suite *suite_backends_cpu_moving(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

static const sf_dtype types[] = {SF_F32, SF_F16, SF_BF16, SF_I64, SF_I32, SF_U8};

static sf_tensor *tensor(sf_spec spec, sf_dtype dtype, uint64_t seed) {
    spec.dtype = dtype;
    sf_spec_normalize(&spec);
    return op_tensor(ctx, &spec, seed);
}

/* ---- copy and concat ---- */

static const sf_spec shapes[] = {
    SF_SPEC(F32, 1),           SF_SPEC(F32, 17),
    SF_SPEC(F32, 33, 31),      SF_SPEC(F32, 64, 96),
    SF_SPEC(F32, 1, 4, 70, 1), SF_SPEC(F32, 2, 35, 40, 33),
    SF_SPEC(F32, 3, 1, 600),   SF_SPEC(F32, 2, 3, 5, 4, 7),
    SF_SPEC(F32, 1, 3, 0, 4),  SF_SPEC(F32, 1, 40000),
};
#define N_SHAPES (int)(sizeof shapes / sizeof *shapes)

START_TEST(copies_are_exact) {
    cpu_test test;
    if (!cpu_test_open(&test, _i, 3))
        return;
    for (int i = 0; i < N_SHAPES * 6 * OP_N_LAYOUTS; i++) {
        op_call call = {.op = "copy", .n_inputs = 1, .layout = (op_layout)(i % OP_N_LAYOUTS)};
        call.inputs[0] = tensor(shapes[i / 18], types[i / 3 % 6], 30);
        cpu_test_compare(&test, ctx, &call, 0);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

/* Every order of four dimensions, through the entry itself: op_call has only some layouts. */
static void check_order(cpu_test *test, const int *order) {
    sf_spec spec = SF_SPEC(F32, 3, 33, 5, 32);
    sf_tensor *x = tensor(spec, SF_F32, 31), *y = tensor(spec, SF_F32, 32);
    sf_tensor *wanted = tensor(spec, SF_F32, 33);
    sf_tensor_desc plain = {.buffer = x->data,
                            .dtype = SF_F32,
                            .n_dims = 4,
                            .dims = {3, 33, 5, 32, 1},
                            .strides = {33 * 5 * 32, 5 * 32, 32, 1, 1}};
    sf_tensor_desc view = ref_permuted(&plain, order), output = view;
    for (int axis = 3, stride = 1; axis >= 0; stride *= (int)view.dims[axis], axis--)
        output.strides[axis] = stride;
    output.buffer = y->data;
    sf_op_call call = {.struct_size = sizeof call,
                       .n_inputs = 1,
                       .op = "copy",
                       .inputs = &view,
                       .output = &output};
    ck_assert_int_eq(cpu_entries[CPU_copy]->run(&test->backend, &call), SF_OK);
    ref_copy_elements(&view, wanted->data, output.strides);
    ck_assert_msg(memcmp(y->data, wanted->data, y->bytes) == 0, "order %d %d %d %d", order[0],
                  order[1], order[2], order[3]);
    sf_tensor_free(x);
    sf_tensor_free(y);
    sf_tensor_free(wanted);
}

START_TEST(permuted_copies_are_exact) {
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    for (int i = 0; i < 256; i++) {
        int order[] = {i % 4, i / 4 % 4, i / 16 % 4, i / 64};
        int seen = 1 << order[0] | 1 << order[1] | 1 << order[2] | 1 << order[3];
        if (seen == 15)
            check_order(&test, order);
    }
    cpu_test_close(&test);
}
END_TEST

START_TEST(concatenations_are_exact) {
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    for (int i = 0; i < 4 * 6 * OP_N_LAYOUTS; i++) {
        int axis = i / 18;
        op_call call = {.op = "concat",
                        .n_inputs = 3,
                        .layout = (op_layout)(i % OP_N_LAYOUTS),
                        .attributes.axis.axis = axis};
        for (int k = 0; k < 3; k++) {
            sf_spec spec = SF_SPEC(F32, 2, 9, 3, 33);
            spec.dims[axis] = 1 + 2 * k;
            call.inputs[k] = tensor(spec, types[i / 3 % 6], 34 + (uint64_t)k);
        }
        cpu_test_compare(&test, ctx, &call, 0);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

/* ---- embedding ---- */

START_TEST(rows_are_looked_up) {
    cpu_test test;
    if (!cpu_test_open(&test, _i, 2))
        return;
    for (int i = 0; i < 6 * 2; i++) {
        op_call call = {.op = "embedding", .n_inputs = 2};
        call.inputs[0] = tensor((sf_spec)SF_SPEC(F32, 5, 3, 33), types[i / 2], 36);
        call.inputs[1] = tensor((sf_spec)SF_SPEC(F32, 2, 40), i % 2 ? SF_I64 : SF_I32, 37);
        cpu_test_compare(&test, ctx, &call, 0);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

START_TEST(ids_out_of_range_are_refused) {
    static const int64_t ids[][3] = {{0, 1, 5}, {0, -1, 2}};
    static const char *const messages[] = {"id 5 at 2, the table has 5 rows",
                                           "id -1 at 1, the table has 5 rows"};
    cpu_test test;
    ck_assert(cpu_test_open(&test, 0, 1));
    sf_tensor *table = tensor((sf_spec)SF_SPEC(F32, 5, 3), SF_F32, 38), *wrong;
    sf_tensor *y = tensor((sf_spec)SF_SPEC(F32, 3, 3), SF_F32, 39);
    for (int i = 0; i < 2; i++) {
        ck_ok(ctx, sf_tensor_borrow(ctx, SF_I64, SF_DIMS(3), ids[i], &wrong));
        op_call call = {.op = "embedding",
                        .inputs = {table, wrong},
                        .n_inputs = 2,
                        .entry = cpu_entries[CPU_embedding],
                        .backend = &test.backend};
        ck_assert_int_eq(op_call_run(&call, y), SF_ERROR_ARGUMENT);
        ck_assert_str_eq(test.message, messages[i]);
        sf_tensor_free(wrong);
    }
    sf_tensor_free(table);
    sf_tensor_free(y);
    cpu_test_close(&test);
}
END_TEST

/* ---- resize ---- */

START_TEST(pictures_are_resized) {
    static const struct {
        int64_t H, W, C;
        int32_t height, width;
    } cases[] = {{1, 1, 1, 1, 1},   {4, 6, 33, 8, 12},    {7, 5, 3, 14, 11},
                 {9, 8, 17, 3, 20}, {16, 16, 48, 32, 32}, {5, 40, 31, 4, 7}};
    cpu_test test;
    if (!cpu_test_open(&test, _i, 3))
        return;
    for (int i = 0; i < 6 * 3 * 2; i++) {
        sf_spec spec = SF_SPEC(F32, 2, cases[i / 6].H, cases[i / 6].W, cases[i / 6].C);
        int32_t mode = i % 2 ? SF_RESIZE_BILINEAR : SF_RESIZE_NEAREST;
        op_call call = {.op = "resize",
                        .n_inputs = 1,
                        .attributes.resize = {cases[i / 6].height, cases[i / 6].width, mode}};
        call.inputs[0] = tensor(spec, types[i / 2 % 3], 40);
        cpu_test_compare(&test, ctx, &call, mode == SF_RESIZE_NEAREST ? 0 : 1e-6);
        cpu_test_free_inputs(&call);
    }
    cpu_test_close(&test);
}
END_TEST

Suite *suite_backends_cpu_moving(void) {
    Suite *suite = suite_create("backends_cpu_moving");
    TCase *tests = tcase_create("moving");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, copies_are_exact, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, permuted_copies_are_exact, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, concatenations_are_exact, 0, CPU_TEST_SETS);
    tcase_add_loop_test(tests, rows_are_looked_up, 0, CPU_TEST_SETS);
    tcase_add_test(tests, ids_out_of_range_are_refused);
    tcase_add_loop_test(tests, pictures_are_resized, 0, CPU_TEST_SETS);
    suite_add_tcase(suite, tests);
    return suite;
}

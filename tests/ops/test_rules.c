/*
 * The shape rules: what they refuse, and with which words; and the shapes of views, which have no
 * kernel that would show them.
 */
#include <math.h>

#include "core/graph.h"
#include "tests/ops/op_call.h"

Suite *suite_ops_rules(void);

typedef struct refusal {
    const char *op;
    sf_spec inputs[SF_MAX_INPUTS];
    sf_attributes attributes;
    sf_status status;
    const char *message; /* a part of it */
} refusal;

#define F(...)   SF_SPEC(F32, __VA_ARGS__)
#define I64(...) SF_SPEC(I64, __VA_ARGS__)
#define SCALAR                                                                                     \
    { .dtype = SF_F32 }
#define NONE                                                                                       \
    { .dtype = SF_NONE }
#define SHAPE    SF_ERROR_SHAPE
#define ARGUMENT SF_ERROR_ARGUMENT
#define CONV(s, d, p, g)                                                                           \
    .conv2d = {.stride = {1, s}, .dilation = {d, 1}, .padding = {0, p, 0, 0}, .groups = (g)}
#define HEADS(n)   .attention = {.n_heads = (n), .scale = 1}
#define NORM(g, e) .norm = {.groups = (g), .epsilon = (e)}
#define DIMS(...)  .shape = {.n_dims = SF_COUNT_(__VA_ARGS__), .dims = {__VA_ARGS__}}

static const refusal refusals[] = {
    {"silu", {I64(3)}, {{0}}, SHAPE, "x is i64, must be a float type (f32, f16, bf16)"},
    {"affine", {SF_SPEC(U8, 3)}, {{0}}, SHAPE, "x is u8"},
    {"clamp", {F(3)}, {.range = {2, 1}}, ARGUMENT, "clamp to 2..1"},
    {"clamp", {F(3)}, {.range = {NAN, 1}}, ARGUMENT, "clamp to "},
    {"add", {F(2, 3), F(2, 4)}, {{0}}, SHAPE, "shapes do not broadcast: dimension 1 is 3 and 4"},
    {"add", {F(5, 1), F(2, 4, 1)}, {{0}}, SHAPE, "shapes do not broadcast: dimension 1 is 5 and 4"},
    {"multiply", {F(3), I64(3)}, {{0}}, SHAPE, "b is i64"},
    {"divide", {F(0), F(2)}, {{0}}, SHAPE, "shapes do not broadcast: dimension 0 is 0 and 2"},

    {"linear", {SCALAR, F(2, 3)}, {{0}}, SHAPE, "x has no dimension"},
    {"linear", {F(4, 3), F(3)}, {{0}}, SHAPE, "weight has 1 dimensions, must have 2"},
    {"linear", {F(4, 3), F(5, 2)}, {{0}}, SHAPE, "x has 3 columns, weight 2"},
    {"linear", {F(4, 3), F(5, 3), F(4)}, {{0}}, SHAPE, "dimension 0 of bias is 4, must be 5"},
    {"linear", {F(4, 3), F(5, 3), F(5, 1)}, {{0}}, SHAPE, "bias has 2 dimensions, must have 1"},
    {"linear",
     {F(4, 3), F(5, 3), NONE, F(4, 3)},
     {{0}},
     SHAPE,
     "residual has shape [4, 3], the output [4, 5]"},
    {"linear",
     {F(4, 3), F(5, 3)},
     {.linear.activation = 77},
     ARGUMENT,
     "there is no activation 77"},
    {"linear", {F(4, 3), I64(5, 3)}, {{0}}, SHAPE, "weight is i64"},

    {"matmul", {F(2, 3), F(1, 3, 2)}, {{0}}, SHAPE, "a has 2 dimensions and b 3"},
    {"matmul", {F(3), F(3)}, {{0}}, SHAPE, "at least 2"},
    {"matmul", {F(2, 3), F(2, 3)}, {{0}}, SHAPE, "a has 3 columns, b 2 rows"},
    {"matmul",
     {F(2, 3), F(3, 2)},
     {.matmul.transpose_b = 1},
     SHAPE,
     "a has 3 columns, b 2 columns (transposed)"},
    {"matmul", {F(2, 2, 3), F(3, 3, 2)}, {{0}}, SHAPE, "batch dimension 0 is 2 and 3"},

    {"conv2d",
     {F(1, 4, 4), F(2, 3, 3, 3)},
     {CONV(1, 1, 0, 1)},
     SHAPE,
     "x has 3 dimensions, must have 4"},
    {"conv2d", {F(1, 4, 4, 3), F(2, 3, 3)}, {CONV(1, 1, 0, 1)}, SHAPE, "weight has 3 dimensions"},
    {"conv2d",
     {F(1, 4, 4, 3), F(2, 4, 3, 3)},
     {CONV(1, 1, 0, 1)},
     SHAPE,
     "x has 3 channels in 1 groups, weight is for 4 a group"},
    {"conv2d",
     {F(1, 4, 4, 3), F(2, 3, 3, 3)},
     {CONV(0, 1, 0, 1)},
     ARGUMENT,
     "stride 0 along the width"},
    {"conv2d",
     {F(1, 4, 4, 3), F(2, 3, 3, 3)},
     {CONV(1, -1, 0, 1)},
     ARGUMENT,
     "dilation -1 along the height"},
    {"conv2d", {F(1, 4, 4, 3), F(2, 3, 3, 3)}, {CONV(1, 1, -2, 1)}, ARGUMENT, "padding of -2"},
    {"conv2d", {F(1, 4, 4, 3), F(2, 3, 3, 3)}, {CONV(1, 1, 0, 0)}, ARGUMENT, "0 groups"},
    {"conv2d",
     {F(1, 4, 4, 3), F(2, 3, 3, 3)},
     {CONV(1, 1, 0, 2)},
     SHAPE,
     "3 channels and 2 filters are not divisible by 2 groups"},
    {"conv2d",
     {F(1, 4, 4, 4), F(3, 2, 3, 3)},
     {CONV(1, 1, 0, 2)},
     SHAPE,
     "4 channels and 3 filters are not divisible by 2 groups"},
    {"conv2d",
     {F(1, 2, 4, 3), F(2, 3, 3, 3)},
     {CONV(1, 1, 0, 1)},
     SHAPE,
     "the kernel reaches over 3 pixels of height, the padded input has 2"},
    {"conv2d",
     {F(1, 4, 4, 3), F(2, 3, 3, 3)},
     {CONV(1, INT32_MAX, 0, 1)},
     SHAPE,
     "the kernel reaches over 4294967295 pixels of height"},
    {"conv2d",
     {F(1, 4, 4, 3), F(2, 3, 0, 3)},
     {CONV(1, 1, 0, 1)},
     SHAPE,
     "a kernel of 0 on 4 pixels of height"},
    {"conv2d",
     {F(0, 4, INT64_MAX, 3), F(2, 3, 3, 3)},
     {CONV(1, 1, 0, 1)},
     SHAPE,
     "pixels of width"},
    {"conv2d",
     {F(1, 4, 4, 3), F(2, 3, 3, 3), F(3)},
     {CONV(1, 1, 0, 1)},
     SHAPE,
     "dimension 0 of bias is 3, must be 2"},
    {"conv2d",
     {F(1, 4, 4, 3), F(2, 3, 3, 3), F(2), F(1, 4, 4, 2)},
     {CONV(1, 1, 0, 1)},
     SHAPE,
     "residual has shape [1, 4, 4, 2], the output [1, 2, 2, 2]"},

    {"attention", {F(1, 2, 6), F(1, 3, 6), F(1, 3, 6)}, {HEADS(0)}, ARGUMENT, "0 heads"},
    {"attention", {F(1, 2, 6), F(1, 3, 6), F(1, 3, 6)}, {HEADS(-1)}, ARGUMENT, "-1 heads"},
    {"attention",
     {F(1, 2, 6), F(1, 3, 6), F(1, 3, 6)},
     {HEADS(4)},
     SHAPE,
     "q has 6 channels, not divisible by 4 heads"},
    {"attention",
     {F(1, 2, 6), F(1, 3, 6), F(1, 3, 7)},
     {HEADS(2)},
     SHAPE,
     "v has 7 channels, not divisible by 2 heads"},
    {"attention",
     {F(2, 6), F(1, 3, 6), F(1, 3, 6)},
     {HEADS(2)},
     SHAPE,
     "q has 2 dimensions, must have 3"},
    {"attention",
     {F(1, 2, 6), F(2, 3, 6), F(1, 3, 6)},
     {HEADS(2)},
     SHAPE,
     "dimension 0 of k is 2, must be 1"},
    {"attention",
     {F(1, 2, 6), F(1, 3, 8), F(1, 3, 6)},
     {HEADS(2)},
     SHAPE,
     "dimension 2 of k is 8, must be 6"},
    {"attention",
     {F(1, 2, 6), F(1, 3, 6), F(1, 4, 6)},
     {HEADS(2)},
     SHAPE,
     "dimension 1 of v is 4, must be 3"},
    {"attention",
     {F(1, 2, 6), F(1, 3, 6), F(1, 3, 6), F(2, 3)},
     {HEADS(2)},
     SHAPE,
     "mask has 2 dimensions, must have 4"},
    {"attention",
     {F(1, 2, 6), F(1, 3, 6), F(1, 3, 6), F(1, 3, 2, 3)},
     {HEADS(2)},
     SHAPE,
     "dimension 1 of mask is 3, must be 2 or 1"},
    {"attention",
     {F(1, 2, 6), F(1, 3, 6), F(1, 3, 6), F(1, 1, 1, 1)},
     {HEADS(2)},
     SHAPE,
     "dimension 3 of mask is 1, must be 3"},

    {"linear_combination",
     {SF_SPEC(F16, 1), F(3)},
     {{0}},
     SHAPE,
     "coefficients are f16, must be f32"},
    {"linear_combination", {F(1, 1), F(3)}, {{0}}, SHAPE, "coefficients has 2 dimensions"},
    {"linear_combination", {F(2), F(3)}, {{0}}, SHAPE, "2 coefficients for 1 tensors"},
    {"linear_combination", {F(1), I64(3)}, {{0}}, SHAPE, "the first tensor is i64"},
    {"linear_combination",
     {F(2), F(3), SF_SPEC(F16, 3)},
     {{0}},
     SHAPE,
     "tensor 1 differs from the first"},
    {"linear_combination",
     {F(3), F(3), F(3), F(1, 3)},
     {{0}},
     SHAPE,
     "tensor 2 differs from the first"},

    {"softmax", {SCALAR}, {{0}}, SHAPE, "x has no dimension"},
    {"group_norm", {F(4)}, {NORM(1, 0)}, SHAPE, "x has 1 dimensions, must have at least 2"},
    {"group_norm", {F(2, 4)}, {NORM(0, 0)}, ARGUMENT, "0 groups"},
    {"group_norm", {F(2, 4)}, {NORM(3, 0)}, SHAPE, "4 channels not divisible by 3 groups"},
    {"group_norm", {F(2, 4), F(2)}, {NORM(2, 0)}, SHAPE, "dimension 0 of scale is 2, must be 4"},
    {"group_norm", {F(2, 4), F(4), F(4, 1)}, {NORM(2, 0)}, SHAPE, "shift has 2 dimensions"},
    {"group_norm", {F(2, 4)}, {NORM(2, -1e-5f)}, ARGUMENT, "epsilon -1e-05"},
    {"layer_norm", {SCALAR}, {NORM(0, 0)}, SHAPE, "x has no dimension"},
    {"layer_norm", {F(3)}, {NORM(0, NAN)}, ARGUMENT, "epsilon "},
    {"rms_norm", {F(3), I64(3)}, {NORM(0, 0)}, SHAPE, "scale is i64"},
    {"rms_norm", {F(3)}, {NORM(0, INFINITY)}, ARGUMENT, "epsilon inf"},
    {"sum", {F(2, 3)}, {.axis.axis = 2}, ARGUMENT, "axis 2 of a tensor of 2 dimensions"},
    {"mean", {F(2, 3)}, {.axis.axis = -1}, ARGUMENT, "axis -1"},
    {"mean", {SCALAR}, {.axis.axis = 0}, ARGUMENT, "axis 0 of a tensor of 0 dimensions"},
    {"count_nonfinite", {I64(2)}, {{0}}, SHAPE, "x is i64"},

    {"resize", {F(4, 4, 3)}, {.resize = {2, 2, 0}}, SHAPE, "x has 3 dimensions"},
    {"resize", {F(1, 4, 4, 3)}, {.resize = {0, 2, 0}}, SHAPE, "from 4 x 4 to 0 x 2 pixels"},
    {"resize", {F(1, 0, 4, 3)}, {.resize = {2, 2, 0}}, SHAPE, "from 0 x 4 to 2 x 2 pixels"},
    {"resize", {F(1, 4, 4, 3)}, {.resize = {2, 2, 7}}, ARGUMENT, "there is no resize mode 7"},
    {"avg_pool2d",
     {F(1, 4, 4, 3)},
     {.pool2d = {{2, 2}, {1, 0}}},
     ARGUMENT,
     "kernel 2 and stride 0 along the width"},
    {"avg_pool2d",
     {F(1, 4, 4, 3)},
     {.pool2d = {{0, 2}, {1, 1}}},
     ARGUMENT,
     "kernel 0 and stride 1 along the height"},
    {"avg_pool2d",
     {F(1, 4, 4, 3)},
     {.pool2d = {{5, 2}, {1, 1}}},
     SHAPE,
     "a kernel of 5 on 4 pixels of height"},

    {"cast", {F(3)}, {.type.dtype = 0}, ARGUMENT, "the result is of type none (0)"},
    {"cast", {F(3)}, {.type.dtype = 99}, ARGUMENT, "the result is of type none (99)"},
    {"concat", {SCALAR, SCALAR}, {.axis.axis = 0}, ARGUMENT, "axis 0 of a tensor of 0 dimensions"},
    {"concat", {F(2, 3), F(2, 3)}, {.axis.axis = 2}, ARGUMENT, "axis 2"},
    {"concat",
     {F(2, 3), F(3, 3)},
     {.axis.axis = 1},
     SHAPE,
     "tensor 1 differs from the first in type, or off axis 1"},
    {"concat", {F(2, 3), F(2, 3), SF_SPEC(F16, 2, 3)}, {.axis.axis = 1}, SHAPE, "tensor 2 differs"},
    {"concat", {F(2, 3), F(2)}, {.axis.axis = 1}, SHAPE, "tensor 1 differs"},
    {"concat",
     {F(0, INT64_MAX), F(0, 1)},
     {.axis.axis = 1},
     SHAPE,
     "the sizes along axis 1 overflow"},
    {"embedding", {F(2, 3), F(3)}, {{0}}, SHAPE, "ids are f32, must be i32 or i64"},
    {"embedding", {SCALAR, I64(3)}, {{0}}, SHAPE, "table has no dimension"},
    {"embedding",
     {F(1, 2, 3, 4), I64(1, 2, 3)},
     {{0}},
     SHAPE,
     "a result of 6 dimensions, at most 5"},
    {"geglu", {F(2, 5)}, {{0}}, SHAPE, "x has 5 columns, an odd number"},
    {"geglu", {SCALAR}, {{0}}, SHAPE, "x has no dimension"},
    {"linear_geglu", {F(2, 5), F(6, 4)}, {{0}}, SHAPE, "x has 5 columns, weight 4"},
    {"linear_geglu", {F(2, 5), F(7, 5)}, {{0}}, SHAPE, "weight has 7 rows, an odd number"},
    {"linear_geglu", {F(2, 5), F(6, 5), F(3)}, {{0}}, SHAPE, "bias"},
    {"random_normal", {F(2)}, {DIMS(2)}, SHAPE, "key is f32, must be i64"},
    {"random_normal", {I64(3)}, {DIMS(2)}, SHAPE, "dimension 0 of key is 3, must be 2"},
    {"random_normal", {I64(2)}, {DIMS(3, -1)}, ARGUMENT, "dimension 1 of the new shape is -1"},
    {"random_normal",
     {I64(2)},
     {.shape.n_dims = 6},
     ARGUMENT,
     "a shape of 6 dimensions, at most 5"},

    {"reshape", {F(2, 3)}, {DIMS(4)}, SHAPE, "6 elements do not make [4]"},
    {"reshape", {F(2, 3)}, {DIMS(-1)}, ARGUMENT, "dimension 0 of the new shape is -1"},
    {"reshape", {F(2, 3)}, {DIMS(0)}, SHAPE, "6 elements do not make [0]"},
    {"reshape", {F(0, 3)}, {DIMS(1)}, SHAPE, "0 elements do not make [1]"},
    {"reshape",
     {F(1)},
     {DIMS(INT64_C(1) << 32, INT64_C(1) << 32)},
     SHAPE,
     "1 elements do not make"},
    {"reshape", {F(1)}, {.shape.n_dims = -1}, ARGUMENT, "a shape of -1 dimensions"},
    {"permute", {F(2, 3)}, {DIMS(0)}, ARGUMENT, "an order of 1 dimensions for a tensor of 2"},
    {"permute", {F(2, 3)}, {DIMS(1, 1)}, ARGUMENT, "the order names dimension 1 twice"},
    {"permute", {F(2, 3)}, {DIMS(0, 2)}, ARGUMENT, "the order names dimension 2"},
    {"permute", {F(2, 3)}, {DIMS(-1, 0)}, ARGUMENT, "the order names dimension -1"},
    {"slice", {F(2, 3)}, {.slice = {2, 0, 1}}, ARGUMENT, "axis 2"},
    {"slice",
     {F(2, 3)},
     {.slice = {1, 1, 3}},
     SHAPE,
     "3 elements from 1 along axis 1, which has 3"},
    {"slice", {F(2, 3)}, {.slice = {1, -1, 1}}, SHAPE, "1 elements from -1"},
    {"slice", {F(2, 3)}, {.slice = {1, 4, 0}}, SHAPE, "0 elements from 4"},
    {"slice", {F(2, 3)}, {.slice = {1, 1, INT64_MAX}}, SHAPE, "elements from 1 along axis 1"},
    {"slice", {F(2, 3)}, {.slice = {0, 0, -1}}, SHAPE, "-1 elements"},
    {"expand", {F(2, 3)}, {DIMS(3)}, SHAPE, "2 dimensions can't expand to 1"},
    {"expand", {F(2, 3)}, {DIMS(4, 3)}, SHAPE, "dimension 0 is 2, can't expand to 4"},
    {"expand", {F(2, 3)}, {DIMS(2, 3, 1)}, SHAPE, "dimension 0 is 2, can't expand to 3"},
    {"expand", {F(1)}, {DIMS(-3)}, ARGUMENT, "dimension 0 of the new shape is -3"},
};

START_TEST(is_refused) {
    const refusal *r = &refusals[_i];
    const sf_op *op = sf_op_get(sf_op_find(r->op));
    sf_context *ctx = test_context();
    sf_spec inputs[SF_MAX_INPUTS], output = {.n_dims = -7};
    int n_inputs = 0;
    ck_assert_msg(op != NULL, "no op %s", r->op);
    for (int i = 0; i < SF_MAX_INPUTS; i++) {
        inputs[i] = r->inputs[i];
        sf_spec_normalize(&inputs[i]);
        if (inputs[i].dtype != SF_NONE)
            n_inputs = i + 1;
    }
    ck_fails(ctx, op->infer(ctx, inputs, n_inputs, &r->attributes, &output), r->status, r->message);
    ck_assert_msg(output.n_dims == -7, "%s: the output was touched", r->op);
    test_context_free(ctx);
}
END_TEST

/* Every op has at least one entry above, but for copy, which takes everything. */
START_TEST(every_rule_is_tried) {
    const char *name = sf_op_get((sf_op_id)_i)->name;
    sf_op_id same_rule = sf_op_find(name);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (sf_op_get(sf_op_find(refusals[i].op))->infer == sf_op_get(same_rule)->infer)
            return;
    ck_assert_msg(same_rule == SF_OP_copy, "nothing is refused by %s here", name);
}
END_TEST

/* ---- builders ---- */

static void check_spec(const sf_graph *graph, sf_value value, sf_spec wanted) {
    char given[SF_SHAPE_TEXT], expected[SF_SHAPE_TEXT];
    const sf_spec *spec = sf_value_spec(graph, value);
    ck_assert_msg(sf_spec_equal(spec, &wanted), "%s, not %s", sf_spec_text(spec, given),
                  sf_spec_text(&wanted, expected));
}

START_TEST(builders_give_shapes) {
    sf_context *ctx = test_context();
    sf_graph *g;
    ck_ok(ctx, sf_graph_new(ctx, NULL, &g));
    sf_value x = sf_input(g, "x", SF_F16, SF_DIMS(2, 4, 6, 8));
    sf_value w = sf_input(g, "w", SF_F32, SF_DIMS(10, 8, 3, 3));
    sf_value ids = sf_input(g, "ids", SF_I64, SF_DIMS(2, 77));
    sf_value table = sf_input(g, "table", SF_BF16, SF_DIMS(100, 16));
    sf_conv2d_attributes a = {
        .stride = {2, 1}, .dilation = {1, 2}, .padding = {1, 1, 0, 3}, .groups = 1};
    check_spec(g, sf_conv2d(g, x, w, SF_NO_VALUE, a), (sf_spec)SF_SPEC(F16, 2, 2, 5, 10));
    check_spec(g, sf_permute(g, x, (const int[]){0, 3, 1, 2}), (sf_spec)SF_SPEC(F16, 2, 8, 4, 6));
    check_spec(g, sf_slice(g, x, 3, 2, 5), (sf_spec)SF_SPEC(F16, 2, 4, 6, 5));
    check_spec(g, sf_reshape(g, x, SF_DIMS(2, 24, 8)), (sf_spec)SF_SPEC(F16, 2, 24, 8));
    check_spec(g, sf_expand(g, sf_reshape(g, ids, SF_DIMS(2, 1, 77)), SF_DIMS(3, 2, 5, 77)),
               (sf_spec)SF_SPEC(I64, 3, 2, 5, 77));
    check_spec(g, sf_embedding(g, table, ids), (sf_spec)SF_SPEC(BF16, 2, 77, 16));
    check_spec(g, sf_resize(g, x, 8, 3, SF_RESIZE_NEAREST), (sf_spec)SF_SPEC(F16, 2, 8, 3, 8));
    check_spec(g, sf_mean(g, x, 1), (sf_spec)SF_SPEC(F16, 2, 1, 6, 8));
    check_spec(g, sf_geglu(g, x), (sf_spec)SF_SPEC(F16, 2, 4, 6, 4));
    check_spec(g, sf_count_nonfinite(g, x), (sf_spec)SF_SPEC(I32, 1));
    check_spec(g, sf_cast(g, ids, SF_F32), (sf_spec)SF_SPEC(F32, 2, 77));
    ck_assert_int_eq(sf_cast(g, ids, SF_I64), ids);
    ck_assert_int_eq(sf_activate(g, x, SF_ACTIVATION_NONE), x);
    ck_ok(ctx, sf_graph_status(g));
    sf_graph_free(g);
    test_context_free(ctx);
}
END_TEST

START_TEST(builders_check_counts) {
    sf_context *ctx = test_context();
    sf_graph *g;
    sf_value tensors[20];
    ck_ok(ctx, sf_graph_new(ctx, NULL, &g));
    sf_value c = sf_input(g, "c", SF_F32, SF_DIMS(9));
    for (int i = 0; i < 20; i++)
        tensors[i] = sf_input(g, "x", SF_F32, SF_DIMS(3));
    ck_assert_int_eq(sf_linear_combination(g, c, tensors, 9), SF_NO_VALUE);
    ck_fails(ctx, sf_graph_status(g), SF_ERROR_ARGUMENT, "linear_combination of 9 tensors");
    sf_graph_free(g);
    ck_ok(ctx, sf_graph_new(ctx, NULL, &g));
    tensors[0] = sf_input(g, "x", SF_F32, SF_DIMS(3));
    ck_assert_int_eq(sf_activate(g, tensors[0], (sf_activation)50), SF_NO_VALUE);
    ck_fails(ctx, sf_graph_status(g), SF_ERROR_ARGUMENT, "there is no activation 50");
    sf_graph_free(g);
    test_context_free(ctx);
}
END_TEST

Suite *suite_ops_rules(void) {
    Suite *suite = suite_create("ops_rules");
    TCase *tests = tcase_create("rules");
    tcase_add_loop_test(tests, is_refused, 0, (int)(sizeof refusals / sizeof *refusals));
    tcase_add_loop_test(tests, every_rule_is_tried, 0, SF_OP_COUNT);
    tcase_add_test(tests, builders_give_shapes);
    tcase_add_test(tests, builders_check_counts);
    suite_add_tcase(suite, tests);
    return suite;
}

/*
 * What the reference must do by mathematics rather than by example, and the corners that PyTorch
 * leaves open: sample by sample independence, linearity, sums to one, in-place results, saturating
 * casts, ids out of range, and the random numbers of core/rng.h.
 */
#include <math.h>

#include "core/graph.h"
#include "core/plan.h"
#include "core/rng.h"
#include "plugins/registry.h"
#include "tests/ops/op_call.h"

Suite *suite_ops_properties(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

static sf_tensor *tensor(uint64_t seed, sf_spec spec) {
    sf_spec_normalize(&spec);
    return op_tensor(ctx, &spec, seed);
}

#define T(seed, ...) tensor((seed), (sf_spec)SF_SPEC(F32, __VA_ARGS__))

static const float *values(const sf_tensor *t) {
    return t->data;
}

static sf_tensor *borrow(sf_dtype dtype, int n_dims, const int64_t *dims, const void *data) {
    sf_tensor *t;
    ck_ok(ctx, sf_tensor_borrow(ctx, dtype, n_dims, dims, data, &t));
    return t;
}

/* ---- independence and linearity ---- */

START_TEST(samples_are_independent) {
    sf_tensor *x = T(1, 3, 4, 5, 6);
    op_call call = {.op = "group_norm",
                    .inputs = {x},
                    .n_inputs = 1,
                    .attributes.norm = {.groups = 3, .epsilon = 1e-5f}};
    sf_tensor *all = op_compute(ctx, &call);
    for (int n = 0; n < 3; n++) {
        sf_tensor *sample = borrow(SF_F32, SF_DIMS(1, 4, 5, 6), values(x) + n * 120);
        call.inputs[0] = sample;
        sf_tensor *one = op_compute(ctx, &call);
        ck_assert_mem_eq(one->data, values(all) + n * 120, one->bytes);
        sf_tensor_free(one);
        sf_tensor_free(sample);
    }
    sf_tensor_free(all);
    sf_tensor_free(x);
}
END_TEST

/* Each group has mean 0 and variance 1: to f32 rounding of 20 values around 1. */
START_TEST(groups_are_normalized) {
    sf_tensor *x = T(2, 1, 4, 5, 6);
    op_call call = {
        .op = "group_norm", .inputs = {x}, .n_inputs = 1, .attributes.norm = {.groups = 3}};
    sf_tensor *y = op_compute(ctx, &call);
    for (int group = 0; group < 3; group++) {
        double sum = 0, square = 0;
        for (int i = 0; i < 40; i++) {
            double v = (double)values(y)[i / 2 * 6 + group * 2 + i % 2];
            sum += v;
            square += v * v;
        }
        ck_assert_double_eq_tol(sum / 40, 0, 1e-6);
        ck_assert_double_eq_tol(square / 40, 1, 1e-6);
    }
    sf_tensor_free(y);
    sf_tensor_free(x);
}
END_TEST

/* conv(a x1 + b x2) = a conv(x1) + b conv(x2): to f32 rounding of sums of 36 products. */
START_TEST(convolution_is_linear) {
    const float a = 0.75f, b = -1.5f;
    sf_tensor *x1 = T(3, 2, 7, 6, 4), *x2 = T(4, 2, 7, 6, 4), *mixed = T(5, 2, 7, 6, 4);
    sf_tensor *weight = T(6, 5, 4, 3, 3);
    for (int64_t i = 0; i < sf_tensor_n_elements(mixed); i++)
        ((float *)mixed->data)[i] = a * values(x1)[i] + b * values(x2)[i];
    op_call call = {
        .op = "conv2d",
        .inputs = {x1, weight},
        .n_inputs = 2,
        .attributes.conv2d = {
            .stride = {2, 1}, .dilation = {1, 2}, .padding = {1, 0, 2, 1}, .groups = 1}};
    sf_tensor *y1 = op_compute(ctx, &call);
    call.inputs[0] = x2;
    sf_tensor *y2 = op_compute(ctx, &call);
    call.inputs[0] = mixed;
    sf_tensor *y = op_compute(ctx, &call);
    for (int64_t i = 0; i < sf_tensor_n_elements(y); i++)
        ((float *)y1->data)[i] = a * values(y1)[i] + b * values(y2)[i];
    ck_assert_double_le(op_distance(y, y1, 3e-6, 0), 1);
    sf_tensor *all[] = {x1, x2, mixed, weight, y1, y2, y};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sf_tensor_free(all[i]);
}
END_TEST

START_TEST(softmax_sums_to_one) {
    sf_tensor *x = T(7, 5, 77);
    op_call call = {.op = "softmax", .inputs = {x}, .n_inputs = 1};
    sf_tensor *y = op_compute(ctx, &call);
    for (int row = 0; row < 5; row++) {
        double sum = 0;
        for (int i = 0; i < 77; i++)
            sum += (double)values(y)[row * 77 + i];
        ck_assert_double_eq_tol(sum, 1, 77 * 0x1p-24);
    }
    sf_tensor_free(y);
    sf_tensor_free(x);
}
END_TEST

/* Causal attention does not see what comes later. */
START_TEST(causal_attention_looks_back) {
    sf_tensor *q = T(8, 1, 6, 8), *k = T(9, 1, 6, 8), *v = T(10, 1, 6, 8);
    op_call call = {.op = "attention",
                    .inputs = {q, k, v},
                    .n_inputs = 3,
                    .attributes.attention = {.n_heads = 2, .causal = 1, .scale = 0.5f}};
    sf_tensor *before = op_compute(ctx, &call);
    for (int i = 4 * 8; i < 6 * 8; i++)
        ((float *)k->data)[i] = ((float *)v->data)[i] = 9;
    sf_tensor *after = op_compute(ctx, &call);
    ck_assert_mem_eq(before->data, after->data, 4 * 8 * sizeof(float));
    ck_assert_mem_ne(values(before) + 4 * 8, values(after) + 4 * 8, 8 * sizeof(float));
    ck_assert_mem_eq(before->data, v->data, 8 * sizeof(float)); /* the first sees only itself */
    sf_tensor *all[] = {q, k, v, before, after};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sf_tensor_free(all[i]);
}
END_TEST

/* A query without any key: nothing to sum. */
START_TEST(attention_to_nothing_is_zero) {
    sf_tensor *q = T(8, 1, 3, 4), *k = T(9, 1, 0, 4), *v = T(10, 1, 0, 4), *zeros;
    op_call call = {.op = "attention",
                    .inputs = {q, k, v},
                    .n_inputs = 3,
                    .attributes.attention = {.n_heads = 1, .scale = 1}};
    sf_tensor *y = op_compute(ctx, &call);
    ck_ok(ctx, sf_tensor_new(ctx, SF_F32, SF_DIMS(1, 3, 4), &zeros));
    ck_assert_mem_eq(y->data, zeros->data, zeros->bytes);
    sf_tensor *all[] = {q, k, v, y, zeros};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sf_tensor_free(all[i]);
}
END_TEST

/* ---- types ---- */

/* Types that an op is not for are refused by supports(), which is told no buffers. */
START_TEST(other_types_are_not_supported) {
    static const struct {
        const char *op;
        sf_dtype inputs[4], output;
        int supported;
    } calls[] = {
        {"silu", {SF_F16}, SF_F16, 1},
        {"silu", {SF_I64}, SF_I64, 0},
        {"add", {SF_F32, SF_BF16}, SF_F32, 1},
        {"add", {SF_F32, SF_U8}, SF_F32, 0},
        {"linear", {SF_F32, SF_F16, SF_BF16}, SF_F32, 1},
        {"linear", {SF_F32, SF_F16, SF_NONE, SF_I32}, SF_F32, 0},
        {"conv2d", {SF_BF16, SF_F16, SF_F32, SF_F32}, SF_BF16, 1},
        {"conv2d", {SF_F32, SF_F16, SF_NONE, SF_F32}, SF_F32, 1},
        {"copy", {SF_U8}, SF_U8, 1},
        {"copy", {SF_F32}, SF_F16, 0},
        {"cast", {SF_F32}, SF_U8, 1},
        {"cast", {(sf_dtype)99}, SF_U8, 0},
        {"concat", {SF_I32, SF_I32}, SF_I32, 1},
        {"concat", {SF_I32, SF_I64}, SF_I32, 0},
        {"embedding", {SF_F16, SF_I32}, SF_F16, 1},
        {"embedding", {SF_F16, SF_F32}, SF_F16, 0},
        {"count_nonfinite", {SF_BF16}, SF_I32, 1},
        {"count_nonfinite", {SF_I32}, SF_I32, 0},
        {"random_normal", {SF_I64}, SF_F32, 1},
        {"random_normal", {SF_I64}, SF_F16, 0},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        sf_tensor_desc inputs[4] = {{0}}, output = {.dtype = (int32_t)calls[i].output};
        uint32_t n_inputs = 0;
        for (uint32_t k = 0; k < 4; k++) {
            inputs[k].dtype = (int32_t)calls[i].inputs[k];
            n_inputs = calls[i].inputs[k] == SF_NONE ? n_inputs : k + 1;
        }
        sf_op_call call = {.struct_size = sizeof call,
                           .n_inputs = n_inputs,
                           .op = calls[i].op,
                           .inputs = inputs,
                           .output = &output};
        ck_assert_msg(op_entry(calls[i].op)->supports(&call) == calls[i].supported, "%s, call %zu",
                      calls[i].op, i);
    }
}
END_TEST

/* ---- results in place ---- */

static sf_tensor_desc describe(sf_dtype dtype, int64_t n, void *data) {
    return (sf_tensor_desc){.buffer = data,
                            .dtype = (int32_t)dtype,
                            .n_dims = 1,
                            .dims = {n, 1, 1, 1, 1},
                            .strides = {1, 1, 1, 1, 1}};
}

/* Runs an elementwise op on copies of the inputs, with input `in_place` as the output. */
static void run_in_place(const op_call *call, int in_place, sf_tensor *result) {
    sf_tensor_desc inputs[SF_MAX_INPUTS];
    sf_tensor *copies[SF_MAX_INPUTS];
    for (int i = 0; i < call->n_inputs; i++) {
        const sf_tensor *given = call->inputs[i];
        ck_ok(ctx, sf_tensor_new(ctx, given->dtype, given->n_dims, given->dims, &copies[i]));
        memcpy(copies[i]->data, given->data, given->bytes);
        inputs[i] = describe(given->dtype, given->dims[0], copies[i]->data);
    }
    sf_op_call plain = {.struct_size = sizeof plain,
                        .n_inputs = (uint32_t)call->n_inputs,
                        .op = call->op,
                        .inputs = inputs,
                        .output = &inputs[in_place],
                        .attributes = &call->attributes};
    const sf_op_entry *entry = op_entry(call->op);
    sf_tensor *workspace;
    plain.workspace_bytes = entry->workspace(&plain);
    ck_ok(ctx, sf_tensor_new(ctx, SF_U8, SF_DIMS((int64_t)plain.workspace_bytes), &workspace));
    plain.workspace_buffer = workspace->data;
    ck_assert_int_eq(entry->run(NULL, &plain), SF_OK);
    memcpy(result->data, copies[in_place]->data, result->bytes);
    for (int i = 0; i < call->n_inputs; i++)
        sf_tensor_free(copies[i]);
    sf_tensor_free(workspace);
}

/* Every elementwise op, on [37] of every float type. */
START_TEST(elementwise_ops_work_in_place) {
    const sf_op *op = sf_op_get((sf_op_id)(_i / 3));
    static const sf_dtype types[] = {SF_F32, SF_F16, SF_BF16};
    sf_dtype dtype = types[_i % 3];
    bool combination = op->variadic;
    if (!(op->flags & SF_OP_ELEMENTWISE))
        return;
    op_call call = {.op = op->name, .n_inputs = combination ? 4 : op->n_required};
    call.attributes.affine = (sf_affine_attributes){0.5f, 2}; /* also clamp's range */
    for (int i = 0; i < call.n_inputs; i++) {
        bool coefficients = combination && i == 0;
        sf_spec spec = {.dtype = coefficients ? SF_F32 : dtype,
                        .n_dims = 1,
                        .dims = {coefficients ? 3 : 37, 1, 1, 1, 1}};
        call.inputs[i] = op_tensor(ctx, &spec, 20 + (uint64_t)i);
    }
    sf_tensor *wanted = op_compute(ctx, &call), *given = op_compute(ctx, &call);
    for (int i = combination; i < call.n_inputs; i++) {
        run_in_place(&call, i, given);
        ck_assert_msg(memcmp(given->data, wanted->data, wanted->bytes) == 0, "%s into its input %d",
                      op->name, i);
    }
    for (int i = 0; i < call.n_inputs; i++)
        sf_tensor_free((sf_tensor *)call.inputs[i]);
    sf_tensor_free(wanted);
    sf_tensor_free(given);
}
END_TEST

/* ---- moving data ---- */

static void check_cast(sf_dtype to, const void *wanted, size_t bytes) {
    static const float from[] = {NAN,   INFINITY, -INFINITY, 1e30f, -1e30f,  2.9f,
                                 -2.9f, 256,      255.9f,    -0.9f, 0x1p31f, 0x1p63f};
    sf_tensor *x = borrow(SF_F32, SF_DIMS(12), from);
    op_call call = {
        .op = "cast", .inputs = {x}, .n_inputs = 1, .attributes.type.dtype = (int32_t)to};
    sf_tensor *y = op_compute(ctx, &call);
    ck_assert_uint_eq(y->bytes, bytes);
    ck_assert_msg(memcmp(y->data, wanted, bytes) == 0, "cast to %s", sf_dtype_name(to));
    sf_tensor_free(y);
    sf_tensor_free(x);
}

START_TEST(casts_saturate) {
    static const uint8_t u8[] = {0, 255, 0, 255, 0, 2, 0, 255, 255, 0, 255, 255};
    static const int32_t i32[] = {0,  INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN, 2,
                                  -2, 256,       255,       0,         INT32_MAX, INT32_MAX};
    static const int64_t i64[] = {0,  INT64_MAX, INT64_MIN, INT64_MAX, INT64_MIN,        2,
                                  -2, 256,       255,       0,         INT64_C(1) << 31, INT64_MAX};
    check_cast(SF_U8, u8, sizeof u8);
    check_cast(SF_I32, i32, sizeof i32);
    check_cast(SF_I64, i64, sizeof i64);
}
END_TEST

START_TEST(ids_out_of_range_are_named) {
    static const int64_t too_large[] = {0, 1, 5, 2}, negative[] = {0, -1};
    static const int32_t narrow[] = {4, 9};
    sf_tensor *table = T(11, 5, 3), *output = T(12, 4, 3), *short_output = T(12, 2, 3);
    sf_tensor *ids[] = {borrow(SF_I64, SF_DIMS(4), too_large), borrow(SF_I64, SF_DIMS(2), negative),
                        borrow(SF_I32, SF_DIMS(2), narrow)};
    static const char *const parts[] = {"id 5 at 2, the table has 5 rows", "id -1 at 1",
                                        "id 9 at 1"};
    for (int i = 0; i < 3; i++) {
        op_call call = {.op = "embedding", .inputs = {table, ids[i]}, .n_inputs = 2};
        ck_assert_int_eq(op_call_run(&call, i == 0 ? output : short_output), SF_ERROR_ARGUMENT);
        ck_assert_msg(strstr(call.message, parts[i]), "no \"%s\" in \"%s\"", parts[i],
                      call.message);
        sf_tensor_free(ids[i]);
    }
    sf_tensor_free(table);
    sf_tensor_free(output);
    sf_tensor_free(short_output);
}
END_TEST

/* There and back through a plan; and an expanded tensor is one that was repeated. */
START_TEST(views_round_trip) {
    static const int there[] = {2, 0, 3, 1}, back[] = {1, 3, 0, 2};
    sf_backend *reference;
    sf_graph *g;
    sf_plan *plan;
    ck_ok(ctx, sf_registry_open_reference(ctx, &reference));
    ck_ok(ctx, sf_graph_new(ctx, NULL, &g));
    sf_value x = sf_input(g, "x", SF_F32, SF_DIMS(2, 3, 5, 7));
    sf_output(g, "same", sf_permute(g, sf_copy(g, sf_permute(g, x, there)), back));
    sf_value column = sf_slice(g, x, 3, 4, 1);
    sf_output(g, "repeated", sf_expand(g, column, SF_DIMS(2, 3, 5, 4)));
    sf_output(g, "rows", sf_reshape(g, sf_permute(g, x, there), SF_DIMS(10, 21)));
    sf_plan_options options = {.backend = reference};
    ck_ok(ctx, sf_plan_new(ctx, g, &options, &plan));
    sf_tensor *in = T(13, 2, 3, 5, 7), *out = T(14, 2, 3, 5, 7), *repeated = T(15, 2, 3, 5, 4);
    sf_tensor *rows = T(16, 10, 21);
    ck_ok(ctx, sf_plan_write(plan, 0, in->data, in->bytes));
    ck_ok(ctx, sf_plan_run(plan));
    ck_ok(ctx, sf_plan_read(plan, 0, out->data, out->bytes));
    ck_ok(ctx, sf_plan_read(plan, 1, repeated->data, repeated->bytes));
    ck_ok(ctx, sf_plan_read(plan, 2, rows->data, rows->bytes));
    ck_assert_mem_eq(in->data, out->data, in->bytes);
    for (int i = 0; i < 2 * 3 * 5 * 4; i++)
        ck_assert(values(repeated)[i] == values(in)[i / 4 * 7 + 4]);
    for (int i = 0; i < 210; i++) { /* i counts [5, 2, 7, 3] */
        int a = i / 42, b = i / 21 % 2, c = i / 3 % 7, d = i % 3;
        ck_assert(values(rows)[i] == values(in)[((b * 3 + d) * 5 + a) * 7 + c]);
    }
    sf_plan_free(plan);
    sf_tensor *all[] = {in, out, repeated, rows};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sf_tensor_free(all[i]);
}
END_TEST

/* ---- random numbers ---- */

START_TEST(noise_is_that_of_the_core) {
    static const uint64_t seeds[] = {0, 1, 42, UINT64_C(0x123456789abcdef0), UINT64_MAX};
    float wanted[3 * 35];
    sf_rng rng;
    for (size_t s = 0; s < sizeof seeds / sizeof *seeds; s++) {
        sf_rng_seed(&rng, SF_RNG_PHILOX, seeds[s]);
        for (int64_t call_number = 0; call_number < 3; call_number++) {
            int64_t words[] = {(int64_t)seeds[s], call_number};
            sf_tensor *key = borrow(SF_I64, SF_DIMS(2), words);
            op_call call = {.op = "random_normal",
                            .inputs = {key},
                            .n_inputs = 1,
                            .attributes.shape = {.n_dims = 2, .dims = {3, 35}}};
            sf_tensor *noise = op_compute(ctx, &call);
            sf_rng_normal(&rng, wanted, 3 * 35);
            ck_assert_mem_eq(noise->data, wanted, sizeof wanted);
            sf_tensor_free(noise);
            sf_tensor_free(key);
        }
    }
}
END_TEST

Suite *suite_ops_properties(void) {
    Suite *suite = suite_create("ops_properties");
    TCase *tests = tcase_create("properties");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, samples_are_independent);
    tcase_add_test(tests, groups_are_normalized);
    tcase_add_test(tests, convolution_is_linear);
    tcase_add_test(tests, softmax_sums_to_one);
    tcase_add_test(tests, causal_attention_looks_back);
    tcase_add_test(tests, attention_to_nothing_is_zero);
    tcase_add_test(tests, other_types_are_not_supported);
    tcase_add_loop_test(tests, elementwise_ops_work_in_place, 0, 3 * SF_OP_COUNT);
    tcase_add_test(tests, casts_saturate);
    tcase_add_test(tests, ids_out_of_range_are_named);
    tcase_add_test(tests, views_round_trip);
    tcase_add_test(tests, noise_is_that_of_the_core);
    suite_add_tcase(suite, tests);
    return suite;
}

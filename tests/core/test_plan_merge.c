/*
 * Which linear layers become one on a device with memory of its own, and that results do not change
 * by a bit.
 */
#include "core/plan/internal.h"

#include <stdlib.h>

#include "tests/support/failing.h"
#include "tests/support/plans.h"
#include "tests/support/support.h"

Suite *suite_core_plan_merge(void);

static sf_context *ctx;
static sf_backend *reference, *device;
static sf_graph *graph; /* of the test at hand; plans take it over */

static void setup(void) {
    ctx = test_context();
    reference = open_reference(ctx);
    device = device_backend(reference, "device");
}

/* Nothing is left on the device. */
static void teardown(void) {
    ck_assert_int_eq(device_uploads.live_buffers, 0);
    ck_assert_ptr_null(device->residents);
    free(device);
    test_context_free(ctx);
}

/* ---- graphs; x is [2, 3, 4], row is [1, 4] ---- */

#define K 4

static int n_weights;

/* A weight with values of its own. */
static sf_value weight(int n_dims, const int64_t *dims) {
    float data[64];
    for (int i = 0; i < 64; i++)
        data[i] = 0.1f * (float)((7 * i + 3 * n_weights) % 19) - 0.8f;
    n_weights++;
    return sf_constant_f32(graph, "w", n_dims, dims, data);
}

static sf_value plain(sf_value x, int64_t columns) {
    return sf_linear(graph, x, weight(SF_DIMS(columns, K)), SF_NO_VALUE);
}

static sf_value biased(sf_value x, int64_t columns) {
    return sf_linear(graph, x, weight(SF_DIMS(columns, K)), weight(SF_DIMS(columns)));
}

static sf_value act(sf_value x) {
    return sf_activate(graph, x, SF_ACTIVATION_SILU);
}

static sf_value attend(sf_value q, sf_value k, sf_value v) {
    return sf_attention(graph, q, k, v, SF_NO_VALUE,
                        (sf_attention_attributes){.n_heads = 2, .scale = 0.5f});
}

static sf_value queries_keys_values(sf_value x, sf_value row) {
    (void)row;
    sf_value q = plain(x, 6), k = plain(x, 6), v = plain(x, 4);
    return attend(q, k, v);
}

static sf_value with_biases(sf_value x, sf_value row) {
    (void)row;
    sf_value q = biased(x, 6), k = biased(x, 6), v = biased(x, 4);
    return attend(q, k, v);
}

/* Two pairs. */
static sf_value some_with_biases(sf_value x, sf_value row) {
    (void)row;
    sf_value a = biased(x, 5), b = plain(x, 5), c = biased(x, 5), d = plain(x, 5);
    return sf_add(graph, sf_multiply(graph, a, b), sf_multiply(graph, c, d));
}

static sf_value same_activation(sf_value x, sf_value row) {
    (void)row;
    sf_value a = act(biased(x, 3)), b = act(biased(x, 3));
    return sf_multiply(graph, a, b);
}

static sf_value other_activation(sf_value x, sf_value row) {
    (void)row;
    sf_value a = act(plain(x, 3)), b = plain(x, 3);
    return sf_multiply(graph, a, b);
}

static sf_value other_inputs(sf_value x, sf_value row) {
    (void)row;
    return sf_multiply(graph, plain(x, 3), plain(sf_unary(graph, SF_OP_tanh, x), 3));
}

static sf_value weight_that_is_computed(sf_value x, sf_value row) {
    (void)row;
    sf_value w = sf_unary(graph, SF_OP_tanh, sf_slice(graph, sf_slice(graph, x, 0, 0, 1), 1, 0, 3));
    sf_value a = sf_linear(graph, x, sf_reshape(graph, w, SF_DIMS(3, K)), SF_NO_VALUE);
    return sf_multiply(graph, a, plain(x, 3));
}

/* As weights of 1x1 convolutions come. */
static sf_value weights_with_other_shapes(sf_value x, sf_value row) {
    (void)row;
    sf_value w = sf_reshape(graph, weight(SF_DIMS(3, K, 1, 1)), SF_DIMS(3, K));
    return sf_multiply(graph, sf_linear(graph, x, w, SF_NO_VALUE), plain(x, 3));
}

static sf_value one_is_an_output(sf_value x, sf_value row) {
    (void)row;
    sf_value a = plain(x, 3), b = plain(x, 3), c = plain(x, 3);
    sf_output(graph, "b", b);
    return sf_multiply(graph, a, sf_multiply(graph, b, c));
}

/* [2, 3, 6] -> [2, 18]: the rows of a slice are not one after the other. */
static sf_value reshape_that_moves(sf_value x, sf_value row) {
    (void)row;
    sf_value a = sf_reshape(graph, plain(x, 6), SF_DIMS(2, 18));
    return sf_multiply(graph, a, sf_reshape(graph, plain(x, 6), SF_DIMS(2, 18)));
}

/* [2, 3, 6] -> [6, 1, 2, 3] */
static sf_value reshape_in_place(sf_value x, sf_value row) {
    (void)row;
    sf_value a = sf_reshape(graph, plain(x, 6), SF_DIMS(6, 1, 2, 3));
    return sf_multiply(graph, a, sf_reshape(graph, plain(x, 6), SF_DIMS(6, 1, 2, 3)));
}

static sf_value alone(sf_value x, sf_value row) {
    (void)row;
    return act(plain(x, 3));
}

/* What a residual block has of the time: constant rows are added. */
static sf_value constant_rows_added(sf_value x, sf_value row) {
    sf_value a = sf_add(graph, biased(row, 4), weight(SF_DIMS(1, 4)));
    sf_value b = sf_add(graph, biased(row, 4), weight(SF_DIMS(1, 4)));
    return sf_multiply(graph, sf_add(graph, x, a), b);
}

static sf_value computed_rows_added(sf_value x, sf_value row) {
    sf_value a = sf_add(graph, biased(row, 4), row);
    sf_value b = sf_add(graph, biased(row, 4), row);
    return sf_multiply(graph, sf_add(graph, x, a), b);
}

static sf_value constant_blocks_added(sf_value x, sf_value row) {
    (void)row;
    sf_value a = sf_add(graph, biased(x, 4), weight(SF_DIMS(2, 3, 4)));
    sf_value b = sf_add(graph, biased(x, 4), weight(SF_DIMS(2, 3, 4)));
    return sf_multiply(graph, a, b);
}

/* A layer that nobody reads takes no part. */
static sf_value one_is_not_needed(sf_value x, sf_value row) {
    (void)row;
    sf_value a = plain(x, 3);
    plain(x, 3);
    return a;
}

static sf_value two_rounds(sf_value x, sf_value row) {
    (void)row;
    sf_value y = sf_multiply(graph, plain(x, 4), plain(x, 4));
    return sf_multiply(graph, plain(y, 4), sf_add(graph, plain(y, 4), plain(y, 4)));
}

static sf_value of_a_view(sf_value x, sf_value row) {
    (void)row;
    sf_value turned = sf_permute(graph, x, (const int[]){1, 0, 2});
    return sf_multiply(graph, plain(turned, 3), plain(turned, 3));
}

static const struct {
    const char *name;
    sf_value (*build)(sf_value x, sf_value row);
    size_t n_steps, n_merged;
} merges[] = {
    {"q, k, v", queries_keys_values, 2, 2},
    {"q, k, v with biases", with_biases, 2, 2},
    {"two with biases, two without", some_with_biases, 5, 2},
    {"one activation", same_activation, 2, 1},
    {"two activations", other_activation, 3, 0},
    {"two inputs", other_inputs, 4, 0},
    {"a weight that is computed", weight_that_is_computed, 4, 0},
    {"a weight of a 1x1 convolution", weights_with_other_shapes, 2, 1},
    {"one is an output", one_is_an_output, 4, 1},
    {"a reshape that moves", reshape_that_moves, 3, 0},
    {"a reshape in place", reshape_in_place, 2, 1},
    {"alone", alone, 1, 0},
    {"with constant rows", constant_rows_added, 3, 1},
    {"with computed rows", computed_rows_added, 4, 0},
    {"with constant blocks", constant_blocks_added, 3, 0},
    {"one is not needed", one_is_not_needed, 1, 0},
    {"two rounds", two_rounds, 5, 2},
    {"of a view", of_a_view, 2, 1},
};

#define N_MERGES ((int)(sizeof merges / sizeof *merges))

static void build(sf_context *context, int i) {
    ck_assert_int_eq(sf_graph_new(context, NULL, &graph), SF_OK);
    n_weights = 0;
    sf_value x = sf_input(graph, "x", SF_F32, SF_DIMS(2, 3, K));
    sf_value row = sf_input(graph, "row", SF_F32, SF_DIMS(1, K));
    sf_output(graph, "y", merges[i].build(x, row));
}

/* ---- tests ---- */

static void check_same(sf_plan *plain_plan, sf_plan *merged) {
    float x[2 * 3 * K], row[K];
    void *wanted[2], *got[2];
    for (int i = 0; i < 2 * 3 * K; i++)
        x[i] = 0.3f * (float)(i % 7) - 1;
    for (int i = 0; i < K; i++)
        row[i] = 0.7f * (float)i - 1;
    run_plan(ctx, plain_plan, (const void *const[]){x, row}, wanted);
    for (int run = 0; run < 2; run++) {
        run_plan(ctx, merged, (const void *const[]){x, row}, got);
        for (int k = 0; k < sf_plan_n_outputs(merged); k++) {
            ck_assert_mem_eq(got[k], wanted[k], sf_spec_bytes(sf_plan_output_spec(merged, k)));
            free(got[k]);
        }
    }
    for (int k = 0; k < sf_plan_n_outputs(merged); k++)
        free(wanted[k]);
}

START_TEST(what_is_merged) {
    build(ctx, _i);
    sf_plan *alike = make_plan(ctx, graph, reference, NULL, false);
    build(ctx, _i);
    sf_plan *merged = make_plan(ctx, graph, device, NULL, false);
    const sf_plan_stats *stats = sf_plan_get_stats(merged);
    ck_assert_msg(stats->n_steps == merges[_i].n_steps && stats->n_merged == merges[_i].n_merged,
                  "%s: %zu steps, %zu merged", merges[_i].name, stats->n_steps, stats->n_merged);
    ck_assert_uint_eq(sf_plan_get_stats(alike)->n_merged, 0);
    ck_assert_uint_eq(sf_plan_get_stats(alike)->n_steps, stats->n_steps + stats->n_merged);
    ck_assert(stats->flops == sf_plan_get_stats(alike)->flops);
    ck_assert_uint_eq(stats->weight_bytes, sf_plan_get_stats(alike)->weight_bytes);
    check_same(alike, merged);
    check_plan_memory(merged);
    sf_plan_free(merged);
    sf_plan_free(alike);
}
END_TEST

static int wants_contiguous(const sf_op_call *call) {
    for (uint32_t i = 0; i < call->n_inputs; i++) {
        const sf_tensor_desc *x = &call->inputs[i];
        int64_t stride = 1;
        for (int axis = x->n_dims - 1; axis >= 0; stride *= x->dims[axis--])
            if (x->dims[axis] != 1 && x->strides[axis] != stride)
                return 0;
    }
    return 1;
}

/* Keys and values go together still where the one who reads the query has to have it in one piece. */
START_TEST(who_can_not_read_a_slice_gets_none) {
    device->entries[SF_OP_tanh].supports = wants_contiguous;
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    sf_value x = sf_input(graph, "x", SF_F32, SF_DIMS(2, 3, K));
    sf_value q = sf_unary(graph, SF_OP_tanh, plain(x, 6)), k = plain(x, 6), v = plain(x, 4);
    sf_output(graph, "y", attend(q, k, v));
    sf_plan *plan = make_plan(ctx, graph, device, NULL, false);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->n_merged, 1);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->n_steps, 4);
    sf_plan_free(plan);
}
END_TEST

static int supports_narrow(const sf_op_call *call) {
    return call->output->dims[call->output->n_dims - 1] <= 6;
}

START_TEST(only_what_the_backend_has_is_merged) {
    device->entries[SF_OP_linear].supports = supports_narrow;
    build(ctx, 0);
    sf_plan *plan = make_plan(ctx, graph, device, NULL, false);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->n_merged, 0);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->n_steps, 4);
    sf_plan_free(plan);
}
END_TEST

START_TEST(no_fusion_merges_nothing) {
    build(ctx, 0);
    sf_plan *plan = make_plan(ctx, graph, device, NULL, true);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->n_merged, 0);
    sf_plan_free(plan);
}
END_TEST

/* They run once a text, so that it does not matter how many they are. */
START_TEST(settled_layers_stay) {
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    sf_value x = sf_settled_input(graph, "x", SF_F32, SF_DIMS(2, 3, K));
    sf_value k = plain(x, 6), v = plain(x, 6);
    sf_output(graph, "y", sf_multiply(graph, k, v));
    sf_plan *plan = make_plan(ctx, graph, device, NULL, false);
    ck_assert_uint_eq(sf_plan_get_stats(plan)->n_merged, 0);
    sf_plan_free(plan);
}
END_TEST

/* Each part goes up once, whoever has it, and another list of the same parts is another constant. */
START_TEST(plans_share_merged_weights) {
    sf_tensors *weights;
    sf_tensor *tensor;
    const char *const names[][2] = {{"a", "b"}, {"a", "b"}, {"b", "a"}};
    const long n_uploads[] = {2, 0, 2};
    sf_plan *plans[3];
    ck_ok(ctx, sf_tensors_new(ctx, &weights));
    for (int i = 0; i < 2; i++) {
        ck_ok(ctx, sf_tensor_new(ctx, SF_F32, SF_DIMS(3, K), &tensor));
        ck_ok(ctx, sf_tensors_add(weights, names[0][i], tensor));
    }
    for (int p = 0; p < 3; p++) {
        device_traffic before = device_uploads;
        ck_ok(ctx, sf_graph_new(ctx, weights, &graph));
        sf_value x = sf_input(graph, "x", SF_F32, SF_DIMS(2, K)), y[2];
        for (int i = 0; i < 2; i++)
            y[i] = sf_linear(graph, x, sf_weight(graph, names[p][i]), SF_NO_VALUE);
        sf_output(graph, "y", sf_multiply(graph, y[0], y[1]));
        plans[p] = make_plan(ctx, graph, device, NULL, false);
        ck_assert_uint_eq(sf_plan_get_stats(plans[p])->n_merged, 1);
        ck_assert_int_eq(device_uploads.n_uploads - before.n_uploads, n_uploads[p]);
        ck_assert_uint_eq(device_uploads.upload_bytes - before.upload_bytes,
                          (uint64_t)n_uploads[p] * 3 * K * sizeof(float));
    }
    ck_assert_int_eq(device_uploads.live_buffers, 3 + 2); /* arenas, weights */
    for (int p = 0; p < 3; p++)
        sf_plan_free(plans[p]);
    sf_tensors_free(weights);
}
END_TEST

static sf_status plan_merged(sf_context *context, void *user) {
    sf_plan *plan = NULL;
    sf_backend *own = user;
    sf_graph *made;
    own->ctx = context;
    SF_TRY(sf_graph_new(context, NULL, &made));
    graph = made;
    n_weights = 0;
    sf_value x = sf_input(graph, "x", SF_F32, SF_DIMS(2, 3, K));
    sf_output(graph, "y", with_biases(x, x));
    sf_plan_options options = {.backend = own};
    SF_TRY(sf_plan_new(context, graph, &options, &plan));
    ck_assert_uint_eq(sf_plan_get_stats(plan)->n_merged, 2);
    sf_plan_free(plan);
    return SF_OK;
}

START_TEST(each_allocation_may_fail) {
    check_each_allocation(plan_merged, device, 0);
    device->ctx = ctx;
}
END_TEST

Suite *suite_core_plan_merge(void) {
    Suite *suite = suite_create("core_plan_merge");
    TCase *tcase = tcase_create("plan");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, what_is_merged, 0, N_MERGES);
    tcase_add_test(tcase, who_can_not_read_a_slice_gets_none);
    tcase_add_test(tcase, only_what_the_backend_has_is_merged);
    tcase_add_test(tcase, no_fusion_merges_nothing);
    tcase_add_test(tcase, settled_layers_stay);
    tcase_add_test(tcase, plans_share_merged_weights);
    tcase_add_test(tcase, each_allocation_may_fail);
    suite_add_tcase(suite, tcase);
    return suite;
}

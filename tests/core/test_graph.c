/*
 * Building graphs: names, scopes, weights, sticky errors. What each op's shape rule says is tested
 * in tests/ops/.
 */
#include "core/graph.h"

#include "core/memory.h"
#include "tests/support/failing.h"
#include "tests/support/support.h"

Suite *suite_core_graph(void);

static sf_context *ctx;
static sf_graph *graph;
static sf_tensors *weights;

static void add_weight(const char *name, sf_dtype dtype, int n_dims, const int64_t *dims) {
    sf_tensor *tensor;
    ck_ok(ctx, sf_tensor_new(ctx, dtype, n_dims, dims, &tensor));
    ck_ok(ctx, sf_tensors_add(weights, name, tensor));
}

static void setup(void) {
    ctx = test_context();
    ck_ok(ctx, sf_tensors_new(ctx, &weights));
    add_weight("down.0.proj.weight", SF_F16, SF_DIMS(4, 8));
    add_weight("down.0.proj.bias", SF_F32, SF_DIMS(4));
    add_weight("top", SF_F32, SF_DIMS(8));
    ck_ok(ctx, sf_graph_new(ctx, weights, &graph));
}

static void teardown(void) {
    sf_graph_free(graph);
    sf_tensors_free(weights);
    test_context_free(ctx);
}

static sf_value input(const char *name, int n_dims, const int64_t *dims) {
    return sf_input(graph, name, SF_F32, n_dims, dims);
}

/* The graph has failed with this status and a message that has all these parts. */
static void check_failed(sf_status status, const char *const *parts) {
    ck_assert_msg(sf_graph_status(graph) == status, "status %d: %s", sf_graph_status(graph),
                  sf_error_message(ctx));
    for (int i = 0; parts[i]; i++)
        ck_assert_msg(strstr(sf_error_message(ctx), parts[i]), "no \"%s\" in \"%s\"", parts[i],
                      sf_error_message(ctx));
}

#define CHECK_FAILED(status, ...) check_failed(status, (const char *const[]){__VA_ARGS__, NULL})

/* ---- values ---- */

START_TEST(a_layer_is_built) {
    sf_value x = input("x", SF_DIMS(2, 3, 8));
    sf_scope outer = sf_scope_enter(graph, "down.%d", 0);
    sf_scope inner = sf_scope_enter(graph, "proj");
    sf_value weight = sf_weight(graph, "weight"), bias = sf_weight(graph, "bias");
    sf_value y = sf_linear(graph, x, weight, bias);
    sf_scope_leave(graph, inner);
    sf_value z = sf_activate(graph, y, SF_ACTIVATION_SILU);
    sf_scope_leave(graph, outer);
    sf_output(graph, "z", z);

    ck_ok(ctx, sf_graph_status(graph));
    ck_assert_int_eq(graph->nodes[x].kind, SF_NODE_INPUT);
    ck_assert_int_eq(graph->nodes[weight].kind, SF_NODE_CONSTANT);
    ck_assert_str_eq(graph->nodes[weight].name, "down.0.proj.weight");
    ck_assert_ptr_eq(graph->nodes[weight].data,
                     sf_tensor_data(sf_tensors_find(weights, "down.0.proj.weight")));
    ck_assert_int_eq(sf_value_spec(graph, weight)->dtype, SF_F16);
    ck_assert_str_eq(graph->nodes[y].name, "down.0.proj");
    ck_assert_str_eq(graph->nodes[z].name, "down.0");
    ck_assert_int_eq(sf_value_spec(graph, z)->n_dims, 3);
    ck_assert_int_eq(sf_value_dim(graph, z, 2), 4);
    ck_assert_int_eq(sf_value_dim(graph, z, 4), 1);
    ck_assert_uint_eq(graph->n_outputs, 1);
    ck_assert_int_eq(graph->outputs[0].value, z);
    ck_assert_str_eq(graph->outputs[0].name, "z");
    ck_assert_str_eq(graph->scope, "");
}
END_TEST

START_TEST(names_and_shapes_are_copied) {
    char name[] = "x";
    int64_t dims[] = {2, 3};
    float data[] = {1, 2, 3};
    sf_value x = input(name, 2, dims);
    sf_value c = sf_constant_f32(graph, "c", SF_DIMS(3), data);
    name[0] = '?';
    dims[0] = 99;
    data[0] = 99;
    ck_ok(ctx, sf_graph_status(graph));
    ck_assert_str_eq(graph->nodes[x].name, "x");
    ck_assert_int_eq(sf_value_dim(graph, x, 0), 2);
    ck_assert(((const float *)graph->nodes[c].data)[0] == 1);
}
END_TEST

START_TEST(scalars_and_empty_tensors_are_values) {
    sf_value scalar = input("scalar", 0, NULL);
    sf_value empty = input("empty", SF_DIMS(3, 0));
    sf_value nothing = sf_constant_f32(graph, "nothing", SF_DIMS(0), NULL);
    ck_ok(ctx, sf_graph_status(graph));
    ck_assert_int_eq(sf_value_spec(graph, scalar)->n_dims, 0);
    ck_assert_int_eq(sf_value_dim(graph, scalar, 0), 1);
    ck_assert_uint_eq(sf_spec_bytes(sf_value_spec(graph, empty)), 0);
    ck_assert_uint_eq(sf_spec_bytes(sf_value_spec(graph, nothing)), 0);
    sf_add(graph, empty, scalar);
    ck_ok(ctx, sf_graph_status(graph));
}
END_TEST

START_TEST(a_value_that_is_none_has_an_empty_spec) {
    const sf_value bad[] = {SF_NO_VALUE, -7, 0, 1000};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(sf_value_spec(graph, bad[i])->dtype, SF_NONE);
        ck_assert_int_eq(sf_value_dim(graph, bad[i], 3), 1);
    }
}
END_TEST

/* ---- weights ---- */

START_TEST(a_missing_weight_is_named_in_full) {
    sf_scope_enter(graph, "down.%d", 3);
    ck_assert_int_eq(sf_weight(graph, "proj.weight"), SF_NO_VALUE);
    CHECK_FAILED(SF_ERROR_NOT_FOUND, "\"down.3.proj.weight\"");
}
END_TEST

START_TEST(an_optional_weight_may_be_missing) {
    ck_assert_int_eq(sf_weight_optional(graph, "absent"), SF_NO_VALUE);
    ck_assert_int_ne(sf_weight_optional(graph, "top"), SF_NO_VALUE);
    ck_ok(ctx, sf_graph_status(graph));
}
END_TEST

/* Leaving it out because its type is unknown would change the result without a word. */
START_TEST(a_weight_of_unknown_type_is_an_error_even_if_optional) {
    ck_ok(ctx, sf_tensors_add_skipped(weights, "odd", "F8_E4M3"));
    ck_assert_int_eq(sf_weight_optional(graph, "odd"), SF_NO_VALUE);
    CHECK_FAILED(SF_ERROR_UNSUPPORTED, "\"odd\"", "F8_E4M3");
}
END_TEST

START_TEST(a_graph_without_weights_has_none) {
    sf_graph *bare;
    ck_ok(ctx, sf_graph_new(ctx, NULL, &bare));
    ck_assert_int_eq(sf_weight_optional(bare, "top"), SF_NO_VALUE);
    ck_ok(ctx, sf_graph_status(bare));
    ck_assert_int_eq(sf_weight(bare, "top"), SF_NO_VALUE);
    ck_fails(ctx, sf_graph_status(bare), SF_ERROR_NOT_FOUND, "top");
    sf_graph_free(bare);
}
END_TEST

/* ---- errors ---- */

START_TEST(a_failure_names_op_node_inputs_and_shapes) {
    sf_value x = input("x", SF_DIMS(2, 7));
    sf_scope_enter(graph, "down.0.proj");
    ck_assert_int_eq(sf_linear(graph, x, sf_weight(graph, "weight"), sf_weight(graph, "bias")),
                     SF_NO_VALUE);
    CHECK_FAILED(SF_ERROR_SHAPE, "linear \"down.0.proj\"", "x f32 [2, 7]", "weight f16 [4, 8]",
                 "bias f32 [4]", "7", "8");
}
END_TEST

START_TEST(the_first_failure_is_kept) {
    sf_value a = input("a", SF_DIMS(2, 3)), b = input("b", SF_DIMS(4));
    ck_assert_int_eq(sf_add(graph, a, b), SF_NO_VALUE);
    char first[SF_ERROR_BYTES];
    strcpy(first, sf_error_message(ctx));
    size_t n_nodes = graph->n_nodes;

    ck_assert_int_eq(sf_unary(graph, SF_OP_silu, SF_NO_VALUE), SF_NO_VALUE);
    ck_assert_int_eq(sf_weight(graph, "absent"), SF_NO_VALUE);
    ck_assert_int_eq(sf_weight_optional(graph, "top"), SF_NO_VALUE);
    ck_assert_int_eq(input("c", SF_DIMS(1)), SF_NO_VALUE);
    ck_assert_int_eq(sf_constant_f32(graph, "d", SF_DIMS(1), (const float[]){1}), SF_NO_VALUE);
    ck_assert_int_eq(sf_add(graph, a, a), SF_NO_VALUE);
    ck_assert_int_eq(sf_graph_fail(graph, SF_ERROR_IO, "later"), SF_NO_VALUE);
    sf_output(graph, "y", SF_NO_VALUE);
    sf_output(graph, "a", a);

    ck_assert_int_eq(sf_graph_status(graph), SF_ERROR_SHAPE);
    ck_assert_str_eq(sf_error_message(ctx), first);
    ck_assert_uint_eq(graph->n_nodes, n_nodes);
    ck_assert_uint_eq(graph->n_outputs, 0);
}
END_TEST

START_TEST(a_models_own_check_is_named_by_its_scope) {
    sf_scope_enter(graph, "down.%d", 1);
    ck_assert_int_eq(sf_graph_fail(graph, SF_ERROR_UNSUPPORTED, "%d heads", 7), SF_NO_VALUE);
    CHECK_FAILED(SF_ERROR_UNSUPPORTED, "down.1: 7 heads");
}
END_TEST

/* What a call is handed is wrong in number. */
START_TEST(missing_and_surplus_inputs_are_errors) {
    sf_value x = input("x", SF_DIMS(2, 8)), w = input("w", SF_DIMS(4, 8));
    const sf_value surplus[] = {x, w, SF_NO_VALUE, SF_NO_VALUE, x};
    const sf_value no_weight[] = {x, SF_NO_VALUE};
    const sf_value hole[] = {x, SF_NO_VALUE, x};
    const sf_value many[] = {x, x, x, x, x, x, x, x, x, x};
    const sf_value stranger[] = {x, 4711};
    const struct {
        sf_op_id op;
        const sf_value *inputs;
        int n_inputs;
        const char *part;
    } cases[] = {
        {SF_OP_linear, surplus, 5, "at most 4"},
        {SF_OP_linear, &x, 1, "needs 2"},
        {SF_OP_linear, no_weight, 2, "input weight is missing"},
        {SF_OP_concat, hole, 3, "is missing"},
        {SF_OP_concat, many, 10, "at most 9"},
        {SF_OP_concat, NULL, 0, "needs 1"},
        {SF_OP_add, stranger, 2, "no value of the graph"},
        {SF_OP_silu, surplus, 0, "needs 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        graph->status = SF_OK;
        ck_assert_int_eq(sf_node_add(graph, cases[i].op, cases[i].inputs, cases[i].n_inputs, NULL),
                         SF_NO_VALUE);
        ck_assert_int_ne(sf_graph_status(graph), SF_OK);
        CHECK_FAILED(graph->status, cases[i].part, sf_op_get(cases[i].op)->name);
    }
}
END_TEST

START_TEST(absent_inputs_at_the_end_are_dropped) {
    sf_value x = input("x", SF_DIMS(2, 8)), w = input("w", SF_DIMS(4, 8));
    const sf_value inputs[] = {x, w, SF_NO_VALUE, SF_NO_VALUE};
    sf_value y = sf_node_add(graph, SF_OP_linear, inputs, 4, NULL);
    ck_ok(ctx, sf_graph_status(graph));
    ck_assert_int_eq(graph->nodes[y].n_inputs, 2);
    for (int i = 2; i < SF_MAX_INPUTS; i++)
        ck_assert_int_eq(graph->nodes[y].inputs[i], SF_NO_VALUE);
}
END_TEST

START_TEST(impossible_leaves_are_refused) {
    const int64_t huge[] = {INT64_MAX / 2, 4}, negative[] = {2, -1};
    const int64_t many[SF_MAX_DIMS + 1] = {1, 1, 1, 1, 1, 1};
    const struct {
        sf_dtype dtype;
        int n_dims;
        const int64_t *dims;
        const char *part;
    } cases[] = {
        {SF_F32, 2, huge, "too large"},        {SF_F32, 2, negative, "negative"},
        {SF_F32, SF_MAX_DIMS + 1, many, "6"},  {SF_F32, -1, many, "-1"},
        {SF_NONE, 1, many, "no element type"}, {(sf_dtype)77, 1, many, "no element type"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        graph->status = SF_OK;
        ck_assert_int_eq(sf_input(graph, "leaf", cases[i].dtype, cases[i].n_dims, cases[i].dims),
                         SF_NO_VALUE);
        ck_assert_int_ne(graph->status, SF_OK);
        CHECK_FAILED(graph->status, "leaf", cases[i].part);
    }
}
END_TEST

/* 2^60 channels from a hostile configuration: the size of an op's output is counted, too. */
START_TEST(outputs_that_can_not_be_counted_are_refused) {
    sf_value x = input("x", SF_DIMS(1, 1));
    ck_assert_int_eq(sf_expand(graph, x, SF_DIMS(INT64_C(1) << 40, INT64_C(1) << 40)), SF_NO_VALUE);
    CHECK_FAILED(SF_ERROR_SHAPE, "expand", "too large");
}
END_TEST

START_TEST(an_output_needs_a_value) {
    sf_output(graph, "picture", SF_NO_VALUE);
    CHECK_FAILED(SF_ERROR_INTERNAL, "\"picture\"");
    graph->status = SF_OK;
    sf_output(graph, "picture", 5);
    CHECK_FAILED(SF_ERROR_INTERNAL, "\"picture\"");
}
END_TEST

/* ---- scopes ---- */

START_TEST(scopes_that_are_too_long_are_an_error) {
    sf_scope marks[200];
    int depth = 0;
    while (depth < 200 && sf_graph_status(graph) == SF_OK) {
        marks[depth] = sf_scope_enter(graph, "layer_%03d", depth);
        depth++;
    }
    CHECK_FAILED(SF_ERROR_ARGUMENT, "longer than");
    ck_assert_int_gt(depth, 40);
    while (depth > 0)
        sf_scope_leave(graph, marks[--depth]);
    ck_assert_str_eq(graph->scope, "");
}
END_TEST

START_TEST(a_single_name_that_is_too_long_is_an_error) {
    char name[2000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    sf_scope mark = sf_scope_enter(graph, "%s", name);
    CHECK_FAILED(SF_ERROR_ARGUMENT, "longer than");
    sf_scope_leave(graph, mark);
    ck_assert_str_eq(graph->scope, "");
}
END_TEST

/* The longest names and shapes still give a message that ends properly. */
START_TEST(long_failures_are_cut_not_overrun) {
    char name[500];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    sf_scope_enter(graph, "%s", name);
    ck_ok(ctx, sf_graph_status(graph));
    const int64_t dims[] = {1000000, 1, 1, 100000, 10};
    sf_value inputs[SF_MAX_INPUTS];
    for (int i = 0; i < SF_MAX_INPUTS; i++)
        inputs[i] = input("x", SF_MAX_DIMS, dims);
    inputs[8] = input("y", SF_DIMS(2));
    ck_assert_int_eq(sf_concat(graph, inputs, SF_MAX_INPUTS, 0), SF_NO_VALUE);
    CHECK_FAILED(SF_ERROR_SHAPE, "concat \"nnnn");
    ck_assert_uint_lt(strlen(sf_error_message(ctx)), SF_ERROR_BYTES);
}
END_TEST

/* ---- memory ---- */

static sf_status build(sf_context *failing, void *user) {
    (void)user;
    sf_graph *g;
    SF_TRY(sf_graph_new(failing, NULL, &g));
    sf_value x = sf_input(g, "x", SF_F32, SF_DIMS(2, 8));
    const float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    for (int i = 0; i < 12; i++) {
        sf_scope mark = sf_scope_enter(g, "layer.%d", i);
        sf_value scale = sf_constant_f32(g, "scale", SF_DIMS(8), ones);
        x = sf_add(g, sf_multiply(g, x, scale), x);
        sf_scope_leave(g, mark);
    }
    sf_output(g, "y", x);
    sf_status status = sf_graph_status(g);
    sf_graph_free(g);
    return status;
}

START_TEST(each_allocation_can_fail) {
    check_each_allocation(build, NULL, 0);
}
END_TEST

Suite *suite_core_graph(void) {
    Suite *suite = suite_create("core_graph");
    TCase *tcase = tcase_create("graph");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_layer_is_built);
    tcase_add_test(tcase, names_and_shapes_are_copied);
    tcase_add_test(tcase, scalars_and_empty_tensors_are_values);
    tcase_add_test(tcase, a_value_that_is_none_has_an_empty_spec);
    tcase_add_test(tcase, a_missing_weight_is_named_in_full);
    tcase_add_test(tcase, an_optional_weight_may_be_missing);
    tcase_add_test(tcase, a_weight_of_unknown_type_is_an_error_even_if_optional);
    tcase_add_test(tcase, a_graph_without_weights_has_none);
    tcase_add_test(tcase, a_failure_names_op_node_inputs_and_shapes);
    tcase_add_test(tcase, the_first_failure_is_kept);
    tcase_add_test(tcase, a_models_own_check_is_named_by_its_scope);
    tcase_add_test(tcase, missing_and_surplus_inputs_are_errors);
    tcase_add_test(tcase, absent_inputs_at_the_end_are_dropped);
    tcase_add_test(tcase, impossible_leaves_are_refused);
    tcase_add_test(tcase, outputs_that_can_not_be_counted_are_refused);
    tcase_add_test(tcase, an_output_needs_a_value);
    tcase_add_test(tcase, scopes_that_are_too_long_are_an_error);
    tcase_add_test(tcase, a_single_name_that_is_too_long_is_an_error);
    tcase_add_test(tcase, long_failures_are_cut_not_overrun);
    tcase_add_test(tcase, each_allocation_can_fail);
    suite_add_tcase(suite, tcase);
    return suite;
}

/*
 * Ops written in simpler ones: the two forms side by side on the reference backend, and every case of
 * every op on a backend that has nothing but primitives.
 *
 * Tolerance: both forms compute in f32, rounding at different places and summing in another order,
 * so they differ by a few roundings (2^-24 each) of the largest value: 4e-6 of the largest result,
 * which is what 64 roundings in one direction would give. In f16 and bf16 the result, rounded once,
 * may be the neighbour: 2^-10 and 2^-7 of the value.
 */
#include <stdio.h>

#include "core/backend.h"
#include "core/graph.h"
#include "core/plan.h"
#include "plugins/registry.h"
#include "tests/ops/op_call.h"
#include "tests/support/failing.h"

Suite *suite_ops_lower(void);

static const sf_dtype float_types[] = {SF_F32, SF_F16, SF_BF16};
static const double relative[] = {0, 0x1p-10, 0x1p-7};

static sf_context *ctx;
static sf_backend *reference;
static sf_backend primitives; /* the reference without the ops that can be lowered */

static int supports_plain_convolution(const sf_op_call *call) {
    const sf_conv2d_attributes *attributes = call->attributes;
    return attributes->activation == SF_ACTIVATION_NONE && call->n_inputs <= 3;
}

static void setup(void) {
    ctx = test_context();
    ck_ok(ctx, sf_registry_open_reference(ctx, &reference));
    primitives = *reference;
    for (int id = 0; id < SF_OP_COUNT; id++)
        if (sf_op_get((sf_op_id)id)->lower && id != SF_OP_conv2d)
            primitives.entries[id].run = NULL;
    primitives.entries[SF_OP_conv2d].supports = supports_plain_convolution;
}

static void teardown(void) {
    test_context_free(ctx);
}

/* A float of the case in another type; coefficients of a linear combination are f32 in any. */
static sf_spec input_spec(const sf_op *op, const sf_op_case *op_case, int input, sf_dtype dtype) {
    sf_spec spec = op_case->inputs[input];
    sf_spec_normalize(&spec);
    if (spec.dtype == SF_F32 && !(sf_op_id_of(op) == SF_OP_linear_combination && input == 0))
        spec.dtype = dtype;
    return spec;
}

/* Inputs of a case, named by their number; gives how many there are. */
static int add_inputs(sf_graph *graph, const sf_op *op, const sf_op_case *op_case, sf_dtype dtype,
                      sf_value *inputs) {
    int n_inputs = 0;
    for (int i = 0; i < SF_MAX_INPUTS; i++) {
        sf_spec spec = input_spec(op, op_case, i, dtype);
        char name[16];
        inputs[i] = SF_NO_VALUE;
        if (spec.dtype == SF_NONE)
            continue;
        snprintf(name, sizeof name, "%d", i);
        inputs[i] = sf_input(graph, name, spec.dtype, spec.n_dims, spec.dims);
        n_inputs = i + 1;
    }
    return n_inputs;
}

/* Values in the case's range; integers stay below 5. */
static sf_tensor *draw(const sf_op *op, const sf_op_case *op_case, int input, sf_dtype dtype) {
    sf_spec spec = input_spec(op, op_case, input, dtype);
    bool ranged = sf_dtype_is_float(spec.dtype) && (op_case->low != 0 || op_case->high != 0);
    if (!ranged)
        return op_tensor(ctx, &spec, (uint64_t)input + 1);
    return op_tensor_between(ctx, &spec, (uint64_t)input + 1, op_case->low, op_case->high);
}

static void write_inputs(sf_plan *plan, const sf_op *op, const sf_op_case *op_case,
                         sf_dtype dtype) {
    for (int i = 0; i < sf_plan_n_inputs(plan); i++) {
        int input = sf_plan_input_name(plan, i)[0] - '0';
        sf_tensor *values = draw(op, op_case, input, dtype);
        ck_ok(ctx, sf_plan_write(plan, i, values->data, values->bytes));
        sf_tensor_free(values);
    }
}

static sf_tensor *read_output(sf_plan *plan, const char *name) {
    sf_tensor *tensor;
    int output = sf_plan_find_output(plan, name);
    const sf_spec *spec = sf_plan_output_spec(plan, output);
    ck_ok(ctx, sf_tensor_new(ctx, spec->dtype, spec->n_dims, spec->dims, &tensor));
    ck_ok(ctx, sf_plan_read(plan, output, tensor->data, tensor->bytes));
    return tensor;
}

static void check_equal(const sf_op *op, int index, int type, sf_tensor *lowered,
                        sf_tensor *fused) {
    bool exact = (op->flags & SF_OP_EXACT) != 0;
    double distance = exact ? memcmp(lowered->data, fused->data, fused->bytes) != 0
                            : op_distance(lowered, fused, 4e-6, relative[type]);
    ck_assert_msg(exact ? distance == 0 : distance <= 1, "%s case %d in %s: %g of the tolerance",
                  op->name, index, sf_dtype_name(float_types[type]), distance);
    sf_tensor_free(fused);
    sf_tensor_free(lowered);
}

/* ---- side by side ---- */

/* A plan with the outputs "fused" and "lowered"; false if this case is not lowered. */
static bool plan_both(const sf_op *op, const sf_op_case *op_case, sf_dtype dtype, sf_plan **plan) {
    sf_graph *graph;
    sf_value inputs[SF_MAX_INPUTS];
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    int n_inputs = add_inputs(graph, op, op_case, dtype, inputs);
    sf_value fused = sf_node_add(graph, sf_op_id_of(op), inputs, n_inputs, &op_case->attributes);
    sf_value lowered = op->lower(graph, inputs, n_inputs, &op_case->attributes);
    ck_ok(ctx, sf_graph_status(graph));
    if (lowered == SF_NO_VALUE) {
        sf_graph_free(graph);
        return false;
    }
    sf_output(graph, "fused", fused);
    sf_output(graph, "lowered", lowered);
    sf_plan_options options = {.backend = reference, .no_fusion = true};
    ck_ok(ctx, sf_plan_new(ctx, graph, &options, plan));
    return true;
}

START_TEST(lowered_is_the_same) {
    const sf_op *op = sf_op_get((sf_op_id)_i);
    for (int i = 0; op->lower && i < op->n_cases; i++)
        for (int type = 0; type < 3; type++) {
            sf_plan *plan;
            if (!plan_both(op, &op->cases[i], float_types[type], &plan))
                continue;
            write_inputs(plan, op, &op->cases[i], float_types[type]);
            ck_ok(ctx, sf_plan_run(plan));
            check_equal(op, i, type, read_output(plan, "lowered"), read_output(plan, "fused"));
            sf_plan_free(plan);
        }
}
END_TEST

/* ---- a backend of primitives ---- */

static sf_tensor *compute(const sf_op *op, const sf_op_case *op_case, sf_dtype dtype,
                          sf_backend *backend) {
    sf_graph *graph;
    sf_plan *plan;
    sf_value inputs[SF_MAX_INPUTS];
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    int n_inputs = add_inputs(graph, op, op_case, dtype, inputs);
    sf_output(graph, "y",
              sf_node_add(graph, sf_op_id_of(op), inputs, n_inputs, &op_case->attributes));
    sf_plan_options options = {.backend = backend, .no_fusion = true};
    ck_ok(ctx, sf_plan_new(ctx, graph, &options, &plan));
    write_inputs(plan, op, op_case, dtype);
    ck_ok(ctx, sf_plan_run(plan));
    sf_tensor *result = read_output(plan, "y");
    sf_plan_free(plan);
    return result;
}

/* Embedding's ids are drawn below 5: cases with smaller tables fail on both. */
static bool has_small_table(const sf_op *op, const sf_op_case *op_case) {
    return sf_op_id_of(op) == SF_OP_embedding && op_case->inputs[0].dims[0] < 5;
}

START_TEST(primitives_are_enough) {
    const sf_op *op = sf_op_get((sf_op_id)_i);
    for (int i = 0; i < op->n_cases; i++)
        for (int type = 0; type < 3 && !has_small_table(op, &op->cases[i]); type++)
            check_equal(op, i, type, compute(op, &op->cases[i], float_types[type], &primitives),
                        compute(op, &op->cases[i], float_types[type], reference));
}
END_TEST

/* ---- without memory ---- */

/* Causal attention makes a constant; every allocation on the way may fail. */
static sf_status lower_attention(sf_context *failing, void *user) {
    (void)user;
    sf_graph *graph;
    const sf_attributes attributes = {.attention = {.n_heads = 2, .causal = 1, .scale = 1}};
    SF_TRY(sf_graph_new(failing, NULL, &graph));
    sf_value x = sf_input(graph, "x", SF_F16, SF_DIMS(1, 5, 8));
    sf_value inputs[] = {x, x, x};
    sf_value y = sf_op_get(SF_OP_attention)->lower(graph, inputs, 3, &attributes);
    sf_status status = sf_graph_status(graph);
    ck_assert((y == SF_NO_VALUE) == (status != SF_OK));
    sf_graph_free(graph);
    return status;
}

START_TEST(lowering_without_memory_fails) {
    check_each_allocation(lower_attention, NULL, 0);
}
END_TEST

Suite *suite_ops_lower(void) {
    Suite *suite = suite_create("ops_lower");
    TCase *tests = tcase_create("lower");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, lowered_is_the_same, 0, SF_OP_COUNT);
    tcase_add_loop_test(tests, primitives_are_enough, 0, SF_OP_COUNT);
    tcase_add_test(tests, lowering_without_memory_fails);
    suite_add_tcase(suite, tests);
    return suite;
}

/*
 * The conformance grid: every case of every op, in every float type and with inputs that are views,
 * on the context's backend against `reference`. What `sfumato check-backend` runs.
 *
 * Tolerances. Both sides compute in f32 and round once to the output's type, so what differs is the
 * order of sums (f32) and at most a neighbouring value after rounding (f16: 2^-11, bf16: 2^-8,
 * relative).
 *
 * Outputs are NaN before the run and have guards around them, so that a kernel which leaves elements
 * out or writes past the end does not pass. Where the backend says that an op may write over an input,
 * it does so once more. An op that a plan would write in simpler ones counts as
 * lacking.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/eager.h"
#include "core/memory.h"
#include "core/rng.h"
#include "plugins/registry.h"

/* How inputs lie in memory; IN_PLACE + i: the output is written over input i. */
typedef enum variant {
    CONTIGUOUS,
    TRANSPOSED,
    IN_PLACE,
    N_VARIANTS = IN_PLACE + SF_MAX_INPUTS
} variant;

static const sf_dtype float_types[] = {SF_F32, SF_F16, SF_BF16};
#define N_FLOAT_TYPES (sizeof float_types / sizeof *float_types)

typedef struct grid {
    sf_context *ctx;
    sf_backend *tested, *reference;
    void (*report)(void *user, const sf_check_result *result);
    void *user;
    int n_failed;
    sf_rng rng;
} grid;

/* One cell of the grid. */
typedef struct cell {
    sf_op_id op;
    const sf_op_case *op_case;
    sf_dtype float_type; /* stands for f32 in the case's inputs */
    variant variant;
} cell;

/* ---- values ---- */

static bool is_present(const sf_spec *spec) {
    return spec->dtype != SF_NONE;
}

static int count_inputs(const sf_op_case *op_case) {
    int n = SF_MAX_INPUTS;
    while (n > 0 && !is_present(&op_case->inputs[n - 1]))
        n--;
    return n;
}

/* Coefficients of a linear combination are f32 by definition; other floats take the cell's type. */
static sf_spec input_spec(const cell *c, int input) {
    sf_spec spec = c->op_case->inputs[input];
    sf_spec_normalize(&spec);
    if (spec.dtype == SF_F32 && !(c->op == SF_OP_linear_combination && input == 0))
        spec.dtype = c->float_type;
    return spec;
}

static void store(sf_dtype dtype, void *data, int64_t i, float value) {
    if (dtype == SF_F32)
        ((float *)data)[i] = value;
    else if (dtype == SF_F16)
        ((uint16_t *)data)[i] = sf_f32_to_f16(value);
    else
        ((uint16_t *)data)[i] = sf_f32_to_bf16(value);
}

static float load(sf_dtype dtype, const void *data, int64_t i) {
    if (dtype == SF_F32)
        return ((const float *)data)[i];
    if (dtype == SF_F16)
        return sf_f16_to_f32(((const uint16_t *)data)[i]);
    return sf_bf16_to_f32(((const uint16_t *)data)[i]);
}

static void fill(grid *g, const cell *c, const sf_spec *spec, void *data) {
    int64_t n = sf_spec_elements(spec);
    int64_t limit = c->op_case->integer_limit > 0 ? c->op_case->integer_limit : 100;
    double low = c->op_case->low, high = c->op_case->high;
    for (int64_t i = 0; i < n; i++) {
        float u;
        bool normal = sf_dtype_is_float(spec->dtype) && low == 0 && high == 0;
        normal ? sf_rng_normal(&g->rng, &u, 1) : sf_rng_uniform(&g->rng, &u, 1);
        if (sf_dtype_is_float(spec->dtype))
            store(spec->dtype, data, i, normal ? u : (float)(low + (high - low) * (double)u));
        else if (spec->dtype == SF_I64)
            ((int64_t *)data)[i] = (int64_t)((double)u * (double)limit);
        else if (spec->dtype == SF_I32)
            ((int32_t *)data)[i] = (int32_t)((double)u * (double)limit);
        else
            ((uint8_t *)data)[i] = (uint8_t)((double)u * 255.0);
    }
}

/* ---- one run ---- */

/*
 * An input of the graph. As TRANSPOSED, the tensor arrives with its dimensions reversed and the op
 * sees it through a permute, so that no stride is as in a contiguous one.
 */
static sf_value add_input(sf_graph *graph, const cell *c, int input) {
    char name[16];
    snprintf(name, sizeof name, "%d", input);
    sf_spec spec = input_spec(c, input);
    if (c->variant != TRANSPOSED || spec.n_dims < 2)
        return sf_input(graph, name, spec.dtype, spec.n_dims, spec.dims);
    int64_t reversed[SF_MAX_DIMS];
    int order[SF_MAX_DIMS];
    for (int axis = 0; axis < spec.n_dims; axis++) {
        reversed[axis] = spec.dims[spec.n_dims - 1 - axis];
        order[axis] = spec.n_dims - 1 - axis;
    }
    return sf_permute(graph, sf_input(graph, name, spec.dtype, spec.n_dims, reversed), order);
}

static sf_status make_plan(grid *g, const cell *c, sf_backend *backend, sf_plan **plan) {
    sf_graph *graph;
    SF_TRY(sf_graph_new(g->ctx, NULL, &graph));
    sf_value inputs[SF_MAX_INPUTS];
    int n_inputs = count_inputs(c->op_case);
    for (int i = 0; i < n_inputs; i++)
        inputs[i] = is_present(&c->op_case->inputs[i]) ? add_input(graph, c, i) : SF_NO_VALUE;
    sf_output(graph, "y", sf_node_add(graph, c->op, inputs, n_inputs, &c->op_case->attributes));
    /* The reference is what is compared with: it runs the op itself, not its parts. */
    sf_plan_options options = {.backend = backend, .no_fusion = true};
    return sf_plan_new(g->ctx, graph, &options, plan);
}

/* Bytes around the output that no kernel may touch. */
#define GUARD  256
#define POISON 0xff /* NaN in every float type */

/* A block of poison on the backend with room for the output in its middle. */
static sf_status poisoned_block(sf_backend *backend, size_t bytes, sf_device_tensor **block) {
    const sf_spec spec = {
        .dtype = SF_U8, .n_dims = 1, .dims = {(int64_t)bytes + 2 * GUARD, 1, 1, 1, 1}};
    sf_context *ctx = backend->ctx;
    unsigned char *poison = sf_alloc(ctx, bytes + 2 * GUARD, 1);
    if (!poison)
        return SF_ERROR_MEMORY;
    memset(poison, POISON, bytes + 2 * GUARD);
    sf_status status = sf_device_tensor_new(backend, &spec, block);
    if (status == SF_OK)
        status = sf_device_tensor_write(*block, poison, bytes + 2 * GUARD);
    sf_free(ctx, poison);
    return status;
}

static bool is_poison(const unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != POISON)
            return false;
    return true;
}

/* The plan's output in the middle of the block. */
static sf_tensor_desc inside(const sf_plan *plan, const sf_device_tensor *block) {
    sf_tensor_desc output = {.buffer = block->desc.buffer, .offset = GUARD};
    const sf_spec *spec = sf_plan_output_spec(plan, 0);
    int64_t stride = 1;
    output.dtype = (int32_t)spec->dtype;
    output.n_dims = spec->n_dims;
    for (int axis = SF_MAX_DIMS - 1; axis >= 0; axis--) {
        output.dims[axis] = spec->dims[axis];
        output.strides[axis] = stride;
        stride *= spec->dims[axis];
    }
    return output;
}

/* The plan's number of the op's input that is written over; absent inputs have none. */
static int overwritten_input(const cell *c) {
    int number = 0;
    for (int i = 0; i < (int)c->variant - IN_PLACE; i++)
        number += is_present(&c->op_case->inputs[i]);
    return number;
}

/* Runs into the block; *result gets all of the block. data: the input that lies there, or NULL. */
static sf_status run_into(grid *g, const cell *c, sf_plan *plan, sf_device_tensor *block,
                          size_t bytes, void *const *data, unsigned char *result) {
    sf_tensor_desc output = inside(plan, block);
    SF_TRY(sf_plan_bind_output(plan, 0, &output));
    if (data) {
        int input = overwritten_input(c);
        SF_TRY(sf_backend_upload(block->backend, output.buffer, GUARD, data[input], bytes));
        SF_TRY(sf_plan_bind_input(plan, input, &output));
    }
    SF_TRY(sf_plan_run(plan));
    SF_TRY(sf_device_tensor_read(block, result, bytes + 2 * GUARD));
    if (!is_poison(result, GUARD) || !is_poison(result + GUARD + bytes, GUARD))
        SF_FAIL(g->ctx, ERROR_BACKEND, "it writes outside of its output");
    return SF_OK;
}

/* *result is freed by the caller; the output begins at GUARD. The reference never runs in place. */
static sf_status run_plan(grid *g, const cell *c, sf_plan *plan, sf_backend *backend,
                          void *const *data, bool is_tested, unsigned char **result) {
    bool in_place = is_tested && c->variant >= IN_PLACE;
    sf_device_tensor *block = NULL;
    size_t bytes = sf_spec_bytes(sf_plan_output_spec(plan, 0));
    for (int i = 0; i < sf_plan_n_inputs(plan); i++)
        SF_TRY(sf_plan_write(plan, i, data[i], sf_spec_bytes(sf_plan_input_spec(plan, i))));
    *result = sf_alloc(g->ctx, bytes + 2 * GUARD, 1);
    sf_status status = *result ? poisoned_block(backend, bytes, &block) : SF_ERROR_MEMORY;
    if (status == SF_OK)
        status = run_into(g, c, plan, block, bytes, in_place ? data : NULL, *result);
    sf_device_tensor_free(block);
    return status;
}

/* ---- comparison ---- */

static double distance(float a, float b, double absolute, double relative) {
    if ((isnan(a) && isnan(b)) || a == b)
        return 0;
    double d = fabs((double)a - (double)b) / (absolute + relative * fabs((double)b));
    return isnan(d) ? HUGE_VAL : d;
}

static double compare(const sf_spec *spec, bool exact, const void *tested, const void *wanted) {
    if (exact || !sf_dtype_is_float(spec->dtype))
        return memcmp(tested, wanted, sf_spec_bytes(spec)) == 0 ? 0 : HUGE_VAL;
    double absolute = 1e-4, relative = 1e-3;
    if (spec->dtype == SF_F16)
        absolute = 1e-3, relative = 2e-3;
    if (spec->dtype == SF_BF16)
        absolute = 8e-3, relative = 1.6e-2;
    double worst = 0;
    for (int64_t i = 0; i < sf_spec_elements(spec); i++) {
        double d = distance(load(spec->dtype, tested, i), load(spec->dtype, wanted, i), absolute,
                            relative);
        if (d > worst)
            worst = d;
    }
    return worst;
}

/* ---- cells ---- */

static void describe(const cell *c, char *text, size_t bytes) {
    size_t used = 0;
    for (int i = 0; i < count_inputs(c->op_case) && used < bytes; i++) {
        char shape[SF_SHAPE_TEXT];
        sf_spec spec = input_spec(c, i);
        used += (size_t)snprintf(text + used, bytes - used, "%s%s", i ? ", " : "",
                                 is_present(&spec) ? sf_spec_text(&spec, shape) : "-");
    }
    char how[32] = "";
    if (c->variant >= IN_PLACE)
        snprintf(how, sizeof how, ", in place of input %d", (int)c->variant - IN_PLACE);
    if (used < bytes)
        snprintf(text + used, bytes - used, "%s, case %d",
                 c->variant == TRANSPOSED ? ", views" : how,
                 (int)(c->op_case - sf_op_get(c->op)->cases));
}

/* Both sides with the same data; SF_ERROR_UNSUPPORTED if the tested backend lacks the op. */
static sf_status compute_cell(grid *g, const cell *c, double *worst) {
    sf_plan *tested = NULL, *reference = NULL;
    void *data[SF_MAX_INPUTS] = {0};
    unsigned char *results[2] = {0};
    sf_status status = make_plan(g, c, g->tested, &tested);
    if (status != SF_OK)
        goto out;
    if (sf_plan_get_stats(tested)->n_lowered)
        SF_FAIL_OUT(g->ctx, ERROR_UNSUPPORTED, "it has the op only as simpler ones");
    SF_TRY_OUT(make_plan(g, c, g->reference, &reference));
    for (int i = 0; i < sf_plan_n_inputs(tested); i++) {
        const sf_spec *spec = sf_plan_input_spec(tested, i);
        data[i] = sf_alloc(g->ctx, sf_spec_bytes(spec), 1);
        if (!data[i]) {
            status = SF_ERROR_MEMORY;
            goto out;
        }
        fill(g, c, spec, data[i]);
    }
    SF_TRY_OUT(run_plan(g, c, reference, g->reference, data, false, &results[1]));
    SF_TRY_OUT(run_plan(g, c, tested, g->tested, data, true, &results[0]));
    *worst = compare(sf_plan_output_spec(tested, 0), sf_op_get(c->op)->flags & SF_OP_EXACT,
                     results[0] + GUARD, results[1] + GUARD);
out:
    for (int i = 0; i < SF_MAX_INPUTS; i++)
        sf_free(g->ctx, data[i]);
    sf_free(g->ctx, results[0]);
    sf_free(g->ctx, results[1]);
    sf_plan_free(tested);
    sf_plan_free(reference);
    return status;
}

static sf_status check_cell(grid *g, const cell *c) {
    char text[512];
    double worst = 0;
    describe(c, text, sizeof text);
    sf_rng_seed(&g->rng, SF_RNG_TORCH, 1);
    sf_status status = compute_cell(g, c, &worst);
    if (status == SF_ERROR_MEMORY)
        return status;
    sf_check_result result = {
        .op = sf_op_get(c->op)->name, .test_case = text, .worst = worst, .message = ""};
    if (status == SF_ERROR_UNSUPPORTED)
        result.outcome = 2;
    else if (status != SF_OK || worst > 1)
        result.outcome = 1;
    if (status != SF_OK)
        result.message = g->ctx->error;
    g->n_failed += result.outcome == 1;
    if (g->report)
        g->report(g->user, &result);
    return SF_OK;
}

static bool has_f32_input(const cell *c) {
    cell as_half = *c;
    as_half.float_type = SF_F16;
    for (int i = 0; i < count_inputs(c->op_case); i++)
        if (input_spec(&as_half, i).dtype == SF_F16 && c->op_case->inputs[i].dtype == SF_F32)
            return true;
    return false;
}

static bool has_view_input(const cell *c) {
    for (int i = 0; i < count_inputs(c->op_case); i++)
        if (c->op_case->inputs[i].n_dims >= 2)
            return true;
    return false;
}

/* Whether the output may be where input i is. */
static bool may_overwrite(const grid *g, const cell *c, int i) {
    if (i >= count_inputs(c->op_case) || !(sf_backend_in_place(g->tested, c->op) >> i & 1))
        return false;
    sf_spec inputs[SF_MAX_INPUTS], output;
    int n_inputs = count_inputs(c->op_case);
    for (int k = 0; k < n_inputs; k++)
        inputs[k] = input_spec(c, k);
    if (sf_op_get(c->op)->infer(g->ctx, inputs, n_inputs, &c->op_case->attributes, &output) !=
        SF_OK)
        return false;
    sf_spec_normalize(&output);
    return sf_spec_equal(&inputs[i], &output);
}

static bool is_wanted(const grid *g, const cell *c) {
    if (c->float_type != SF_F32 && !has_f32_input(c))
        return false;
    if (c->variant == TRANSPOSED)
        return has_view_input(c);
    return c->variant < IN_PLACE || may_overwrite(g, c, (int)c->variant - IN_PLACE);
}

static sf_status check_op(grid *g, sf_op_id id) {
    const sf_op *op = sf_op_get(id);
    for (int i = 0; i < op->n_cases; i++)
        for (size_t t = 0; t < N_FLOAT_TYPES; t++)
            for (int v = 0; v < N_VARIANTS; v++) {
                cell c = {id, &op->cases[i], float_types[t], (variant)v};
                if (is_wanted(g, &c))
                    SF_TRY(check_cell(g, &c));
            }
    return SF_OK;
}

sf_status sf_backend_check(sf_context *context, const char *op,
                           void (*report)(void *user, const sf_check_result *result), void *user,
                           int *n_failed) {
    grid g = {.ctx = context, .report = report, .user = user};
    SF_TRY(sf_context_open_backend(context));
    g.tested = context->backend;
    SF_TRY(sf_registry_open_reference(context, &g.reference));
    sf_op_id only = op ? sf_op_find(op) : SF_OP_COUNT;
    if (op && only == SF_OP_COUNT)
        SF_FAIL(context, ERROR_NOT_FOUND, "there is no op \"%s\"", op);
    for (int id = 0; id < SF_OP_COUNT; id++)
        if (!op || (sf_op_id)id == only)
            SF_TRY(check_op(&g, (sf_op_id)id));
    *n_failed = g.n_failed;
    return SF_OK;
}

/*
 * sf_bench_op(): one op timed alone, in a plan of its own. Weights are constants of the plan, as in
 * a model, so that a backend may pack them beforehand. See sfumato.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "core/io/json.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "plugins/registry.h"

/* One call that is timed. */
typedef struct call {
    sf_context *ctx;
    const sf_bench_options *options;
    sf_bench_progress *progress; /* borrowed */
    sf_op_id op;
    int n_inputs;
    sf_spec inputs[SF_MAX_INPUTS]; /* SF_NONE: absent */
    sf_attributes attributes;
    const char *const *attribute_texts; /* borrowed */
    int n_attributes;
    sf_rng rng;
    sf_tensors *tensors; /* values of all inputs, by number */
    sf_backend *backend; /* borrowed */
    sf_plan *plan;
} call;

/* ---- inputs ---- */

/* The op's name of an input; further tensors of a variadic op have that of its last one. */
static const char *input_name(const sf_op *op, int input) {
    int n = 0;
    while (n < SF_MAX_INPUTS && op->inputs[n])
        n++;
    return op->inputs[input < n ? input : n - 1];
}

static bool is_weight(const sf_op *op, int input) {
    static const char *const names[] = {"weight", "bias", "scale", "shift", "table"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(input_name(op, input), names[i]) == 0)
            return true;
    return false;
}

/* Integers where the op's own cases have them, and f32 coefficients of linear combinations. */
static sf_status usual_type(const call *c, int input, sf_dtype *dtype) {
    const sf_op *op = sf_op_get(c->op);
    sf_dtype of_case = op->n_cases && input < 2 ? op->cases[0].inputs[input].dtype : SF_NONE;
    if (of_case != SF_NONE && !sf_dtype_is_float(of_case)) {
        *dtype = of_case;
        return SF_OK;
    }
    if (strcmp(input_name(op, input), "coefficients") == 0)
        return sf_bench_float_type(c->ctx, NULL, dtype);
    return sf_bench_float_type(
        c->ctx, is_weight(op, input) ? c->options->weight_type : c->options->precision, dtype);
}

static sf_status fail_input(const call *c, const char *text) {
    SF_FAIL(c->ctx, ERROR_ARGUMENT,
            "the input \"%.64s\" is not as \"1x64x64x320\", with \":f16\" after it for a type; at "
            "most %d numbers",
            text, SF_MAX_DIMS);
}

/* "1x64x64x320", "320:f16", or "-" */
static sf_status read_input(call *c, int input, const char *text) {
    sf_spec spec = {.n_dims = 0};
    const char *at = text;
    int64_t n_elements;
    size_t bytes;
    if (strcmp(text, "-") == 0)
        return SF_OK;
    SF_TRY(usual_type(c, input, &spec.dtype));
    for (bool more = true; more;) {
        char *end;
        long long size = strtoll(at, &end, 10);
        if (end == at || size < 0 || size > INT32_MAX || spec.n_dims == SF_MAX_DIMS)
            return fail_input(c, text);
        spec.dims[spec.n_dims++] = size;
        more = *end == 'x';
        at = end + more;
    }
    if (*at == ':')
        SF_TRY(sf_bench_float_type(c->ctx, at + 1, &spec.dtype));
    else if (*at)
        return fail_input(c, text);
    sf_spec_normalize(&spec);
    SF_TRY(sf_shape_size(c->ctx, text, spec.dtype, spec.n_dims, spec.dims, &n_elements, &bytes));
    c->inputs[input] = spec;
    return SF_OK;
}

/* Ids that look something up stay within the first input's rows. */
static sf_status make_tensor(call *c, int input) {
    sf_tensor *tensor = NULL;
    const sf_spec *spec = &c->inputs[input];
    char name[16];
    snprintf(name, sizeof name, "%d", input);
    SF_TRY(sf_tensor_new(c->ctx, spec->dtype, spec->n_dims, spec->dims, &tensor));
    sf_bench_fill(&c->rng, spec, input > 0 ? c->inputs[0].dims[0] : INT32_MAX, tensor->data);
    return sf_tensors_add(c->tensors, name, tensor);
}

/* ---- the plan ---- */

static sf_value add_input(const call *c, sf_graph *graph, int input) {
    char name[16];
    const sf_spec *spec = &c->inputs[input];
    snprintf(name, sizeof name, "%d", input);
    if (spec->dtype == SF_NONE)
        return SF_NO_VALUE;
    if (is_weight(sf_op_get(c->op), input))
        return sf_weight(graph, name);
    return sf_input(graph, name, spec->dtype, spec->n_dims, spec->dims);
}

static sf_status make_plan(call *c) {
    sf_plan_options options = {0};
    sf_graph *graph = NULL;
    sf_value inputs[SF_MAX_INPUTS];
    SF_TRY(sf_plan_options_for(c->ctx, &options));
    c->backend = options.backend;
    SF_TRY(sf_graph_new(c->ctx, c->tensors, &graph));
    for (int i = 0; i < c->n_inputs; i++)
        inputs[i] = add_input(c, graph, i);
    sf_output(graph, "y", sf_node_add(graph, c->op, inputs, c->n_inputs, &c->attributes));
    SF_TRY(sf_plan_new(c->ctx, graph, &options, &c->plan));
    for (int i = 0; i < sf_plan_n_inputs(c->plan); i++) {
        const sf_tensor *tensor = sf_tensors_find(c->tensors, sf_plan_input_name(c->plan, i));
        SF_TRY(sf_plan_write(c->plan, i, tensor->data, tensor->bytes));
    }
    return SF_OK;
}

static sf_status run_once(void *user) {
    call *c = user;
    SF_TRY(sf_plan_run(c->plan));
    return sf_backend_synchronize(c->backend);
}

/* ---- the result ---- */

static json_t *texts_json(const char *const *texts, int n_texts) {
    json_t *list = json_array();
    int failed = 0;
    for (int i = 0; i < n_texts; i++)
        failed |= json_array_append_new(list, json_string(texts[i]));
    if (!failed)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *inputs_json(const call *c) {
    char texts[SF_MAX_INPUTS][SF_SHAPE_TEXT];
    const char *list[SF_MAX_INPUTS];
    for (int i = 0; i < c->n_inputs; i++)
        list[i] = sf_spec_text(&c->inputs[i], texts[i]);
    return texts_json(list, c->n_inputs);
}

static json_t *case_json(const call *c, const sf_bench_times *times, double plan_seconds) {
    const sf_spec *output = sf_plan_output_spec(c->plan, 0);
    char text[SF_SHAPE_TEXT];
    double flops = sf_op_flops(c->op, c->inputs, c->n_inputs, &c->attributes, output);
    double bytes = sf_bench_bytes(c->op, c->inputs, c->n_inputs, output);
    return json_pack(
        "{s:o, s:s, s:o, s:o, s:f, s:f, s:f, s:f, s:f, s:b}", "inputs", inputs_json(c), "output",
        sf_spec_text(output, text), "attributes", texts_json(c->attribute_texts, c->n_attributes),
        "seconds", sf_bench_times_json(times), "plan_seconds", plan_seconds, "flop", flops,
        "gflop_per_s", sf_bench_rate(flops, times->median), "bytes", bytes, "gb_per_s",
        sf_bench_rate(bytes, times->median), "lowered", sf_plan_get_stats(c->plan)->n_lowered > 0);
}

/* ---- cases ---- */

static sf_status read_call(call *c, const char *const *inputs, int n_inputs) {
    if (n_inputs > SF_MAX_INPUTS)
        SF_FAIL(c->ctx, ERROR_ARGUMENT, "%d inputs; at most %d", n_inputs, SF_MAX_INPUTS);
    c->n_inputs = n_inputs;
    for (int i = 0; i < n_inputs; i++)
        SF_TRY(read_input(c, i, inputs[i]));
    sf_bench_default_attributes(c->op, &c->attributes);
    for (int i = 0; i < c->n_attributes; i++)
        SF_TRY(sf_bench_read_attribute(c->ctx, c->op, c->attribute_texts[i], &c->attributes));
    return SF_OK;
}

static sf_status time_call(call *c, json_t *cases) {
    sf_bench_times times = {0};
    sf_rng_seed(&c->rng, SF_RNG_TORCH, 1);
    SF_TRY(sf_tensors_new(c->ctx, &c->tensors));
    for (int i = 0; i < c->n_inputs; i++)
        if (c->inputs[i].dtype != SF_NONE)
            SF_TRY(make_tensor(c, i));
    double begun = sf_bench_now();
    SF_TRY(make_plan(c));
    double plan_seconds = sf_bench_now() - begun;
    SF_TRY(run_once(c));
    SF_TRY(sf_bench_time(c->ctx, c->options, c->progress, run_once, c, &times));
    int failed = json_array_append_new(cases, case_json(c, &times, plan_seconds));
    sf_free(c->ctx, times.seconds);
    if (failed)
        SF_FAIL(c->ctx, ERROR_MEMORY, "out of memory for a JSON description");
    return SF_OK;
}

static int count_texts(const char *const *texts, int most) {
    int n = 0;
    while (n < most && texts[n])
        n++;
    return n;
}

/* The call of a table's row, or that of the options. */
static sf_status run_case(const call *like, const sf_bench_shape *shape, json_t *cases) {
    call c = *like;
    const char *const *inputs = shape ? shape->inputs : c.options->inputs;
    int n_inputs = shape ? count_texts(shape->inputs, SF_MAX_INPUTS) : c.options->n_inputs;
    c.attribute_texts = shape ? shape->attributes : c.options->attributes;
    c.n_attributes =
        shape ? count_texts(shape->attributes, SF_BENCH_MAX_ATTRIBUTES) : c.options->n_attributes;
    sf_status status = read_call(&c, inputs, n_inputs);
    if (status == SF_OK)
        status = time_call(&c, cases);
    sf_plan_free(c.plan);
    sf_tensors_free(c.tensors);
    return status;
}

static sf_status run_cases(const call *like, json_t *cases) {
    int n_shapes, n_cases = 0, runs_a_case = like->options->warmup + like->options->repeat;
    const sf_bench_shape *shapes = sf_bench_shapes(&n_shapes);
    for (int i = 0; i < n_shapes; i++)
        n_cases += shapes[i].op == like->op;
    *like->progress = sf_bench_begin(runs_a_case * (like->options->n_inputs ? 1 : n_cases));
    if (like->options->n_inputs)
        return run_case(like, NULL, cases);
    if (!n_cases)
        SF_FAIL(like->ctx, ERROR_ARGUMENT, "there are no usual shapes of %s: inputs are needed",
                sf_op_get(like->op)->name);
    for (int i = 0; i < n_shapes; i++)
        if (shapes[i].op == like->op)
            SF_TRY(run_case(like, &shapes[i], cases));
    return SF_OK;
}

static sf_status check_op(sf_context *ctx, const char *name, const sf_bench_options *options,
                          sf_op_id *op) {
    sf_dtype unused;
    SF_TRY(sf_bench_check(ctx, options, &unused));
    *op = sf_op_find(name);
    if (*op == SF_OP_COUNT)
        SF_FAIL(ctx, ERROR_NOT_FOUND, "there is no op \"%.64s\"", name);
    if (sf_op_get(*op)->flags & SF_OP_VIEW)
        SF_FAIL(ctx, ERROR_UNSUPPORTED, "%s is a view: it takes no time", name);
    if (!options->n_inputs && options->n_attributes)
        SF_FAIL(ctx, ERROR_ARGUMENT, "attributes go with inputs");
    return SF_OK;
}

sf_status sf_bench_op(sf_context *context, const char *op, const sf_bench_options *options,
                      char **json) {
    json_t *cases = json_array(), *result = NULL;
    sf_bench_progress progress;
    call c = {.ctx = context, .options = options, .progress = &progress};
    sf_status status;
    SF_TRY_OUT(check_op(context, op, options, &c.op));
    status = run_cases(&c, cases);
    sf_registry_warn_of_fallbacks(context);
    SF_TRY_OUT(status);
    result =
        json_pack("{s:s, s:s, s:O}", "op", op, "backend", context->backend->name, "cases", cases);
    status = sf_json_write(context, result, JSON_INDENT(2), json);
out:
    json_decref(result);
    json_decref(cases);
    return status;
}

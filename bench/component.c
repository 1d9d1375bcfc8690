/*
 * sf_bench_component(): one component of a model timed on random inputs of the shapes that it has in
 * use. See sfumato.h.
 */
#include <string.h>

#include "bench/bench.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "models/component.h"

void sf_bench_options_init(sf_bench_options *options) {
    *options = (sf_bench_options){
        .struct_size = sizeof *options, .warmup = 1, .repeat = 5, .precision = "f32", .batch = 1};
}

/* All that one call holds. */
typedef struct bench {
    sf_context *ctx;
    const sf_bench_options *options;
    sf_component *component;
    sf_tensors *inputs;
    sf_plan *plan; /* the component's */
    sf_bench_times times;
    double load_seconds, plan_seconds, first_run_seconds;
    json_t *ops;      /* NULL: not asked for */
    json_t *counters; /* NULL: the backend does not count */
} bench;

/* ---- what else is in the pipeline's folder ---- */

/* The configuration of a part of the pipeline; *config stays NULL where there is none. */
static sf_status load_config(sf_context *ctx, const char *folder, const char *part,
                             json_t **config) {
    char *path = sf_format(ctx, "%s/%s/config.json", folder, part);
    if (!path)
        return SF_ERROR_MEMORY;
    sf_status status = sf_path_is_file(path) ? sf_json_load(ctx, path, config) : SF_OK;
    sf_free(ctx, path);
    return status;
}

/* The autoencoder says how large a latent pixel is, the text encoder how long a text; else as in
 * Stable Diffusion. */
static sf_status find_usage(sf_context *ctx, const char *folder, int size, sf_usage *usage) {
    json_t *vae = NULL, *text = NULL;
    int64_t n_levels, n_tokens;
    sf_status status;
    SF_TRY_OUT(load_config(ctx, folder, "vae", &vae));
    SF_TRY_OUT(load_config(ctx, folder, "text_encoder", &text));
    n_levels = (int64_t)json_array_size(json_object_get(vae, "block_out_channels"));
    SF_TRY_OUT(
        sf_json_get_int(ctx, folder, text, "max_position_embeddings", 77, 1, 65536, &n_tokens));
    *usage = (sf_usage){.pixels = size, .factor = 8, .n_tokens = n_tokens};
    if (n_levels > 0 && n_levels < 16)
        usage->factor = (int64_t)1 << (n_levels - 1);
out:
    json_decref(vae);
    json_decref(text);
    return status;
}

/* ---- inputs ---- */

static sf_status add_input(bench *b, sf_rng *rng, const sf_bound_input *input) {
    sf_tensor *tensor = NULL;
    sf_spec spec = {.dtype = input->port->dtype, .n_dims = input->n_dims};
    memcpy(spec.dims, input->dims, sizeof spec.dims);
    if (input->n_dims > 0 && input->port->scalar)
        spec.dims[0] = 1;
    SF_TRY(sf_tensor_new(b->ctx, spec.dtype, spec.n_dims, spec.dims, &tensor));
    sf_bench_fill(rng, &spec, input->port->limit ? input->port->limit : 1, tensor->data);
    return sf_tensors_add(b->inputs, input->name, tensor);
}

static sf_status make_inputs(bench *b, const char *folder) {
    const sf_model *model = sf_component_model(b->component);
    const sf_ports *ports = sf_component_ports(b->component);
    sf_usage usage;
    sf_sizes sizes = {{0}};
    sf_bound bound = {0};
    sf_rng rng;
    SF_TRY(find_usage(b->ctx, folder, b->options->size, &usage));
    if (usage.pixels % usage.factor != 0)
        SF_FAIL(b->ctx, ERROR_ARGUMENT, "%lld pixels are not a multiple of %lld",
                (long long)usage.pixels, (long long)usage.factor);
    if (model->role->example_sizes)
        model->role->example_sizes(model->config, &sizes);
    if (model->role->usual_sizes)
        model->role->usual_sizes(model->config, &usage, &sizes);
    sf_sizes_set(&sizes, 'N', b->options->batch);
    sf_rng_seed(&rng, SF_RNG_TORCH, 1);
    SF_TRY(sf_tensors_new(b->ctx, &b->inputs));
    sf_status status = sf_bound_example(b->ctx, ports, &sizes, &bound);
    for (size_t i = 0; i < bound.count && status == SF_OK; i++)
        status = add_input(b, &rng, &bound.items[i]);
    sf_bound_clear(&bound);
    return status;
}

/* ---- runs ---- */

/* One run as a program sees it: inputs go in, outputs come out. */
static sf_status run_once(void *user) {
    bench *b = user;
    sf_tensors *outputs = NULL;
    SF_TRY(sf_component_run(b->component, b->inputs, &outputs));
    sf_tensors_free(outputs);
    return SF_OK;
}

/* What the backend did in one more run. */
static sf_status count_run(bench *b) {
    sf_backend_counters before, after;
    if (!sf_backend_read_counters(b->ctx->backend, &before))
        return SF_OK;
    SF_TRY(run_once(b));
    sf_backend_read_counters(b->ctx->backend, &after);
#define COUNTER(name) #name, (json_int_t)(after.name - before.name)
    b->counters =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", COUNTER(n_launches), COUNTER(n_products),
                  COUNTER(n_synchronizations), COUNTER(n_allocations), COUNTER(n_builds),
                  COUNTER(bytes_uploaded), COUNTER(bytes_downloaded));
#undef COUNTER
    return b->counters ? SF_OK : SF_ERROR_MEMORY;
}

static sf_status measure(bench *b, const char *folder, const char *component, sf_dtype compute) {
    const sf_bench_options *options = b->options;
    double begun = sf_bench_now();
    SF_TRY(sf_component_load(b->ctx, folder, component, &b->component));
    SF_TRY(sf_component_set_compute(b->component, compute));
    b->load_seconds = sf_bench_now() - begun;
    SF_TRY(make_inputs(b, folder));
    SF_TRY(sf_context_open_backend(b->ctx));
    begun = sf_bench_now();
    SF_TRY(sf_component_prepare(b->component, b->inputs, &b->plan));
    b->plan_seconds = sf_bench_now() - begun;
    begun = sf_bench_now();
    SF_TRY(run_once(b));
    b->first_run_seconds = sf_bench_now() - begun;
    sf_bench_progress progress =
        sf_bench_begin(options->warmup + options->repeat * (options->per_op ? 2 : 1));
    SF_TRY(sf_bench_time(b->ctx, options, &progress, run_once, b, &b->times));
    SF_TRY(count_run(b));
    if (!options->per_op)
        return SF_OK;
    return sf_bench_breakdown(b->ctx, b->plan, options->repeat, options->per_op > 1, &progress,
                              run_once, b, &b->ops);
}

/* ---- the result ---- */

static json_t *inputs_json(const sf_tensors *inputs) {
    json_t *object = json_object();
    int failed = 0;
    for (int i = 0; i < sf_tensors_count(inputs); i++) {
        const sf_tensor *tensor = sf_tensors_at(inputs, i);
        json_t *dims = json_array();
        for (int axis = 0; axis < tensor->n_dims; axis++)
            failed |= json_array_append_new(dims, json_integer(tensor->dims[axis]));
        failed |= json_object_set_new(object, sf_tensors_name(inputs, i), dims);
    }
    if (!failed)
        return object;
    json_decref(object);
    return NULL;
}

static int count_fallbacks(const sf_plan *plan) {
    int on_backend[SF_OP_COUNT], on_fallback[SF_OP_COUNT], n = 0;
    sf_plan_count_ops(plan, on_backend, on_fallback);
    for (int id = 0; id < SF_OP_COUNT; id++)
        n += on_fallback[id];
    return n;
}

static json_t *memory_json(const sf_plan_stats *stats) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "weight_bytes", (json_int_t)stats->weight_bytes,
                     "arena_bytes", (json_int_t)stats->arena_bytes, "unshared_bytes",
                     (json_int_t)stats->unshared_bytes, "staging_bytes",
                     (json_int_t)stats->staging_bytes, "planned_peak_bytes",
                     (json_int_t)(stats->weight_bytes + stats->arena_bytes + stats->staging_bytes));
}

static json_t *result_json(const bench *b) {
    const sf_model *model = sf_component_model(b->component);
    const sf_plan_stats *stats = sf_plan_get_stats(b->plan);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:I, s:i, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:O*, s:O*}",
        "component", model->role->component, "class", model->class_name, "backend",
        b->ctx->backend->name, "precision", b->options->precision ? b->options->precision : "f32",
        "inputs", inputs_json(b->inputs), "n_ops", (json_int_t)stats->n_steps, "n_fallback_ops",
        count_fallbacks(b->plan), "seconds", sf_bench_times_json(&b->times), "load_seconds",
        b->load_seconds, "plan_seconds", b->plan_seconds, "first_run_seconds", b->first_run_seconds,
        "time_to_first_result_seconds", b->load_seconds + b->plan_seconds + b->first_run_seconds,
        "flop", stats->flops, "gflop_per_s", sf_bench_rate(stats->flops, b->times.median), "memory",
        memory_json(stats), "counters", b->counters, "ops", b->ops);
}

/* ---- on paper ---- */

/* The component planned for a device that need not be there. */
static sf_status estimate(bench *b, const char *folder, const char *component, sf_dtype compute,
                          json_t **result) {
    const sf_bench_options *options = b->options;
    sf_dtype weights = compute;
    sf_bench_device device;
    json_t *roofline = NULL;
    SF_TRY(sf_bench_find_device(b->ctx, options->roofline, compute, &device));
    if (options->weight_type)
        SF_TRY(sf_bench_float_type(b->ctx, options->weight_type, &weights));
    SF_TRY(sf_component_assume(b->ctx, folder, component, weights, &b->component));
    SF_TRY(sf_component_set_compute(b->component, compute));
    SF_TRY(make_inputs(b, folder));
    SF_TRY(sf_component_prepare(b->component, b->inputs, &b->plan));
    SF_TRY(sf_bench_roofline(b->ctx, b->plan, &device, options->per_op > 1, &roofline));
    const sf_model *model = sf_component_model(b->component);
    const sf_plan_stats *stats = sf_plan_get_stats(b->plan);
    *result = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:i, s:o, s:o}", "component",
                        model->role->component, "class", model->class_name, "backend",
                        sf_plan_backend_name(b->plan), "precision", sf_dtype_name(compute),
                        "weights", sf_dtype_name(weights), "inputs", inputs_json(b->inputs),
                        "n_ops", (json_int_t)stats->n_steps, "n_merged_ops",
                        (json_int_t)stats->n_merged, "n_fallback_ops", count_fallbacks(b->plan),
                        "memory", memory_json(stats), "roofline", roofline);
    return SF_OK;
}

sf_status sf_bench_component(sf_context *context, const char *folder, const char *component,
                             const sf_bench_options *options, char **json) {
    bench b = {.ctx = context, .options = options};
    json_t *result = NULL;
    sf_dtype compute;
    sf_status status;
    SF_TRY(sf_bench_check(context, options, &compute));
    if (options->batch < 1 || options->batch > 65536 || options->size < 0 ||
        options->size > 1 << 20)
        SF_FAIL(context, ERROR_ARGUMENT, "a batch of %d with %d pixels a side", options->batch,
                options->size);
    if (options->roofline) {
        SF_TRY_OUT(estimate(&b, folder, component, compute, &result));
    } else {
        SF_TRY_OUT(measure(&b, folder, component, compute));
        result = result_json(&b);
    }
    status = sf_json_write(context, result, JSON_INDENT(2), json);
out:
    json_decref(result);
    json_decref(b.ops);
    json_decref(b.counters);
    sf_free(context, b.times.seconds);
    sf_tensors_free(b.inputs);
    sf_component_free(b.component);
    return status;
}

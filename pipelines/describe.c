/*
 * What a drawing would do, as JSON: sf_pipeline_describe() of sfumato.h. Stages are planned without
 * memory, so that no weight is read.
 */
#include <inttypes.h>
#include <stdio.h>

#include "core/io/json.h"
#include "core/memory.h"
#include "pipelines/pipeline.h"

static json_t *ops_json(const int *counts) {
    json_t *ops = json_object();
    int failed = 0;
    for (int id = 0; id < SF_OP_COUNT; id++)
        if (counts[id])
            failed |=
                json_object_set_new(ops, sf_op_get((sf_op_id)id)->name, json_integer(counts[id]));
    if (!failed)
        return ops;
    json_decref(ops);
    return NULL;
}

static json_t *memory_json(const sf_memory_use *memory) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "base_bytes", (json_int_t)memory->base,
                     "peak_bytes", (json_int_t)memory->peak, "least_bytes",
                     (json_int_t)memory->least, "limit_bytes", (json_int_t)memory->limit,
                     "device_bytes", (json_int_t)memory->device);
}

static json_t *stage_json(const sf_stage *stage, int n_evaluations, uint64_t bytes) {
    int on_backend[SF_OP_COUNT], on_fallback[SF_OP_COUNT];
    const sf_plan_stats *stats = sf_plan_get_stats(stage->plan);
    sf_plan_count_ops(stage->plan, on_backend, on_fallback);
    return json_pack(
        "{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, "
        "s:o}",
        "stage", stage->name, "evaluations", n_evaluations, "arena_bytes",
        (json_int_t)stats->arena_bytes, "unshared_bytes", (json_int_t)stats->unshared_bytes,
        "staging_bytes", (json_int_t)stats->staging_bytes, "weight_bytes",
        (json_int_t)stats->weight_bytes, "n_ops", (json_int_t)stats->n_steps, "n_fused",
        (json_int_t)stats->n_fused, "n_merged", (json_int_t)stats->n_merged, "n_lowered",
        (json_int_t)stats->n_lowered, "n_in_place", (json_int_t)stats->n_in_place, "n_settled",
        (json_int_t)stats->n_settled, "resident_weight_bytes",
        (json_int_t)stats->resident_weight_bytes, "process_bytes", (json_int_t)bytes,
        "device_bytes", (json_int_t)stats->device_bytes, "offloaded_bytes",
        (json_int_t)stats->offloaded_bytes, "ops", ops_json(on_backend), "fallback_ops",
        ops_json(on_fallback));
}

static sf_status plan_stages(sf_drawing *drawing) {
    SF_TRY(sf_stage_plan(&drawing->text_stage, true));
    SF_TRY(sf_stage_plan(&drawing->denoise_stage, true));
    SF_TRY(sf_stage_plan(&drawing->decode_stage, true));
    return sf_drawing_fit(drawing);
}

static sf_status add_stages(const sf_drawing *drawing, int n_evaluations, json_t *stages) {
    const struct {
        const sf_stage *stage;
        int n_evaluations;
    } all[] = {{&drawing->text_stage, 1},
               {&drawing->denoise_stage, n_evaluations * drawing->options.batch},
               {&drawing->decode_stage, drawing->options.batch}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (json_array_append_new(stages, stage_json(all[i].stage, all[i].n_evaluations,
                                                     drawing->memory.stages[i])) != 0)
            SF_FAIL(drawing->ctx, ERROR_MEMORY, "out of memory for a JSON description");
    return SF_OK;
}

static json_t *drawing_json(const sf_drawing *drawing, const sf_sampler *sampler, json_t *stages) {
    const sf_generate_options *options = &drawing->options;
    const sf_context *ctx = drawing->ctx;
    char seed[32];
    snprintf(seed, sizeof seed, "%" PRIu64, options->seed);
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:s, s:i, s:f, s:s, s:s, s:o, s:O}", "model",
                     sf_pipeline_name(drawing->pipeline), "backend", ctx->backend->name, "fallback",
                     ctx->fallback ? ctx->fallback->name : "", "width", options->width, "height",
                     options->height, "batch", options->batch, "sampler",
                     sf_sampler_get_info(sampler)->name, "steps", sf_sampler_n_steps(sampler),
                     "guidance_scale", (double)options->guidance_scale, "seed", seed, "precision",
                     options->precision, "memory", memory_json(&drawing->memory), "stages", stages);
}

static sf_status describe(sf_drawing *drawing, const sf_sampler *sampler, json_t *stages,
                          char **json) {
    sf_drawing_keep_room(drawing, sampler);
    SF_TRY(plan_stages(drawing));
    SF_TRY(add_stages(drawing, sf_sampler_n_evaluations(sampler), stages));
    json_t *whole = drawing_json(drawing, sampler, stages);
    sf_status status = sf_json_write(drawing->ctx, whole, JSON_INDENT(2), json);
    json_decref(whole);
    return status;
}

sf_status sf_pipeline_describe(sf_pipeline *pipeline, const sf_generate_options *options,
                               char **json) {
    sf_drawing drawing;
    sf_sampler *sampler = NULL;
    json_t *stages = json_array();
    sf_status status = sf_drawing_init(&drawing, pipeline, options);
    const sf_sampler_options sampler_options = sf_drawing_sampler_options(&drawing);
    if (status == SF_OK)
        status = sf_sampler_new(pipeline->ctx, &pipeline->scheduler, &sampler_options, &sampler);
    if (status == SF_OK)
        status = describe(&drawing, sampler, stages, json);
    sf_sampler_free(sampler);
    sf_drawing_clear(&drawing);
    json_decref(stages);
    return status;
}

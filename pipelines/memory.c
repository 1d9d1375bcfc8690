/*
 * How much memory a drawing will take, known once its stages are planned, and fitting it into the
 * context's limit. One stage works at a time, and the others rest, so the largest counts.
 *
 *   a stage = what the process has already + the stage's activations and weights + what lies beside
 */
#include "core/process.h"
#include "core/text.h"
#include "pipelines/pipeline.h"

/* Latents beside the sampler's own: the first noise and the model's answer. */
#define OTHER_LATENTS 2

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t bytes_of_latents(const sf_drawing *drawing) {
    uint64_t n_latents = (uint64_t)drawing->n_sampler_tensors + OTHER_LATENTS;
    return n_latents * (uint64_t)sf_spec_bytes(&drawing->latents);
}

/* Bytes of the finished pictures, and the sampler's. */
static uint64_t bytes_of_results(const sf_drawing *drawing) {
    const sf_generate_options *options = &drawing->options;
    uint64_t pixels = (uint64_t)options->width * (uint64_t)options->height;
    return (uint64_t)options->batch * pixels * 3 + bytes_of_latents(drawing);
}

/* The decoded picture as numbers, beside the plan's. */
static uint64_t bytes_of_picture(const sf_drawing *drawing) {
    uint64_t pixels = (uint64_t)drawing->options.width * (uint64_t)drawing->options.height;
    return pixels * 3 * sizeof(float);
}

static uint64_t stage_bytes(const sf_stage *stage) {
    const sf_plan_stats *stats = sf_plan_get_stats(stage->plan);
    return stage->beside + stats->host_bytes + stats->resident_weight_bytes;
}

static uint64_t least_bytes(const sf_stage *stage) {
    const sf_plan_stats *stats = sf_plan_get_stats(stage->plan);
    return stage->beside + stats->host_bytes + stats->least_weight_bytes;
}

/*
 * A device's own memory: the weights of all stages and the largest arena, since arenas go when a stage
 * rests; with offloading the weights go too, and the largest stage counts. Latents are there all the time.
 */
static uint64_t device_bytes(const sf_drawing *drawing, const sf_stage *const *stages,
                             size_t n_stages) {
    bool offload = drawing->ctx->options.offload;
    uint64_t beside =
        bytes_of_latents(drawing) + sf_backend_device_memory_bytes(drawing->ctx->backend);
    uint64_t weights = 0, most = 0;
    for (size_t i = 0; i < n_stages; i++) {
        const sf_plan_stats *stats = sf_plan_get_stats(stages[i]->plan);
        uint64_t working = offload ? stats->device_bytes : stats->arena_bytes;
        most = working > most ? working : most;
        weights += offload ? 0 : stats->device_bytes - stats->arena_bytes;
    }
    return beside + weights + most;
}

static sf_status fit_device(sf_drawing *drawing, const sf_stage *const *stages, size_t n_stages) {
    const sf_context *ctx = drawing->ctx;
    char needed[32], has[32], lacking[32];
    uint64_t limit = ctx->options.max_device_memory ? ctx->options.max_device_memory
                                                    : ctx->backend->device_bytes;
    if (sf_backend_has_host_memory(ctx->backend))
        return SF_OK;
    drawing->memory.device = device_bytes(drawing, stages, n_stages);
    if (!limit || drawing->memory.device <= limit)
        return SF_OK;
    sf_bytes_text(drawing->memory.device, needed);
    sf_bytes_text(limit, has);
    sf_bytes_text(drawing->memory.device - limit, lacking);
    SF_FAIL(
        drawing->ctx, ERROR_MEMORY,
        "out of device memory: the model takes %s of %s and there are %s, %s too few; --offload "
        "brings weights in from host memory as they are needed",
        needed, ctx->backend->name, has, lacking);
}

void sf_drawing_keep_room(sf_drawing *drawing, const sf_sampler *sampler) {
    drawing->n_sampler_tensors = sf_sampler_n_tensors(sampler);
    drawing->text_stage.device_beside = bytes_of_latents(drawing);
    drawing->denoise_stage.device_beside = bytes_of_latents(drawing);
    drawing->decode_stage.device_beside = bytes_of_latents(drawing);
}

sf_status sf_drawing_fit(sf_drawing *drawing) {
    sf_stage *const stages[] = {&drawing->text_stage, &drawing->denoise_stage,
                                &drawing->decode_stage};
    const size_t n_stages = sizeof stages / sizeof *stages;
    sf_memory_use *memory = &drawing->memory;
    *memory = (sf_memory_use){.limit = drawing->ctx->options.max_memory};
    for (size_t i = 0; i < n_stages; i++)
        sf_stage_rest(stages[i]);
    memory->base = sf_process_resident_bytes();
    for (size_t i = 0; i < n_stages; i++) {
        stages[i]->beside = memory->base + bytes_of_results(drawing);
        if (stages[i] == &drawing->decode_stage)
            stages[i]->beside += bytes_of_picture(drawing);
        SF_TRY(sf_stage_fit(stages[i]));
        memory->stages[i] = stage_bytes(stages[i]);
        if (memory->stages[i] > memory->peak)
            memory->peak = memory->stages[i];
        if (least_bytes(stages[i]) > memory->least)
            memory->least = least_bytes(stages[i]);
    }
    memory->least = smaller(memory->least, memory->peak);
    return fit_device(drawing, (const sf_stage *const *)stages, n_stages);
}

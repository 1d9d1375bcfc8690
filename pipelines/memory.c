/*
 * How much memory a drawing will take, known once its stages are planned, and fitting it into the
 * context's limit. One stage works at a time, and the others rest, so the largest counts.
 *
 *   a stage = what the process has already + the stage's activations and weights + what lies beside
 */
#include "core/process.h"
#include "pipelines/pipeline.h"

/* Latents that a sampler keeps: sample, model output, noise, scratch and history. */
#define SAMPLER_TENSORS 10

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* Bytes of the finished pictures, and the sampler's. */
static uint64_t bytes_of_results(const sf_drawing *drawing) {
    const sf_generate_options *options = &drawing->options;
    uint64_t pixels = (uint64_t)options->width * (uint64_t)options->height;
    return (uint64_t)options->batch * pixels * 3 +
           SAMPLER_TENSORS * (uint64_t)sf_spec_bytes(&drawing->latents);
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
    return SF_OK;
}

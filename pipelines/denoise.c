/*
 * The denoise stage: one evaluation of the U-Net, with guidance. It is classifier-free guidance,
 *
 *   e = e(x, negative) + g (e(x, prompt) - e(x, negative))      (Ho and Salimans 2022, eq. 6)
 *
 * for which both conditions go through the U-Net as one batch of two. Without guidance there is one
 * condition. Models that were distilled from guided ones take g as an input of the U-Net instead
 * (guidance_embedding.h), and one condition.
 */
#include "models/unet.h"
#include "pipelines/pipeline.h"

/* The guided answer of [2, C, h, w]: the negative prompt's half comes first. */
static sf_value guide(sf_graph *graph, sf_value both) {
    sf_value coefficients = sf_input(graph, "guidance", SF_F32, SF_DIMS(2));
    sf_value parts[] = {sf_slice(graph, both, 0, 0, 1), sf_slice(graph, both, 0, 1, 1)};
    return sf_linear_combination(graph, coefficients, parts, 2);
}

/* The deviation of all elements of x [1, C, h, w] but for a constant factor, [1, 1]. */
static sf_value deviation(sf_graph *graph, const sf_drawing *drawing, sf_value x) {
    sf_value row = sf_reshape(graph, x, SF_DIMS(1, sf_spec_elements(&drawing->latents)));
    sf_value centred = sf_subtract(graph, row, sf_mean(graph, row, 1));
    return sf_unary(graph, SF_OP_sqrt, sf_mean(graph, sf_unary(graph, SF_OP_square, centred), 1));
}

/*
 * Guidance makes the answer's deviation larger than the model's own; a part of it goes back:
 *
 *   e' = r e std(e(x, prompt)) / std(e) + (1 - r) e      (Lin et al. 2024, eq. 15 and 16)
 */
static sf_value rescale(sf_graph *graph, const sf_drawing *drawing, sf_value both,
                        sf_value guided) {
    sf_value coefficients = sf_input(graph, "rescale", SF_F32, SF_DIMS(2));
    sf_value conditional = sf_slice(graph, both, 0, 1, 1);
    sf_value ratio =
        sf_divide(graph, deviation(graph, drawing, conditional), deviation(graph, drawing, guided));
    sf_value scaled = sf_multiply(graph, guided, sf_reshape(graph, ratio, SF_DIMS(1, 1, 1, 1)));
    return sf_linear_combination(graph, coefficients, (sf_value[]){scaled, guided}, 2);
}

static bool is_rescaled(const sf_drawing *drawing) {
    return drawing->guided && drawing->options.guidance_rescale > 0;
}

/* The guidance embedding [1, time_cond_proj_dim], if the U-Net takes one. */
static sf_value guidance_input(const sf_drawing *drawing, sf_graph *graph, sf_dtype compute) {
    if (!drawing->guidance_embedding)
        return SF_NO_VALUE;
    int64_t n_channels = sf_pipeline_guidance_channels(drawing->pipeline);
    sf_value embedding = sf_settled_input(graph, "timestep_cond", SF_F32, SF_DIMS(1, n_channels));
    return sf_cast(graph, embedding, compute);
}

static sf_value ask_unet(const sf_drawing *drawing, sf_graph *graph, sf_value x, sf_dtype compute) {
    const sf_unet_config *config = drawing->pipeline->unet->config;
    sf_unet_inputs inputs = sf_unet_inputs_none();
    inputs.sample = sf_cast(graph, sf_permute(graph, x, (const int[]){0, 2, 3, 1}), compute);
    inputs.timestep = sf_input(graph, "timestep", SF_F32, SF_DIMS(1));
    sf_value embeddings =
        sf_settled_input(graph, "embeddings", SF_F32, 3, drawing->embedding_spec.dims);
    inputs.encoder_hidden_states = sf_cast(graph, embeddings, compute);
    inputs.timestep_cond = guidance_input(drawing, graph, compute);
    sf_value answer = sf_cast(graph, sf_unet_build(graph, config, &inputs), SF_F32);
    return sf_permute(graph, answer, (const int[]){0, 3, 1, 2});
}

static sf_status build(void *user, sf_graph *graph, sf_dtype compute) {
    const sf_drawing *drawing = user;
    sf_value latents = sf_input(graph, "latents", SF_F32, 4, drawing->latents.dims);
    sf_value scale = sf_input(graph, "input_scale", SF_F32, SF_DIMS(1));
    sf_value x = sf_multiply(graph, latents, scale);
    if (drawing->guided)
        x = sf_concat(graph, (const sf_value[]){x, x}, 2, 0);
    sf_value answer = ask_unet(drawing, graph, x, compute);
    sf_value both = answer;
    answer = drawing->guided ? guide(graph, both) : sf_copy(graph, answer);
    if (is_rescaled(drawing))
        answer = rescale(graph, drawing, both, answer);
    sf_output(graph, "model_output", answer);
    sf_stage_add_check(graph, answer);
    return sf_graph_status(graph);
}

static sf_status write_input(sf_plan *plan, const char *name, const void *data, size_t bytes) {
    return sf_plan_write(plan, sf_plan_find_input(plan, name), data, bytes);
}

/* Inputs that stay the same in all steps. */
static sf_status write_settled(sf_plan *plan, const char *name, const void *data, size_t bytes) {
    if (sf_plan_holds(plan, sf_plan_find_input(plan, name)))
        return SF_OK;
    return write_input(plan, name, data, bytes);
}

static sf_status feed(void *user, sf_plan *plan) {
    const sf_drawing *drawing = user;
    float guidance = drawing->options.guidance_scale;
    float rescaling = drawing->options.guidance_rescale;
    const float coefficients[2] = {1 - guidance, guidance};
    const float shares[2] = {rescaling, 1 - rescaling};
    SF_TRY(sf_plan_bind_input(plan, sf_plan_find_input(plan, "latents"), &drawing->sample->desc));
    SF_TRY(sf_plan_bind_output(plan, sf_plan_find_output(plan, "model_output"),
                               &drawing->model_output->desc));
    SF_TRY(write_input(plan, "input_scale", &drawing->input_scale, sizeof(float)));
    SF_TRY(write_input(plan, "timestep", &drawing->timestep, sizeof(float)));
    if (drawing->guided)
        SF_TRY(write_input(plan, "guidance", coefficients, sizeof coefficients));
    if (is_rescaled(drawing))
        SF_TRY(write_input(plan, "rescale", shares, sizeof shares));
    if (drawing->guidance_embedding)
        SF_TRY(write_settled(plan, "timestep_cond", drawing->guidance_embedding,
                             (size_t)sf_pipeline_guidance_channels(drawing->pipeline) *
                                 sizeof(float)));
    return write_settled(plan, "embeddings", drawing->embeddings, drawing->embeddings_bytes);
}

void sf_denoise_stage_init(sf_drawing *drawing) {
    drawing->denoise_stage.name = "denoise";
    drawing->denoise_stage.build = build;
    drawing->denoise_stage.feed = feed;
    drawing->denoise_stage.weights = drawing->pipeline->unet->weights;
}

sf_status sf_denoise_stage_run(sf_drawing *drawing, int step, int n_steps) {
    return sf_stage_run(&drawing->denoise_stage, step, n_steps);
}

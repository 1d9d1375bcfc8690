/*
 * The decode stage: latents to pixels.
 *
 *   z = latents / scaling_factor + shift_factor,  picture = round(255 clamp(decode(z) / 2 + 1/2, 0, 1))
 *
 * as diffusers' VaeImageProcessor does it, rounding halves to even.
 */
#include <math.h>

#include "core/image.h"
#include "core/memory.h"
#include "models/vae.h"
#include "pipelines/pipeline.h"

static sf_status build(void *user, sf_graph *graph, sf_dtype compute) {
    const sf_drawing *drawing = user;
    const sf_vae_config *config = drawing->pipeline->vae->config;
    sf_value latents = sf_input(graph, "latents", SF_F32, 4, drawing->latents.dims);
    sf_value z =
        sf_affine(graph, latents, (float)(1 / config->scaling_factor), (float)config->shift_factor);
    z = sf_cast(graph, sf_permute(graph, z, (const int[]){0, 2, 3, 1}), compute);
    sf_value decoded = sf_cast(graph, sf_vae_decode_build(graph, config, z), SF_F32);
    sf_stage_add_check(graph, decoded);
    sf_output(graph, "picture", sf_clamp(graph, sf_affine(graph, decoded, 0.5f, 0.5f), 0, 1));
    return sf_graph_status(graph);
}

static sf_status feed(void *user, sf_plan *plan) {
    const sf_drawing *drawing = user;
    return sf_plan_bind_input(plan, 0, &drawing->sample->desc);
}

void sf_decode_stage_init(sf_drawing *drawing) {
    drawing->decode_stage.name = "decode";
    drawing->decode_stage.build = build;
    drawing->decode_stage.feed = feed;
    drawing->decode_stage.weights = drawing->pipeline->vae->weights;
}

/* [1, H, W, 3] in 0..1 to bytes; a picture of one channel is grey. */
static sf_status to_image(sf_context *ctx, const float *picture, const sf_spec *spec,
                          sf_image **image) {
    int64_t n_pixels = spec->dims[1] * spec->dims[2], channels = spec->dims[3];
    if (channels != 1 && channels != 3)
        SF_FAIL(ctx, ERROR_UNSUPPORTED, "a picture of %lld channels; 1 and 3 are possible",
                (long long)channels);
    sf_image *made = NULL;
    SF_TRY(sf_image_new(ctx, (int)spec->dims[2], (int)spec->dims[1], &made));
    uint8_t *pixels = sf_image_pixels(made);
    for (int64_t i = 0; i < n_pixels; i++)
        for (int64_t c = 0; c < 3; c++)
            pixels[3 * i + c] =
                (uint8_t)rintf(picture[i * channels + (channels == 1 ? 0 : c)] * 255.0f);
    *image = made;
    return SF_OK;
}

static sf_status read_picture(sf_drawing *drawing, sf_image **image) {
    sf_plan *plan = drawing->decode_stage.plan;
    int output = sf_plan_find_output(plan, "picture");
    const sf_spec *spec = sf_plan_output_spec(plan, output);
    float *picture = sf_alloc(drawing->ctx, sf_spec_bytes(spec), 1);
    if (!picture)
        return SF_ERROR_MEMORY;
    sf_status status = sf_plan_read(plan, output, picture, sf_spec_bytes(spec));
    if (status == SF_OK)
        status = to_image(drawing->ctx, picture, spec, image);
    sf_free(drawing->ctx, picture);
    return status;
}

/* The U-Net rests meanwhile: of its weights and the decoder's activations one is there at a time. */
sf_status sf_decode_stage_run(sf_drawing *drawing, sf_image **image) {
    sf_stage_rest(&drawing->denoise_stage);
    sf_status status = sf_stage_run(&drawing->decode_stage, 0, 0);
    if (status == SF_OK)
        status = read_picture(drawing, image);
    sf_stage_rest(&drawing->decode_stage);
    return status;
}

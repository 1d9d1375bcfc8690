/*
 * The guidance scale as an input of the U-Net: what models distilled from guided ones take in place of a
 * second evaluation for the negative prompt.
 */
#ifndef SF_PIPELINES_GUIDANCE_EMBEDDING_H
#define SF_PIPELINES_GUIDANCE_EMBEDDING_H

#include <stdint.h>

/*
 * Writes the U-Net's timestep_cond for a guidance scale g: embedding [width], width >= 1 being the
 * configuration's time_cond_proj_dim. With w = g - 1 and h = width div 2
 *
 *   embedding[i]     = sin(1000 w f_i),   f_i = 10000^(-i / (h - 1)),   0 <= i < h
 *   embedding[h + i] = cos(1000 w f_i)
 *
 * and a 0 behind where width is odd. With h = 1, where the exponent is 0 / 0 (diffusers gives NaN),
 * f_0 = 1. No errors; any thread.
 *
 * Accuracy: in f32 and in the order of operations of diffusers 0.42.1, since 1000 w f_i is as large as
 * 10^4, where rounding f_i alone moves an angle by 10^-3. Each function is rounded correctly; PyTorch's
 * exponential may be a unit off.
 *
 * Source: w as a condition beside the timestep: Meng et al. 2023, "On distillation of guided diffusion
 * models", section 3.1, and Luo et al. 2023, "Latent consistency models", section 4.2, whose w is g - 1.
 * The sinusoids: Vaswani et al. 2017, section 3.5; 1000 and h - 1: Kingma et al. 2021's code, which
 * diffusers' get_guidance_scale_embedding() follows.
 */
void sf_guidance_embedding(float guidance_scale, int64_t width, float *embedding);

#endif

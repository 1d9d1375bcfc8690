/*
 * The guidance scale as sinusoids. See guidance_embedding.h.
 */
#include "pipelines/guidance_embedding.h"

#include <math.h>

#include "core/text.h"

void sf_guidance_embedding(float guidance_scale, int64_t width, float *embedding) {
    /* diffusers subtracts from the f64 that a person wrote, 8.4, not from the f32 near it. */
    float w = (float)(sf_float_decimal(guidance_scale) - 1);
    float scaled = w * 1000.0f;
    int64_t half = width / 2;
    float fall = half > 1 ? (float)log(10000) / (float)(half - 1) : 0;
    for (int64_t i = 0; i < half; i++) {
        float exponent = (float)i * -fall;
        float angle = scaled * (float)exp((double)exponent);
        embedding[i] = (float)sin((double)angle);
        embedding[half + i] = (float)cos((double)angle);
    }
    if (width % 2)
        embedding[width - 1] = 0;
}

/*
 * What the methods on alphas_cumprod share: the clean sample and the noise that the model's answer
 * means, and the clipping of the clean sample. Formulas: class.h.
 */
#include <math.h>
#include <stdlib.h>

#include "core/memory.h"
#include "samplers/class.h"

sf_status sf_sampler_predict_denoised(sf_sampler *sampler, float alpha,
                                      const sf_device_tensor *model_output, sf_device_tensor *out) {
    const sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    float a = sqrtf(alpha), b = sqrtf(1 - alpha);
    switch (sampler->settings.prediction_type) {
    case SF_PREDICTION_epsilon:
        SF_TRY(sf_sampler_add_scaled(sampler, out, x, -b, model_output));
        return sf_sampler_divide(sampler, out, out, a);
    case SF_PREDICTION_v_prediction:
        return sf_sampler_combine(sampler, out, a, x, -b, model_output);
    default:
        return sf_sampler_scale(sampler, out, 1, model_output);
    }
}

sf_status sf_sampler_predict_noise(sf_sampler *sampler, float alpha,
                                   const sf_device_tensor *model_output, sf_device_tensor *out) {
    const sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    float a = sqrtf(alpha), b = sqrtf(1 - alpha);
    switch (sampler->settings.prediction_type) {
    case SF_PREDICTION_epsilon:
        return sf_sampler_scale(sampler, out, 1, model_output);
    case SF_PREDICTION_v_prediction:
        return sf_sampler_combine(sampler, out, a, model_output, b, x);
    default:
        SF_TRY(sf_sampler_add_scaled(sampler, out, x, -a, model_output));
        return sf_sampler_divide(sampler, out, out, b);
    }
}

/* ---- dynamic thresholding ---- */

/* Rising, NaN last. */
static int compare(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    if (isnan(x) || isnan(y))
        return (isnan(x) != 0) - (isnan(y) != 0);
    return (x > y) - (x < y);
}

/* The quantile of the absolute values as torch.quantile: linear between neighbours, rank in f32. */
static float absolute_quantile(const float *values, size_t count, float q, float *room) {
    for (size_t i = 0; i < count; i++)
        room[i] = fabsf(values[i]);
    qsort(room, count, sizeof *room, compare);
    if (isnan(room[count - 1]))
        return NAN;
    float rank = q * (float)(count - 1);
    size_t low = (size_t)rank, high = (size_t)ceilf(rank);
    high = high < count ? high : count - 1;
    float weight = rank - (float)low, difference = room[high] - room[low];
    return weight < 0.5f ? room[low] + weight * difference : room[high] - difference * (1 - weight);
}

/*
 * x_0 is cut to [-s, s] and divided by s, where s is that quantile of a picture's absolute values,
 * between 1 and sample_max_value: Saharia et al. 2022 (Imagen), section 2.3.
 */
static void threshold_picture(const sf_scheduler_settings *settings, float *values, size_t count,
                              float *room) {
    float s = absolute_quantile(values, count, (float)settings->dynamic_thresholding_ratio, room);
    float most = (float)settings->sample_max_value;
    s = s < 1 ? 1 : s;
    s = s > most ? most : s;
    for (size_t i = 0; i < count; i++) {
        float cut = values[i] < -s ? -s : values[i] > s ? s : values[i];
        values[i] = cut / s;
    }
}

static sf_status threshold(sf_sampler *sampler, sf_device_tensor *denoised) {
    const sf_spec *spec = &denoised->spec;
    size_t n = (size_t)sf_spec_elements(spec);
    size_t n_pictures = spec->n_dims > 1 ? (size_t)spec->dims[0] : 1;
    sf_status status;
    if (n == 0)
        return SF_OK;
    float *values = SF_NEW_ARRAY(sampler->ctx, float, n);
    float *room = SF_NEW_ARRAY(sampler->ctx, float, n / n_pictures);
    if (!values || !room) {
        status = SF_ERROR_MEMORY;
        goto out;
    }
    SF_TRY_OUT(sf_device_tensor_read(denoised, values, n * sizeof *values));
    for (size_t i = 0; i < n_pictures; i++)
        threshold_picture(&sampler->settings, values + i * (n / n_pictures), n / n_pictures, room);
    SF_TRY_OUT(sf_device_tensor_write(denoised, values, n * sizeof *values));
out:
    sf_free(sampler->ctx, values);
    sf_free(sampler->ctx, room);
    return status;
}

sf_status sf_sampler_clip(sf_sampler *sampler, sf_device_tensor *denoised) {
    float range = (float)sampler->settings.clip_sample_range;
    const sf_attributes attributes = {.range = {.low = -range, .high = range}};
    if (sampler->settings.thresholding)
        return threshold(sampler, denoised);
    if (sampler->settings.clip_sample)
        return sf_sampler_apply(sampler, SF_OP_clamp, &attributes, denoised, denoised);
    return SF_OK;
}

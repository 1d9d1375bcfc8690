/*
 * The generic loop. See loop.h.
 */
#include "samplers/loop.h"

#include <time.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

sf_status sf_sampler_run(sf_sampler *sampler, const sf_loop *loop) {
    const sf_device_tensor *sample = sf_sampler_sample(sampler), *output = NULL;
    sf_context *ctx = sample->backend->ctx;
    sf_progress progress = {.stage = loop->stage};
    sf_evaluation evaluation;
    double start = now();
    while (sf_sampler_next(sampler, &evaluation)) {
        progress.step = evaluation.index;
        progress.n_steps = evaluation.count;
        progress.seconds = now() - start;
        SF_TRY(sf_report_progress(ctx, &progress));
        SF_TRY(loop->evaluate(loop->user, &evaluation, sample, &output));
        SF_TRY(sf_sampler_step(sampler, output));
        if (loop->after_step)
            SF_TRY(loop->after_step(loop->user, &evaluation, sample));
    }
    progress.step = progress.n_steps = sf_sampler_n_evaluations(sampler);
    progress.seconds = now() - start;
    return sf_report_progress(ctx, &progress);
}

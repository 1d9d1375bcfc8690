/*
 * The generic loop: ask the model, step, tell how far it is. All samplers run in it.
 */
#ifndef SF_SAMPLERS_LOOP_H
#define SF_SAMPLERS_LOOP_H

#include "samplers/sampler.h"

typedef struct sf_loop {
    const char *stage; /* in progress reports: "denoise" */

    /*
     * The model (with guidance) on input_scale * sample; *output is borrowed until the next call and
     * has the shape of sf_sampler_output_spec().
     */
    sf_status (*evaluate)(void *user, const sf_evaluation *evaluation,
                          const sf_device_tensor *sample, const sf_device_tensor **output);

    /* After each step, for checks and previews; may be NULL. */
    sf_status (*after_step)(void *user, const sf_evaluation *evaluation,
                            const sf_device_tensor *sample);
    void *user;
} sf_loop;

/* From where the sampler is to its end. Progress goes to the context, which may cancel. */
sf_status sf_sampler_run(sf_sampler *sampler, const sf_loop *loop);

#endif

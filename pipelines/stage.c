/*
 * Planning, running and checking a stage. See stage.h.
 */
#include "pipelines/stage.h"

#include <stdio.h>

#include "plugins/registry.h"

void sf_stage_add_check(sf_graph *graph, sf_value result) {
    sf_output(graph, SF_STAGE_CHECK, sf_count_nonfinite(graph, result));
}

static sf_status make_plan(sf_stage *stage, bool no_memory, sf_plan **plan) {
    sf_plan_options options;
    sf_graph *graph = NULL;
    SF_TRY(sf_plan_options_for(stage->ctx, &options));
    options.no_memory = no_memory;
    options.beside_device_bytes = stage->device_beside;
    SF_TRY(sf_graph_new(stage->ctx, stage->weights, &graph));
    sf_status status = stage->build(stage->user, graph, stage->compute);
    if (status == SF_OK)
        return sf_plan_new(stage->ctx, graph, &options, plan);
    sf_graph_free(graph);
    return status;
}

sf_status sf_stage_plan(sf_stage *stage, bool no_memory) {
    if (stage->plan)
        return SF_OK;
    sf_status status = make_plan(stage, no_memory, &stage->plan);
    return status == SF_OK ? SF_OK : sf_fail_in(stage->ctx, status, "stage %s", stage->name);
}

sf_status sf_stage_fit(sf_stage *stage) {
    sf_status status = sf_plan_fit(stage->plan, stage->ctx->options.max_memory, stage->beside);
    return status == SF_OK ? SF_OK : sf_fail_in(stage->ctx, status, "stage %s", stage->name);
}

void sf_stage_rest(sf_stage *stage) {
    sf_plan_rest(stage->plan);
    sf_tensors_release_pages(stage->weights);
}

void sf_stage_clear(sf_stage *stage) {
    sf_stage_rest(stage);
    sf_plan_free(stage->plan);
    stage->plan = NULL;
}

static sf_status run_once(sf_stage *stage, int32_t *n_nonfinite) {
    if (!stage->plan) {
        SF_TRY(sf_stage_plan(stage, false));
        SF_TRY(sf_stage_fit(stage));
    }
    SF_TRY(stage->feed(stage->user, stage->plan));
    SF_TRY(sf_plan_run(stage->plan));
    return sf_plan_read(stage->plan, sf_plan_find_output(stage->plan, SF_STAGE_CHECK), n_nonfinite,
                        sizeof *n_nonfinite);
}

/* "stage denoise, step 3 of 25" */
static void describe_where(const sf_stage *stage, int step, int n_steps, char *text, size_t bytes) {
    if (n_steps > 0)
        snprintf(text, bytes, "stage %s, step %d of %d", stage->name, step, n_steps);
    else
        snprintf(text, bytes, "stage %s", stage->name);
}

static sf_status fail_nonfinite(sf_stage *stage, const char *where, int32_t n_nonfinite) {
    char op[512] = "";
    SF_TRY(sf_plan_find_nonfinite(stage->plan, op, sizeof op));
    SF_FAIL(stage->ctx, ERROR_NUMERIC,
            "%s: %d values of the result are NaN or infinite; the first came from %s", where,
            n_nonfinite, op[0] ? op : "an op that gave finite values when run again");
}

/* Half precision was too narrow: from here on in f32. */
static sf_status widen(sf_stage *stage, const char *where) {
    sf_log(stage->ctx, SF_LOG_WARNING, "%s: NaN or infinity in %s; repeated in f32", where,
           sf_dtype_name(stage->compute));
    sf_stage_clear(stage);
    stage->compute = SF_F32;
    return SF_OK;
}

sf_status sf_stage_run(sf_stage *stage, int step, int n_steps) {
    char where[128];
    int32_t n_nonfinite = 0;
    describe_where(stage, step, n_steps, where, sizeof where);
    sf_status status = run_once(stage, &n_nonfinite);
    if (status == SF_OK && n_nonfinite && stage->compute != SF_F32) {
        SF_TRY(widen(stage, where));
        status = run_once(stage, &n_nonfinite);
    }
    if (status != SF_OK)
        return sf_fail_in(stage->ctx, status, "%s", where);
    return n_nonfinite ? fail_nonfinite(stage, where, n_nonfinite) : SF_OK;
}

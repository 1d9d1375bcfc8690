/*
 * The text stage: the negative prompt (where there is guidance) and the prompt, as one batch through the
 * text encoder. Its last hidden state is the condition.
 */
#include "models/clip.h"
#include "pipelines/pipeline.h"

static sf_status build(void *user, sf_graph *graph, sf_dtype compute) {
    const sf_drawing *drawing = user;
    const sf_clip_config *config = drawing->pipeline->text_encoder->config;
    sf_value ids = sf_input(graph, "input_ids", SF_I64, 2, drawing->text.dims);
    sf_value hidden = sf_cast(graph, sf_clip_build(graph, config, ids, compute), SF_F32);
    sf_output(graph, "embeddings", hidden);
    sf_stage_add_check(graph, hidden);
    return sf_graph_status(graph);
}

static sf_status feed(void *user, sf_plan *plan) {
    const sf_drawing *drawing = user;
    return sf_plan_write(plan, 0, drawing->ids, sf_spec_bytes(&drawing->text));
}

void sf_text_stage_init(sf_drawing *drawing) {
    drawing->text_stage.name = "text";
    drawing->text_stage.build = build;
    drawing->text_stage.feed = feed;
    drawing->text_stage.weights = drawing->pipeline->text_encoder->weights;
}

/* What a model whose parts do not fit would come to: on a device an op can't fail because of an id. */
static sf_status check_ids(const sf_drawing *drawing) {
    const sf_clip_config *config = drawing->pipeline->text_encoder->config;
    const int64_t *ids = drawing->ids;
    for (int64_t i = 0; i < drawing->text.dims[0] * drawing->text.dims[1]; i++)
        if (ids[i] < 0 || ids[i] >= config->vocab_size)
            SF_FAIL(drawing->ctx, ERROR_FORMAT,
                    "stage text: the tokenizer gives the id %lld; the text encoder's vocab_size is "
                    "%lld",
                    (long long)ids[i], (long long)config->vocab_size);
    return SF_OK;
}

static sf_status tokenize(sf_drawing *drawing) {
    const char *const texts[] = {drawing->options.negative_prompt, drawing->options.prompt};
    int64_t length = drawing->text.dims[1];
    int64_t *ids = drawing->ids;
    for (int i = drawing->guided ? 0 : 1; i < 2; i++, ids += length) {
        int n_used;
        SF_TRY(sf_tokenizer_encode(drawing->pipeline->tokenizer, texts[i], 1, ids, &n_used));
    }
    return SF_OK;
}

sf_status sf_text_stage_run(sf_drawing *drawing) {
    SF_TRY(tokenize(drawing));
    SF_TRY(check_ids(drawing));
    SF_TRY(sf_stage_run(&drawing->text_stage, 0, 0));
    sf_plan *plan = drawing->text_stage.plan;
    sf_status status = sf_plan_read(plan, sf_plan_find_output(plan, "embeddings"),
                                    drawing->embeddings, drawing->embeddings_bytes);
    sf_stage_clear(&drawing->text_stage); /* it runs once a drawing */
    return status;
}

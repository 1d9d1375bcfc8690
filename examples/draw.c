/*
 * Draws a picture from a text: the shortest whole program.
 *
 *   cc draw.c $(pkg-config --cflags --libs sfumato) -o draw
 *   ./draw "a red apple" apple.png
 */
#include <sfumato.h>
#include <stdio.h>

static int show_progress(void *user, const sf_progress *progress) {
    (void)user;
    fprintf(stderr, "\r%s %d/%d   ", progress->stage, progress->step, progress->n_steps);
    return 0; /* another number would cancel */
}

int main(int argc, char **argv) {
    sf_context_options context_options;
    sf_generate_options options;
    sf_context *context = NULL;
    sf_pipeline *pipeline = NULL;
    sf_image *image = NULL;
    char *folder = NULL;

    sf_context_options_init(&context_options);
    context_options.progress = show_progress;
    if (sf_context_new(&context_options, &context) != SF_OK)
        return 1;

    sf_generate_options_init(&options);
    options.prompt = argc > 1 ? argv[1] : "a red apple";
    options.seed = 42;
    int failed = sf_find_model(context, NULL, &folder) != SF_OK ||
                 sf_pipeline_load(context, folder, &pipeline) != SF_OK ||
                 sf_pipeline_generate(pipeline, &options, &image) != SF_OK ||
                 sf_image_save(image, argc > 2 ? argv[2] : "picture.png") != SF_OK;
    fprintf(stderr, "\n%s", failed ? sf_error_message(context) : "");

    sf_image_free(image);
    sf_pipeline_free(pipeline);
    sf_text_free(context, folder);
    sf_context_free(context);
    return failed;
}

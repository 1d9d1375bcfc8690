/*
 * Draws several texts with one pipeline and puts them on one contact sheet.
 *
 *   cc sheet.c $(pkg-config --cflags --libs sfumato) -o sheet
 *   ./sheet sheet.png "a red apple" "cat face" rocket
 */
#include <sfumato.h>
#include <stdio.h>

#define MOST 64

int main(int argc, char **argv) {
    sf_context *context = NULL;
    sf_pipeline *pipeline = NULL;
    sf_generate_options options;
    sf_image *images[MOST] = {NULL}, *sheet = NULL;
    char *folder = NULL;
    int n = 0;

    if (argc < 3 || argc - 2 > MOST) {
        fprintf(stderr, "usage: sheet FILE PROMPT...   (at most %d)\n", MOST);
        return 2;
    }
    if (sf_context_new(NULL, &context) != SF_OK)
        return 1;
    sf_generate_options_init(&options);
    sf_status status = sf_find_model(context, NULL, &folder);
    if (status == SF_OK)
        status = sf_pipeline_load(context, folder, &pipeline);
    while (status == SF_OK && n < argc - 2) {
        options.prompt = argv[2 + n];
        status = sf_pipeline_generate(pipeline, &options, &images[n++]);
    }
    if (status == SF_OK)
        status = sf_image_contact_sheet(context, (const sf_image *const *)images, n, 0, 4, &sheet);
    if (status == SF_OK)
        status = sf_image_save(sheet, argv[1]);
    if (status != SF_OK)
        fprintf(stderr, "%s\n", sf_error_message(context));

    sf_image_free(sheet);
    for (int i = 0; i < n; i++)
        sf_image_free(images[i]);
    sf_pipeline_free(pipeline);
    sf_text_free(context, folder);
    sf_context_free(context);
    return status != SF_OK;
}

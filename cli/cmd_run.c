/*
 * `sfumato run`: one component of a model on given tensors.
 */
#include <stdio.h>

#include "cli/model.h"
#include "cli/session.h"

typedef struct values {
    session_options session;
    const char *model, *component, *input, *output;
} values;

static const option_spec options[] = {
    {"model", 'm', OPTION_TEXT, "FOLDER", "model folder, or the component's own",
     offsetof(values, model), 0, 0},
    {"component", 'c', OPTION_TEXT, "NAME", "unet, vae_decoder, vae_encoder, text_encoder, ...",
     offsetof(values, component), 0, 0},
    {"input", 'i', OPTION_TEXT, "FILE", "safetensors file with the inputs", offsetof(values, input),
     0, 0},
    {"output", 'o', OPTION_TEXT, "FILE", "safetensors file for the outputs",
     offsetof(values, output), 0, 0},
    MEMORY_OPTIONS(values),
    SESSION_OPTIONS(values),
    {0},
};

static int run(int argc, char **argv);

const cli_command command_run = {
    .name = "run",
    .summary = "run one component of a model on given tensors",
    .usage = "",
    .about = "Reads tensors, runs one component once and writes its outputs. Names and shapes are "
             "those\n"
             "of the matching diffusers or transformers module, N,C,H,W.",
    .examples = "  sfumato run --model ~/sd15 --component unet --input in.safetensors \\\n"
                "      --output out.safetensors\n",
    .options = options,
    .run = run,
};

static int run_component(sf_context *context, const char *folder, const values *given) {
    sf_component *component = NULL;
    sf_tensors *inputs = NULL, *outputs = NULL;
    int status = EXIT_DONE;
    if (sf_tensors_load(context, given->input, &inputs) != SF_OK ||
        sf_component_load(context, folder, given->component, &component) != SF_OK ||
        sf_component_run(component, inputs, &outputs) != SF_OK ||
        sf_tensors_save(outputs, given->output) != SF_OK)
        status = session_failed(context);
    sf_tensors_free(outputs);
    sf_component_free(component);
    sf_tensors_free(inputs);
    return status;
}

static int run(int argc, char **argv) {
    values given = {0};
    int first;
    int status = options_parse(&command_run, argc, argv, &given, &first);
    if (status >= 0)
        return status;
    if (first < argc)
        return usage_error(&command_run, "unexpected argument \"%s\"", argv[first]);
    if (!given.component || !given.input || !given.output)
        return usage_error(&command_run, "needs --component, --input and --output");
    sf_context *context = session_open(&given.session);
    if (!context)
        return EXIT_FAILED;
    char *folder = find_model(context, given.model);
    status = folder ? run_component(context, folder, &given) : EXIT_FAILED;
    sf_text_free(context, folder);
    session_close(context);
    return status;
}

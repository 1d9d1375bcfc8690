/*
 * `sfumato sample`: one sampler on recorded model outputs.
 */
#include <math.h>
#include <stdio.h>

#include "cli/session.h"

typedef struct values {
    session_options session;
    const char *scheduler, *sampler, *schedule, *input, *output;
    int steps;
    float eta, mu;
    cli_numbers timesteps, sigmas;
} values;

static const option_spec options[] = {
    {"scheduler", 0, OPTION_TEXT, "FILE", "diffusers' scheduler_config.json",
     offsetof(values, scheduler), 0, 0},
    {"steps", 's', OPTION_INT, "N", "number of inference steps", offsetof(values, steps), 1,
     100000},
    {"sampler", 0, OPTION_TEXT, "NAME", "another sampler than the file's",
     offsetof(values, sampler), 0, 0},
    {"schedule", 0, OPTION_TEXT, "NAME", "another sigma schedule than the file's",
     offsetof(values, schedule), 0, 0},
    {"eta", 0, OPTION_FLOAT, "X", "DDIM's eta, TCD's gamma", offsetof(values, eta), 0, 1},
    {"mu", 0, OPTION_FLOAT, "X", "shift of flow matching with use_dynamic_shifting",
     offsetof(values, mu), -100, 100},
    {"timesteps", 0, OPTION_NUMBERS, "LIST", "the run's own timesteps, as 999,750,500,250",
     offsetof(values, timesteps), 0, 0},
    {"sigmas", 0, OPTION_NUMBERS, "LIST", "the run's own noise levels, as 14.6,3.1,0.4,0",
     offsetof(values, sigmas), 0, 0},
    {"input", 'i', OPTION_TEXT, "FILE", "safetensors: noise, model_output.K, step_noise.K",
     offsetof(values, input), 0, 0},
    {"output", 'o', OPTION_TEXT, "FILE", "safetensors: timesteps, sigmas, model_input.K, sample.K",
     offsetof(values, output), 0, 0},
    SESSION_OPTIONS(values),
    {0},
};

static int run(int argc, char **argv);

const cli_command command_sample = {
    .name = "sample",
    .summary = "run one sampler on recorded model outputs",
    .usage = "",
    .about =
        "Runs a sampler without a model: what the model would have answered is read from a file.\n"
        "So every sampler can be compared with any other program's.",
    .examples = "  sfumato sample --scheduler scheduler_config.json --steps 20 \\\n"
                "      --input in.safetensors --output out.safetensors\n"
                "  sfumato sample --scheduler flux/scheduler_config.json --steps 4 --mu 1.15 \\\n"
                "      --input in.safetensors --output out.safetensors\n",
    .options = options,
    .run = run,
};

static int replay(sf_context *context, const values *given) {
    sf_tensors *inputs = NULL, *outputs = NULL;
    sf_replay_options options_;
    int status = EXIT_DONE;
    sf_replay_options_init(&options_);
    options_.config = given->scheduler;
    options_.sampler = given->sampler;
    options_.schedule = given->schedule;
    options_.steps = given->steps;
    options_.eta = given->eta;
    options_.mu = given->mu;
    options_.timesteps = given->timesteps.count ? given->timesteps.values : NULL;
    options_.n_timesteps = given->timesteps.count;
    options_.sigmas = given->sigmas.count ? given->sigmas.values : NULL;
    options_.n_sigmas = given->sigmas.count;
    if (sf_tensors_load(context, given->input, &inputs) != SF_OK ||
        sf_sampler_replay(context, &options_, inputs, &outputs) != SF_OK ||
        sf_tensors_save(outputs, given->output) != SF_OK)
        status = session_failed(context);
    sf_tensors_free(outputs);
    sf_tensors_free(inputs);
    return status;
}

static int run(int argc, char **argv) {
    values given = {.eta = -1, .mu = NAN};
    int first;
    int status = options_parse(&command_sample, argc, argv, &given, &first);
    if (status >= 0)
        return status;
    if (first < argc)
        return usage_error(&command_sample, "unexpected argument \"%s\"", argv[first]);
    bool counted = given.steps || given.timesteps.count || given.sigmas.count;
    if (!given.scheduler || !given.input || !given.output || !counted)
        return usage_error(&command_sample, "needs --scheduler, --steps, --input and --output");
    sf_context *context = session_open(&given.session);
    if (!context)
        return EXIT_FAILED;
    status = replay(context, &given);
    session_close(context);
    return status;
}

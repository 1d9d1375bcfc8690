/*
 * `sfumato generate`: a text to PNG files.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/describe.h"
#include "cli/model.h"
#include "cli/output_name.h"
#include "cli/progress.h"
#include "cli/session.h"

typedef struct values {
    session_options session;
    const char *model, *negative_prompt, *sampler, *schedule, *output, *preview, *from_image;
    const char *rng, *precision;
    int steps, width, height, batch;
    float guidance_scale, guidance_rescale, eta, mu;
    cli_numbers timesteps, sigmas;
    cli_seed seed;
    bool verify, dry_run, json;
    const char *prompt;
} values;

static const option_spec options[] = {
    {"model", 'm', OPTION_TEXT, "FOLDER", "model folder, or a shipped model's name",
     offsetof(values, model), 0, 0},
    {"negative-prompt", 'n', OPTION_TEXT, "TEXT", "what the picture should not be",
     offsetof(values, negative_prompt), 0, 0},
    {"steps", 's', OPTION_INT, "N", "sampling steps (default: the model's)",
     offsetof(values, steps), 1, 10000},
    {"sampler", 0, OPTION_TEXT, "NAME", "one of `sfumato samplers` (default: the model's)",
     offsetof(values, sampler), 0, 0},
    {"schedule", 0, OPTION_TEXT, "NAME", "sigma schedule, such as karras (default: the model's)",
     offsetof(values, schedule), 0, 0},
    {"cfg-scale", 'g', OPTION_FLOAT, "X", "guidance scale; 1 for none (default: the model's)",
     offsetof(values, guidance_scale), 0, 1000},
    {"guidance-rescale", 0, OPTION_FLOAT, "X", "against overexposure by guidance, 0 to 1 (0.7)",
     offsetof(values, guidance_rescale), 0, 1},
    {"eta", 0, OPTION_FLOAT, "X", "DDIM's noise, TCD's gamma, 0 to 1", offsetof(values, eta), 0, 1},
    {"mu", 0, OPTION_FLOAT, "X", "shift of flow matching with use_dynamic_shifting",
     offsetof(values, mu), -100, 100},
    {"timesteps", 0, OPTION_NUMBERS, "LIST", "the run's own timesteps, as 999,750,500,250",
     offsetof(values, timesteps), 0, 0},
    {"sigmas", 0, OPTION_NUMBERS, "LIST", "the run's own noise levels, as 14.6,3.1,0.4,0",
     offsetof(values, sigmas), 0, 0},
    {"seed", 'S', OPTION_SEED, "N", "0 to 2^64-1 or \"random\" (default 42)",
     offsetof(values, seed), 0, 0},
    {"width", 'W', OPTION_INT, "PIXELS", "default: the model's", offsetof(values, width), 1, 16384},
    {"height", 'H', OPTION_INT, "PIXELS", "default: the model's", offsetof(values, height), 1,
     16384},
    {"batch", 'N', OPTION_INT, "N", "pictures, with seeds SEED, SEED+1, ..., and a contact sheet",
     offsetof(values, batch), 1, 10000},
    {"output", 'o', OPTION_TEXT, "FILE", "PNG file (default: named after the prompt)",
     offsetof(values, output), 0, 0},
    {"preview", 0, OPTION_TEXT, "FILE", "PNG file that shows the picture after each step",
     offsetof(values, preview), 0, 0},
    {"rng", 0, OPTION_TEXT, "NAME", "torch (PyTorch on the CPU) or philox (on CUDA)",
     offsetof(values, rng), 0, 0},
    {"precision", 0, OPTION_TEXT, "TYPE", "of activations: f32, f16, bf16",
     offsetof(values, precision), 0, 0},
    {"from-image", 0, OPTION_TEXT, "FILE", "take all settings from a picture that Sfumato drew",
     offsetof(values, from_image), 0, 0},
    {"verify", 0, OPTION_FLAG, NULL, "with --from-image: draw again and compare, write nothing",
     offsetof(values, verify), 0, 0},
    {"dry-run", 0, OPTION_FLAG, NULL, "print what would be done, without loading weights",
     offsetof(values, dry_run), 0, 0},
    {"json", 0, OPTION_FLAG, NULL, "with --dry-run: as JSON", offsetof(values, json), 0, 0},
    MEMORY_OPTIONS(values),
    SESSION_OPTIONS(values),
    {0},
};

static int run(int argc, char **argv);

const cli_command command_generate = {
    .name = "generate",
    .summary = "draw a picture from a text",
    .usage = "PROMPT",
    .about = "Draws PROMPT with a diffusers model folder and writes a PNG file that carries its "
             "settings.\n"
             "The same seed gives the picture that diffusers draws.",
    .examples =
        "  sfumato generate \"a red apple\" --output apple.png\n"
        "  sfumato generate \"cat face\" --sampler euler --steps 20 --cfg-scale 4 --batch 9\n"
        "  sfumato generate --from-image apple.png --verify\n"
        "  sfumato generate \"a castle\" --model ~/sd15 --width 768 --dry-run\n",
    .options = options,
    .run = run,
};

/* ---- what is asked for ---- */

/* Levels or steps that are given replace the picture's levels, and the steps that it had. */
static void set_lists(const values *given, sf_generate_options *asked) {
    if (!given->timesteps.count && !given->sigmas.count && !given->steps)
        return;
    asked->timesteps = given->timesteps.count ? given->timesteps.values : NULL;
    asked->n_timesteps = given->timesteps.count;
    asked->sigmas = given->sigmas.count ? given->sigmas.values : NULL;
    asked->n_sigmas = given->sigmas.count;
    asked->steps = given->steps;
}

static sf_generate_options asked_options(const values *given, const sf_recipe *recipe) {
    sf_generate_options asked;
    sf_generate_options_init(&asked);
    if (recipe)
        asked = *sf_recipe_options(recipe);
    const struct {
        const char *given, **asked;
    } texts[] = {
        {given->prompt, &asked.prompt},   {given->negative_prompt, &asked.negative_prompt},
        {given->sampler, &asked.sampler}, {given->schedule, &asked.schedule},
        {given->rng, &asked.rng},         {given->precision, &asked.precision},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].given)
            *texts[i].asked = texts[i].given;
    asked.steps = given->steps ? given->steps : asked.steps;
    asked.width = given->width ? given->width : asked.width;
    asked.height = given->height ? given->height : asked.height;
    asked.batch = given->batch ? given->batch : 1;
    asked.guidance_scale =
        given->guidance_scale >= 0 ? given->guidance_scale : asked.guidance_scale;
    asked.eta = given->eta >= 0 ? given->eta : asked.eta;
    asked.guidance_rescale =
        given->guidance_rescale >= 0 ? given->guidance_rescale : asked.guidance_rescale;
    asked.mu = isnan(given->mu) ? asked.mu : given->mu;
    set_lists(given, &asked);
    asked.seed = given->seed.given ? given->seed.value : asked.seed;
    return asked;
}

/* ---- results ---- */

static int save(const sf_image *image, sf_context *context, char *path, bool quiet) {
    if (!path) {
        fprintf(stderr, "sfumato: out of memory\n");
        return EXIT_FAILED;
    }
    int status = EXIT_DONE;
    if (sf_image_save(image, path) != SF_OK)
        status = session_failed(context);
    else if (!quiet)
        fprintf(stderr, "%s\n", path);
    free(path);
    return status;
}

static int save_sheet(sf_context *context, sf_image **images, int n_images, char *path,
                      bool quiet) {
    sf_image *sheet = NULL;
    if (sf_image_contact_sheet(context, (const sf_image *const *)images, n_images, 0, 4, &sheet) !=
        SF_OK) {
        free(path);
        return session_failed(context);
    }
    int status = save(sheet, context, path, quiet);
    sf_image_free(sheet);
    return status;
}

static int save_all(sf_context *context, const values *given, const sf_generate_options *asked,
                    sf_image **images) {
    int status = EXIT_DONE;
    progress_clear();
    for (int i = 0; i < asked->batch && status == EXIT_DONE; i++) {
        bool alone = asked->batch == 1;
        uint64_t seed = asked->seed + (uint64_t)i;
        char suffix[32];
        snprintf(suffix, sizeof suffix, "-%" PRIu64, seed);
        char *path = output_name(given->output, asked->prompt, alone ? "" : suffix);
        status = save(images[i], context, path, given->session.quiet);
    }
    if (status == EXIT_DONE && asked->batch > 1)
        status =
            save_sheet(context, images, asked->batch,
                       output_name(given->output, asked->prompt, "-sheet"), given->session.quiet);
    return status;
}

/* How two pictures of one size differ. */
static int compare(const sf_image *wanted, const sf_image *drawn, bool quiet) {
    int width = sf_image_width(wanted), height = sf_image_height(wanted);
    if (sf_image_width(drawn) != width || sf_image_height(drawn) != height) {
        fprintf(stderr, "sfumato: the picture is %dx%d, drawn again it is %dx%d\n", width, height,
                sf_image_width(drawn), sf_image_height(drawn));
        return EXIT_FAILED;
    }
    size_t n_pixels = (size_t)width * (size_t)height, n_different = 0, n_far = 0;
    int largest = 0;
    const uint8_t *a = sf_image_pixels(wanted), *b = sf_image_pixels(drawn);
    for (size_t i = 0; i < n_pixels; i++) {
        int worst = 0;
        for (size_t c = 0; c < 3; c++)
            worst =
                abs(a[3 * i + c] - b[3 * i + c]) > worst ? abs(a[3 * i + c] - b[3 * i + c]) : worst;
        n_different += worst > 0;
        n_far += worst > 2;
        largest = worst > largest ? worst : largest;
    }
    bool agrees = (double)n_far <= 0.01 * (double)n_pixels;
    if (!quiet || !agrees)
        printf("%s: %zu of %zu pixels differ, %zu by more than 2/255, the largest by %d/255\n",
               !agrees       ? "different"
               : n_different ? "agrees"
                             : "identical",
               n_different, n_pixels, n_far, largest);
    return agrees ? finish_stdout() : EXIT_FAILED;
}

/* ---- the command ---- */

static void warn_of_other_model(sf_pipeline *pipeline, const sf_recipe *recipe) {
    const char *hash;
    if (!recipe || sf_pipeline_model_hash(pipeline, &hash) != SF_OK)
        return;
    if (strcmp(hash, sf_recipe_model_hash(recipe)) != 0)
        fprintf(
            stderr,
            "sfumato: warning: the picture was drawn with another model (hash %.10s, here %.10s)\n",
            sf_recipe_model_hash(recipe), hash);
}

static int draw(sf_context *context, const values *given, sf_pipeline *pipeline,
                const sf_generate_options *asked, const sf_image *original) {
    sf_image **images = calloc((size_t)asked->batch, sizeof(sf_image *));
    int status = EXIT_FAILED;
    if (!images)
        fprintf(stderr, "sfumato: out of memory\n");
    else if (sf_pipeline_generate(pipeline, asked, images) != SF_OK)
        status = session_failed(context);
    else if (given->verify)
        status = compare(original, images[0], given->session.quiet);
    else
        status = save_all(context, given, asked, images);
    for (int i = 0; images && i < asked->batch; i++)
        sf_image_free(images[i]);
    free(images);
    return status;
}

static int print_plan(sf_context *context, sf_pipeline *pipeline, const sf_generate_options *asked,
                      bool as_json) {
    char *json = NULL;
    if (sf_pipeline_describe(pipeline, asked, &json) != SF_OK)
        return session_failed(context);
    if (as_json)
        printf("%s\n", json);
    else
        describe_plan(json);
    sf_text_free(context, json);
    return finish_stdout();
}

static int generate(sf_context *context, const values *given, const sf_recipe *recipe,
                    const sf_image *original) {
    sf_generate_options asked = asked_options(given, recipe);
    char *folder =
        find_model(context, given->model || !recipe ? given->model : sf_recipe_model(recipe));
    sf_pipeline *pipeline = NULL;
    int status = EXIT_FAILED;
    if (!folder)
        return EXIT_FAILED;
    if (sf_pipeline_load(context, folder, &pipeline) != SF_OK) {
        status = session_failed(context);
    } else if (given->dry_run) {
        status = print_plan(context, pipeline, &asked, given->json);
    } else {
        warn_of_other_model(pipeline, recipe);
        status = draw(context, given, pipeline, &asked, original);
    }
    sf_pipeline_free(pipeline);
    sf_text_free(context, folder);
    return status;
}

static int run_in_context(sf_context *context, const values *given) {
    sf_image *original = NULL;
    sf_recipe *recipe = NULL;
    int status;
    if (given->from_image && (sf_image_load(context, given->from_image, &original) != SF_OK ||
                              sf_recipe_read(context, original, &recipe) != SF_OK))
        status = session_failed(context);
    else
        status = generate(context, given, recipe, original);
    sf_recipe_free(recipe);
    sf_image_free(original);
    return status;
}

static int run(int argc, char **argv) {
    values given = {.guidance_scale = -1, .guidance_rescale = -1, .eta = -1, .mu = NAN};
    int first;
    int status = options_parse(&command_generate, argc, argv, &given, &first);
    if (status >= 0)
        return status;
    if (argc - first > 1)
        return usage_error(&command_generate, "one PROMPT, in quotes, not %d", argc - first);
    if (argc - first == 1)
        given.prompt = argv[first];
    if (!given.prompt && !given.from_image)
        return usage_error(&command_generate, "needs a PROMPT");
    if (given.verify && (!given.from_image || given.batch > 1))
        return usage_error(&command_generate, "--verify goes with --from-image and one picture");
    session_set_preview(given.preview);
    sf_context *context = session_open(&given.session);
    if (!context)
        return EXIT_FAILED;
    status = run_in_context(context, &given);
    session_close(context);
    return status;
}

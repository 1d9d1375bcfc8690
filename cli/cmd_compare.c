/*
 * `sfumato compare`: one picture by many samplers and numbers of steps, and how far each is from the
 * picture of very many steps.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/caption.h"
#include "cli/comparison.h"
#include "cli/model.h"
#include "cli/progress.h"
#include "cli/session.h"

#define GAP 4 /* pixels between the pictures of the sheet */

typedef struct values {
    session_options session;
    const char *model, *negative_prompt, *samplers, *schedule, *folder, *rng, *precision;
    const char *reference_sampler, *prompt;
    cli_numbers steps;
    int reference_steps, width, height;
    float guidance_scale, eta;
    cli_seed seed;
} values;

static const option_spec options[] = {
    {"model", 'm', OPTION_TEXT, "FOLDER", "model folder, or a shipped model's name",
     offsetof(values, model), 0, 0},
    {"samplers", 0, OPTION_TEXT, "LIST", "names with ',' between (default: all for diffusion)",
     offsetof(values, samplers), 0, 0},
    {"steps", 's', OPTION_NUMBERS, "LIST", "numbers of steps (default: 5,10,20,50)",
     offsetof(values, steps), 0, 0},
    {"schedule", 0, OPTION_TEXT, "NAME", "sigma schedule of those that have it",
     offsetof(values, schedule), 0, 0},
    {"reference-sampler", 0, OPTION_TEXT, "NAME", "of the picture that is the measure (ddim)",
     offsetof(values, reference_sampler), 0, 0},
    {"reference-steps", 0, OPTION_INT, "N", "its steps (999)", offsetof(values, reference_steps), 1,
     10000},
    {"output-dir", 'o', OPTION_TEXT, "DIR", "where sheet.png, distances.csv, .svg go (.)",
     offsetof(values, folder), 0, 0},
    {"negative-prompt", 'n', OPTION_TEXT, "TEXT", "what the picture should not be",
     offsetof(values, negative_prompt), 0, 0},
    {"cfg-scale", 'g', OPTION_FLOAT, "X", "guidance scale; 1 for none (default: the model's)",
     offsetof(values, guidance_scale), 0, 1000},
    {"eta", 0, OPTION_FLOAT, "X", "of samplers that have it, 0 to 1", offsetof(values, eta), 0, 1},
    {"seed", 'S', OPTION_SEED, "N", "0 to 2^64-1 or \"random\" (default 42)",
     offsetof(values, seed), 0, 0},
    {"width", 'W', OPTION_INT, "PIXELS", "default: the model's", offsetof(values, width), 1, 16384},
    {"height", 'H', OPTION_INT, "PIXELS", "default: the model's", offsetof(values, height), 1,
     16384},
    {"rng", 0, OPTION_TEXT, "NAME", "torch (PyTorch on the CPU) or philox (on CUDA)",
     offsetof(values, rng), 0, 0},
    {"precision", 0, OPTION_TEXT, "TYPE", "of activations: f32, f16, bf16",
     offsetof(values, precision), 0, 0},
    MEMORY_OPTIONS(values),
    SESSION_OPTIONS(values),
    {0},
};

static int run(int argc, char **argv);

const cli_command command_compare = {
    .name = "compare",
    .summary = "draw one picture by many samplers and numbers of steps",
    .usage = "PROMPT",
    .about =
        "Draws PROMPT from one seed by each sampler with each number of steps, and says how far "
        "each\n"
        "picture is from that of very many steps. Writes DIR/sheet.png (a sampler a row, steps "
        "from\n"
        "left to right; of one number of steps, samplers from left to right in a square),\n"
        "DIR/reference.png, DIR/distances.csv (row, column, sampler, steps, rms over the pixels "
        "in\n"
        "1/255, seconds) and DIR/distances.svg, a plot of them. Samplers that draw noise lead to\n"
        "another picture, so their distance does not go to 0.",
    .examples = "  sfumato compare \"a red apple\" --output-dir apple\n"
                "  sfumato compare \"cat face\" --model ~/sd15 --samplers ddim,euler \\\n"
                "      --steps 5,10,20 --reference-steps 200 --output-dir cat\n",
    .options = options,
    .run = run,
};

/* ---- what is asked for ---- */

/* The samplers for diffusion models, where none are named. */
static void list_all(comparison *found) {
    int n;
    const sf_sampler_info *const *list = sf_sampler_list(&n);
    for (int i = 0; i < n && found->n_samplers < COMPARISON_MOST; i++)
        if (list[i]->kind == SF_SAMPLER_DIFFUSION)
            found->samplers[found->n_samplers++] = list[i]->name;
}

/* Splits names, in place. */
static int list_samplers(comparison *found, char *names) {
    for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
        if (found->n_samplers == COMPARISON_MOST)
            return usage_error(&command_compare, "--samplers: more than %d", COMPARISON_MOST);
        found->samplers[found->n_samplers++] = name;
    }
    return found->n_samplers ? -1 : usage_error(&command_compare, "--samplers names none");
}

static int list_steps(comparison *found, const cli_numbers *steps) {
    static const int standard[] = {5, 10, 20, 50};
    found->n_steps = steps->count ? steps->count : 4;
    if (found->n_steps > COMPARISON_MOST)
        return usage_error(&command_compare, "--steps: more than %d", COMPARISON_MOST);
    for (int k = 0; k < found->n_steps; k++) {
        double n = steps->count ? steps->values[k] : standard[k];
        if (!(n >= 1 && n <= 10000) || n != (int)n)
            return usage_error(&command_compare, "--steps %g: must be whole, from 1 to 10000", n);
        found->steps[k] = (int)n;
    }
    return -1;
}

/* Of the sheet: the numbers of steps, or of one number such that the sheet is nearly square. */
static int columns_of(const comparison *found) {
    int columns = 1;
    while (found->n_steps == 1 && columns * columns < found->n_samplers)
        columns++;
    return found->n_steps > 1 ? found->n_steps : columns;
}

static sf_generate_options asked_options(const values *given, const char *sampler, int steps) {
    sf_generate_options asked;
    sf_generate_options_init(&asked);
    asked.prompt = given->prompt;
    asked.negative_prompt = given->negative_prompt;
    asked.sampler = sampler;
    asked.schedule = given->schedule;
    asked.steps = steps;
    asked.guidance_scale = given->guidance_scale;
    asked.eta = given->eta;
    asked.seed = given->seed.given ? given->seed.value : asked.seed;
    asked.width = given->width;
    asked.height = given->height;
    asked.rng = given->rng;
    asked.precision = given->precision;
    return asked;
}

/* ---- drawing ---- */

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Samplers without eta or without the schedule are drawn without: a comparison is of what there is. */
static sf_status draw(sf_pipeline *pipeline, sf_generate_options *asked, sf_image **image) {
    for (;;) {
        sf_status status = sf_pipeline_generate(pipeline, asked, image);
        if (status == SF_ERROR_NOT_FOUND && asked->schedule)
            asked->schedule = NULL;
        else if (status == SF_ERROR_ARGUMENT && asked->eta > 0)
            asked->eta = 0;
        else
            return status;
    }
}

/* A picture that can't be drawn so is a cell with a reason; only an interruption ends the run. */
static sf_status draw_cell(sf_context *context, sf_pipeline *pipeline, const values *given,
                           const comparison *found, int i, int k, const sf_image *reference) {
    comparison_cell *cell = comparison_at(found, i, k);
    sf_generate_options asked = asked_options(given, found->samplers[i], found->steps[k]);
    double begin = now();
    sf_status status = draw(pipeline, &asked, &cell->image);
    cell->seconds = now() - begin;
    progress_clear();
    if (status == SF_ERROR_CANCELLED || status == SF_ERROR_NOT_FOUND || status == SF_ERROR_MEMORY)
        return status;
    if (status != SF_OK)
        snprintf(cell->reason, sizeof cell->reason, "%s", sf_error_message(context));
    else
        cell->distance = comparison_distance(cell->image, reference);
    if (!given->session.quiet && status == SF_OK)
        fprintf(stderr, "%s, %d steps: rms %.2f/255\n", found->samplers[i], found->steps[k],
                cell->distance);
    else if (!given->session.quiet)
        fprintf(stderr, "%s, %d steps: %s\n", found->samplers[i], found->steps[k], cell->reason);
    return SF_OK;
}

/* The sampler, and the number of steps where there are several. */
static void caption_of(const comparison *found, int cell, char *text, size_t size) {
    int i = cell / found->n_steps, k = cell % found->n_steps;
    if (found->n_steps == 1)
        snprintf(text, size, "%s", found->samplers[i]);
    else
        snprintf(text, size, "%s %d", found->samplers[i], found->steps[k]);
}

/* Lines that the longest caption takes. */
static int lines_of_captions(const comparison *found, int n, int width) {
    char text[96];
    int most = 0;
    for (int cell = 0; cell < n; cell++) {
        caption_of(found, cell, text, sizeof text);
        int lines = caption_lines(text, width);
        most = lines > most ? lines : most;
    }
    return most;
}

/* A white picture stands for one that could not be drawn. */
static sf_status make_blank(sf_context *context, const sf_image *like, sf_image **blank) {
    sf_status status = sf_image_new(context, sf_image_width(like), sf_image_height(like), blank);
    if (status != SF_OK)
        return status;
    size_t bytes = 3 * (size_t)sf_image_width(like) * (size_t)sf_image_height(like);
    memset(sf_image_pixels(*blank), 255, bytes);
    return SF_OK;
}

/* images [n] with captions; the caller frees those that were made. */
static sf_status caption_cells(sf_context *context, const comparison *found, int n,
                               const sf_image *blank, sf_image **images) {
    int n_lines = lines_of_captions(found, n, sf_image_width(blank));
    sf_status status = SF_OK;
    for (int cell = 0; cell < n && status == SF_OK; cell++) {
        char text[96];
        const sf_image *drawn = found->cells[cell].image;
        caption_of(found, cell, text, sizeof text);
        status = caption_image(context, drawn ? drawn : blank, text, n_lines, &images[cell]);
    }
    return status;
}

static sf_status make_sheet(sf_context *context, const comparison *found, const sf_image *reference,
                            sf_image **sheet) {
    int n = found->n_samplers * found->n_steps;
    sf_image **images = calloc((size_t)n, sizeof *images);
    sf_image *blank = NULL;
    if (!images)
        return SF_ERROR_MEMORY;
    sf_status status = make_blank(context, reference, &blank);
    if (status == SF_OK)
        status = caption_cells(context, found, n, blank, images);
    if (status == SF_OK)
        status = sf_image_contact_sheet(context, (const sf_image *const *)images, n,
                                        found->n_columns, GAP, sheet);
    for (int cell = 0; cell < n; cell++)
        sf_image_free(images[cell]);
    sf_image_free(blank);
    free(images);
    return status;
}

/* DIR/name; one at a time. */
static const char *path_in(const values *given, const char *name) {
    static char path[4000];
    snprintf(path, sizeof path, "%s/%s", given->folder ? given->folder : ".", name);
    return path;
}

static int save(sf_context *context, const values *given, const comparison *found,
                const sf_image *reference) {
    sf_image *sheet = NULL;
    int status = EXIT_DONE;
    if (make_sheet(context, found, reference, &sheet) != SF_OK ||
        sf_image_save(sheet, path_in(given, "sheet.png")) != SF_OK ||
        sf_image_save(reference, path_in(given, "reference.png")) != SF_OK)
        status = session_failed(context);
    else if (!comparison_write_table(found, path_in(given, "distances.csv")) ||
             !comparison_write_plot(found, path_in(given, "distances.svg")))
        status = EXIT_FAILED;
    sf_image_free(sheet);
    return status;
}

static int compare(sf_context *context, sf_pipeline *pipeline, const values *given,
                   comparison *found) {
    char words[96];
    sf_image *reference = NULL;
    sf_generate_options asked =
        asked_options(given, given->reference_sampler, given->reference_steps);
    asked.eta = 0;
    snprintf(words, sizeof words, "%.60s, %d steps", asked.sampler, asked.steps);
    found->reference = words;
    sf_status drawn = draw(pipeline, &asked, &reference);
    for (int i = 0; i < found->n_samplers && drawn == SF_OK; i++)
        for (int k = 0; k < found->n_steps && drawn == SF_OK; k++)
            drawn = draw_cell(context, pipeline, given, found, i, k, reference);
    int status = drawn == SF_OK ? save(context, given, found, reference) : session_failed(context);
    sf_image_free(reference);
    found->reference = NULL;
    return status;
}

/* A schedule that no sampler has would otherwise be left out of all pictures. */
static bool is_schedule(const char *name) {
    int n;
    const sf_schedule_info *const *list = sf_schedule_list(&n);
    for (int i = 0; i < n; i++)
        if (strcasecmp(name, list[i]->name) == 0)
            return true;
    return false;
}

/* Names an unknown sampler, and makes the folder, before any drawing. */
static int prepare(sf_context *context, sf_pipeline *pipeline, const values *given,
                   const comparison *found) {
    for (int i = 0; i < found->n_samplers; i++) {
        sf_generate_options asked = asked_options(given, found->samplers[i], found->steps[0]);
        char *json = NULL;
        asked.schedule = NULL;
        if (sf_pipeline_describe(pipeline, &asked, &json) == SF_ERROR_NOT_FOUND)
            return session_failed(context);
        sf_text_free(context, json);
    }
    if (given->folder && mkdir(given->folder, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "sfumato: %s: %s\n", given->folder, strerror(errno));
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

static int run_in_context(sf_context *context, const values *given, comparison *found) {
    sf_pipeline *pipeline = NULL;
    char *folder = find_model(context, given->model);
    int status = EXIT_FAILED;
    if (!folder)
        return EXIT_FAILED;
    size_t n_cells = (size_t)found->n_samplers * (size_t)found->n_steps;
    found->cells = n_cells > 0 ? calloc(n_cells, sizeof *found->cells) : NULL;
    if (!found->cells)
        fprintf(stderr, "sfumato: out of memory\n");
    else if (sf_pipeline_load(context, folder, &pipeline) != SF_OK)
        status = session_failed(context);
    else if ((status = prepare(context, pipeline, given, found)) == EXIT_DONE)
        status = compare(context, pipeline, given, found);
    for (int i = 0; found->cells && i < found->n_samplers * found->n_steps; i++)
        sf_image_free(found->cells[i].image);
    free(found->cells);
    sf_pipeline_free(pipeline);
    sf_text_free(context, folder);
    return status;
}

static int run(int argc, char **argv) {
    /* 1000 steps of 1000 leave no room for a steps_offset. */
    static values given = {
        .guidance_scale = -1, .reference_sampler = "ddim", .reference_steps = 999};
    comparison found = {0};
    int first;
    int status = options_parse(&command_compare, argc, argv, &given, &first);
    if (status < 0 && argc - first != 1)
        status = usage_error(&command_compare, "one PROMPT, in quotes, not %d", argc - first);
    if (status < 0)
        status = list_steps(&found, &given.steps);
    if (status < 0 && given.schedule && !is_schedule(given.schedule))
        status = usage_error(&command_compare, "--schedule %s: none of `sfumato samplers`",
                             given.schedule);
    char *names = given.samplers ? strdup(given.samplers) : NULL;
    if (status < 0 && names)
        status = list_samplers(&found, names);
    else if (status < 0)
        list_all(&found);
    found.n_columns = columns_of(&found);
    sf_context *context = status < 0 ? session_open(&given.session) : NULL;
    if (context) {
        given.prompt = argv[first];
        status = run_in_context(context, &given, &found);
        session_close(context);
    }
    free(names);
    return status < 0 ? EXIT_FAILED : status;
}

/*
 * `sfumato bench`: times components of a model, or ops alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/describe.h"
#include "cli/model.h"
#include "cli/progress.h"
#include "cli/session.h"

typedef struct values {
    session_options session;
    const char *model, *component, *op, *precision, *weight_type, *roofline;
    cli_list inputs, attributes;
    int size, batch, repeat, warmup;
    bool ops, shapes, json;
} values;

static const option_spec options[] = {
    {"component", 'c', OPTION_TEXT, "NAME", "unet, vae_decoder, vae_encoder, text_encoder, ...",
     offsetof(values, component), 0, 0},
    {"model", 'm', OPTION_TEXT, "FOLDER", "model folder, or the component's own",
     offsetof(values, model), 0, 0},
    {"size", 0, OPTION_INT, "PIXELS", "a side of the picture (default: the model's)",
     offsetof(values, size), 1, 16384},
    {"batch", 'N', OPTION_INT, "N", "inputs at once (default 1)", offsetof(values, batch), 1, 4096},
    {"ops", 0, OPTION_FLAG, NULL, "also where the time goes, by kind of op", offsetof(values, ops),
     0, 0},
    {"shapes", 0, OPTION_FLAG, NULL, "the same by kind and shapes", offsetof(values, shapes), 0, 0},
    {"roofline", 0, OPTION_TEXT, "DEVICE",
     "run nothing: the time by a data sheet (rtx-4090, a100,launch=5u, peak=80T,bandwidth=1000G)",
     offsetof(values, roofline), 0, 0},
    {"op", 0, OPTION_TEXT, "NAME", "an op alone: conv2d, linear, attention, ...",
     offsetof(values, op), 0, 0},
    {"input", 'i', OPTION_LIST, "SHAPE",
     "of the op, once an input: 1x64x64x320, 320:f16, - (absent)", offsetof(values, inputs), 0, 0},
    {"attribute", 'a', OPTION_LIST, "NAME=X", "of the op: padding=1, stride=2x1, activation=silu",
     offsetof(values, attributes), 0, 0},
    {"dtype", 0, OPTION_TEXT, "TYPE", "of weights, with --op or --roofline: f32, f16, bf16",
     offsetof(values, weight_type), 0, 0},
    {"precision", 0, OPTION_TEXT, "TYPE", "of activations: f32, f16, bf16 (default f32)",
     offsetof(values, precision), 0, 0},
    {"repeat", 'r', OPTION_INT, "N", "timed runs (default 5)", offsetof(values, repeat), 1, 100000},
    {"warmup", 0, OPTION_INT, "N", "runs before them, after the first (default 1)",
     offsetof(values, warmup), 0, 100000},
    {"json", 0, OPTION_FLAG, NULL, "print JSON", offsetof(values, json), 0, 0},
    SESSION_OPTIONS(values),
    {0},
};

static int run(int argc, char **argv);

const cli_command command_bench = {
    .name = "bench",
    .summary = "time a component of a model, or an op",
    .usage = "",
    .about =
        "Times a component, or an op alone, on seeded random inputs. Speeds are of the median.\n"
        "\"flop\" counts a multiplication and an addition of convolutions, linear layers, matrix\n"
        "products and attention as two, as the formulas have them, whatever algorithm runs.\n"
        "Without --input, an op is timed in shapes that occur in Stable Diffusion 1.5; images are\n"
        "N,H,W,C, weights as files have them.\n"
        "\n"
        "--json, of a component: component, class, backend, precision, inputs {name: shape},\n"
        "  n_ops, n_fallback_ops, seconds {min, median, max, runs}, load_seconds, plan_seconds,\n"
        "  first_run_seconds, time_to_first_result_seconds (their sum), flop, gflop_per_s,\n"
        "  memory {weight_bytes, arena_bytes (activations), unshared_bytes, staging_bytes,\n"
        "  planned_peak_bytes, peak_resident_bytes (of the process)}, and with --ops or --shapes\n"
        "  ops [{op, n_steps, seconds, share, flop, gflop_per_s, bytes, gb_per_s}], from as many\n"
        "  runs again that are timed step by step; counters {n_launches, n_products,\n"
        "  n_synchronizations, n_allocations, n_builds, bytes_uploaded, bytes_downloaded} of one\n"
        "  run where the backend counts.\n"
        "--roofline runs nothing and needs neither weights nor the backend's device, only the\n"
        "  component's config.json and the plugin that --backend names. The time is the least "
        "that\n"
        "  a device of such a peak, bandwidth and cost of a launch (3u) takes, a step after the\n"
        "  other; --json gives it as roofline {device, seconds, share_bound_by, n_launches, flop,\n"
        "  f32_flop (at the peak in f32), bytes, ops} in place of what is measured.\n"
        "--json, of an op: op, backend, cases [{inputs, output, attributes, seconds,\n"
        "  plan_seconds, flop, gflop_per_s, bytes, gb_per_s, lowered}], peak_resident_bytes.",
    .examples = "  sfumato bench --model ~/sd15 --component unet --size 512 --ops\n"
                "  sfumato bench --model ~/sd15 --component unet --backend cuda --precision f16 "
                "--roofline rtx-4090\n"
                "  sfumato bench --op conv2d\n"
                "  sfumato bench --op conv2d --input 1x64x64x640 --input 320x640x3x3 --attribute "
                "padding=1\n",
    .options = options,
    .run = run,
};

/* ---- memory ---- */

/* The most that was resident since the program began, not counting who started it; 0: not known. */
static json_int_t peak_resident_bytes(void) {
    char line[256];
    long long kilobytes = 0;
    struct rusage usage;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && !kilobytes && fgets(line, sizeof line, status))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kilobytes = strtoll(line + 6, NULL, 10);
    if (status)
        fclose(status);
    if (!kilobytes && getrusage(RUSAGE_SELF, &usage) == 0)
        kilobytes = usage.ru_maxrss;
    return (json_int_t)kilobytes * 1024;
}

static void add_peak(json_t *result) {
    json_t *memory = json_object_get(result, "memory");
    json_object_set_new(memory ? memory : result, "peak_resident_bytes",
                        json_integer(peak_resident_bytes()));
}

/* ---- the command ---- */

static sf_bench_options asked_options(const values *given) {
    sf_bench_options asked;
    sf_bench_options_init(&asked);
    asked.size = given->size;
    asked.batch = given->batch ? given->batch : asked.batch;
    asked.repeat = given->repeat ? given->repeat : asked.repeat;
    asked.warmup = given->warmup >= 0 ? given->warmup : asked.warmup;
    asked.precision = given->precision;
    asked.weight_type = given->weight_type;
    asked.per_op = given->shapes ? 2 : given->ops;
    asked.roofline = given->roofline;
    asked.inputs = given->inputs.items;
    asked.n_inputs = given->inputs.count;
    asked.attributes = given->attributes.items;
    asked.n_attributes = given->attributes.count;
    return asked;
}

static int print(const char *json, const values *given) {
    json_t *result = json_loads(json, 0, NULL);
    progress_clear();
    if (!result) {
        fprintf(stderr, "sfumato: out of memory\n");
        return EXIT_FAILED;
    }
    add_peak(result);
    if (given->json) {
        json_dumpf(result, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (given->roofline) {
        describe_bench_roofline(result);
    } else if (given->op) {
        describe_bench_op(result);
    } else {
        describe_bench_component(result);
    }
    json_decref(result);
    return finish_stdout();
}

static int measure(sf_context *context, const values *given) {
    const sf_bench_options asked = asked_options(given);
    char *json = NULL, *folder = given->op ? NULL : find_model(context, given->model);
    if (!given->op && !folder)
        return EXIT_FAILED;
    sf_status measured = given->op
                             ? sf_bench_op(context, given->op, &asked, &json)
                             : sf_bench_component(context, folder, given->component, &asked, &json);
    int status = measured == SF_OK ? print(json, given) : session_failed(context);
    sf_text_free(context, json);
    sf_text_free(context, folder);
    return status;
}

/* Which options go together. */
static int check_usage(const values *given) {
    static const char *const types[] = {"f32", "f16", "bf16"};
    const char *const asked[] = {given->precision, given->weight_type};
    if (!given->op == !given->component)
        return usage_error(&command_bench, "needs either --component or --op");
    if (given->op && (given->model || given->size || given->batch || given->ops || given->shapes ||
                      given->roofline))
        return usage_error(
            &command_bench,
            "--model, --size, --batch, --ops, --shapes and --roofline go with --component");
    if (!given->op && (given->inputs.count || given->attributes.count))
        return usage_error(&command_bench, "--input and --attribute go with --op");
    if (!given->op && !given->roofline && given->weight_type)
        return usage_error(&command_bench, "--dtype goes with --op or --roofline");
    if (given->attributes.count && !given->inputs.count)
        return usage_error(&command_bench, "--attribute goes with --input");
    for (int i = 0; i < 2; i++) {
        bool known = !asked[i];
        for (int t = 0; t < 3; t++)
            known = known || strcmp(asked[i], types[t]) == 0;
        if (!known)
            return usage_error(&command_bench, "%s %s: f32, f16 and bf16 are possible",
                               i ? "--dtype" : "--precision", asked[i]);
    }
    return -1;
}

static int run(int argc, char **argv) {
    values given = {.warmup = -1};
    int first;
    int status = options_parse(&command_bench, argc, argv, &given, &first);
    if (status >= 0)
        return status;
    if (first < argc)
        return usage_error(&command_bench, "unexpected argument \"%s\"", argv[first]);
    status = check_usage(&given);
    if (status >= 0)
        return status;
    sf_context *context = session_open(&given.session);
    if (!context)
        return EXIT_FAILED;
    status = measure(context, &given);
    session_close(context);
    return status;
}

/*
 * `sfumato samplers`: the lists of samplers and of schedules.
 */
#include <jansson.h>
#include <stdio.h>

#include "cli/session.h"

typedef struct values {
    bool json;
} values;

static const option_spec options[] = {
    {"json", 0, OPTION_FLAG, NULL, "print JSON", offsetof(values, json), 0, 0},
    {0},
};

static int run(int argc, char **argv);

const cli_command command_samplers = {
    .name = "samplers",
    .summary = "list the samplers and the schedules of noise levels",
    .usage = "",
    .about =
        "Lists the samplers: the models that each is for, its order of convergence, how often it\n"
        "asks the model in a step, whether it draws noise, and with how many steps it makes "
        "sense.\n"
        "Then the schedules (--schedule) of samplers that work on sigmas.",
    .examples = "  sfumato samplers\n  sfumato samplers --json\n",
    .options = options,
    .run = run,
};

static const char *kind_name(sf_sampler_kind kind) {
    static const char *const names[] = {"diffusion", "consistency", "flow",
                                        "edm",       "inversion",   "continuous"};
    return names[kind];
}

static int print_lines(void) {
    int n_samplers, n_schedules;
    const sf_sampler_info *const *samplers = sf_sampler_list(&n_samplers);
    const sf_schedule_info *const *schedules = sf_schedule_list(&n_schedules);
    printf("%-20s %-11s %5s %5s %-6s %-8s\n", "sampler", "models", "order", "calls", "noise",
           "steps");
    for (int i = 0; i < n_samplers; i++) {
        const sf_sampler_info *info = samplers[i];
        char steps[32] = "any";
        if (!info->adaptive)
            snprintf(steps, sizeof steps, "%d-%d", info->least_steps, info->most_steps);
        printf("%-20s %-11s %5d %5d %-6s %-8s %s: %s\n", info->name, kind_name(info->kind),
               info->order, info->evaluations_per_step, info->stochastic ? "yes" : "no", steps,
               info->title, info->description);
    }
    printf("\nschedule\n");
    for (int i = 0; i < n_schedules; i++)
        printf("%-20s %s: %s\n", schedules[i]->name, schedules[i]->title,
               schedules[i]->description);
    return finish_stdout();
}

static json_t *sampler_json(const sf_sampler_info *info) {
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:i, s:i, s:b}", "name", info->name,
                     "title", info->title, "class", info->class_name, "description",
                     info->description, "kind", kind_name(info->kind), "order", info->order,
                     "evaluations_per_step", info->evaluations_per_step, "stochastic",
                     info->stochastic, "least_steps", info->least_steps, "most_steps",
                     info->most_steps, "adaptive", info->adaptive);
}

static int print_json(void) {
    int n_samplers, n_schedules;
    const sf_sampler_info *const *samplers = sf_sampler_list(&n_samplers);
    const sf_schedule_info *const *schedules = sf_schedule_list(&n_schedules);
    json_t *sampler_list = json_array(), *schedule_list = json_array();
    for (int i = 0; i < n_samplers; i++)
        json_array_append_new(sampler_list, sampler_json(samplers[i]));
    for (int i = 0; i < n_schedules; i++)
        json_array_append_new(schedule_list,
                              json_pack("{s:s, s:s, s:s}", "name", schedules[i]->name, "title",
                                        schedules[i]->title, "description",
                                        schedules[i]->description));
    json_t *whole = json_pack("{s:o, s:o}", "samplers", sampler_list, "schedules", schedule_list);
    int failed = json_dumpf(whole, stdout, JSON_INDENT(2));
    json_decref(whole);
    putchar('\n');
    return failed ? EXIT_FAILED : finish_stdout();
}

static int run(int argc, char **argv) {
    values given = {0};
    int first;
    int status = options_parse(&command_samplers, argc, argv, &given, &first);
    if (status >= 0)
        return status;
    if (first < argc)
        return usage_error(&command_samplers, "unexpected argument \"%s\"", argv[first]);
    return given.json ? print_json() : print_lines();
}

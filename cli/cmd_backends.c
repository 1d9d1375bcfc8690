/*
 * `sfumato backends`: plugins and devices, usable or why not.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "cli/session.h"

typedef struct values {
    session_options session;
    bool json;
} values;

static const option_spec options[] = {
    {"json", 0, OPTION_FLAG, NULL, "print JSON", offsetof(values, json), 0, 0},
    SESSION_OPTIONS(values),
    {0},
};

static int run(int argc, char **argv);

const cli_command command_backends = {
    .name = "backends",
    .summary = "list the plugins and devices, usable or why not",
    .usage = "",
    .about = "Lists what can compute here: a line a plugin and device. The one marked * is what\n"
             "SFUMATO_BACKEND (or --backend) chooses.",
    .examples = "  sfumato backends\n  SFUMATO_BACKEND=reference sfumato backends --json\n",
    .options = options,
    .run = run,
};

static void print_line(const sf_backend_info *info) {
    printf("%c %-16s ", info->selected ? '*' : ' ', info->name);
    if (info->reason[0]) {
        printf("unusable: %s (%s)\n", info->reason, info->file);
        return;
    }
    printf("%s", info->device);
    if (info->memory_bytes)
        printf(", %.1f GiB", (double)info->memory_bytes / (double)(1 << 30));
    printf("%s%s, version %s (%s)\n", info->types[0] ? ", " : "", info->types, info->version,
           info->file);
}

static int print_json(const sf_backend_info *infos, int n_infos) {
    json_t *list = json_array();
    for (int i = 0; i < n_infos; i++) {
        const sf_backend_info *info = &infos[i];
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:I, s:i, s:b}", "name",
                            info->name, "file", info->file, "version", info->version, "usable",
                            info->reason[0] == '\0', "reason", info->reason, "device", info->device,
                            "types", info->types, "memory_bytes", (json_int_t)info->memory_bytes,
                            "priority", info->priority, "selected", info->selected));
    }
    int failed = json_dumpf(list, stdout, JSON_INDENT(2));
    json_decref(list);
    putchar('\n');
    return failed ? EXIT_FAILED : finish_stdout();
}

static int run(int argc, char **argv) {
    values given = {0};
    int first;
    int status = options_parse(&command_backends, argc, argv, &given, &first);
    if (status >= 0)
        return status;
    if (first < argc)
        return usage_error(&command_backends, "unexpected argument \"%s\"", argv[first]);

    sf_context *context = session_open(&given.session);
    if (!context)
        return EXIT_FAILED;
    const sf_backend_info *infos;
    int n_infos;
    sf_status chosen = sf_context_open_backend(context);
    char why[1024];
    snprintf(why, sizeof why, "%s", sf_error_message(context));
    if (sf_backend_list(context, &infos, &n_infos) != SF_OK) {
        status = session_failed(context);
    } else if (given.json) {
        status = print_json(infos, n_infos);
    } else {
        for (int i = 0; i < n_infos; i++)
            print_line(&infos[i]);
        status = finish_stdout();
    }
    if (chosen != SF_OK) {
        fprintf(stderr, "sfumato: %s\n", why);
        status = EXIT_FAILED;
    }
    session_close(context);
    return status;
}

/*
 * `sfumato inspect`: what a file or folder is.
 */
#include <stdio.h>

#include "cli/describe.h"
#include "cli/session.h"

typedef struct values {
    session_options session;
    bool json;
} values;

static const option_spec options[] = {
    {"json", 0, OPTION_FLAG, NULL, "print JSON", offsetof(values, json), 0, 0},
    {0},
};

static int run(int argc, char **argv);

const cli_command command_inspect = {
    .name = "inspect",
    .summary = "tell what a model folder, a weights file or a picture is",
    .usage = "FILE|FOLDER",
    .about = "Shows components, parameters, element types and metadata of a model folder, the "
             "tensors of\n"
             "a safetensors file, or the generation settings in a PNG picture. Reads no weights.",
    .examples = "  sfumato inspect ~/sd15\n  sfumato inspect apple.png --json\n",
    .options = options,
    .run = run,
};

static int run(int argc, char **argv) {
    values given = {0};
    int first;
    int status = options_parse(&command_inspect, argc, argv, &given, &first);
    if (status >= 0)
        return status;
    if (first + 1 != argc)
        return usage_error(&command_inspect, "needs one FILE or FOLDER");
    sf_context *context = session_open(&given.session);
    char *json = NULL;
    if (!context)
        return EXIT_FAILED;
    if (sf_inspect(context, argv[first], &json) != SF_OK) {
        status = session_failed(context);
    } else {
        if (given.json)
            printf("%s\n", json);
        else
            describe_any(json);
        status = finish_stdout();
    }
    sf_text_free(context, json);
    session_close(context);
    return status;
}

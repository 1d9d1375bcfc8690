/*
 * `sfumato tokenize`: a text's token ids as a JSON array.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/model.h"
#include "cli/session.h"

typedef struct values {
    session_options session;
    const char *model;
    bool no_padding;
} values;

static const option_spec options[] = {
    {"model", 'm', OPTION_TEXT, "FOLDER", "model or tokenizer folder, or a shipped model's name",
     offsetof(values, model), 0, 0},
    {"no-padding", 0, OPTION_FLAG, NULL, "end after the end token", offsetof(values, no_padding), 0,
     0},
    {0},
};

static int run(int argc, char **argv);

const cli_command command_tokenize = {
    .name = "tokenize",
    .summary = "print the token ids of a text",
    .usage = "TEXT",
    .about =
        "Prints the ids that the model's text encoder is given for TEXT, padded to the model's\n"
        "length, as a JSON array.",
    .examples = "  sfumato tokenize \"a red apple\"\n"
                "  sfumato tokenize --model ~/sd15 --no-padding \"a cat's hat\"\n",
    .options = options,
    .run = run,
};

static int print_ids(sf_context *context, const char *folder, const char *text, bool pad) {
    sf_tokenizer *tokenizer = NULL;
    int n_used = 0;
    if (sf_tokenizer_load(context, folder, &tokenizer) != SF_OK)
        return session_failed(context);
    int length = sf_tokenizer_max_length(tokenizer);
    int64_t *ids = calloc((size_t)length, sizeof *ids);
    int status = EXIT_FAILED;
    if (!ids) {
        fprintf(stderr, "sfumato: out of memory\n");
    } else if (sf_tokenizer_encode(tokenizer, text, pad, ids, &n_used) != SF_OK) {
        status = session_failed(context);
    } else {
        for (int i = 0; i < (pad ? length : n_used); i++)
            printf("%s%" PRId64, i ? ", " : "[", ids[i]);
        printf("]\n");
        status = finish_stdout();
    }
    free(ids);
    sf_tokenizer_free(tokenizer);
    return status;
}

static int run(int argc, char **argv) {
    values given = {0};
    int first;
    int status = options_parse(&command_tokenize, argc, argv, &given, &first);
    if (status >= 0)
        return status;
    if (first + 1 != argc)
        return usage_error(&command_tokenize, "needs one TEXT (in quotes)");
    sf_context *context = session_open(&given.session);
    if (!context)
        return EXIT_FAILED;
    char *folder = find_model(context, given.model);
    status = folder ? print_ids(context, folder, argv[first], !given.no_padding) : EXIT_FAILED;
    sf_text_free(context, folder);
    session_close(context);
    return status;
}

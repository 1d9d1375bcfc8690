/*
 * The generation parameters that stable-diffusion-webui puts into a picture's "parameters" text, so
 * that other tools read ours and we read theirs:
 *
 *     a red apple
 *     Negative prompt: blurry
 *     Steps: 20, Sampler: Euler, CFG scale: 7.5, Seed: 42, Size: 64x64, Version: sfumato 0.1.0
 *
 * The format is ambiguous (a prompt's line may begin with "Negative prompt:") and keeps no exact
 * whitespace; what must be repeated exactly goes into a text of its own. Reference:
 * create_infotext() in modules/processing.py and parse_generation_parameters() in
 * modules/infotext_utils.py of AUTOMATIC1111/stable-diffusion-webui. Letters are ASCII letters
 * and every byte past 127, blanks are ASCII blanks.
 */
#ifndef SF_CORE_IO_PARAMETERS_H
#define SF_CORE_IO_PARAMETERS_H

#include "core/context.h"

typedef struct sf_parameter {
    char *key; /* owned, as is value */
    char *value;
} sf_parameter;

/* Start with {.ctx = ctx}; NULL prompts are empty. All strings are owned. */
typedef struct sf_parameters {
    sf_context *ctx; /* borrowed */
    char *prompt;
    char *negative_prompt;
    sf_parameter *items; /* in the order in which they are written */
    size_t n_items;
    size_t capacity;
} sf_parameters;

void sf_parameters_clear(sf_parameters *parameters);

sf_status sf_parameters_set_prompts(sf_parameters *parameters, const char *prompt,
                                    const char *negative_prompt);

/* Adds a key, or replaces its value in its place. */
sf_status sf_parameters_set(sf_parameters *parameters, const char *key, const char *value);
sf_status sf_parameters_set_int(sf_parameters *parameters, const char *key, int64_t value);
sf_status sf_parameters_set_unsigned(sf_parameters *parameters, const char *key, uint64_t value);

/* The shortest form that reads back as value: 7.5, and 7 for 7.0 as webui shows it. */
sf_status sf_parameters_set_float(sf_parameters *parameters, const char *key, float value);

/* NULL: not there. Borrowed. */
const char *sf_parameters_get(const sf_parameters *parameters, const char *key);

/* The text; freed with sf_free(). Values with a comma, colon or newline are quoted as JSON strings.
 */
sf_status sf_parameters_write(const sf_parameters *parameters, char **text);

/* The most that are read from one text; webui writes some twenty. */
#define SF_PARAMETERS_MAX 1000

/*
 * Reads a text. Any text is one: where the last line has fewer than three parameters, all of it is
 * the prompt. *parameters must be cleared or new; it is filled only on success.
 */
sf_status sf_parameters_parse(const char *text, sf_parameters *parameters);

#endif

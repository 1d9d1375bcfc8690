/*
 * Which model folder a command means.
 */
#ifndef SF_CLI_MODEL_H
#define SF_CLI_MODEL_H

#include "sfumato.h"

/*
 * The folder for --model: `given` itself if it exists, else the shipped model of that name; NULL
 * means the default model. Freed with sf_text_free(). NULL with a line on stderr if there is none.
 */
char *find_model(sf_context *context, const char *given);

#endif

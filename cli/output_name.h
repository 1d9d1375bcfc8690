/*
 * Names of the files that `generate` writes.
 */
#ifndef SF_CLI_OUTPUT_NAME_H
#define SF_CLI_OUTPUT_NAME_H

/*
 * `output` with suffix before its ".png", or, where output is NULL, a name made of the prompt's
 * words: "a red apple" gives "a-red-apple.png". malloc'd; NULL without memory.
 */
char *output_name(const char *output, const char *prompt, const char *suffix);

#endif

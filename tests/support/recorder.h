/*
 * A context that remembers what its callbacks were told and can cancel from them.
 *
 *     static struct recorder recorder;
 *     sf_context *ctx = recorder_context(&recorder);
 */
#ifndef SF_TESTS_SUPPORT_RECORDER_H
#define SF_TESTS_SUPPORT_RECORDER_H

#include "sfumato.h"

#define RECORDER_CALLS 2048

struct recorder {
    /* Cancels in the n-th call, counted from 1; 0: never. */
    int cancel_progress_at, cancel_preview_at;

    struct recorded_call {
        char stage[16];
        int step, n_steps;
        double seconds;
    } calls[RECORDER_CALLS];
    int n_calls;

    struct recorded_preview {
        int step, n_steps, width, height;
    } previews[RECORDER_CALLS];
    int n_previews;

    char log[8192]; /* messages, a line each, "warning: " before it */
};

/* *recorder is emptied, but for the two numbers at its head. Freed with sf_context_free(). */
sf_context *recorder_context(struct recorder *recorder);

/* Forgets all calls; the numbers of the calls that cancel stay. */
void recorder_clear(struct recorder *recorder);

/* How many calls there were of a stage. */
int recorder_count(const struct recorder *recorder, const char *stage);

#endif

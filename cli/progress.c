/*
 * Drawing progress. See progress.h.
 */
#include "cli/progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH 30

static bool bar_is_shown;

void progress_clear(void) {
    if (bar_is_shown)
        fputs("\r\033[K", stderr);
    bar_is_shown = false;
}

/* "3.1 it/s" or, where a step takes long, "2.50 s/it". */
static void format_speed(const sf_progress *progress, char *text, size_t bytes) {
    if (progress->step == 0 || progress->seconds <= 0) {
        text[0] = '\0';
        return;
    }
    double rate = progress->step / progress->seconds;
    double left = (progress->n_steps - progress->step) / rate;
    if (rate >= 1)
        snprintf(text, bytes, "%.1f it/s, %.0f s left", rate, left);
    else
        snprintf(text, bytes, "%.2f s/it, %.0f s left", 1 / rate, left);
}

static void show_bar(const sf_progress *progress) {
    char bar[BAR_WIDTH + 1];
    char speed[64];
    int done = progress->n_steps > 0 ? progress->step * BAR_WIDTH / progress->n_steps : 0;
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)done);
    bar[BAR_WIDTH] = '\0';
    format_speed(progress, speed, sizeof speed);
    fprintf(stderr, "\r\033[K%-8s [%s] %d/%d  %s", progress->stage, bar, progress->step,
            progress->n_steps, speed);
    bar_is_shown = true;
}

void progress_show(const sf_progress *progress) {
    if (isatty(STDERR_FILENO)) {
        show_bar(progress);
        return;
    }
    /* Loading only maps files: a line on it would be noise before the one that matters. */
    if (progress->step == progress->n_steps && strcmp(progress->stage, "load") != 0)
        fprintf(stderr, "%s: %d/%d in %.2f s\n", progress->stage, progress->step, progress->n_steps,
                progress->seconds);
}

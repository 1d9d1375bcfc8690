/*
 * The context of a command, Ctrl-C and messages. The progress bar is in progress.c.
 */
#include "cli/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/progress.h"

static volatile sig_atomic_t interrupted;
static const char *preview_file;

/* The second Ctrl-C ends the program at once. */
static void on_interrupt(int signal_number) {
    interrupted = 1;
    signal(signal_number, SIG_DFL);
}

static void on_log(void *user, sf_log_level level, const char *message) {
    (void)user;
    static const char *const names[] = {"error", "warning", "info", "debug"};
    progress_clear();
    if (level <= SF_LOG_WARNING)
        fprintf(stderr, "sfumato: %s: %s\n", names[level], message);
    else
        fprintf(stderr, "sfumato: %s\n", message);
}

static int on_progress(void *user, const sf_progress *progress) {
    const session_options *options = user;
    if (!options->quiet)
        progress_show(progress);
    return interrupted;
}

static int on_preview(void *user, int step, int n_steps, const sf_image *image) {
    (void)user;
    (void)step;
    (void)n_steps;
    if (sf_image_save(image, preview_file) != SF_OK)
        fprintf(stderr, "sfumato: warning: the preview %s can't be written\n", preview_file);
    return interrupted;
}

void session_set_preview(const char *file) {
    preview_file = file;
}

sf_context *session_open(const session_options *options) {
    sf_context_options given;
    sf_context *context = NULL;
    sf_context_options_init(&given);
    given.log = on_log;
    given.log_level = options->verbose ? SF_LOG_INFO : SF_LOG_WARNING;
    given.progress = on_progress;
    given.preview = preview_file ? on_preview : NULL;
    given.user = (void *)options;
    given.backend = options->backend;
    given.plugin_path = options->plugin_path;
    given.strict = options->strict;
    given.max_memory = options->max_memory;
    given.offload = options->offload;
    given.max_device_memory = options->max_device_memory;
    sf_status status = sf_context_new(&given, &context);
    if (status != SF_OK) {
        fprintf(stderr, "sfumato: %s\n", sf_status_text(status));
        return NULL;
    }
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return context;
}

void session_close(sf_context *context) {
    progress_clear();
    sf_context_free(context);
}

int session_failed(const sf_context *context) {
    progress_clear();
    fprintf(stderr, "sfumato: %s\n", sf_error_message(context));
    return EXIT_FAILED;
}

int finish_stdout(void) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_DONE;
    fprintf(stderr, "sfumato: standard output: %s\n", strerror(errno));
    return EXIT_FAILED;
}

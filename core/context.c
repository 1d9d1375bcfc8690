/*
 * The context: options, error message, log and progress. See context.h.
 */
#include "core/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

#ifndef PACKAGE_VERSION
#error "PACKAGE_VERSION comes from configure"
#endif

const char *sf_version(void) {
    return PACKAGE_VERSION;
}

const char *sf_status_text(sf_status status) {
    switch (status) {
#define SF_STATUS_TEXT(name, value, text)                                                          \
    case SF_##name:                                                                                \
        return text;
        SF_STATUS_LIST(SF_STATUS_TEXT)
#undef SF_STATUS_TEXT
    }
    return "unknown status";
}

static void *resize_with_malloc(void *user, void *block, size_t bytes) {
    (void)user;
    if (bytes)
        return realloc(block, bytes);
    free(block);
    return NULL;
}

void sf_context_options_init(sf_context_options *options) {
    *options = (sf_context_options){
        .struct_size = sizeof *options,
        .log_level = SF_LOG_WARNING,
    };
}

static sf_status copy_text(sf_context *ctx, const char **text) {
    if (!*text)
        return SF_OK;
    *text = sf_strdup(ctx, *text);
    return *text ? SF_OK : SF_ERROR_MEMORY;
}

sf_status sf_context_new(const sf_context_options *options, sf_context **context) {
    sf_context_options given;
    sf_context_options_init(&given);
    if (options)
        memcpy(&given, options,
               options->struct_size < sizeof given ? options->struct_size : sizeof given);
    given.struct_size = sizeof given;
    bool uses_malloc = !given.allocator.resize;
    if (uses_malloc)
        given.allocator = (sf_allocator){.resize = resize_with_malloc};

    sf_context *ctx = given.allocator.resize(given.allocator.user, NULL, sizeof *ctx);
    if (!ctx)
        return SF_ERROR_MEMORY;
    memset(ctx, 0, sizeof *ctx);
    ctx->options = given;
    ctx->uses_malloc = uses_malloc;
    ctx->options.backend = ctx->options.plugin_path = NULL;

    if (copy_text(ctx, &given.backend) != SF_OK)
        goto failed;
    ctx->options.backend = given.backend;
    if (copy_text(ctx, &given.plugin_path) != SF_OK)
        goto failed;
    ctx->options.plugin_path = given.plugin_path;
    *context = ctx;
    return SF_OK;

failed:
    sf_context_free(ctx);
    return SF_ERROR_MEMORY;
}

void sf_context_free(sf_context *context) {
    if (!context)
        return;
    if (context->registry)
        context->free_registry(context->registry);
    sf_free(context, (char *)context->options.backend);
    sf_free(context, (char *)context->options.plugin_path);
    context->options.allocator.resize(context->options.allocator.user, context, 0);
}

const char *sf_error_message(const sf_context *context) {
    return context ? context->error : "";
}

/* A message is one line and harmless to a terminal, whatever a file's strings bring into it. */
static void replace_control_characters(char *message) {
    for (unsigned char *c = (unsigned char *)message; *c; c++)
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
}

sf_status sf_fail_v(sf_context *ctx, sf_status status, const char *format, va_list arguments) {
    vsnprintf(ctx->error, sizeof ctx->error, format, arguments);
    replace_control_characters(ctx->error);
    return status;
}

sf_status sf_fail(sf_context *ctx, sf_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sf_fail_v(ctx, status, format, arguments);
    va_end(arguments);
    return status;
}

sf_status sf_fail_in(sf_context *ctx, sf_status status, const char *format, ...) {
    char where[SF_ERROR_BYTES / 2];
    char what[SF_ERROR_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(where, sizeof where, format, arguments);
    va_end(arguments);
    memcpy(what, ctx->error, sizeof what);
    size_t used = (size_t)snprintf(ctx->error, sizeof ctx->error, "%s: ", where);
    size_t room = sizeof ctx->error - used;
    snprintf(ctx->error + used, room, "%.*s", (int)room - 1, what);
    replace_control_characters(ctx->error);
    return status;
}

void sf_log_v(sf_context *ctx, sf_log_level level, const char *format, va_list arguments) {
    if (!ctx->options.log || level > ctx->options.log_level)
        return;
    char message[SF_ERROR_BYTES];
    vsnprintf(message, sizeof message, format, arguments);
    ctx->options.log(ctx->options.user, level, message);
}

void sf_log(sf_context *ctx, sf_log_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sf_log_v(ctx, level, format, arguments);
    va_end(arguments);
}

sf_status sf_report_progress(sf_context *ctx, const sf_progress *progress) {
    if (!ctx->options.progress || ctx->options.progress(ctx->options.user, progress) == 0)
        return SF_OK;
    SF_FAIL(ctx, ERROR_CANCELLED, "cancelled in stage %s, step %d of %d", progress->stage,
            progress->step, progress->n_steps);
}

/*
 * The context: allocator, log, callbacks, the last error and the opened backends.
 *
 * Every function that can fail takes (or can reach) a context and leaves its message there. The
 * macros below are the only way in which errors are made and passed on.
 */
#ifndef SF_CORE_CONTEXT_H
#define SF_CORE_CONTEXT_H

#include <stdarg.h>
#include <stdbool.h>

#include "sfumato.h"

struct sf_registry;
struct sf_backend;

#define SF_ERROR_BYTES 1024

struct sf_context {
    sf_context_options options;                          /* strings are owned copies */
    bool uses_malloc;                                    /* for lack of another allocator */
    char error[SF_ERROR_BYTES];                          /* "" until something failed */
    struct sf_registry *registry;                        /* owned; plugins, made at first use */
    void (*free_registry)(struct sf_registry *registry); /* set with it: core knows no plugins */
    struct sf_backend *backend;  /* borrowed from registry: the one chosen, NULL until opened */
    struct sf_backend *fallback; /* borrowed from registry: runs what backend lacks */
};

#if defined(__GNUC__)
#define SF_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define SF_PRINTF(text, first)
#endif

/* Sets the context's error message and returns status. */
sf_status sf_fail(sf_context *ctx, sf_status status, const char *format, ...) SF_PRINTF(3, 4);
sf_status sf_fail_v(sf_context *ctx, sf_status status, const char *format, va_list arguments);

/* Puts "WHERE: " before the message of the failure that is being passed on; returns status. */
sf_status sf_fail_in(sf_context *ctx, sf_status status, const char *format, ...) SF_PRINTF(3, 4);

void sf_log(sf_context *ctx, sf_log_level level, const char *format, ...) SF_PRINTF(3, 4);
void sf_log_v(sf_context *ctx, sf_log_level level, const char *format, va_list arguments);

/* Reports progress; SF_ERROR_CANCELLED if the callback asks to stop. */
sf_status sf_report_progress(sf_context *ctx, const sf_progress *progress);

/*
 * return sf_fail(...): the message names file, op or tensor, and the numbers. The status stands there
 * once more so that the compiler and analysers see that it is not SF_OK.
 */
#define SF_FAIL(ctx, code, ...) return (sf_fail((ctx), SF_##code, __VA_ARGS__), SF_##code)

/* Passes a failure on to the caller. */
#define SF_TRY(expression)                                                                         \
    do {                                                                                           \
        sf_status sf_try_status_ = (expression);                                                   \
        if (sf_try_status_ != SF_OK)                                                               \
            return sf_try_status_;                                                                 \
    } while (0)

/* The same in a function that has something to release: needs `sf_status status` and a label `out`.
 */
#define SF_TRY_OUT(expression)                                                                     \
    do {                                                                                           \
        status = (expression);                                                                     \
        if (status != SF_OK)                                                                       \
            goto out;                                                                              \
    } while (0)

#define SF_FAIL_OUT(ctx, code, ...)                                                                \
    do {                                                                                           \
        sf_fail((ctx), SF_##code, __VA_ARGS__);                                                    \
        status = SF_##code;                                                                        \
        goto out;                                                                                  \
    } while (0)

#endif
